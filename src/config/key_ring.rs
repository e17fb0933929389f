//! Which keys there are, and how long each signs.

use std::time::Duration;

use super::parser::ConfigParser;
use crate::protocol::client_metadata::ClientAlg;

/// Which keys there are, and how long each signs.
#[derive(Clone, Debug)]
pub struct KeyRingSettings {
    /// What tokens can be signed with, RS256 always among it.
    pub signing_algs: Vec<ClientAlg>,
    /// How long a key signs; `None`: until an operator rotates.
    pub rotation_interval: Option<Duration>,
    /// Whether clients may encrypt their request objects for us.
    pub request_object_encryption: bool,
}

impl KeyRingSettings {
    pub(super) fn read(parser: &mut ConfigParser<'_>) -> Self {
        let mut signing_algs = parser.list(
            "SIGNING_ALGS",
            "RS256, PS256, ES256 (in capitals), EdDSA",
            ClientAlg::parse,
        );
        let mut seen = Vec::new();
        signing_algs.retain(|alg| {
            !seen.contains(alg) && {
                seen.push(*alg);
                true
            }
        });
        // Clients may count on it (OpenID Connect Discovery §3, `id_token_signing_alg_values_supported`:
        // "RS256 MUST be included").
        if !signing_algs.is_empty() && !signing_algs.contains(&ClientAlg::Rs256) {
            parser.add_error("SIGNING_ALGS", "must have RS256 in it");
        }
        let interval = parser.duration("KEY_ROTATION_INTERVAL", 0..=400 * DAY);
        if !interval.is_zero() && interval.as_secs() < DAY {
            parser.add_error("KEY_ROTATION_INTERVAL", "must be 0 or at least a day");
        }
        Self {
            signing_algs,
            rotation_interval: Some(interval).filter(|interval| !interval.is_zero()),
            request_object_encryption: parser.flag("REQUEST_OBJECT_ENCRYPTION"),
        }
    }
}

const DAY: u64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_are_a_list_with_rs256_and_an_interval_is_no_moment() {
        let read = |pairs: &[(&str, &str)]| {
            let map = pairs.iter().map(|&(name, value)| (name.into(), value.into())).collect();
            let mut parser = ConfigParser::new(&map);
            let settings = KeyRingSettings::read(&mut parser);
            if parser.errors.is_empty() { Ok(settings) } else { Err(parser.errors) }
        };
        let plain = read(&[]).unwrap();
        assert_eq!(plain.signing_algs, [ClientAlg::Rs256]);
        assert_eq!(plain.rotation_interval, Some(Duration::from_secs(90 * DAY)));
        assert!(!plain.request_object_encryption);
        let several = read(&[("SIGNING_ALGS", "ES256, RS256,EdDSA,ES256")]).unwrap();
        assert_eq!(several.signing_algs, [ClientAlg::Es256, ClientAlg::Rs256, ClientAlg::EdDsa]);
        assert_eq!(read(&[("KEY_ROTATION_INTERVAL", "0")]).unwrap().rotation_interval, None);
        for (name, value) in [
            ("SIGNING_ALGS", "ES256"),
            ("SIGNING_ALGS", "RS256,HS256"),
            ("SIGNING_ALGS", "RS256,none"),
            ("SIGNING_ALGS", "rs256"),
            ("KEY_ROTATION_INTERVAL", "1h"),
            ("KEY_ROTATION_INTERVAL", "401d"),
        ] {
            assert!(read(&[(name, value)]).unwrap_err()[0].starts_with(name), "{name}={value}");
        }
        let small = read(&[("SIGNING_ALGS", "es256")]).unwrap_err();
        assert!(small[0].contains("in capitals"), "{small:?}");
    }
}
