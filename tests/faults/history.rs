//! The history of a run: every attempt is recorded before it is sent, and its outcome after.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use crate::client::Tokens;
use crate::parts::http::HttpOutcome;

/// What was attempted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// An authorization request that needs no page.
    Authorize,
    Redeem,
    Refresh,
    Revoke,
    /// Anything else.
    Other,
}

/// One attempt.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The number of the server it was sent to.
    pub server: usize,
    pub kind: Kind,
    /// The number of the code or the family it was about.
    pub subject: usize,
    /// The generation of the refresh token that was shown, if one was.
    pub generation: u64,
    pub sent: Instant,
    /// What came of it, and when. None while it is under way.
    pub end: Option<AttemptOutcome>,
}

/// What came of an attempt.
#[derive(Clone, Debug)]
pub struct AttemptOutcome {
    pub at: Instant,
    pub status: Option<u16>,
    /// No answer, although it was sent: it may have happened.
    pub silent: bool,
    pub body: [u8; 32],
}

impl Attempt {
    pub fn has_status(&self, status: u16) -> bool {
        self.end.as_ref().is_some_and(|end| end.status == Some(status))
    }

    fn succeeded(&self) -> bool {
        let good = |status| (200..400).contains(&status);
        self.end.as_ref().and_then(|end| end.status).is_some_and(good)
    }

    /// How long it took to get an answer, or to give up.
    pub fn took(&self) -> Option<Duration> {
        Some(self.end.as_ref()?.at.duration_since(self.sent))
    }
}

/// The book. Shared by everybody who attempts something.
#[derive(Debug, Default)]
pub struct History {
    book: Mutex<Records>,
    /// Answers that were about somebody else.
    pub mixed: AtomicUsize,
    /// Codes that were refused although every attempt before was answered "not now".
    pub burnt: AtomicUsize,
    /// Sessions that were gone, so that somebody had to sign in again.
    pub relogins: AtomicUsize,
}

#[derive(Debug, Default)]
struct Records {
    attempts: Vec<Attempt>,
    /// How often each code was redeemed.
    redeemed: HashMap<usize, usize>,
    /// By family and generation: the different tokens that came for it.
    successors: HashMap<(usize, u64), HashSet<[u8; 32]>>,
}

impl History {
    /// Writes the attempt down, makes it, and writes down what came of it.
    pub async fn record(
        &self,
        (server, kind): (usize, Kind),
        (subject, generation): (usize, u64),
        attempt: impl Future<Output = HttpOutcome>,
    ) -> HttpOutcome {
        let number = {
            let mut book = self.book();
            let sent = Instant::now();
            book.attempts.push(Attempt { server, kind, subject, generation, sent, end: None });
            book.attempts.len() - 1
        };
        let reply = attempt.await;
        let end = AttemptOutcome {
            at: Instant::now(),
            status: reply.status(),
            silent: reply.is_ambiguous(),
            body: digest(reply.body()),
        };
        let tokens = Tokens::of(&reply);
        let mut book = self.book();
        book.attempts[number].end = Some(end);
        if let Some(tokens) = tokens {
            match kind {
                Kind::Redeem => *book.redeemed.entry(subject).or_default() += 1,
                Kind::Refresh => {
                    let next = digest(&tokens.refresh);
                    book.successors.entry((subject, generation)).or_default().insert(next);
                }
                Kind::Authorize | Kind::Revoke | Kind::Other => {}
            }
        }
        drop(book);
        reply
    }

    /// Codes with more than one good token response.
    pub fn double_codes(&self) -> usize {
        self.book().redeemed.values().filter(|&&times| times > 1).count()
    }

    /// Codes with a good token response.
    pub fn codes(&self) -> usize {
        self.book().redeemed.len()
    }

    /// Families for one generation of which more than one successor was seen.
    pub fn forks(&self) -> usize {
        let book = self.book();
        let forked = book.successors.iter().filter(|(_, next)| next.len() > 1);
        forked.map(|((family, _), _)| family).collect::<HashSet<_>>().len()
    }

    /// The most successors that were seen for one generation.
    pub fn successors_max(&self) -> usize {
        self.book().successors.values().map(HashSet::len).max().unwrap_or_default()
    }

