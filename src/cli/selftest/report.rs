use serde_json::{Value, json};

/// Why a check did not pass.
#[derive(Clone, Debug)]
pub(super) enum CheckFailure {
    /// Allowed, but not as it should be.
    Warn(String),
    /// Against a rule.
    Fail(String),
    /// There was nothing to check, or no way to.
    Skip(String),
}

/// The outcome of a check.
pub(super) type CheckResult = Result<(), CheckFailure>;

pub(super) fn fail(why: impl Into<String>) -> CheckFailure {
    CheckFailure::Fail(why.into())
}

pub(super) fn warn(why: impl Into<String>) -> CheckFailure {
    CheckFailure::Warn(why.into())
}

pub(super) fn skip(why: impl Into<String>) -> CheckFailure {
    CheckFailure::Skip(why.into())
}

/// A rule that holds, or a failure that says what was found instead.
pub(super) fn must(holds: bool, otherwise: impl FnOnce() -> String) -> CheckResult {
    if holds { Ok(()) } else { Err(CheckFailure::Fail(otherwise())) }
}

/// A recommendation that is followed, or a warning.
pub(super) fn should(holds: bool, otherwise: impl FnOnce() -> String) -> CheckResult {
    if holds { Ok(()) } else { Err(CheckFailure::Warn(otherwise())) }
}

/// Several things looked at in one check, so that it says all that is wrong at once.
#[derive(Default)]
pub(super) struct Findings {
    failures: Vec<String>,
    warnings: Vec<String>,
    skipped: Option<String>,
}

impl Findings {
    pub fn fail(&mut self, why: impl Into<String>) {
        self.failures.push(why.into());
    }

    pub fn warn(&mut self, why: impl Into<String>) {
        self.warnings.push(why.into());
    }

    pub fn add(&mut self, result: CheckResult) {
        match result {
            Err(CheckFailure::Fail(why)) => self.failures.push(why),
            Err(CheckFailure::Warn(why)) => self.warnings.push(why),
            Err(CheckFailure::Skip(why)) => self.skipped = Some(why),
            Ok(()) => {}
        }
    }

    /// The worst of it.
    pub fn result(self) -> CheckResult {
        let Self { mut failures, warnings, skipped } = self;
        if failures.is_empty() && warnings.is_empty() {
            return skipped.map_or(Ok(()), |why| Err(CheckFailure::Skip(why)));
        }
        let only_warnings = failures.is_empty();
        failures.extend(warnings);
        let text = failures.join("; ");
        Err(if only_warnings { CheckFailure::Warn(text) } else { CheckFailure::Fail(text) })
    }
}

/// What came out, in the order of the table.
#[derive(Default)]
pub(super) struct SelfTestReport {
    lines: Vec<(&'static str, CheckResult)>,
}

impl SelfTestReport {
    pub fn add(&mut self, name: &'static str, result: CheckResult) {
        self.lines.push((name, result));
    }

    pub fn count(&self, word: &str) -> usize {
        self.lines.iter().filter(|(_, result)| outcome(result).0 == word).count()
    }

    pub fn summary(&self) -> String {
        let [ok, warn, fail, skip] = ["ok", "warn", "fail", "skip"].map(|word| self.count(word));
        format!("{ok} ok, {warn} warn, {fail} fail, {skip} skip")
    }

    pub fn json(&self, issuer: &str) -> Value {
        let check = |(name, result): &(&'static str, CheckResult)| {
            let (outcome, reason) = outcome(result);
            json!({ "name": name, "outcome": outcome, "reason": reason })
        };
        json!({
            "issuer": issuer,
            "checks": self.lines.iter().map(check).collect::<Vec<_>>(),
            "summary": {
                "ok": self.count("ok"), "warn": self.count("warn"),
                "fail": self.count("fail"), "skip": self.count("skip"),
            },
        })
    }
}

/// One line, as a person reads it.
pub(super) fn line(name: &str, result: &CheckResult) -> String {
    match outcome(result) {
        (word, "") => format!("{word:<4}  {name}"),
        (word, reason) => format!("{word:<4}  {name}: {reason}"),
    }
}

fn outcome(result: &CheckResult) -> (&'static str, &str) {
    match result {
        Ok(()) => ("ok", ""),
        Err(CheckFailure::Warn(why)) => ("warn", why),
        Err(CheckFailure::Fail(why)) => ("fail", why),
        Err(CheckFailure::Skip(why)) => ("skip", why),
    }
}

/// What the other side said, fit to be printed: short, and nothing that moves a cursor.
pub(super) fn printable(text: &str) -> String {
    const MAX_CHARS: usize = 160;
    let mut shown: String =
        text.chars().take(MAX_CHARS).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        shown.push('…');
    }
    shown
}
