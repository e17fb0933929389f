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
mod events;
mod failure;
mod healthcheck;
mod keys;
mod logouts;
mod operator;
mod password;
mod pkce;
mod resource;
mod scope;
mod selftest;
mod shown;
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
use self::events::EventsArgs;
use self::failure::Failure;
use self::keys::KeysCommand;
use self::logouts::LogoutCommand;
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
    Tool(Tool),
}

/// Everything but serving.
#[derive(Debug, Subcommand)]
pub enum Tool {
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
                Some(tool) if tool == "selftest" => failure::BAD_CALL,
                Some(_) | None => failure::USAGE,
            };
            Err(if error.use_stderr() { usage.into() } else { ExitCode::SUCCESS })
        }
    }
}

/// Runs a tool. The configuration comes as it was read, for some tools do without.
pub async fn run(tool: Tool, config: Result<Config, ConfigErrors>) -> ExitCode {
    match answer(tool, config).await {
        Ok(text) => {
            // A reader that has gone (`latchkey user list | head`) is no failure.
            // After a backup that went to standard output, not a byte.
            if !text.is_empty() {
                let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
            }
            ExitCode::SUCCESS
        }
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "{failure}");
            failure.code().into()
        }
    }
}

/// In a box, for it is as large as the largest tool.
fn answer(
    tool: Tool,
    config: Result<Config, ConfigErrors>,
) -> Pin<Box<dyn Future<Output = Result<String, Failure>>>> {
    Box::pin(do_it(tool, config))
}

async fn do_it(tool: Tool, config: Result<Config, ConfigErrors>) -> Result<String, Failure> {
    let now = Clock::System.now();
    match tool {
        Tool::Pkce => Ok(pkce::print()),
        Tool::CheckConfig => check_config::print(&config?),
        Tool::Healthcheck => healthcheck::run(&config?).await,
        Tool::Selftest(args) => selftest::run(args).await,
        Tool::Backup(args) => backup::backup(&args, &config?).await,
        Tool::Restore(args) => Box::pin(restored(args, config?, now)).await,
        Tool::Keys(command) => keys::run(&command, &config?).await,
        Tool::User(command) => users(command, config?, now).await,
        Tool::Client(command) => clients(command, config?, now).await,
        Tool::Resource(command) => {
            resource::run(command, &Operator::of(&config?, now).await?).await
        }
        Tool::Scope(command) => scope::run(command, &Operator::of(&config?, now).await?).await,
        Tool::Events(args) => events::run(args, &Operator::of(&config?, now).await?, now).await,
        Tool::Logout(command) => logouts::run(command, &Operator::of(&config?, now).await?).await,
        Tool::Consent(command) => {
            let operator = Operator::of(&config?, now).await?;
            consent::run(command, &operator).await
        }
    }
}

async fn restored(args: RestoreArgs, config: Config, now: UnixTime) -> Result<String, Failure> {
    let restored = backup::restore(&args, &config, now).await?;
    if !args.is_dry() {
        keep_off(&config, &Operator::of(&config, now).await?).await?;
    }
    Ok(restored)
}

async fn users(command: UserCommand, config: Config, now: UnixTime) -> Result<String, Failure> {
    let operator = Operator::of(&config, now).await?;
    let writes = command.writes();
    note_the_file(&config, writes);
    let answer = user::run(command, &operator, password::ask).await?;
    if writes {
        keep_off(&config, &operator).await?;
    }
    Ok(answer)
}

async fn clients(command: ClientCommand, config: Config, now: UnixTime) -> Result<String, Failure> {
    let operator = Operator::of(&config, now).await?;
    let writes = command.writes();
    note_the_file(&config, writes);
    let answer = client::run(command, &operator).await?;
    if writes {
        keep_off(&config, &operator).await?;
    }
    Ok(answer)
}

/// What development made stays off on a public issuer, whatever was done to it just now.
async fn keep_off(config: &Config, operator: &Operator) -> Result<(), Failure> {
    if config.issuer.is_loopback() {
        return Ok(());
    }
    let off = operator.run(SwitchOff {}).await?;
    if !off.is_empty() {
        let _ = writeln!(std::io::stderr(), "note: {}", off.told());
    }
    Ok(())
}

/// A change to what the file declares would last until the next start.
fn note_the_file(config: &Config, writes: bool) {
    if let Some(path) = config.bootstrap_file.as_ref().filter(|_| writes) {
        let path = path.display();
        let _ = writeln!(
            std::io::stderr(),
            "note: the metadata, settings, claims and groups that {path} declares become what it says at \
             the next start; passwords, client secrets and enabled only when the file's own value changes"
        );
    }
}
