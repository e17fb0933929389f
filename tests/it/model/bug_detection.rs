//! A faulty server is detected: one whose store forgets, whose keys stay, whose clock is far ahead, or that is
//! changed behind the back of the reference.

use std::sync::Arc;
use std::time::Duration;

use latchkey::infra::store::{
    CommitOutcome, Partition, PingInfo, RawKey, Store, StoreFuture, Transaction,
};

use super::actions::{
    Action, ActionKind, Again, AuthorizationParams, Change as Does, Disturbance, Proof,
};
use super::backends::BackendKind;
use super::clock_shift::{decided_alike, decisions};
use super::harness::Harness;
use super::history::Expected;
use super::invariants::{Truth, check_all};
use super::retention;
use super::runner::Runner;

const WISH: AuthorizationParams =
    AuthorizationParams { browser: 0, client: 0, scope: 1, again: Again::Nothing };

fn plainly(what: ActionKind, server: usize) -> Action {
    Action { what, server, how: Disturbance::None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_are_two_minutes_apart_break_14() {
    let agree = ActionKind::Consent { flow: 0, browser: 0, yes: true };
    let trace = [
        plainly(ActionKind::Authorize(WISH), 0),
        plainly(ActionKind::Login { flow: 0, browser: 0, person: 0, right: true }, 0),
        plainly(agree, 0),
        plainly(ActionKind::Redeem { code: 0, stranger: false, proof: Proof::Right }, 1),
    ];
    let together = decisions(Harness::start(BackendKind::Memory).await, &trace).await;
    assert_eq!(together.last().expect("one"), "token 200 ");
    for (apart, alike) in [(10, true), (120, false)] {
        let rig = Harness::start_skewed(BackendKind::Memory, Duration::from_secs(apart)).await;
        let decided = decisions(rig, &trace).await;
        assert_eq!(decided_alike(&together, &decided).is_ok(), alike, "{decided:?}");
    }
}

/// Says yes to every change of a grant, and makes none.
struct Forgetful(Arc<dyn Store>);

impl Store for Forgetful {
    fn get<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        self.0.get(key)
    }

    fn get_and_remove<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        self.0.get_and_remove(key)
    }

    fn commit(&self, change: Transaction) -> StoreFuture<'_, CommitOutcome> {
        let text = format!("{change:?}");
        if text.contains("}grant.v1") && text.contains("Unchanged(") {
            return Box::pin(async { Ok(CommitOutcome::Committed) });
        }
        self.0.commit(change)
    }

    fn scan_index<'a>(
        &'a self,
        index: &'a RawKey,
        after: &'a str,
        limit: usize,
    ) -> StoreFuture<'a, Vec<String>> {
        self.0.scan_index(index, after, limit)
    }

    fn increment<'a>(&'a self, counter: &'a RawKey, window: Duration) -> StoreFuture<'a, u64> {
        self.0.increment(counter, window)
    }

    fn ping(&self) -> StoreFuture<'_, PingInfo> {
        self.0.ping()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_house_whose_store_forgets_is_found_out_by_the_reference_and_by_the_invariants() {
    let mut player =
        Runner::on(Harness::start_over(BackendKind::Memory, |it| Arc::new(Forgetful(it))).await);
    let sign_in = plainly(ActionKind::SignIn { wish: WISH, person: 0 }, 0);
    player.run_action(&sign_in).await.expect("a code is a code");
    let again = plainly(ActionKind::Redeem { code: 0, stranger: false, proof: Proof::Right }, 1);
    let why = player.run_action(&again).await.expect_err("it is redeemed again");
    assert!(why.contains("no state of the grant"), "{why}");
    let truth = Truth { issuer: player.harness.issuer().to_owned(), began: player.harness.date(0) };
    let why = check_all(&player.history, &truth).expect_err("it was redeemed twice");
    assert!(why.contains("invariant 1 "), "{why}");
}

/// Says yes to every new epoch, and makes none.
struct WithoutEpochs(Arc<dyn Store>);

