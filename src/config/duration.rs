//! Durations as an operator writes them: `90`, `90s`, `10m`, `1h`, `7d`.

use std::time::Duration;

/// Whole seconds, or a whole number of one unit.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = match text.strip_suffix(|unit: char| UNITS.iter().any(|u| u.0 == unit)) {
        Some(digits) => (digits, UNITS.iter().find(|unit| text.ends_with(unit.0))?.1),
        None => (text, 1),
    };
    // `u64` would also read "+5".
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(unit).map(Duration::from_secs)
}

/// The shortest exact way to write it.
pub(super) fn show(seconds: u64) -> String {
    let whole = |unit: &&(char, u64)| seconds > 0 && seconds.is_multiple_of(unit.1);
    let (unit, size) = UNITS.iter().find(whole).unwrap_or(&('s', 1));
    format!("{}{unit}", seconds / size)
}

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];
