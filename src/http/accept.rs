//! What the `Accept` header would rather have ([RFC 9110 §12.5.1]).
//!
//! [RFC 9110 §12.5.1]: https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1

use axum::http::{HeaderMap, HeaderValue, header};

/// Whether HTML is named at all: no library does that by itself but Java's old `HttpURLConnection`.
pub fn names_html(headers: &HeaderMap) -> bool {
    weight_of(headers, "text/html") > 0.0
}

/// Whether HTML is named, and JSON is not liked better.
pub fn prefers_html(headers: &HeaderMap) -> bool {
    names_html(headers) && weight_of(headers, "text/html") >= weight_of(headers, "application/json")
}

fn weight_of(headers: &HeaderMap, wanted: &str) -> f32 {
    let accepts = headers.get_all(header::ACCEPT).iter().map(HeaderValue::as_bytes);
    let ranges = accepts.flat_map(|value| value.split(|byte| *byte == b',')).filter_map(|range| {
        // What cannot be read takes no other with it.
        let mut parts = str::from_utf8(range).ok()?.split(';').map(str::trim);
        if !parts.next()?.eq_ignore_ascii_case(wanted) {
            return None;
        }
        let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        // What cannot be read is not a wish.
        Some(weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0)))
    });
    ranges.fold(0.0, f32::max)
}
