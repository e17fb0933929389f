//! The server against a model of it: traces of everything that people, applications, operators and bad luck can
//! do are played on two servers over one store, and every answer is held against a reference and against
//! fourteen invariants.
//!
//! | | |
//! |---|---|
//! | [`actions`] | what can happen |
//! | [`backends`], [`harness`] | the stores, and two servers over one of them |
//! | [`runner`], [`browser_actions`], [`client_actions`] | doing it |
//! | [`history`] | what was seen |
//! | [`reference`] | what should have been answered |
//! | [`coverage`] | that enough of it was seen |
//! | [`invariants`] | 1 to 9, read off a history |
//! | [`interference`] | 10 |
//! | [`retention`] | 11 |
//! | [`idempotence`] | 12 |
//! | [`encoding`] | 13 |
//! | [`clock_shift`] | 14 |
//! | [`seeded_bugs`], [`bug_detection`] | that each of them can fail |
//!
//! The traces are the same in every run. `make model CASES=500` plays more of them, `SEED=7` others. One
//! that fails is made smaller, and its seed is kept in `traces.proptest-regressions` beside this file.

mod actions;
mod backends;
mod browser_actions;
mod bug_detection;
mod client_actions;
mod clock_shift;
mod coverage;
mod encoding;
mod harness;
mod history;
mod idempotence;
mod interference;
mod invariants;
mod reference;
mod retention;
mod runner;
mod seeded_bugs;
mod traces;
