//! The command line: everything but serving is a tool that runs once, prints, and says by its exit
//! code how it went (the codes of `sysexits.h`).
//!
//! What an operator does is an [operation](crate::operations), done here on the store of the configuration, or
//! by the running server that has a file store to itself or names a `CONTROL_SOCKET` ([`operator`]). No secret is ever an argument (others
//! can see those); passwords are asked for, or read from standard input.

mod backup;
mod check_config;
mod client;
mod client_add;
mod client_set;
mod consent;
mod control;
mod error;
mod events;
mod healthcheck;
mod keys;
mod logout;
mod operator;
mod output;
mod password;
mod pkce;
mod resource;
mod scope;
mod selftest;
mod store;
#[cfg(test)]
mod tests;
mod user;

use std::io::Write;
use std::pin::Pin;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::backup::{BackupArgs, RestoreArgs};
use self::client::ClientCommand;
use self::consent::ConsentCommand;
use self::error::CliError;
use self::events::EventsArgs;
use self::keys::KeysCommand;
use self::logout::LogoutCommand;
use self::operator::Operator;
use self::resource::ResourceCommand;
use self::scope::ScopeCommand;
use self::selftest::SelfTest;
use self::user::UserCommand;
use crate::config::{Config, ConfigErrors};
use crate::infra::clock::{Clock, UnixTime};
use crate::operations::development::SwitchOff;

/// The arguments.
#[derive(Debug, Parser)]
#[command(name = "latchkey", version, about = ABOUT)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

const ABOUT: &str = "A standalone OpenID Connect Provider, configured by environment variables";

/// What was asked for.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve; what happens without a command, too
    Serve,
    /// Something that runs once.
    #[command(flatten)]
    Tool(ToolCommand),
}

/// Everything but serving.
#[derive(Debug, Subcommand)]
pub enum ToolCommand {
    /// Print every setting with what it came to, or everything that is wrong
    CheckConfig,
    /// Ask the server on this machine whether it is well
    Healthcheck,
    /// Print a PKCE verifier and its challenge (RFC 7636)
    Pkce,
    /// Play a client against a running server, and say of every rule whether it is kept
    Selftest(SelfTest),
    /// Write everything that lasts into one encrypted file
    Backup(BackupArgs),
    /// Put a backup into a store
    Restore(RestoreArgs),
    /// The signing keys
    #[command(subcommand)]
    Keys(KeysCommand),
    /// People who can sign in
    #[command(subcommand)]
    User(UserCommand),
    /// Applications
    #[command(subcommand)]
    Client(ClientCommand),
    /// What people agreed to
    #[command(subcommand)]
    Consent(ConsentCommand),
    /// What applications can ask for
    #[command(subcommand)]
    Scope(ScopeCommand),
    /// APIs that applications can ask tokens for
    #[command(subcommand)]
    Resource(ResourceCommand),
    /// What happened within the last week
    Events(EventsArgs),
    /// Which applications have still to be told that somebody signed out
    #[command(subcommand)]
    Logout(LogoutCommand),
}

/// Reads the process's arguments. What cannot be understood, and what is only a question (`--help`),
/// is answered here; the code is what to exit with.
pub fn parse() -> Result<Command, ExitCode> {
    match Cli::try_parse() {
        Ok(cli) => Ok(cli.command.unwrap_or(Command::Serve)),
        Err(error) => {
            // Nobody is left to tell if this fails.
            let _ = error.print();
            let usage = match std::env::args_os().nth(1) {
                Some(tool) if tool == "selftest" => error::EXIT_SELFTEST_USAGE,
                Some(_) | None => error::EX_USAGE,
            };
            Err(if error.use_stderr() { usage.into() } else { ExitCode::SUCCESS })
        }
    }
}

