//! Durations as an operator writes them: `90`, `90s`, `10m`, `1h 30m`, `7d`.

use std::time::Duration;

/// A bare number of seconds, or what `humantime` reads, in whole seconds: the syntax of the command line.
pub(super) fn parse(text: &str) -> Option<Duration> {
    // `u64` would also read "+5".
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Duration::from_secs);
    }
    // To `humantime` `10M` is ten months: most likely minutes are meant.
    let has_months = text.contains('M');
    let read = humantime::parse_duration(text).ok().filter(|_| !has_months);
    read.filter(|duration| duration.subsec_nanos() == 0)
}

/// The shortest exact way to write it in one unit. `humantime` would write 400 days as a year, a month and
/// what is left of them.
pub(super) fn show(seconds: u64) -> String {
    let whole = |unit: &&(char, u64)| seconds > 0 && seconds.is_multiple_of(unit.1);
    let (unit, size) = UNITS.iter().find(whole).unwrap_or(&('s', 1));
    format!("{}{unit}", seconds / size)
}

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_seconds_or_what_humantime_reads_in_whole_seconds() {
        for (text, seconds) in [
            ("0", Some(0)),
            ("90", Some(90)),
            ("90s", Some(90)),
            ("10m", Some(600)),
            ("1h 30m", Some(5400)),
            ("7d", Some(604_800)),
            ("2weeks", Some(1_209_600)),
            ("10M", None),
            ("1500ms", None),
            ("+5", None),
            ("-7d", None),
            ("5x", None),
            ("", None),
        ] {
            assert_eq!(parse(text), seconds.map(Duration::from_secs), "{text}");
        }
        for (seconds, text) in [(0, "0s"), (90, "90s"), (5400, "90m"), (34_560_000, "400d")] {
            assert_eq!(show(seconds), text);
        }
    }
}
