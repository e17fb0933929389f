//! A store that goes away in the middle of a request.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use latchkey::store::{Change, Outcome, Pending, RawKey, Store, StoreError};

/// Passes every call on, until it is told not to.
pub struct Faulty {
    inner: Arc<dyn Store>,
    plan: Mutex<Plan>,
}

#[derive(Clone, Copy)]
struct Plan {
    /// Calls that are still answered as usual.
    left: u64,
    then: Trouble,
}

/// What happens after that.
#[derive(Clone, Copy, Debug)]
pub enum Trouble {
    /// Nothing.
    None,
    /// No call reaches the store any more.
    Gone,
    /// One call is carried out and its answer gets lost.
    AnswerLost,
}

impl Faulty {
    pub fn over(inner: Arc<dyn Store>) -> Self {
        Self { inner, plan: Mutex::new(Plan { left: 0, then: Trouble::None }) }
    }

    /// After so many calls, this.
    pub fn after(&self, left: u64, then: Trouble) {
        *self.plan.lock().expect("the plan") = Plan { left, then };
    }

    pub fn heals(&self) {
        self.after(0, Trouble::None);
    }

    fn next(&self) -> Trouble {
        let mut plan = self.plan.lock().expect("the plan");
        if plan.left > 0 {
            plan.left -= 1;
            return Trouble::None;
        }
        let now = plan.then;
        if let Trouble::AnswerLost = now {
            plan.then = Trouble::None;
        }
        now
    }

    fn through<'a, T: Send + 'a>(&'a self, call: Pending<'a, T>) -> Pending<'a, T> {
        Box::pin(async move {
            let gone = || StoreError::Unavailable("the test wants it so".to_owned());
            match self.next() {
                Trouble::None => call.await,
                Trouble::Gone => Err(gone()),
                Trouble::AnswerLost => call.await.and_then(|_| Err(gone())),
            }
        })
    }
}

impl Store for Faulty {
    fn get<'a>(&'a self, key: &'a RawKey) -> Pending<'a, Option<Vec<u8>>> {
        self.through(self.inner.get(key))
    }

    fn take<'a>(&'a self, key: &'a RawKey) -> Pending<'a, Option<Vec<u8>>> {
        self.through(self.inner.take(key))
    }

    fn commit(&self, change: Change) -> Pending<'_, Outcome> {
        self.through(self.inner.commit(change))
    }

    fn names<'a>(
        &'a self,
        index: &'a RawKey,
        after: &'a str,
        limit: usize,
    ) -> Pending<'a, Vec<String>> {
        self.through(self.inner.names(index, after, limit))
    }

    fn tally<'a>(&'a self, counter: &'a RawKey, window: Duration) -> Pending<'a, u64> {
        self.through(self.inner.tally(counter, window))
    }

    fn ping(&self) -> Pending<'_, ()> {
        self.through(self.inner.ping())
    }
}
