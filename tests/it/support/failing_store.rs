//! A store that fails, pauses or loses replies on request.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use latchkey::infra::store::{
    ChangeListener, CommitOutcome, PingInfo, RawKey, Store, StoreError, StoreFuture, Subscription,
    Transaction,
};
use tokio::sync::Notify;

/// Around a good store. A clone steers the same one.
#[derive(Clone)]
pub struct FailingStore {
    inner: Arc<dyn Store>,
    plan: Arc<Mutex<FailurePlan>>,
    paused: Arc<Mutex<Option<(&'static str, PausedCommit)>>>,
}

/// A change that is kept back on its way to the store.
#[derive(Clone, Default)]
pub struct PausedCommit {
    arrived: Arc<Notify>,
    resumed: Arc<Notify>,
}

impl PausedCommit {
    /// Waits until there is one.
    pub async fn wait_until_reached(&self) {
        self.arrived.notified().await;
    }

    /// Lets it through.
    pub fn resume(&self) {
        self.resumed.notify_one();
    }
}

#[derive(Clone, Copy, Debug)]
enum FailurePlan {
    None,
    /// One command, after so many more.
    Once(usize, Fault),
    /// Every command, after so many more.
    From(usize),
    /// Every command of this verb.
    Operation(&'static str),
    /// Every change is made, and none is acknowledged.
    Unacknowledged,
}

/// How a command fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// It is never run.
    NotRun,
    /// It is run, and its answer is lost.
    ReplyLost,
}

impl FailingStore {
    pub fn wrap(inner: Arc<dyn Store>) -> Self {
        Self { inner, plan: Arc::new(Mutex::new(FailurePlan::None)), paused: Arc::default() }
    }

    /// The next change of a record of this kind is kept back until it is told to go on.
    pub fn pause_next_commit(&self, kind: &'static str) -> PausedCommit {
        let held = PausedCommit::default();
        *self.paused.lock().expect("a plan") = Some((kind, held.clone()));
        held
    }

    /// Nothing is kept back any more; answers whether something still was to be.
    pub fn cancel_pause(&self) -> bool {
        self.paused.lock().expect("a plan").take().is_some()
    }

    fn paused_commit(&self, change: &Transaction) -> Option<PausedCommit> {
        let mut held = self.paused.lock().expect("a plan");
        let changes = |(kind, _): &mut (&str, PausedCommit)| format!("{change:?}").contains(*kind);
        held.take_if(changes).map(|(_, held)| held)
    }

    /// The command after `spared` more fails, and only that one.
    pub fn fail_once(&self, spared: usize, fault: Fault) {
        *self.plan.lock().expect("a plan") = FailurePlan::Once(spared, fault);
    }

    /// The command after `spared` more fails, and every one after it.
    pub fn fail_from(&self, spared: usize) {
        *self.plan.lock().expect("a plan") = FailurePlan::From(spared);
    }

    /// Every command of this verb fails from now on.
    pub fn fail_operation(&self, verb: &'static str) {
        *self.plan.lock().expect("a plan") = FailurePlan::Operation(verb);
    }

    /// From now on every change is made, and none is acknowledged: replicas that are too far behind.
    pub fn lose_commit_replies(&self) {
        *self.plan.lock().expect("a plan") = FailurePlan::Unacknowledged;
    }

    /// All is well from now on; answers whether a planned failure was still to come.
    pub fn heal(&self) -> bool {
        let plan = std::mem::replace(&mut *self.plan.lock().expect("a plan"), FailurePlan::None);
        matches!(plan, FailurePlan::Once(..))
    }

    fn next(&self, verb: &str) -> Option<Fault> {
        let mut plan = self.plan.lock().expect("a plan");
        match *plan {
            FailurePlan::None => None,
            FailurePlan::Once(0, fault) => {
                *plan = FailurePlan::None;
                Some(fault)
            }
            FailurePlan::Once(spared, fault) => {
                *plan = FailurePlan::Once(spared - 1, fault);
                None
            }
            FailurePlan::From(0) => Some(Fault::NotRun),
            FailurePlan::From(spared) => {
                *plan = FailurePlan::From(spared - 1);
                None
            }
            FailurePlan::Operation(planned) => (planned == verb).then_some(Fault::NotRun),
            FailurePlan::Unacknowledged => (verb == "commit").then_some(Fault::ReplyLost),
        }
    }

    async fn run<T>(&self, verb: &str, command: StoreFuture<'_, T>) -> Result<T, StoreError> {
        let gone = || StoreError::Unavailable("as planned".to_owned());
        match self.next(verb) {
            None => command.await,
            Some(Fault::NotRun) => Err(gone()),
            Some(Fault::ReplyLost) => command.await.and_then(|_| Err(gone())),
        }
    }
}

impl Store for FailingStore {
    fn get<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(self.run("get", self.inner.get(key)))
    }

    fn get_and_remove<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(self.run("take", self.inner.get_and_remove(key)))
    }

    fn commit(&self, change: Transaction) -> StoreFuture<'_, CommitOutcome> {
        Box::pin(async move {
            if let Some(held) = self.paused_commit(&change) {
                held.arrived.notify_one();
                held.resumed.notified().await;
            }
            self.run("commit", self.inner.commit(change)).await
        })
    }

    fn scan_index<'a>(
        &'a self,
        index: &'a RawKey,
        after: &'a str,
        limit: usize,
    ) -> StoreFuture<'a, Vec<String>> {
        // The logout workers of the server look there at times of their own, and are not what is tried.
        if index.to_string().contains("logout-deliveries") {
            return self.inner.scan_index(index, after, limit);
        }
        Box::pin(self.run("names", self.inner.scan_index(index, after, limit)))
    }

    fn increment<'a>(&'a self, counter: &'a RawKey, window: Duration) -> StoreFuture<'a, u64> {
        Box::pin(self.run("tally", self.inner.increment(counter, window)))
    }

    fn ping(&self) -> StoreFuture<'_, PingInfo> {
        Box::pin(self.run("ping", self.inner.ping()))
    }

    fn subscribe(&self, listener: &Arc<dyn ChangeListener>) -> Option<Subscription> {
        self.inner.subscribe(listener)
    }
}
