//! `session_state`: how a client notices that the session at the provider changed ([Session Management §2]).
//!
//! [Session Management §2]: https://openid.net/specs/openid-connect-session-1_0.html#CreatingUpdatingSessions

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// The value in the authorization response, which `/check-session` computes again: "a salted cryptographic hash of
/// Client ID, origin URL, and OP User Agent state". Neither a client id nor an origin contains a space, so the input is
/// unambiguous.
///
/// `browser_state` is the value of the browser's `state` cookie, empty without one.
pub fn session_state(client_id: &str, origin: &str, browser_state: &str, salt: &str) -> String {
    let text = format!("{client_id} {origin} {browser_state} {salt}");
    let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes()));
    format!("{hash}.{salt}")
}

#[cfg(test)]
mod tests {
    use super::session_state;

    #[test]
    fn each_part_makes_another_value_and_none_shows() {
        let parts = ["shop", "https://shop.example", "state", "salt"];
        let value = |it: [&str; 4]| session_state(it[0], it[1], it[2], it[3]);
        let first = value(parts);
        assert!(!first.contains(' '), "{first}");
        for at in 0..4 {
            let mut other = parts;
            other[at] = "other";
            assert_ne!(value(other), first, "{at}");
        }
        // printf 'shop https://shop.example state salt' | openssl dgst -sha256 -binary | base64
        assert_eq!(first, "K7pYF-V5DUxjuqWkSuZ6aJgnOut_9zGuwrK7eM0vJL0.salt");
    }
}
