//! The log: readable lines on a terminal, JSON otherwise.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, LogSettings};

/// Installs the log writer. It writes to standard error; standard output is for the output of commands.
pub fn install(settings: &LogSettings) {
    let directives = with_moved_modules(&settings.level);
    let filter = EnvFilter::try_new(&directives).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // A line that cannot be written would be complained of on standard error, too, and that panics:
        // a full disk or a reader that has gone away must not take the service with it.
        .log_internal_errors(false);
    // A second installation, as in tests, changes nothing.
    let _installed = if is_json(settings) {
        // There is one span, the request: a list of spans would say it twice.
        builder.json().flatten_event(true).with_span_list(false).try_init()
    } else {
        // A file or a pipe is no place for colours.
        builder.compact().with_ansi(std::io::stderr().is_terminal()).try_init()
    };
}

/// Whether lines are for machines.
pub fn is_json(settings: &LogSettings) -> bool {
    match settings.format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Pretty => false,
        LogFormat::Json => true,
    }
}

/// Modules whose log lines had another `target` until release 0.1, and where they are now: a `LOG_LEVEL` written for an
/// earlier release means the same today. What is below a module has moved with it.
const MOVED_MODULES: &[(&str, &str)] = &[
    ("app", "http::app"),
    ("authorize", "endpoints::authorize"),
    ("authorize::issue", "endpoints::authorize::response"),
    ("authorize::object", "endpoints::authorize::request_object"),
    ("authorize::begin", "endpoints::authorize::handlers"),
    ("authorize::hub", "endpoints::authorize::dispatch"),
    ("backup", "operations::backup"),
    ("bootstrap", "operations::bootstrap"),
    ("bootstrap::apply_client", "operations::bootstrap::apply"),
    ("bootstrap::apply_user", "operations::bootstrap::apply"),
    ("client_ip", "infra::client_ip"),
    ("clients", "domain::clients"),
    ("clients::key_cache", "domain::clients::jwks_cache"),
    ("clients::vault", "domain::clients::secret_encryption"),
    ("consent", "endpoints::consent"),
    ("consents", "domain::consent"),
    ("events", "domain::events"),
    ("fetch", "infra::outbound"),
    ("grants", "domain::grants"),
    ("grants::person", "domain::grants::by_subject"),
    ("health", "endpoints::health"),
    ("http::caller", "http::request_info"),
    ("http::client", "http::authenticated_client"),
    ("http::page", "http::pages"),
    ("http::trouble", "http::page_error"),
    ("interactions", "domain::interactions"),
    ("introspect", "endpoints::introspect"),
    ("jose", "infra::jose"),
    ("keys", "domain::keys"),
    ("login", "endpoints::login"),
    ("logout", "endpoints::logout"),
    ("logout::http", "endpoints::logout::handlers"),
    ("logout::farewell", "endpoints::logout::end_session"),
    ("logout::frames", "endpoints::logout::front_channel"),
    ("logouts", "domain::logout_notifications"),
    ("logouts::participants", "domain::logout_notifications::session_clients"),
    ("metrics", "endpoints::metrics"),
    ("mint", "http::token_issuer"),
    ("password", "infra::password"),
    ("register", "endpoints::register"),
    ("register::body", "endpoints::register::request"),
    ("register::gate", "endpoints::register::policy"),
    ("requests", "domain::authorization_request"),
    ("resources", "domain::resources"),
    ("server::connection::bare", "server::connection::parser_errors"),
    ("server::couriers", "server::logout_worker"),
    ("server::events", "server::event_writer"),
    ("server::homeward", "server::issuer_redirect"),
    ("server::rotation", "server::maintenance"),
    ("sessions", "domain::sessions"),
    ("store", "infra::store"),
    ("store::redis::keeper", "infra::store::redis::reconnect"),
    ("throttle", "domain::rate_limit"),
    ("token", "endpoints::token"),
    ("userinfo", "endpoints::userinfo"),
    // Only signing in logs anything.
    ("users", "domain::authenticators"),
    ("users::sign_in", "domain::authenticators::password"),
];

/// The directives, with the modules of [`MOVED_MODULES`] under the names that they have now.
fn with_moved_modules(level: &str) -> String {
    let directives = level
        .split(',')
        .map(|directive| renamed_directive(directive).unwrap_or_else(|| directive.to_owned()));
    directives.collect::<Vec<_>>().join(",")
}

fn renamed_directive(directive: &str) -> Option<String> {
    let path = directive.strip_prefix("latchkey::")?;
    let (module, level) = path.split_at(path.find('=').unwrap_or(path.len()));
    let below = |(earlier, now): &(&str, &'static str)| {
        let rest = module.strip_prefix(earlier)?;
        (rest.is_empty() || rest.starts_with("::")).then(|| (*now, rest.to_owned()))
    };
    // The longest entry knows best.
    let (now, rest) = MOVED_MODULES.iter().filter_map(below).min_by_key(|(_, rest)| rest.len())?;
    Some(format!("latchkey::{now}{rest}{level}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_of_an_earlier_release_means_the_same() {
        for (given, now) in [
            ("info,latchkey::store=debug", "info,latchkey::infra::store=debug"),
            ("latchkey::store::redis=trace", "latchkey::infra::store::redis=trace"),
            ("latchkey::server=debug,audit=off", "latchkey::server=debug,audit=off"),
            ("latchkey::server::couriers=debug", "latchkey::server::logout_worker=debug"),
            ("latchkey::consents=warn", "latchkey::domain::consent=warn"),
            ("latchkey::resources=debug", "latchkey::domain::resources=debug"),
            ("latchkey::http::page=error", "latchkey::http::pages=error"),
            ("latchkey::logout::frames=off", "latchkey::endpoints::logout::front_channel=off"),
            ("latchkey::bootstrap::apply_user=off", "latchkey::operations::bootstrap::apply=off"),
            ("latchkey::users=error", "latchkey::domain::authenticators=error"),
            ("latchkey::infra::store=debug", "latchkey::infra::store=debug"),
            ("storefront=debug", "storefront=debug"),
        ] {
            assert_eq!(with_moved_modules(given), now);
        }
    }
}
