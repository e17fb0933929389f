//! Which phase a key is in: a pure function of the moments at which the keys of one algorithm begin to sign. No phase is
//! stored, so servers with the same ring cannot disagree (docs/decisions/key-ring.md).

use std::time::Duration;

use crate::infra::clock::UnixTime;

/// The life of a key.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Phase {
    /// In the JWK Set, so that clients have it before its first signature.
    Published,
    /// The one that signs.
    Signing,
    /// Still in the JWK Set, for the tokens it signed.
    Retired,
    /// Out of the JWK Set: nothing it signed can be valid any more.
    Gone,
}

impl Phase {
    /// The word in metrics and in `keys list`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Signing => "signing",
            Self::Retired => "retired",
            Self::Gone => "gone",
        }
    }
}

/// How keys follow each other.
#[derive(Clone, Copy, Debug)]
pub struct RotationPolicy {
    /// How long a key signs; `None` means until it is rotated by hand.
    pub interval: Option<Duration>,
    /// How long a key is published before it signs: longer than clients cache the JWK Set.
    pub publication_lead: Duration,
    /// How long a key stays published after it stopped signing: longer than any token it signed is valid.
    pub retention: Duration,
    /// How long a key that was asked for at once waits until every server has read it.
    pub activation_delay: Duration,
}

/// The phases of the keys of one algorithm, given when each begins to sign, earliest first.
pub fn phases(starts: &[UnixTime], keep: Duration, now: UnixTime) -> Vec<Phase> {
    // Before the first start (a clock that is behind) the first key signs: some key has to.
    let signing = starts.iter().rposition(|start| *start <= now).unwrap_or(0);
    let phase = |at: usize| match at.cmp(&signing) {
        std::cmp::Ordering::Greater => Phase::Published,
        std::cmp::Ordering::Equal => Phase::Signing,
        // It signed until its successor began.
        std::cmp::Ordering::Less if now < starts[at + 1].plus(keep) => Phase::Retired,
        std::cmp::Ordering::Less => Phase::Gone,
    };
    (0..starts.len()).map(phase).collect()
}

