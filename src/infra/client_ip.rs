//! The address of the client, behind trusted proxies.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

use ipnet::IpNet;

use crate::infra::outbound::public_ip::is_public;

/// The peer of the socket. `server/` puts it into the extensions of each request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PeerAddr(pub SocketAddr);

/// The address of the client: the peer, or the one that trusted proxies forward for.
///
/// `forwarded_for` are the values of `X-Forwarded-For`, in order; each proxy appends the peer it saw.
/// So the list is read from the right up to the first address that is no trusted proxy: that is the client. Everything left of
/// it may have been written by the client itself, in whatever bytes. An entry that is not an address ends the walk at the
/// last trusted proxy; no name is ever looked up.
pub fn client_ip<'a>(
    peer: IpAddr,
    forwarded_for: impl DoubleEndedIterator<Item = &'a [u8]>,
    trusted: &[IpNet],
) -> IpAddr {
    let mut hop = canonical(peer);
    for entry in forwarded_for.rev().flat_map(|value| value.rsplit(|byte| *byte == b',')) {
        if !is_trusted(hop, trusted) {
            break;
        }
        let Some(said) = parse(entry) else { break };
        hop = said;
    }
    hop
}

/// Whether this peer is a trusted proxy.
pub fn is_trusted(peer: IpAddr, trusted: &[IpNet]) -> bool {
    let peer = canonical(peer);
    trusted.iter().any(|net| net.contains(&peer))
}

/// Remembers that `X-Forwarded-For` came from an untrusted peer, so that the log says it once. Most often a proxy is missing
/// in `TRUSTED_PROXIES`, and then all its clients count as one address.
#[derive(Debug, Default)]
pub struct UntrustedForwarders {
    private_seen: AtomicBool,
    public_seen: AtomicBool,
}

impl UntrustedForwarders {
    /// Whether this is the first such peer. Public and private addresses count separately, since anybody on the internet
    /// can send the header.
    pub fn is_first(&self, peer: IpAddr) -> bool {
        let known = if is_public(canonical(peer)) { &self.public_seen } else { &self.private_seen };
        !known.swap(true, Ordering::Relaxed)
    }
}

/// An IPv4 address that came in through an IPv6 socket, as the IPv4 address it is.
pub fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// `192.0.2.1`, `2001:db8::1`, and the forms with a port: `192.0.2.1:4711`, `[2001:db8::1]:4711`.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let entry = str::from_utf8(entry).ok()?.trim();
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = bare.unwrap_or(entry).parse().ok();
    address.or_else(|| entry.parse().ok().map(|socket: SocketAddr| socket.ip())).map(canonical)
}

