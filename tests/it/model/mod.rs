//! The house against a model of it: traces of everything that people, applications, operators and bad luck can
//! do are played on two servers over one store, and every answer is held against a reference and against
//! fourteen invariants.
//!
//! | | |
//! |---|---|
//! | [`moves`] | what can happen |
//! | [`ground`], [`rig`] | the stores, and two servers over one of them |
//! | [`play`], [`visits`], [`exchanges`] | doing it |
//! | [`history`] | what was seen |
//! | [`reference`] | what should have been answered |
//! | [`reach`] | that enough of it was seen |
//! | [`invariants`] | 1 to 9, read off a history |
//! | [`interference`] | 10 |
//! | [`leftovers`] | 11 |
//! | [`idempotence`] | 12 |
//! | [`encoding`] | 13 |
//! | [`times`] | 14 |
//! | [`planted`], [`found_out`] | that each of them can fail |
//!
//! The traces are the same in every run. `make model CASES=500` plays more of them, `SEED=7` others. One
//! that fails is made smaller, and its seed is kept in `traces.proptest-regressions` beside this file.

mod encoding;
mod exchanges;
mod found_out;
mod ground;
mod history;
mod idempotence;
mod interference;
mod invariants;
mod leftovers;
mod moves;
mod planted;
mod play;
mod reach;
mod reference;
mod rig;
mod times;
mod traces;
mod visits;
