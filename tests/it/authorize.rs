//! The authorization endpoint and its pages, as a browser meets them.

mod concurrent_tabs;
mod limits;
mod pages;
mod parties;
mod prompts;
mod refusals;
mod slow_bodies;
