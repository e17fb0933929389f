//! What the server prints on standard output when it starts: where it is, and on a development machine how to try it.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;

use super::demo::Demo;
use super::demo_app::START_PATH;
use super::logging;
use crate::domain::development;
use crate::http::app::App;

pub(super) const DISCOVERY_PATH: &str = "/.well-known/openid-configuration";

/// Prints the banner. A closed output is no error.
pub(super) fn print(app: &App, demo: Option<&Demo>) {
    let discovery = app.config.issuer.url(DISCOVERY_PATH);
    let version = env!("CARGO_PKG_VERSION");
    let mut stdout = std::io::stdout();
    // JSON, so that a collector of both streams of a container reads one format.
    let is_json = logging::is_json(&app.config.log) && !stdout.is_terminal();
    let facts = demo.map(|demo| demo_facts(app, demo)).unwrap_or_default();
    let text = match (is_json, demo) {
        (true, None) => return,
        (true, Some(_)) => {
            let at = UNIX_EPOCH + Duration::from_millis(app.now().as_millis());
            let mut line = json!({
                "timestamp": humantime::format_rfc3339_millis(at).to_string(), "level": "INFO",
                "message": "a development account and client to try it with", "target": "latchkey",
            });
            for (name, value) in &facts {
                line[name.replace(' ', "_")] = value.as_str().into();
            }
            format!("{line}\n")
        }
        (false, _) => {
            let mut text = format!("Latchkey {version} at {}\n", app.issuer());
            for (name, value) in [("discovery", discovery)].into_iter().chain(facts) {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "  {name:<13}  {value}");
            }
            text
        }
    };
    let _unheard = stdout.write_all(text.as_bytes());
}

fn demo_facts(app: &App, demo: &Demo) -> Vec<(&'static str, String)> {
    let given = app.config.dev_account.as_ref().is_some_and(|account| account.password.is_some());
    let password = if given { "as given in DEV_PASSWORD" } else { &*demo.password };
    vec![
        ("demo user", demo.trial.user.clone()),
        ("demo password", password.to_owned()),
        (
            "demo client",
            format!("{} (public, PKCE; any port of localhost)", development::DEMO_CLIENT_ID),
        ),
        ("demo page", app.config.issuer.url(START_PATH)),
        ("demo request", demo.authorize_url.clone()),
        ("code_verifier", demo.verifier.clone()),
    ]
}
