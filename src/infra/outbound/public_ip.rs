use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether this is an address of the public internet.
///
/// What is not listed as special by IANA ([IPv4], [IPv6]) and is not a way to write an IPv4 address in
/// IPv6: an address inside an address would have to be judged by what some gateway makes of it.
///
/// [IPv4]: https://www.iana.org/assignments/iana-ipv4-special-registry
/// [IPv6]: https://www.iana.org/assignments/iana-ipv6-special-registry
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0 // this network
        || (a == 100 && b & 0xc0 == 64) // shared by carriers, RFC 6598
        || (a == 192 && b == 0 && c == 0) // IETF protocol assignments
        || (a == 192 && b == 88 && c == 99) // 6to4 relays
        || (a == 198 && b & 0xfe == 18) // benchmarks
        || a >= 224; // multicast, reserved, broadcast
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // Only 2000::/3 is given out as global unicast. That alone leaves out ::1, ::, IPv4-mapped and
    // -compatible addresses, NAT64 (64:ff9b::/96 and 64:ff9b:1::/48), link-local, ULA and multicast.
    let global_unicast = a & 0xe000 == 0x2000;
    // Of 2001::/16: IETF protocol assignments (Teredo among them), and documentation.
    let special = (a == 0x2001 && (b < 0x200 || b == 0xdb8))
        || a == 0x2002 // 6to4
        || (a == 0x3fff && b < 0x1000); // documentation
    global_unicast && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_global_unicast_addresses_are_public() {
        #[rustfmt::skip]
        let public = [
            "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
            "128.0.0.0", "169.253.255.255", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255",
            "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
            "2606:4700::1111", "2001:200::1", "2a00:1450::1", "3ffe::1",
        ];
        #[rustfmt::skip]
        let private = [
            "0.0.0.0", "0.1.2.3", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255",
            "127.0.0.1", "127.255.255.255", "169.254.169.254", "172.16.0.0", "172.31.255.255",
            "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.0.0", "192.168.255.255", "198.18.0.0",
            "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1",
            "255.255.255.255",
            "::", "::1", "::ffff:1.1.1.1", "::ffff:127.0.0.1", "::7f00:1", "64:ff9b::7f00:1",
            "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "5f00::1",
            "fc00::1", "fd12::1", "fe80::1", "fec0::1", "ff02::1",
        ];
        for (addresses, expected) in [(&public[..], true), (&private[..], false)] {
            for text in addresses {
                let address = text.parse().expect("an address");
                assert_eq!(is_public(address), expected, "{text}");
            }
        }
    }
}
