//! The `REDIS_` variables: where the shared store is, and how far it is trusted.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::super::describe::{hidden, path};
use super::super::parser::ConfigParser;
use crate::infra::store::{RedisOptions, RedisTls, RedisUrl};

/// `None` if `REDIS_URL` is not set, or wrong.
pub(super) fn read(parser: &mut ConfigParser<'_>) -> Option<RedisOptions> {
    let allow_volatile = parser.flag("ALLOW_VOLATILE_STORE");
    let prefix = prefix(parser);
    let sentinel_password = parser.password("REDIS_SENTINEL_PASSWORD");
    let client = client(parser);
    let ca_file = parser.get("REDIS_CA_FILE").map(PathBuf::from);
    let acks = parser.number("REDIS_MIN_REPLICAS_ACK", 0..=16);
    let text = parser.get("REDIS_URL")?;
    let address = match RedisUrl::parse(text) {
        Ok(address) => address,
        Err(problem) => {
            parser.add_error("REDIS_URL", problem);
            return None;
        }
    };
    warn_of_what_is_not_used(parser, &address);
    Some(RedisOptions {
        tls: RedisTls { ca_file, client },
        sentinel_password: sentinel_password.map(|it| Zeroizing::new(it.reveal().to_owned())),
        min_replicas_ack: Some(acks.unwrap_or_else(|| address.default_acks())),
        prefix,
        allow_volatile,
        ..RedisOptions::new(text)
    })
}

/// What a variable came to, as it would be written.
pub(super) fn effective(options: &RedisOptions, name: &str) -> Option<String> {
    match name {
        "REDIS_URL" => hidden(true),
        "REDIS_CA_FILE" => options.tls.ca_file.as_deref().map(path),
        "REDIS_CERT_FILE" => options.tls.client.as_ref().map(|(certificate, _)| path(certificate)),
        "REDIS_KEY_FILE" => options.tls.client.as_ref().map(|(_, key)| path(key)),
        "REDIS_SENTINEL_PASSWORD" => hidden(options.sentinel_password.is_some()),
        "REDIS_MIN_REPLICAS_ACK" => options.min_replicas_ack.map(|acks| acks.to_string()),
        "REDIS_PREFIX" => Some(options.prefix.clone()),
        "ALLOW_VOLATILE_STORE" => Some(options.allow_volatile.to_string()),
        _ => None,
    }
}

fn prefix(parser: &mut ConfigParser<'_>) -> String {
    let key_start = |text: &str| {
        // A brace would be a hash tag, and decide on which node of a cluster a key lives.
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"{}*?[]\\".contains(&byte);
        (text.len() <= 64 && text.bytes().all(plain)).then(|| text.to_owned())
    };
    let expected = "at most 64 printable ASCII characters without spaces and {}*?[]\\";
    parser.parse("REDIS_PREFIX", expected, key_start).unwrap_or_default()
}

fn client(parser: &mut ConfigParser<'_>) -> Option<(PathBuf, PathBuf)> {
    match (parser.get("REDIS_CERT_FILE"), parser.get("REDIS_KEY_FILE")) {
        (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
        (Some(_), None) => {
            parser.add_error("REDIS_KEY_FILE", "must be set, because REDIS_CERT_FILE is");
            None
        }
        (None, Some(_)) => {
            parser.add_error("REDIS_CERT_FILE", "must be set, because REDIS_KEY_FILE is");
            None
        }
        (None, None) => None,
    }
}

/// A certificate that is not used may mean a connection that is not encrypted.
fn warn_of_what_is_not_used(parser: &mut ConfigParser<'_>, address: &RedisUrl) {
    let given = |name: &&str| parser.get(name).is_some();
    let tls = ["REDIS_CA_FILE", "REDIS_CERT_FILE"].into_iter().find(given);
    let password = ["REDIS_SENTINEL_PASSWORD"].into_iter().find(given);
    if let Some(name) = tls.filter(|_| !address.is_tls()) {
        parser.warn(format!("{name} is not used, because REDIS_URL does not begin with rediss"));
    }
    if let Some(name) = password.filter(|_| !address.is_sentinel()) {
        parser.warn(format!("{name} is not used, because REDIS_URL names no sentinels"));
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::infra::store::StoreSettings;

    fn read(rows: &[(&str, &str)]) -> Config {
        let map = rows.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Config::from_map(&map).unwrap_or_else(|complaints| panic!("{complaints}"))
    }

    #[test]
    fn a_write_waits_for_a_replica_where_sentinel_says_there_is_one_unless_told_otherwise() {
        let acks = |rows: &[(&str, &str)]| {
            let StoreSettings::Redis(options) = read(rows).store else { return None };
            options.min_replicas_ack
        };
        let sentinel = ("REDIS_URL", "redis-sentinel://a,b,c/main");
        assert_eq!(acks(&[("REDIS_URL", "redis://a")]), Some(0));
        assert_eq!(acks(&[("REDIS_URL", "redis-cluster://a,b")]), Some(0));
        assert_eq!(acks(&[sentinel]), Some(1));
        assert_eq!(acks(&[sentinel, ("REDIS_MIN_REPLICAS_ACK", "0")]), Some(0));
    }

    #[test]
    fn what_is_for_tls_or_sentinels_only_is_warned_of_elsewhere() {
        let given = [("REDIS_CA_FILE", "ca.pem"), ("REDIS_SENTINEL_PASSWORD", "hunter2")];
        let warned =
            |url: &'static str| read(&[&given[..], &[("REDIS_URL", url)]].concat()).warnings;
        assert_eq!(warned("redis://a").iter().filter(|it| it.contains("is not used")).count(), 2);
        assert!(warned("rediss-sentinel://a/main").iter().all(|it| !it.contains("is not used")));
    }
}
