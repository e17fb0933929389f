//! Logs: for people on a terminal, JSON otherwise.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, LogSettings};

/// Installs the log writer; to standard error, so that standard output stays for what was asked for.
pub fn install(settings: &LogSettings) {
    let filter = EnvFilter::try_new(&settings.level).unwrap_or_else(|_| EnvFilter::new("info"));
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
