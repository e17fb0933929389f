use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{
    ChangeListener, CommitOutcome, PingInfo, RawKey, Store, StoreError, StoreFuture, Subscription,
    Transaction,
};

/// A store that reports every operation: which, its outcome, its duration.
///
/// It wraps the real store, so that no caller can forget to report. An operation whose caller went away before
/// the result (a timeout, a closed connection) is reported as `abandoned`.
pub struct InstrumentedStore {
    inner: Arc<dyn Store>,
    report: Box<dyn Fn(&CommandMetrics) + Send + Sync>,
}

/// One operation that ran, in words for the labels of a metric.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CommandMetrics {
    /// One of [`OPERATIONS`].
    pub operation: &'static str,
    /// `ok`, `conflict` (a precondition did not hold), `abandoned`, or [`StoreError::kind`].
    pub outcome: &'static str,
    pub duration: Duration,
}

/// The operations of a [`Store`], as metrics name them: words of a stable interface, whatever the methods are called.
pub const OPERATIONS: [&str; 6] = ["get", "take", "commit", "names", "tally", "ping"];

impl InstrumentedStore {
    /// Wraps `inner`. `report` is called after every operation and must not block.
    pub fn new(
        inner: Arc<dyn Store>,
        report: impl Fn(&CommandMetrics) + Send + Sync + 'static,
    ) -> Self {
        Self { inner, report: Box::new(report) }
    }

    async fn measure<T>(
        &self,
        operation: &'static str,
        future: StoreFuture<'_, T>,
        word: fn(&T) -> &'static str,
    ) -> Result<T, StoreError> {
        let (report, started_at) = (&*self.report, Instant::now());
        let mut running = Running { report, operation, started_at, outcome: "abandoned" };
        let result = future.await;
        running.outcome = result.as_ref().map_or_else(StoreError::kind, word);
        result
    }
}

/// Reports when it is dropped, at the end of the operation or before.
struct Running<'a> {
    report: &'a (dyn Fn(&CommandMetrics) + Send + Sync),
    operation: &'static str,
    started_at: Instant,
    outcome: &'static str,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let Self { operation, outcome, started_at, .. } = *self;
        (self.report)(&CommandMetrics { operation, outcome, duration: started_at.elapsed() });
    }
}

fn ok<T>(_: &T) -> &'static str {
    "ok"
}

impl Store for InstrumentedStore {
    fn get<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(self.measure("get", self.inner.get(key), ok))
    }

    fn get_and_remove<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(self.measure("take", self.inner.get_and_remove(key), ok))
    }

    fn commit(&self, change: Transaction) -> StoreFuture<'_, CommitOutcome> {
        let word = |outcome: &CommitOutcome| match outcome {
            CommitOutcome::Committed => "ok",
            CommitOutcome::Conflict => "conflict",
        };
        Box::pin(self.measure("commit", self.inner.commit(change), word))
    }

    fn scan_index<'a>(
        &'a self,
        index: &'a RawKey,
        after: &'a str,
        limit: usize,
    ) -> StoreFuture<'a, Vec<String>> {
        Box::pin(self.measure("names", self.inner.scan_index(index, after, limit), ok))
    }

    fn increment<'a>(&'a self, counter: &'a RawKey, window: Duration) -> StoreFuture<'a, u64> {
        Box::pin(self.measure("tally", self.inner.increment(counter, window), ok))
    }

    fn ping(&self) -> StoreFuture<'_, PingInfo> {
        Box::pin(self.measure("ping", self.inner.ping(), ok))
    }

    fn subscribe(&self, listener: &Arc<dyn ChangeListener>) -> Option<Subscription> {
        self.inner.subscribe(listener)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::{MemoryStore, Partition, Precondition};
    use super::*;
    use crate::infra::clock::Clock;

    /// Fails every operation, except `ping`, which never ends.
    struct UnavailableStore;

    fn unavailable<'a, T>() -> StoreFuture<'a, T> {
        Box::pin(async { Err(StoreError::Unavailable("gone".into())) })
    }

    impl Store for UnavailableStore {
        fn get<'a>(&'a self, _: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
            unavailable()
        }

        fn get_and_remove<'a>(&'a self, _: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
            unavailable()
        }

        fn commit(&self, _: Transaction) -> StoreFuture<'_, CommitOutcome> {
            unavailable()
        }

        fn scan_index<'a>(
            &'a self,
            _: &'a RawKey,
            _: &'a str,
            _: usize,
        ) -> StoreFuture<'a, Vec<String>> {
            unavailable()
        }

        fn increment<'a>(&'a self, _: &'a RawKey, _: Duration) -> StoreFuture<'a, u64> {
            unavailable()
        }

        fn ping(&self) -> StoreFuture<'_, PingInfo> {
            Box::pin(std::future::pending())
        }
    }

    type Reports = Arc<Mutex<Vec<(&'static str, &'static str)>>>;

    fn instrumented(inner: Arc<dyn Store>) -> (InstrumentedStore, Reports) {
        let reports = Reports::default();
        let into = reports.clone();
        let report =
            move |ran: &CommandMetrics| into.lock().unwrap().push((ran.operation, ran.outcome));
        (InstrumentedStore::new(inner, report), reports)
    }

    /// Runs every operation but `ping` once.
    async fn run_operations(store: &InstrumentedStore, key: &RawKey) {
        let change =
            Transaction::within(key.partition().clone()).require(key.clone(), Precondition::Absent);
        let _ = store.get(key).await;
        let _ = store.get_and_remove(key).await;
        let _ = store.commit(change).await;
        let _ = store.scan_index(key, "", 1).await;
        let _ = store.increment(key, Duration::from_secs(1)).await;
    }

    #[tokio::test]
    async fn every_verb_is_told_with_what_came_of_it() {
        let key = RawKey::new(Partition::new("p"), "k.v1", None);
        let (store, reports) = instrumented(Arc::new(MemoryStore::new(Clock::System)));
        run_operations(&store, &key).await;
        store.ping().await.unwrap();
        let good: Vec<_> = OPERATIONS.iter().map(|verb| (*verb, "ok")).collect();
        assert_eq!(*reports.lock().unwrap(), good);

        let (store, reports) = instrumented(Arc::new(UnavailableStore));
        run_operations(&store, &key).await;
        let bad: Vec<_> = OPERATIONS[..5].iter().map(|verb| (*verb, "unavailable")).collect();
        assert_eq!(*reports.lock().unwrap(), bad);
    }

    #[tokio::test]
    async fn a_lost_race_and_a_caller_that_went_away_are_told_too() {
        let key = RawKey::new(Partition::new("p"), "k.v1", None);
        let (store, reports) = instrumented(Arc::new(MemoryStore::new(Clock::System)));
        let change = Transaction::within(key.partition().clone())
            .require(key, Precondition::Unchanged(vec![1]));
        assert_eq!(store.commit(change).await.unwrap(), CommitOutcome::Conflict);
        assert_eq!(*reports.lock().unwrap(), [("commit", "conflict")]);

        let (store, reports) = instrumented(Arc::new(UnavailableStore));
        assert!(tokio::time::timeout(Duration::ZERO, store.ping()).await.is_err());
        assert_eq!(*reports.lock().unwrap(), [("ping", "abandoned")]);
    }
}
