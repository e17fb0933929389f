//! `latchkey selftest`: plays a client against a running server, its own or any other issuer with
//! dynamic registration, and says of every rule whether it is kept.
//!
//! `checks.rs` lists the checks in their order; a file holds those of one endpoint. A check reads what earlier ones
//! found or sends a request, and passes, warns, fails or is skipped; no response ends the run. The last check removes
//! the clients that were registered.

mod authorization_request;
mod authorize;
mod browser;
mod checks;
mod client;
mod code_misuse;
mod context;
mod discovery;
mod html_forms;
mod http;
mod http_response;
mod id_token;
mod invalid_registrations;
mod jwks;
mod metadata;
mod metadata_values;
mod protected_endpoints;
mod refresh;
mod registration;
mod report;
mod session;
mod sign_in;
mod token;
mod tokens;
mod userinfo;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use url::Url;
use zeroize::Zeroizing;

use self::browser::Browser;
use self::checks::{CHECKS, Check};
use self::client::TestUser;
use self::context::TestContext;
use self::http::Http;
use self::metadata::ServerMetadata;
use self::report::{CheckResult, SelfTestReport, fail, line, skip};
use super::error::CliError;
use crate::infra::clock::Clock;

/// What to test, and with whom.
#[derive(Args, Debug)]
pub struct SelfTest {
    /// The issuer, as its discovery document has it
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// Somebody who can sign in, for the checks that need a person
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Their password in a file; otherwise in LATCHKEY_SELFTEST_PASSWORD
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// PEM certificates to trust besides the public ones
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Go to private addresses of other hosts than the issuer's, too
    #[arg(long)]
    allow_private: bool,
    /// A token that registration asks for, in a file
    #[arg(long, value_name = "FILE")]
    initial_access_token_file: Option<PathBuf>,
    /// One JSON document instead of lines
    #[arg(long)]
    json: bool,
}

/// Good if nothing failed; warnings are not failures.
pub(super) async fn run(args: SelfTest) -> Result<String, CliError> {
    let mut context = args.context()?;
    let mut report = SelfTestReport::default();
    let mut interrupted = false;
    for (name, step) in CHECKS {
        // What was registered is removed also when somebody does not want to wait for the rest.
        let result = if interrupted && *name != CLEAN_UP_CHECK {
            Err(skip("interrupted"))
        } else {
            tokio::select! {
                result = run_check(step, &mut context) => result,
                _ = tokio::signal::ctrl_c() => {
                    interrupted = true;
                    Err(fail("interrupted"))
                }
            }
        };
        if !args.json {
            // A reader that has gone is no reason to leave clients behind.
            let _ = writeln!(std::io::stdout(), "{}", line(name, &result));
        }
        report.add(name, result);
    }
    let summary = report.summary();
    let text = if args.json { format!("{:#}", report.json(&context.issuer)) } else { summary };
    let failed = report.count("fail");
    if failed == 0 {
        return Ok(text);
    }
    let _ = writeln!(std::io::stdout(), "{text}");
    Err(CliError::Refused(format!("checks that failed: {failed}")))
}

async fn run_check(step: &Check, context: &mut TestContext) -> CheckResult {
    match step {
        Check::Reads(check) => check(context),
        Check::Asks(check) => check(context).await,
    }
}

/// The check that cleans up.
const CLEAN_UP_CHECK: &str = "registration.delete";

impl SelfTest {
    fn context(&self) -> Result<TestContext, CliError> {
        let usage = |why: String| CliError::SelfTestUsage(why);
        let issuer: Url =
            self.issuer.parse().map_err(|_| usage("--issuer must be a URL".to_owned()))?;
        if !matches!(issuer.scheme(), "https" | "http") || !issuer.has_host() {
            return Err(usage("--issuer must be an https URL".to_owned()));
        }
        let token = self.initial_access_token_file.as_deref().map(first_line).transpose()?;
        let http =
            Http::new(&issuer, self.ca_file.as_deref(), self.allow_private).map_err(usage)?;
        Ok(TestContext {
            issuer: self.issuer.clone(),
            initial_access_token: token,
            user: self.user()?,
            http,
            clock: Clock::System,
            metadata: ServerMetadata::default(),
            discovery: None,
            jwks: None,
            web: None,
            other: None,
            registered: Vec::new(),
            browser: Browser::default(),
            granted: None,
            tokens: None,
        })
    }

    fn user(&self) -> Result<Option<TestUser>, CliError> {
        let Some(username) = self.user.clone() else { return Ok(None) };
        let password = match &self.password_file {
            Some(path) => first_line(path)?,
            None => std::env::var(PASSWORD).map(Zeroizing::new).map_err(|_| {
                CliError::SelfTestUsage(format!("--user needs --password-file, or {PASSWORD}"))
            })?,
        };
        Ok(Some(TestUser { username, password }))
    }
}

const PASSWORD: &str = "LATCHKEY_SELFTEST_PASSWORD";

/// Of a file with a secret in it.
fn first_line(path: &Path) -> Result<Zeroizing<String>, CliError> {
    let unreadable = |why: String| CliError::SelfTestUsage(format!("{}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|error| unreadable(error.to_string()))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(unreadable("it is empty".to_owned()));
    }
    Ok(Zeroizing::new(line.to_owned()))
}
