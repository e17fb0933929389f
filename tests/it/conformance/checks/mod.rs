//! The checks the suite makes in every flow. Each fails with the name of the suite's own condition; what
//! is a WARNING there is a failure here.

pub mod authorization_response;
pub mod id_token;
pub mod metadata;
pub mod pages;
pub mod registration;
mod tests;
pub mod tokens;
pub mod userinfo;

use std::collections::BTreeMap;
use std::fmt::Debug;

use crate::support::http::HttpResponse;

pub fn require(condition: &str, holds: bool, seen: impl Debug) {
    assert!(holds, "{condition}: {seen:?}");
}

/// `application/json`, with or without a charset.
pub fn is_json(answer: &HttpResponse) -> bool {
    let kind = answer.header("content-type").unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim() == "application/json"
}

/// Shannon's entropy of the characters, in bits.
pub fn entropy(text: &str) -> f64 {
    let mut counts = BTreeMap::<char, u32>::new();
    for c in text.chars() {
        *counts.entry(c).or_default() += 1;
    }
    let length = f64::from(counts.values().sum::<u32>());
    let each = counts.values().map(|&count| -f64::from(count) * (f64::from(count) / length).log2());
    each.sum()
}

/// What an error code and its description are made of (RFC 6749 appendix A.7, A.8).
pub fn is_plain(text: &str) -> bool {
    text.bytes().all(|c| (0x20..=0x7e).contains(&c) && c != b'"' && c != b'\\')
}
