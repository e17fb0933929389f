//! The authorization endpoint and its pages, as a browser meets them.

mod limits;
mod pages;
mod parties;
mod prompts;
mod refusals;
mod slow_bodies;
mod visits;
