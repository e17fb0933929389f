use latchkey::infra::store::RedisUrl;

use super::text;

/// What a `REDIS_URL` says at first sight is what is understood: TLS, sentinels, acknowledgements; and a bad
/// one is refused without a word of it, for it may hold a password.
pub fn redis_url(data: &[u8]) {
    let url = text(data);
    match RedisUrl::parse(&url) {
        Ok(read) => understood(&url, (read.is_tls(), read.is_sentinel(), read.default_acks())),
        Err(why) => refused(&url, why),
    }
}

pub fn understood(url: &str, (tls, sentinel, acks): (bool, bool, u32)) {
    let (scheme, rest) = url.split_once("://").expect("a URL");
    assert!(
        [
            "redis",
            "rediss",
            "redis+unix",
            "redis-sentinel",
            "rediss-sentinel",
            "redis-cluster",
            "rediss-cluster"
        ]
        .contains(&scheme),
        "{scheme}"
    );
    assert_eq!(tls, scheme.starts_with("rediss"), "{scheme}");
    assert_eq!(sentinel, scheme.ends_with("-sentinel"), "{scheme}");
    assert_eq!(acks, u32::from(sentinel));
    assert!(!rest.is_empty(), "it names a place");
    if sentinel {
        assert!(rest.contains('/'), "it names a service");
    }
}

pub fn refused(url: &str, why: &str) {
    // Words of the sentence itself may be in the URL by chance.
    let pieces = url.split(|c: char| !c.is_alphanumeric()).filter(|piece| piece.len() >= 6);
    for piece in pieces {
        let said = why.split(|c: char| !c.is_alphanumeric()).any(|word| word == piece);
        assert!(!said || EVERY.contains(piece), "{why:?} repeats {piece}");
    }
}

/// What the sentences are made of.
const EVERY: &str = "must be redis rediss redis+unix sentinel sentinels cluster user password host port \
    database service path instead several are for not name a because has only one names watch";