/// Runs a tool. The configuration comes as it was read, for some tools do without.
pub async fn run(tool: ToolCommand, config: Result<Config, ConfigErrors>) -> ExitCode {
    match run_boxed(tool, config).await {
        Ok(text) => {
            // A reader that has gone (`latchkey user list | head`) is no failure.
            // After a backup that went to standard output, not a byte.
            if !text.is_empty() {
                let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            error.code().into()
        }
    }
}

/// In a box, for it is as large as the largest tool.
fn run_boxed(
    tool: ToolCommand,
    config: Result<Config, ConfigErrors>,
) -> Pin<Box<dyn Future<Output = Result<String, CliError>>>> {
    Box::pin(run_tool(tool, config))
}

async fn run_tool(
    tool: ToolCommand,
    config: Result<Config, ConfigErrors>,
) -> Result<String, CliError> {
    let now = Clock::System.now();
    match tool {
        ToolCommand::Pkce => Ok(pkce::print()),
        ToolCommand::CheckConfig => check_config::print(&config?),
        ToolCommand::Healthcheck => healthcheck::run(&config?).await,
        ToolCommand::Selftest(args) => selftest::run(args).await,
        ToolCommand::Backup(args) => backup::backup(&args, &config?).await,
        ToolCommand::Restore(args) => Box::pin(restore(args, config?, now)).await,
        ToolCommand::Keys(command) => keys::run(&command, &config?).await,
        ToolCommand::User(command) => run_user(command, config?, now).await,
        ToolCommand::Client(command) => run_client(command, config?, now).await,
        ToolCommand::Resource(command) => {
            resource::run(command, &Operator::of(&config?, now).await?).await
        }
        ToolCommand::Scope(command) => {
            scope::run(command, &Operator::of(&config?, now).await?).await
        }
        ToolCommand::Events(args) => {
            events::run(args, &Operator::of(&config?, now).await?, now).await
        }
        ToolCommand::Logout(command) => {
            logout::run(command, &Operator::of(&config?, now).await?).await
        }
        ToolCommand::Consent(command) => {
            let operator = Operator::of(&config?, now).await?;
            consent::run(command, &operator).await
        }
    }
}

async fn restore(args: RestoreArgs, config: Config, now: UnixTime) -> Result<String, CliError> {
    let restored = backup::restore(&args, &config, now).await?;
    if !args.is_dry() {
        keep_development_off(&config, &Operator::of(&config, now).await?).await?;
    }
    Ok(restored)
}

async fn run_user(command: UserCommand, config: Config, now: UnixTime) -> Result<String, CliError> {
    let operator = Operator::of(&config, now).await?;
    let writes = command.writes();
    warn_bootstrap_file_wins(&config, writes);
    let answer = user::run(command, &operator, password::ask).await?;
    if writes {
        keep_development_off(&config, &operator).await?;
    }
    Ok(answer)
}

async fn run_client(
    command: ClientCommand,
    config: Config,
    now: UnixTime,
) -> Result<String, CliError> {
    let operator = Operator::of(&config, now).await?;
    let writes = command.writes();
    warn_bootstrap_file_wins(&config, writes);
    let answer = client::run(command, &operator).await?;
    if writes {
        keep_development_off(&config, &operator).await?;
    }
    Ok(answer)
}

/// What development made stays off on a public issuer, whatever was done to it just now.
async fn keep_development_off(config: &Config, operator: &Operator) -> Result<(), CliError> {
    if config.issuer.is_loopback() {
        return Ok(());
    }
    let off = operator.run(SwitchOff {}).await?;
    if !off.is_empty() {
        let _ = writeln!(std::io::stderr(), "note: {}", off.warning());
    }
    Ok(())
}

/// A change to what the file declares would last until the next start.
fn warn_bootstrap_file_wins(config: &Config, writes: bool) {
    if let Some(path) = config.bootstrap_file.as_ref().filter(|_| writes) {
        let path = path.display();
        let _ = writeln!(
            std::io::stderr(),
            "note: the metadata, settings, claims and groups that {path} declares become what it says at \
             the next start; passwords, client secrets and enabled only when the file's own value changes"
        );
    }
}
