//! The traces, store by store.

use std::cell::RefCell;

use proptest::test_runner::{
    Config, FileFailurePersistence, RngSeed, TestCaseError, TestError, TestRunner,
};
use tokio::runtime::Runtime;

use super::actions::{Move, traces};
use super::backends::Kind;
use super::coverage::Reach;
use super::encoding::records_read_back;
use super::invariants::{Truth, hold};
use super::retention::only_the_list_remains;
use super::runner::{Player, Wrong};

/// So many moves a trace has at most.
const LENGTH: usize = 28;

#[test]
fn two_servers_over_a_store_in_memory_keep_every_promise() {
    let reach = play_all(Kind::Memory, 150);
    // Other traces, or fewer, may come across less.
    if asked("MODEL_CASES").is_none() && asked("MODEL_SEED").is_none() {
        assert_eq!(reach.misses(), [""; 0], "{reach:?}");
    }
}

#[test]
fn two_servers_over_a_store_in_a_file_keep_every_promise() {
    drop(play_all(Kind::File, 24));
}

#[test]
fn two_servers_over_one_redis_keep_every_promise() {
    drop(play_all(Kind::Redis, 80));
}

fn play_all(kind: Kind, cases: u32) -> Reach {
    let (runtime, reach) = (runtime(), RefCell::new(Reach::default()));
    let played = runner(cases).run(&traces(LENGTH), |trace| {
        let played = runtime.block_on(plays(kind, &trace)).map_err(TestCaseError::fail)?;
        reach.borrow_mut().count(&played);
        Ok(())
    });
    match played {
        Ok(()) => reach.into_inner(),
        Err(TestError::Fail(why, trace)) => panic!("{why}\n{}", lines(&trace)),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

/// A whole trace, all invariants after each move.
async fn plays(kind: Kind, trace: &[Move]) -> Result<Player, Wrong> {
    let mut player = Player::start(kind).await;
    let truth = Truth { issuer: player.rig.issuer().to_owned(), began: player.rig.date(0) };
    for (number, it) in trace.iter().enumerate() {
        let done = player.does(it).await;
        let done = done.and_then(|()| hold(&player.history, &truth));
        done.map_err(|why| format!("move {number}, {it:?}: {why}"))?;
        if number % 7 == 6 {
            player.sweeps().await?;
            hold(&player.history, &truth)?;
        }
    }
    player.sweeps().await?;
    hold(&player.history, &truth)?;
    records_read_back(&player)?;
    only_the_list_remains(&player).await?;
    Ok(player)
}

pub fn lines(trace: &[Move]) -> String {
    let lines = trace.iter().enumerate().map(|(number, it)| format!("{number}: {it:?}\n"));
    lines.collect()
}

pub fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().expect("a runtime")
}

/// `MODEL_CASES` and `MODEL_SEED` say otherwise.
pub fn runner(cases: u32) -> TestRunner {
    let cases = asked("MODEL_CASES").and_then(|it| u32::try_from(it).ok()).unwrap_or(cases);
    let kept = FileFailurePersistence::Direct("tests/it/model/traces.proptest-regressions");
    TestRunner::new(Config {
        cases,
        max_shrink_iters: 300,
        failure_persistence: Some(Box::new(kept)),
        rng_seed: RngSeed::Fixed(asked("MODEL_SEED").unwrap_or(20_260_701)),
        ..Config::default()
    })
}

/// A number that the environment sets; empty is not set.
fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}
