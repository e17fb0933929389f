use std::net::IpAddr;

use ipnet::IpNet;
use latchkey::infra::client_ip::client_ip;

use super::{lines, text};

/// The client is the peer, or an address that a chain of trusted proxies vouches for: everything right of
/// it, the peer included, is trusted. What is said to the left of it makes no difference, and nothing is
/// looked up.
///
/// Lines: peer, trusted networks separated by spaces, one `X-Forwarded-For` a line.
pub fn xff(data: &[u8]) {
    holds(data, |peer, values, trusted| client_ip(peer, values.iter().map(Vec::as_slice), trusted));
}

pub fn holds(data: &[u8], find: impl Fn(IpAddr, &[Vec<u8>], &[IpNet]) -> IpAddr) {
    let [peer, trusted, values] = lines(data);
    let (peer, trusted) = (text(peer), text(trusted));
    let Ok(peer) = peer.trim().parse::<IpAddr>() else { return };
    let trusted: Vec<IpNet> = trusted.split(' ').filter_map(|net| net.parse().ok()).collect();
    let values: Vec<Vec<u8>> = values.split(|it| *it == b'\n').map(<[u8]>::to_vec).collect();
    let found = find(peer, &values, &trusted);

    let believed = |address: IpAddr| trusted.iter().any(|net| net.contains(&address));
    let hops: Vec<String> = values
        .iter()
        .flat_map(|value| value.split(|it| *it == b','))
        .map(|it| text(it).trim().to_owned())
        .collect();
    let mut expected = peer.to_canonical();
    let mut left = hops.len();
    while believed(expected) && left > 0 {
        left -= 1;
        match address(&hops[left]) {
            Some(said) => expected = said,
            None => break,
        }
    }
    assert_eq!(found, expected, "{peer} {values:?} {trusted:?}");

    // Whatever a stranger adds on the left of what is believed.
    if !believed(found) {
        let mut more = vec![b"198.51.100.7, unknown, \xe9, 10.0.0.1".to_vec()];
        more.extend(values);
        assert_eq!(find(peer, &more, &trusted), found);
    }
}

/// With brackets and a port, or without.
fn address(entry: &str) -> Option<IpAddr> {
    let in_brackets = entry.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let read = match in_brackets {
        Some((bare, "")) => bare.parse().ok(),
        Some((bare, port)) => {
            let port = port.strip_prefix(':').filter(|port| is_port(port));
            port.and_then(|_| bare.parse::<std::net::Ipv6Addr>().ok()).map(IpAddr::V6)
        }
        None => entry.parse().ok().or_else(|| {
            let (bare, port) = entry.split_once(':')?;
            let address: std::net::Ipv4Addr = bare.parse().ok()?;
            is_port(port).then_some(IpAddr::V4(address))
        }),
    };
    read.map(|address: IpAddr| address.to_canonical())
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit()) && text.parse::<u16>().is_ok()
}
