//! The traces, store by store.

use std::cell::RefCell;

use proptest::test_runner::{
    Config, FileFailurePersistence, RngSeed, TestCaseError, TestError, TestRunner,
};
use tokio::runtime::Runtime;

use super::actions::{Action, action_sequences};
use super::backends::BackendKind;
use super::coverage::Coverage;
use super::encoding::records_read_back;
use super::invariants::{Truth, check_all};
use super::retention::only_the_list_remains;
use super::runner::{Runner, Violation};

/// So many moves a trace has at most.
const LENGTH: usize = 28;

#[test]
fn two_servers_over_a_store_in_memory_keep_every_promise() {
    let reach = play_all(BackendKind::Memory, 150);
    // Other traces, or fewer, may come across less.
    if asked("MODEL_CASES").is_none() && asked("MODEL_SEED").is_none() {
        assert_eq!(reach.misses(), [""; 0], "{reach:?}");
    }
}

#[test]
fn two_servers_over_a_store_in_a_file_keep_every_promise() {
    drop(play_all(BackendKind::File, 24));
}

#[test]
fn two_servers_over_one_redis_keep_every_promise() {
    drop(play_all(BackendKind::Redis, 80));
}

fn play_all(kind: BackendKind, cases: u32) -> Coverage {
    let (runtime, reach) = (runtime(), RefCell::new(Coverage::default()));
    let played = runner(cases).run(&action_sequences(LENGTH), |trace| {
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
async fn plays(kind: BackendKind, trace: &[Action]) -> Result<Runner, Violation> {
    let mut player = Runner::start(kind).await;
    let truth = Truth { issuer: player.harness.issuer().to_owned(), began: player.harness.date(0) };
    for (number, it) in trace.iter().enumerate() {
        let done = player.run_action(it).await;
        let done = done.and_then(|()| check_all(&player.history, &truth));
        done.map_err(|why| format!("move {number}, {it:?}: {why}"))?;
        if number % 7 == 6 {
            player.sweeps().await?;
            check_all(&player.history, &truth)?;
        }
    }
    player.sweeps().await?;
    check_all(&player.history, &truth)?;
    records_read_back(&player)?;
    only_the_list_remains(&player).await?;
    Ok(player)
}

pub fn lines(trace: &[Action]) -> String {
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