/// What limits count an address as: itself, or of IPv6 its /64, for a subscriber can use every address of one.
pub fn rate_limit_key(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & (u128::MAX << 64)).into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn asked(peer: &str, forwarded_for: &[&str]) -> IpAddr {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|net| net.parse().expect("a net"));
        client_ip(ip(peer), forwarded_for.iter().map(|value| value.as_bytes()), &trusted)
    }

    #[test]
    fn what_the_client_wrote_in_strange_bytes_hides_nothing_that_a_proxy_added() {
        let trusted = ["10.0.0.0/8".parse().expect("a net")];
        for (values, client) in [
            (vec![&b"\xe9, 198.51.100.7"[..]], "198.51.100.7"),
            (vec![&b"\xff\xfe,1.1.1.1, 198.51.100.7, 10.0.0.2"[..]], "198.51.100.7"),
            (vec![&b"\xe9"[..], &b"198.51.100.7"[..]], "198.51.100.7"),
            (vec![&b"198.51.100.7"[..], &b"\xe9"[..]], "10.0.0.1"),
            (vec![&b"198.51.100.7, \xe9, 10.0.0.2"[..]], "10.0.0.2"),
        ] {
            let found = client_ip(ip("10.0.0.1"), values.iter().copied(), &trusted);
            assert_eq!(found, ip(client), "{values:?}");
        }
    }

    #[test]
    fn the_right_most_entry_nobody_vouches_for_is_the_client() {
        #[rustfmt::skip]
        let table: [(&str, &[&str], &str); 14] = [
            // peer              X-Forwarded-For                         client
            ("192.0.2.1",        &[],                                    "192.0.2.1"),
            ("192.0.2.1",        &["198.51.100.7"],                      "192.0.2.1"),
            ("10.0.0.1",         &[],                                    "10.0.0.1"),
            ("10.0.0.1",         &["198.51.100.7"],                      "198.51.100.7"),
            ("10.0.0.1",         &["1.1.1.1, 198.51.100.7"],             "198.51.100.7"),
            ("10.0.0.1",         &["1.1.1.1", "198.51.100.7"],           "198.51.100.7"),
            ("10.0.0.1",         &["1.1.1.1, 198.51.100.7, 10.9.9.9"],   "198.51.100.7"),
            ("10.0.0.1",         &["10.0.0.3, 10.0.0.2"],                "10.0.0.3"),
            ("10.0.0.1",         &["1.1.1.1, unknown, 10.0.0.2"],        "10.0.0.2"),
            ("10.0.0.1",         &["client.example"],                    "10.0.0.1"),
            ("10.0.0.1",         &["198.51.100.7:4711"],                 "198.51.100.7"),
            ("fd00::1",          &["[2001:db8::7]:4711"],                "2001:db8::7"),
            ("::ffff:10.0.0.1",  &["::ffff:198.51.100.7"],               "198.51.100.7"),
            ("10.0.0.1",         &["[2001:db8::7]"],                     "2001:db8::7"),
        ];
        for (peer, forwarded_for, client) in table {
            assert_eq!(asked(peer, forwarded_for), ip(client), "{peer} {forwarded_for:?}");
        }
    }

    #[test]
    fn a_stranger_who_speaks_for_others_is_news_once_and_a_neighbour_once_more() {
        let unbelieved = UntrustedForwarders::default();
        let table = [
            ("203.0.114.9", true),
            ("203.0.114.10", false),
            ("172.18.0.1", true),
            ("::ffff:172.18.0.1", false),
            ("2a00::1", false),
        ];
        for (peer, is_news) in table {
            assert_eq!(unbelieved.is_first(ip(peer)), is_news, "{peer}");
        }
    }

    /// The whole chain written down, untrusted from the right: the definition, without the walk.
    fn reference(peer: &str, entries: &[&str]) -> IpAddr {
        let readable = entries.iter().rposition(|entry| *entry == "unknown").map_or(0, |at| at + 1);
        let chain: Vec<IpAddr> = entries[readable..].iter().chain([&peer]).map(|e| ip(e)).collect();
        let trusted = |hop: &&IpAddr| hop.to_string().starts_with("10.");
        *chain.iter().rev().find(|hop| !trusted(hop)).unwrap_or(&chain[0])
    }

    proptest! {
        #[test]
        fn the_walk_agrees_with_the_definition(
            peer in prop::sample::select(vec!["10.0.0.1", "192.0.2.1"]),
            entries in prop::collection::vec(
                prop::sample::select(vec!["10.0.0.2", "10.0.0.3", "192.0.2.2", "1.1.1.1", "unknown"]),
                0..6,
            ),
            cut in 0_usize..6,
        ) {
            let (left, right) = entries.split_at(cut.min(entries.len()));
            let values = [left.join(", "), right.join(",")];
            let values: Vec<&str> =
                values.iter().map(String::as_str).filter(|value| !value.is_empty()).collect();
            prop_assert_eq!(asked(peer, &values), reference(peer, &entries));
        }

        #[test]
        fn an_untrusted_peer_can_write_what_it_likes(forged in ".{0,80}") {
            prop_assert_eq!(asked("192.0.2.1", &[&forged]), ip("192.0.2.1"));
        }
    }
}