/// When the next key has to begin to sign, if now is the time to publish it.
pub fn due(starts: &[UnixTime], policy: &RotationPolicy, now: UnixTime) -> Option<UnixTime> {
    let (interval, last) = (policy.interval?, *starts.last()?);
    let next = last.plus(interval);
    let is_time = last <= now && next <= now.plus(policy.publication_lead);
    // A server that was down at that time still publishes the key before it signs.
    is_time.then(|| next.max(now.plus(policy.publication_lead)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Phase::{Gone, Published, Retired, Signing};
    use super::*;

    const POLICY: RotationPolicy = RotationPolicy {
        interval: Some(Duration::from_secs(10_000)),
        publication_lead: Duration::from_secs(100),
        retention: Duration::from_secs(500),
        activation_delay: Duration::ZERO,
    };

    fn at(seconds: u64) -> UnixTime {
        UnixTime::from_secs(seconds)
    }

    #[test]
    fn a_key_is_published_signs_retires_and_goes() {
        let starts = [1000, 2000, 3000].map(at);
        #[rustfmt::skip]
        let table = [
            //   now   first    second     third
            (    0, [Signing, Published, Published]),
            ( 1000, [Signing, Published, Published]),
            ( 1999, [Signing, Published, Published]),
            ( 2000, [Retired, Signing,   Published]),
            ( 2499, [Retired, Signing,   Published]),
            ( 2500, [Gone,    Signing,   Published]),
            ( 2999, [Gone,    Signing,   Published]),
            ( 3000, [Gone,    Retired,   Signing]),
            ( 3500, [Gone,    Gone,      Signing]),
            (99999, [Gone,    Gone,      Signing]),
        ];
        for (now, expected) in table {
            assert_eq!(phases(&starts, POLICY.retention, at(now)), expected, "at {now}");
        }
    }

    #[test]
    fn a_successor_is_due_once_and_never_without_its_lead() {
        #[rustfmt::skip]
        let table = [
            // keys begin at    now     the next begins at
            (vec![1000],        9_000,  None),
            (vec![1000],        10_899, None),
            (vec![1000],        10_900, Some(11_000)),
            (vec![1000],        10_950, Some(11_050)), // late by fifty seconds
            (vec![1000],        90_000, Some(90_100)), // nobody was there for days
            (vec![1000, 11_000], 10_950, None),        // published already
            (vec![1000, 11_000], 11_000, None),
            (vec![],            11_000, None),
        ];
        for (starts, now, expected) in table {
            let starts: Vec<_> = starts.into_iter().map(at).collect();
            assert_eq!(due(&starts, &POLICY, at(now)), expected.map(at), "{starts:?} at {now}");
            let never = RotationPolicy { interval: None, ..POLICY };
            assert_eq!(due(&starts, &never, at(now)), None);
        }
    }

    const CACHED: Duration = Duration::from_secs(90);
    const LIFETIME: Duration = Duration::from_secs(450);

    /// A key, whether it was urgent, and since when it is published.
    #[derive(Clone, Copy, Debug)]
    struct Key {
        begins: UnixTime,
        published: UnixTime,
        urgent: bool,
    }

    /// Mostly a moment, sometimes long enough for everything to happen.
    fn passes() -> impl Strategy<Value = u64> {
        prop_oneof![4 => 1_u64..40, 2 => 100_u64..600, 1 => 2000_u64..12_000]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// However time passes, and whenever somebody looks after the ring: a token within its lifetime
        /// verifies against any JWK Set that may still be kept; for an urgent key, any since it is there.
        #[test]
        fn a_valid_token_verifies_with_any_key_set_that_is_still_kept(
            steps in prop::collection::vec((passes(), 0..10_u8), 1..200),
        ) {
            let mut now = at(1_000_000);
            let mut keys = vec![Key { begins: now, published: now, urgent: true }];
            let (mut signed, mut fetched) = (Vec::new(), Vec::new());
            for (by, what) in steps {
                now = now.plus(Duration::from_secs(by));
                let starts = |keys: &[Key]| keys.iter().map(|key| key.begins).collect::<Vec<_>>();
                let standing = phases(&starts(&keys), POLICY.retention, now);
                // Looked after most of the time; otherwise everybody is asleep.
                if what > 2 {
                    let mut phase = standing.iter();
                    keys.retain(|_| phase.next() != Some(&Gone));
                    if let Some(begins) = due(&starts(&keys), &POLICY, now) {
                        keys.push(Key { begins, published: now, urgent: false });
                    }
                    if what == 9 {
                        keys.push(Key { begins: now, published: now, urgent: true });
                        keys.sort_by_key(|key| key.begins);
                    }
                }
                let standing = phases(&starts(&keys), POLICY.retention, now);
                prop_assert_eq!(standing.iter().filter(|phase| **phase == Signing).count(), 1);
                let signing = standing.iter().position(|phase| *phase == Signing).unwrap();
                signed.push((now, keys[signing]));
                let shown = standing.iter().zip(&keys).filter(|(phase, _)| **phase != Gone);
                let shown: Vec<_> = shown.map(|(_, key)| (key.begins, key.published)).collect();
                fetched.push((now, shown));
            }
            for (signed_at, key) in &signed {
                for (fetched_at, shown) in &fetched {
                    let from = (*signed_at).max(*fetched_at);
                    let until = signed_at.plus(LIFETIME).min(fetched_at.plus(CACHED));
                    let meets = from <= until && (!key.urgent || *fetched_at >= key.published);
                    let known = shown.contains(&(key.begins, key.published));
                    prop_assert!(known || !meets, "{:?} in {:?}", key, shown);
                }
            }
        }
    }
}