impl Store for WithoutEpochs {
    fn get<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        self.0.get(key)
    }

    fn get_and_remove<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        self.0.get_and_remove(key)
    }

    fn commit(&self, change: Transaction) -> StoreFuture<'_, CommitOutcome> {
        if format!("{change:?}").contains("}epoch.v1") {
            return Box::pin(async { Ok(CommitOutcome::Committed) });
        }
        self.0.commit(change)
    }

    fn scan_index<'a>(
        &'a self,
        index: &'a RawKey,
        after: &'a str,
        limit: usize,
    ) -> StoreFuture<'a, Vec<String>> {
        self.0.scan_index(index, after, limit)
    }

    fn increment<'a>(&'a self, counter: &'a RawKey, window: Duration) -> StoreFuture<'a, u64> {
        self.0.increment(counter, window)
    }

    fn ping(&self) -> StoreFuture<'_, PingInfo> {
        self.0.ping()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_house_that_ends_only_what_is_listed_is_found_out_and_one_that_ends_all_is_not() {
    let sign_in = || ActionKind::SignIn { wish: WISH, person: 0 };
    let redeem = ActionKind::Redeem { code: 1, stranger: false, proof: Proof::Right };
    let cut_off = vec![sign_in(), ActionKind::CutOffBehind { wish: WISH }, redeem];
    let refresh = ActionKind::Refresh { grant: 0, back: 0, stranger: false, narrow: false };
    let does = |change| ActionKind::ChangeClient { client: 0, change };
    let disabled = vec![sign_in(), does(Does::Disable), does(Does::Enable), refresh];
    for (number, trace) in [cut_off, disabled].into_iter().enumerate() {
        for lazy in [false, true] {
            let rig = Harness::start_over(BackendKind::Memory, |store| {
                if lazy { Arc::new(WithoutEpochs(store)) } else { store }
            });
            let mut player = Runner::on(rig.await);
            let mut found = Ok(());
            for what in trace.clone() {
                let done = player.run_action(&plainly(what, 0)).await;
                found = found.and(done);
            }
            assert_eq!(found.is_err(), lazy, "{number}: {found:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_out_that_left_the_other_session_of_its_name_would_be_found_out() {
    let bound = AuthorizationParams { scope: 0, ..WISH };
    let mut player = Runner::start(BackendKind::Memory).await;
    for what in [
        ActionKind::SignIn { wish: bound, person: 0 },
        ActionKind::SecondSession { browser: 0 },
        ActionKind::Refresh { grant: 0, back: 0, stranger: false, narrow: false },
    ] {
        player.run_action(&plainly(what, 0)).await.expect("as ever");
    }
    let before = player.reference.clone();
    player.run_action(&plainly(ActionKind::Logout { browser: 0 }, 0)).await.expect("signed out");
    player.sweeps().await.expect("nothing that hangs on the name goes on");
    // Had anything gone on, the reference would have said so: it is sure of it.
    let now = player.now();
    assert_eq!(player.reference.gate(0, now), Expected::Rejected);
    assert_eq!(before.gate(0, now), Expected::Either, "two sessions, each with its own use");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_done_behind_the_back_of_the_reference_is_found_out() {
    let mut player = Runner::start(BackendKind::Memory).await;
    let sign_in = plainly(ActionKind::SignIn { wish: WISH, person: 0 }, 0);
    player.run_action(&sign_in).await.expect("a sign-in");
    player.sweeps().await.expect("all is as it should be");
    let before = player.reference.clone();
    for change in [
        ActionKind::ChangeClient { client: 0, change: Does::Remove },
        ActionKind::SetUserEnabled { person: 0, enabled: false },
    ] {
        player.run_action(&plainly(change.clone(), 0)).await.expect("done");
        player.sweeps().await.expect("the reference knows of it");
        let knows = std::mem::replace(&mut player.reference, before.clone());
        let why = player.sweeps().await.expect_err("nobody told the reference");
        assert!(why.contains("inactive"), "{change:?}: {why}");
        player.reference = knows;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_stays_breaks_11_in_memory_and_in_redis() {
    for kind in [BackendKind::Memory, BackendKind::Redis] {
        let player = Runner::start(kind).await;
        let key = RawKey::new(Partition::new("odd:1"), "leftover.v1", None);
        let change = Transaction::within(key.partition().clone()).put(key, b"{}".to_vec(), None);
        let _ = player.harness.servers[0].store().commit(change).await.expect("a store");
        let why = retention::only_the_list_remains(&player).await.expect_err("it stays");
        assert!(why.contains("leftover.v1"), "{kind:?}: {why}");
    }
}
