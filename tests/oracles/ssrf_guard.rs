use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;

use ipnet::IpNet;
use latchkey::infra::outbound::{FetchError, OutboundClient, OutboundOptions};
use url::{Host, Url};

use super::{lines, text};

/// Whatever a client's URL and the resolver say, a request goes to port 443 of globally routable addresses,
/// by a second reading of IANA's registries ([IPv4], [IPv6]), and to no other than those that were looked at:
/// a resolver that says something else the next time is not asked again. If any address of a name is not
/// public, none is connected to.
///
/// Lines: a URL, and what the resolver answers, separated by spaces.
///
/// [IPv4]: https://www.iana.org/assignments/iana-ipv4-special-registry
/// [IPv6]: https://www.iana.org/assignments/iana-ipv6-special-registry
pub fn ssrf_guard(data: &[u8]) {
    static FETCHER: OnceLock<OutboundClient> = OnceLock::new();
    let fetcher =
        FETCHER.get_or_init(|| OutboundClient::new(OutboundOptions::default()).expect("a fetcher"));
    holds(data, |url, resolved| fetcher.destinations(url, resolved));
}

pub fn holds(
    data: &[u8],
    destinations: impl Fn(&str, &[IpAddr]) -> Result<Vec<SocketAddr>, FetchError>,
) {
    let [url, answers] = lines(data).map(text);
    let resolved: Vec<IpAddr> = answers.split(' ').filter_map(|it| it.parse().ok()).collect();
    let Ok(found) = destinations(&url, &resolved) else { return };
    assert!(!found.is_empty(), "{url}");
    for at in &found {
        assert!(is_global(at.ip()), "{url} {answers} connects to {at}");
        assert_eq!(at.port(), 443, "{url}");
    }
    let seen = Url::parse(&url).expect("a URL");
    assert_eq!(seen.scheme(), "https");
    assert!(seen.username().is_empty() && seen.password().is_none(), "{url}");
    let expected = match seen.host().expect("a host") {
        Host::Domain(_) => resolved,
        Host::Ipv4(address) => vec![address.into()],
        Host::Ipv6(address) => vec![address.into()],
    };
    assert!(found.iter().map(SocketAddr::ip).eq(expected), "{url}: {found:?}");
}

/// By the list of what is special.
fn is_global(address: IpAddr) -> bool {
    static SPECIAL: OnceLock<Vec<IpNet>> = OnceLock::new();
    let special =
        SPECIAL.get_or_init(|| LIST.iter().map(|net| net.parse().expect("a network")).collect());
    !special.iter().any(|net| net.contains(&address))
}

#[rustfmt::skip]
const LIST: &[&str] = &[
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
    "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    // Everything that is not 2000::/3, in which IPv4-mapped addresses and NAT64 are.
    "::/3", "4000::/2", "8000::/1",
    "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
];
