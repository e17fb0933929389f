//! The authorization endpoint and its pages, as a browser meets them.

mod pages;
mod prompts;
mod refusals;