    /// Attempts that may have been carried out, and nobody knows.
    pub fn ambiguous(&self) -> usize {
        self.count(|attempt| attempt.end.as_ref().is_none_or(|end| end.silent))
    }

    pub fn count(&self, such: impl Fn(&Attempt) -> bool) -> usize {
        self.book().attempts.iter().filter(|attempt| such(attempt)).count()
    }

    /// Answers with this status.
    pub fn answers(&self, status: u16) -> usize {
        self.count(|attempt| attempt.has_status(status))
    }

    /// The longest time in which nothing succeeded.
    pub fn gap(&self) -> Duration {
        let book = self.book();
        let (first, last) = (book.attempts.first(), book.attempts.last());
        let (Some(first), Some(last)) = (first, last) else { return Duration::ZERO };
        let good = book.attempts.iter().filter(|attempt| attempt.succeeded());
        let mut moments: Vec<_> = good.filter_map(|it| Some(it.end.as_ref()?.at)).collect();
        moments.extend([first.sent, last.end.as_ref().map_or(last.sent, |end| end.at)]);
        moments.sort_unstable();
        moments.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    /// From the first answer of 500 and above to the last; the longest, where a second without any lies in
    /// between.
    pub fn error_period(&self) -> Duration {
        let book = self.book();
        let ends = book.attempts.iter().filter_map(|attempt| attempt.end.as_ref());
        let bad = ends.filter(|end| end.status.is_some_and(|status| status >= 500));
        let mut moments: Vec<_> = bad.map(|end| end.at).collect();
        moments.sort_unstable();
        let one = moments.chunk_by(|one, next| *next - *one < Duration::from_secs(1));
        let long = one.filter_map(|one| Some(*one.last()? - *one.first()?));
        long.max().unwrap_or_default()
    }

    /// How long after `from` there still was an answer of 500 or above, or none; not later than `to`.
    pub fn errors_after(&self, from: Instant, to: Instant) -> Duration {
        let book = self.book();
        let ends = book.attempts.iter().filter_map(|attempt| attempt.end.as_ref());
        let bad = ends.filter(|end| end.status.is_none_or(|status| status >= 500));
        let last = bad.map(|end| end.at).filter(|at| (from..to).contains(at)).max();
        last.map_or(Duration::ZERO, |last| last - from)
    }

    /// The longest time in which nothing succeeded between these moments.
    pub fn gap_within(&self, from: Instant, to: Instant) -> Duration {
        let book = self.book();
        let good = book.attempts.iter().filter(|attempt| attempt.succeeded());
        let moments = good.filter_map(|it| Some(it.end.as_ref()?.at));
        let mut moments: Vec<_> = moments.filter(|at| (from..to).contains(at)).collect();
        moments.extend([from, to]);
        moments.sort_unstable();
        moments.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    /// The most attempts that were under way at one moment.
    pub fn max_in_flight(&self) -> usize {
        let book = self.book();
        let mut steps: Vec<(Instant, bool)> = Vec::new();
        for attempt in &book.attempts {
            steps.push((attempt.sent, true));
            steps.extend(attempt.end.as_ref().map(|end| (end.at, false)));
        }
        steps.sort_unstable();
        let (mut now, mut most) = (0_usize, 0);
        for (_, begins) in steps {
            now = if begins { now + 1 } else { now.saturating_sub(1) };
            most = most.max(now);
        }
        most
    }

    /// How long the attempts of this kind took that were sent in this time: the value that `share` of
    /// them (0.5, 0.99) do not exceed. Zero if there were none.
    pub fn quantile(
        &self,
        share: f64,
        (from, to): (Instant, Instant),
        such: impl Fn(&Attempt) -> bool,
    ) -> Duration {
        let book = self.book();
        let within = book.attempts.iter().filter(|it| (from..to).contains(&it.sent) && such(it));
        quantile(within.filter_map(Attempt::took).collect(), share)
    }

    fn book(&self) -> MutexGuard<'_, Records> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The duration that `share` of them do not exceed.
pub fn quantile(mut took: Vec<Duration>, share: f64) -> Duration {
    took.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "nobody measures 2^52 requests")]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let at = ((took.len() as f64 * share).ceil() as usize).saturating_sub(1);
    took.get(at).copied().unwrap_or_default()
}

/// Adds one.
pub fn increment(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}
