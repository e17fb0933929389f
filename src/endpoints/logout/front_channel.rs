//! The frames by which the browser notifies clients of a logout ([Front-Channel Logout §2]).
//!
//! [Front-Channel Logout §2]: https://openid.net/specs/openid-connect-frontchannel-1_0.html#RPLogout

use url::Url;

use crate::domain::clients::Client;
use crate::protocol::redirect_uri;

/// The most frames on one page.
const MAX_FRAMES: usize = 20;

/// The URLs to load: the registered ones with `iss` and `sid`, for every client, as one that does not need them may
/// ignore them. `subject_for` gives the `sid` by which each client knows the session.
pub fn frame_urls(
    clients: &[Client],
    issuer: &str,
    subject_for: impl Fn(&Client) -> String,
) -> Vec<String> {
    let of = |client: &Client| {
        frame_url(client.metadata.frontchannel_logout_uri.as_deref()?, issuer, &subject_for(client))
    };
    let found: Vec<String> = clients.iter().filter_map(of).take(MAX_FRAMES + 1).collect();
    if found.len() > MAX_FRAMES {
        tracing::warn!(most = MAX_FRAMES, "more clients to tell by the browser than fit on a page");
    }
    found.into_iter().take(MAX_FRAMES).collect()
}

/// Only `https`, except if client and issuer are both on loopback.
fn frame_url(uri: &str, issuer: &str, sid: &str) -> Option<String> {
    let mut url = Url::parse(uri).ok()?;
    let own_machine = |url: &Url| url.scheme() == "http" && redirect_uri::is_loopback(url);
    let development =
        || own_machine(&url) && Url::parse(issuer).is_ok_and(|ours| own_machine(&ours));
    if url.scheme() != "https" && !development() {
        return None;
    }
    url.set_fragment(None);
    url.query_pairs_mut().append_pair("iss", issuer).append_pair("sid", sid);
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuer_and_session_are_added_to_what_is_registered() {
        let made = |uri: &str, issuer: &str| frame_url(uri, issuer, "s-1");
        let tail = "iss=https%3A%2F%2Fid.example&sid=s-1";
        for (uri, start) in [
            ("https://rp.example/out", "https://rp.example/out?"),
            ("https://rp.example/out?a=%20b", "https://rp.example/out?a=%20b&"),
            ("https://rp.example/out#x", "https://rp.example/out?"),
        ] {
            assert_eq!(made(uri, "https://id.example"), Some(format!("{start}{tail}")));
        }
        assert_eq!(made("http://localhost:1/out", "https://id.example"), None);
        assert_eq!(made("http://rp.example/out", "http://localhost:2"), None);
        assert!(made("http://localhost:1/out", "http://localhost:2").is_some());
    }
}
