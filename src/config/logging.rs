//! What is logged, and how a line looks.

use super::parser::ConfigParser;

/// What is logged.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// A filter in the words of `tracing`.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Pretty,
    /// For machines.
    Json,
}

pub(super) fn log(parser: &mut ConfigParser<'_>) -> LogSettings {
    let expected =
        "error, warn, info, debug or trace, or a list such as info,latchkey::infra::store=debug";
    let filter = |text: &str| text.split(',').all(is_directive).then(|| text.to_ascii_lowercase());
    let level = parser.parse("LOG_LEVEL", expected, filter).unwrap_or_default();
    let format = parser.parse("LOG_FORMAT", "auto, pretty or json", |text| match text {
        "auto" => Some(LogFormat::Auto),
        "pretty" => Some(LogFormat::Pretty),
        "json" => Some(LogFormat::Json),
        _ => None,
    });
    LogSettings { level, format: format.unwrap_or(LogFormat::Auto) }
}

fn is_directive(text: &str) -> bool {
    let (target, level) = text.rsplit_once('=').unwrap_or(("latchkey", text));
    let path = |byte: u8| byte.is_ascii_alphanumeric() || b"_:-".contains(&byte);
    let levels = ["error", "warn", "info", "debug", "trace", "off"];
    !target.is_empty()
        && target.bytes().all(path)
        && levels.contains(&level.to_ascii_lowercase().as_str())
}
