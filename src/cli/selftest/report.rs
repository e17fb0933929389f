use serde_json::{Value, json};

/// Why a check is not simply good.
#[derive(Clone, Debug)]
pub(super) enum Not {
    /// Allowed, but not as it should be.
    Warn(String),
    /// Against a rule.
    Fail(String),
    /// There was nothing to check, or no way to.
    Skip(String),
}

/// How a check went.
pub(super) type Verdict = Result<(), Not>;

pub(super) fn fail(why: impl Into<String>) -> Not {
    Not::Fail(why.into())
}

pub(super) fn warn(why: impl Into<String>) -> Not {
    Not::Warn(why.into())
}

pub(super) fn skip(why: impl Into<String>) -> Not {
    Not::Skip(why.into())
}

/// A rule that holds, or a failure that says what was found instead.
pub(super) fn must(holds: bool, otherwise: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(Not::Fail(otherwise())) }
}

/// A recommendation that is followed, or a warning.
pub(super) fn should(holds: bool, otherwise: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(Not::Warn(otherwise())) }
}

/// Several things looked at in one check, so that it says all that is wrong at once.
#[derive(Default)]
pub(super) struct Findings {
    wrong: Vec<String>,
    doubtful: Vec<String>,
    left_out: Option<String>,
}

impl Findings {
    pub fn wrong(&mut self, why: impl Into<String>) {
        self.wrong.push(why.into());
    }

    pub fn doubtful(&mut self, why: impl Into<String>) {
        self.doubtful.push(why.into());
    }

    pub fn note(&mut self, verdict: Verdict) {
        match verdict {
            Err(Not::Fail(why)) => self.wrong.push(why),
            Err(Not::Warn(why)) => self.doubtful.push(why),
            Err(Not::Skip(why)) => self.left_out = Some(why),
            Ok(()) => {}
        }
    }

    /// The worst of it.
    pub fn verdict(self) -> Verdict {
        let Self { mut wrong, doubtful, left_out } = self;
        if wrong.is_empty() && doubtful.is_empty() {
            return left_out.map_or(Ok(()), |why| Err(Not::Skip(why)));
        }
        let only_doubtful = wrong.is_empty();
        wrong.extend(doubtful);
        let text = wrong.join("; ");
        Err(if only_doubtful { Not::Warn(text) } else { Not::Fail(text) })
    }
}

/// What came out, in the order of the table.
#[derive(Default)]
pub(super) struct Report {
    lines: Vec<(&'static str, Verdict)>,
}

impl Report {
    pub fn add(&mut self, name: &'static str, verdict: Verdict) {
        self.lines.push((name, verdict));
    }

    pub fn count(&self, word: &str) -> usize {
        self.lines.iter().filter(|(_, verdict)| outcome(verdict).0 == word).count()
    }

    pub fn summary(&self) -> String {
        let [ok, warn, fail, skip] = ["ok", "warn", "fail", "skip"].map(|word| self.count(word));
        format!("{ok} ok, {warn} warn, {fail} fail, {skip} skip")
    }

    pub fn json(&self, issuer: &str) -> Value {
        let check = |(name, verdict): &(&'static str, Verdict)| {
            let (outcome, reason) = outcome(verdict);
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
pub(super) fn line(name: &str, verdict: &Verdict) -> String {
    match outcome(verdict) {
        (word, "") => format!("{word:<4}  {name}"),
        (word, reason) => format!("{word:<4}  {name}: {reason}"),
    }
}

fn outcome(verdict: &Verdict) -> (&'static str, &str) {
    match verdict {
        Ok(()) => ("ok", ""),
        Err(Not::Warn(why)) => ("warn", why),
        Err(Not::Fail(why)) => ("fail", why),
        Err(Not::Skip(why)) => ("skip", why),
    }
}

/// What the other side said, fit to be printed: short, and nothing that moves a cursor.
pub(super) fn plain(text: &str) -> String {
    const MOST: usize = 160;
    let mut shown: String =
        text.chars().take(MOST).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}
