//! A store that fails when it is told to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use latchkey::infra::store::{
    ChangeListener, CommitOutcome, PingInfo, RawKey, Store, StoreError, StoreFuture, Subscription,
    Transaction,
};
use tokio::sync::Notify;

/// Around a good store. A clone steers the same one.
#[derive(Clone)]
pub struct Faults {
    inner: Arc<dyn Store>,
    plan: Arc<Mutex<Plan>>,
    held: Arc<Mutex<Option<(&'static str, Held)>>>,
}

/// A change that is kept back on its way to the store.
#[derive(Clone, Default)]
pub struct Held {
    arrived: Arc<Notify>,
    goes_on: Arc<Notify>,
}

impl Held {
    /// Waits until there is one.
    pub async fn arrives(&self) {
        self.arrived.notified().await;
    }

    /// Lets it through.
    pub fn goes_on(&self) {
        self.goes_on.notify_one();
    }
}

#[derive(Clone, Copy, Debug)]
enum Plan {
    None,
    /// One command, after so many more.
    Once(usize, Fault),
    /// Every command, after so many more.
    Away(usize),
    /// Every command of this verb.
    Verb(&'static str),
    /// Every change is made, and none is acknowledged.
    Unacknowledged,
}

/// How a command fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// It is never run.
    Refused,
    /// It is run, and its answer is lost.
    AnswerLost,
}

impl Faults {
    pub fn around(inner: Arc<dyn Store>) -> Self {
        Self { inner, plan: Arc::new(Mutex::new(Plan::None)), held: Arc::default() }
    }

    /// The next change of a record of this kind is kept back until it is told to go on.
    pub fn hold(&self, kind: &'static str) -> Held {
        let held = Held::default();
        *self.held.lock().expect("a plan") = Some((kind, held.clone()));
        held
    }

    /// Nothing is kept back any more; answers whether something still was to be.
    pub fn holds_no_more(&self) -> bool {
        self.held.lock().expect("a plan").take().is_some()
    }

    fn takes_hold(&self, change: &Transaction) -> Option<Held> {
        let mut held = self.held.lock().expect("a plan");
        let changes = |(kind, _): &mut (&str, Held)| format!("{change:?}").contains(*kind);
        held.take_if(changes).map(|(_, held)| held)
    }

    /// The command after `spared` more fails, and only that one.
    pub fn plan_one(&self, spared: usize, fault: Fault) {
        *self.plan.lock().expect("a plan") = Plan::Once(spared, fault);
    }

    /// The command after `spared` more fails, and every one after it.
    pub fn plan_away(&self, spared: usize) {
        *self.plan.lock().expect("a plan") = Plan::Away(spared);
    }

    /// Every command of this verb fails from now on.
    pub fn plan_verb(&self, verb: &'static str) {
        *self.plan.lock().expect("a plan") = Plan::Verb(verb);
    }

    /// From now on every change is made, and none is acknowledged: replicas that are too far behind.
    pub fn plan_unacknowledged(&self) {
        *self.plan.lock().expect("a plan") = Plan::Unacknowledged;
    }

    /// All is well from now on; answers whether a planned failure was still to come.
    pub fn heal(&self) -> bool {
        let plan = std::mem::replace(&mut *self.plan.lock().expect("a plan"), Plan::None);
        matches!(plan, Plan::Once(..))
    }

    fn next(&self, verb: &str) -> Option<Fault> {
        let mut plan = self.plan.lock().expect("a plan");
        match *plan {
            Plan::None => None,
            Plan::Once(0, fault) => {
                *plan = Plan::None;
                Some(fault)
            }
            Plan::Once(spared, fault) => {
                *plan = Plan::Once(spared - 1, fault);
                None
            }
            Plan::Away(0) => Some(Fault::Refused),
            Plan::Away(spared) => {
                *plan = Plan::Away(spared - 1);
                None
            }
            Plan::Verb(planned) => (planned == verb).then_some(Fault::Refused),
            Plan::Unacknowledged => (verb == "commit").then_some(Fault::AnswerLost),
        }
    }

    async fn run<T>(&self, verb: &str, command: StoreFuture<'_, T>) -> Result<T, StoreError> {
        let gone = || StoreError::Unavailable("as planned".to_owned());
        match self.next(verb) {
            None => command.await,
            Some(Fault::Refused) => Err(gone()),
            Some(Fault::AnswerLost) => command.await.and_then(|_| Err(gone())),
        }
    }
}

impl Store for Faults {
    fn get<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(self.run("get", self.inner.get(key)))
    }

    fn get_and_remove<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(self.run("take", self.inner.get_and_remove(key)))
    }

    fn commit(&self, change: Transaction) -> StoreFuture<'_, CommitOutcome> {
        Box::pin(async move {
            if let Some(held) = self.takes_hold(&change) {
                held.arrived.notify_one();
                held.goes_on.notified().await;
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
        // The couriers of the house look there at times of their own, and are not what is tried.
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
