//! What every room needs to speak HTTP, and no room's own business.
//!
//! `page` answers with HTML under one strict policy, `assets` serves the two files the pages use.

pub mod assets;
pub mod page;

#[cfg(test)]
pub(crate) mod page_checks;
