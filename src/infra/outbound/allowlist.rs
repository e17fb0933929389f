use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// A private host or network that the operator allows (`OUTGOING_ALLOW_PRIVATE`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AllowlistEntry {
    /// A host name, with any addresses.
    Host(String),
    /// A network.
    Net(IpNet),
}

impl AllowlistEntry {
    pub(super) fn matches_name(&self, name: &str) -> bool {
        match self {
            Self::Host(host) => host.eq_ignore_ascii_case(name),
            Self::Net(_) => false,
        }
    }

    pub(super) fn contains(&self, address: IpAddr) -> bool {
        match self {
            Self::Host(_) => false,
            Self::Net(net) => net.contains(&address.to_canonical()),
        }
    }
}

/// `10.0.0.0/8` and `10.0.0.1` are networks, everything else is a host name.
impl FromStr for AllowlistEntry {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(net) = text.parse() {
            return Ok(Self::Net(net));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Net(address.into()));
        }
        let in_a_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if text.is_empty() || !text.bytes().all(in_a_name) {
            return Err("neither a host name nor a network");
        }
        Ok(Self::Host(text.to_ascii_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_an_address_and_a_name_are_told_apart() {
        let parsed = |text: &str| text.parse::<AllowlistEntry>();
        assert!(matches!(parsed("10.0.0.0/8"), Ok(AllowlistEntry::Net(_))));
        assert!(matches!(parsed("::1"), Ok(AllowlistEntry::Net(_))));
        assert_eq!(parsed("RP.internal"), Ok(AllowlistEntry::Host("rp.internal".into())));
        assert!(parsed("https://rp.internal").is_err());
        assert!(parsed("").is_err());
    }
}
