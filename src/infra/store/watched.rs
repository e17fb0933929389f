use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Change, Listener, Listening, Outcome, Pending, Pulse, RawKey, Store, StoreError};

/// A store that tells about every command it runs: which verb, what came of it, how long it took.
///
/// It stands around the real one, so that no caller can forget to tell. A command whose caller went
/// away before the answer (its patience or its connection ended) is told as `abandoned`.
pub struct Watched {
    inner: Arc<dyn Store>,
    tell: Box<dyn Fn(&Ran) + Send + Sync>,
}

/// One command that ran, in words fit for a metric's labels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ran {
    /// One of [`VERBS`].
    pub verb: &'static str,
    /// `ok`, `conflict` (a change that lost a race), `abandoned`, or [`StoreError::kind`].
    pub outcome: &'static str,
    /// From asking to the answer.
    pub took: Duration,
}

/// The verbs of a [`Store`].
pub const VERBS: [&str; 6] = ["get", "take", "commit", "names", "tally", "ping"];

impl Watched {
    /// Around `inner`; `tell` is called after every command and must not block.
    pub fn new(inner: Arc<dyn Store>, tell: impl Fn(&Ran) + Send + Sync + 'static) -> Self {
        Self { inner, tell: Box::new(tell) }
    }

    async fn watch<T>(
        &self,
        verb: &'static str,
        command: Pending<'_, T>,
        word: fn(&T) -> &'static str,
    ) -> Result<T, StoreError> {
        let mut running =
            Running { tell: &*self.tell, verb, begun: Instant::now(), outcome: "abandoned" };
        let answer = command.await;
        running.outcome = answer.as_ref().map_or_else(StoreError::kind, word);
        answer
    }
}

/// Tells when it goes, however it goes.
struct Running<'a> {
    tell: &'a (dyn Fn(&Ran) + Send + Sync),
    verb: &'static str,
    begun: Instant,
    outcome: &'static str,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let Self { verb, outcome, begun, .. } = *self;
        (self.tell)(&Ran { verb, outcome, took: begun.elapsed() });
    }
}

fn ok<T>(_: &T) -> &'static str {
    "ok"
}

impl Store for Watched {
    fn get<'a>(&'a self, key: &'a RawKey) -> Pending<'a, Option<Vec<u8>>> {
        Box::pin(self.watch("get", self.inner.get(key), ok))
    }

    fn take<'a>(&'a self, key: &'a RawKey) -> Pending<'a, Option<Vec<u8>>> {
        Box::pin(self.watch("take", self.inner.take(key), ok))
    }

    fn commit(&self, change: Change) -> Pending<'_, Outcome> {
        let word = |outcome: &Outcome| match outcome {
            Outcome::Committed => "ok",
            Outcome::Conflict => "conflict",
        };
        Box::pin(self.watch("commit", self.inner.commit(change), word))
    }

    fn names<'a>(
        &'a self,
        index: &'a RawKey,
        after: &'a str,
        limit: usize,
    ) -> Pending<'a, Vec<String>> {
        Box::pin(self.watch("names", self.inner.names(index, after, limit), ok))
    }

    fn tally<'a>(&'a self, counter: &'a RawKey, window: Duration) -> Pending<'a, u64> {
        Box::pin(self.watch("tally", self.inner.tally(counter, window), ok))
    }

    fn ping(&self) -> Pending<'_, Pulse> {
        Box::pin(self.watch("ping", self.inner.ping(), ok))
    }

    fn listen(&self, listener: &Arc<dyn Listener>) -> Option<Listening> {
        self.inner.listen(listener)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::{Expect, MemoryStore, Partition};
    use super::*;
    use crate::infra::clock::Clock;

    /// Answers nothing but `ping`, and that never.
    struct Away;

    fn away<'a, T>() -> Pending<'a, T> {
        Box::pin(async { Err(StoreError::Unavailable("gone".into())) })
    }

    impl Store for Away {
        fn get<'a>(&'a self, _: &'a RawKey) -> Pending<'a, Option<Vec<u8>>> {
            away()
        }

        fn take<'a>(&'a self, _: &'a RawKey) -> Pending<'a, Option<Vec<u8>>> {
            away()
        }

        fn commit(&self, _: Change) -> Pending<'_, Outcome> {
            away()
        }

        fn names<'a>(&'a self, _: &'a RawKey, _: &'a str, _: usize) -> Pending<'a, Vec<String>> {
            away()
        }

        fn tally<'a>(&'a self, _: &'a RawKey, _: Duration) -> Pending<'a, u64> {
            away()
        }

        fn ping(&self) -> Pending<'_, Pulse> {
            Box::pin(std::future::pending())
        }
    }

    type Told = Arc<Mutex<Vec<(&'static str, &'static str)>>>;

    fn watched(inner: Arc<dyn Store>) -> (Watched, Told) {
        let told = Told::default();
        let into = told.clone();
        let tell = move |ran: &Ran| into.lock().unwrap().push((ran.verb, ran.outcome));
        (Watched::new(inner, tell), told)
    }

    /// Says every verb once.
    async fn says_everything(store: &Watched, key: &RawKey) {
        let change = Change::within(key.partition().clone()).expect(key.clone(), Expect::Absent);
        let _ = store.get(key).await;
        let _ = store.take(key).await;
        let _ = store.commit(change).await;
        let _ = store.names(key, "", 1).await;
        let _ = store.tally(key, Duration::from_secs(1)).await;
    }

    #[tokio::test]
    async fn every_verb_is_told_with_what_came_of_it() {
        let key = RawKey::new(Partition::new("p"), "k.v1", None);
        let (store, told) = watched(Arc::new(MemoryStore::new(Clock::System)));
        says_everything(&store, &key).await;
        store.ping().await.unwrap();
        let good: Vec<_> = VERBS.iter().map(|verb| (*verb, "ok")).collect();
        assert_eq!(*told.lock().unwrap(), good);

        let (store, told) = watched(Arc::new(Away));
        says_everything(&store, &key).await;
        let bad: Vec<_> = VERBS[..5].iter().map(|verb| (*verb, "unavailable")).collect();
        assert_eq!(*told.lock().unwrap(), bad);
    }

    #[tokio::test]
    async fn a_lost_race_and_a_caller_that_went_away_are_told_too() {
        let key = RawKey::new(Partition::new("p"), "k.v1", None);
        let (store, told) = watched(Arc::new(MemoryStore::new(Clock::System)));
        let change =
            Change::within(key.partition().clone()).expect(key, Expect::Unchanged(vec![1]));
        assert_eq!(store.commit(change).await.unwrap(), Outcome::Conflict);
        assert_eq!(*told.lock().unwrap(), [("commit", "conflict")]);

        let (store, told) = watched(Arc::new(Away));
        assert!(tokio::time::timeout(Duration::ZERO, store.ping()).await.is_err());
        assert_eq!(*told.lock().unwrap(), [("ping", "abandoned")]);
    }
}
