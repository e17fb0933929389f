//! The same trace at another time, and on two servers whose clocks differ.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::actions::{Action, ActionKind, Disturbance, action_sequences};
use super::backends::BackendKind;
use super::harness::Harness;
use super::runner::Runner;
use super::traces::{lines, runner, runtime};

/// **14, time.** Shifting all clocks by the same amount changes no decision; a difference of up to ten seconds
/// between two servers changes none.
pub fn decided_alike(one: &[String], other: &[String]) -> Result<(), String> {
    let place = one.iter().zip(other).position(|(one, other)| one != other);
    match place {
        Some(place) => Err(format!(
            "invariant 14 is broken: decision {place} is {} and {}",
            one[place], other[place]
        )),
        None if one.len() == other.len() => Ok(()),
        None => Err("invariant 14 is broken: one of them decides more".to_owned()),
    }
}

#[test]
fn another_year_changes_no_decision() {
    compares(10, action_sequences(20), |kind| async move {
        let shift = Duration::from_secs(3 * 365 * 86_400 + 12_345);
        (Harness::start(kind).await, Harness::start_at(kind, shift).await)
    });
}

#[test]
fn ten_seconds_between_two_servers_change_no_decision() {
    compares(14, unhurried(), |kind| async move {
        (Harness::start(kind).await, Harness::start_skewed(kind, Duration::from_secs(10)).await)
    });
}

/// Ticks that come no closer than ten seconds to the end of anything, whatever they add up to.
fn unhurried() -> impl Strategy<Value = Vec<Action>> {
    action_sequences(14).prop_map(|mut trace| {
        for it in &mut trace {
            if let ActionKind::AdvanceTime { seconds } = &mut it.what {
                *seconds = 77 * [1, 2, 9, 47][usize::try_from(*seconds % 4).expect("small")];
            }
            if let Disturbance::Fault { .. } | Disturbance::Concurrent = it.how {
                it.how = Disturbance::None;
            }
        }
        trace
    })
}

fn compares<F>(
    cases: u32,
    traces: impl Strategy<Value = Vec<Action>>,
    rigs: impl Fn(BackendKind) -> F,
) where
    F: Future<Output = (Harness, Harness)>,
{
    let runtime = runtime();
    let played = runner(cases).run(&traces, |trace| {
        let compared = runtime.block_on(async {
            let (one, other) = rigs(BackendKind::Memory).await;
            decided_alike(&decisions(one, &trace).await, &decisions(other, &trace).await)
        });
        compared.map_err(|why| TestCaseError::fail(format!("{why}\n{}", lines(&trace))))
    });
    played.unwrap_or_else(|why| panic!("{why}"));
}

/// What is decided, move by move. What the reference says of it is not the question here.
pub async fn decisions(rig: Harness, trace: &[Action]) -> Vec<String> {
    let mut player = Runner::on(rig);
    for it in trace {
        let _ = player.run_action(it).await;
    }
    player.decisions
}
