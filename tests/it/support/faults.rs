//! A store that fails when it is told to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use latchkey::store::{Change, Outcome, Pending, Pulse, RawKey, Store, StoreError};

/// Around a good store. A clone steers the same one.
#[derive(Clone)]
pub struct Faults {
    inner: Arc<dyn Store>,
    plan: Arc<Mutex<Plan>>,
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
        Self { inner, plan: Arc::new(Mutex::new(Plan::None)) }
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
        }
    }

    async fn run<T>(&self, verb: &str, command: Pending<'_, T>) -> Result<T, StoreError> {
        let gone = || StoreError::Unavailable("as planned".to_owned());
        match self.next(verb) {
            None => command.await,
            Some(Fault::Refused) => Err(gone()),
            Some(Fault::AnswerLost) => command.await.and_then(|_| Err(gone())),
        }
    }
}

impl Store for Faults {
    fn get<'a>(&'a self, key: &'a RawKey) -> Pending<'a, Option<Vec<u8>>> {
        Box::pin(self.run("get", self.inner.get(key)))
    }

    fn take<'a>(&'a self, key: &'a RawKey) -> Pending<'a, Option<Vec<u8>>> {
        Box::pin(self.run("take", self.inner.take(key)))
    }

    fn commit(&self, change: Change) -> Pending<'_, Outcome> {
        Box::pin(self.run("commit", self.inner.commit(change)))
    }

    fn names<'a>(
        &'a self,
        index: &'a RawKey,
        after: &'a str,
        limit: usize,
    ) -> Pending<'a, Vec<String>> {
        // The couriers of the house look there at times of their own, and are not what is tried.
        if index.to_string().contains("logout-deliveries") {
            return self.inner.names(index, after, limit);
        }
        Box::pin(self.run("names", self.inner.names(index, after, limit)))
    }

    fn tally<'a>(&'a self, counter: &'a RawKey, window: Duration) -> Pending<'a, u64> {
        Box::pin(self.run("tally", self.inner.tally(counter, window)))
    }

    fn ping(&self) -> Pending<'_, Pulse> {
        Box::pin(self.run("ping", self.inner.ping()))
    }
}
