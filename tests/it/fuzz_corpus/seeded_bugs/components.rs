//! Mistakes of larger parts: pages, files, the server itself.

use std::collections::BTreeMap;

use latchkey::config::{Config, ConfigErrors};
use latchkey::operations::backup::BackupInfo;
use serde_json::{Map, Value};

use super::super::oracles;
use super::super::oracles::in_process_server::{Answer, ISSUER, NOW};
use super::fails;

#[test]
fn a_page_in_which_text_is_markup() {
    let bones = |page: &str| oracles::templates::skeleton(&scraper::Html::parse_document(page));
    let page = |name: &str| format!("<p title=\"{name}\"><a href=\"https://x.example\">{name}</a>");
    let holds = |name: &str| {
        oracles::templates::holds(&page(name), &bones(&page("x")), name, &["https://x.example"]);
    };
    holds("Ada &amp; Bob");
    for name in ["<b>", "\" onclick=\"", "<!--"] {
        fails(|| holds(name));
    }
    let link = |to: &str| format!("<a href=\"{to}\">x</a>");
    fails(|| {
        let shown = link("javascript:alert(1)");
        let plain = bones(&link("https://x.example"));
        oracles::templates::holds(&shown, &plain, "x", &["https://x.example"]);
    });
}

#[test]
fn a_configuration_that_is_accepted_or_refused_too_loudly() {
    let loud = |map: &BTreeMap<String, String>| match Config::from_map(map) {
        Ok(config) => Ok(config),
        Err(_) => Err(ConfigErrors(vec![format!("SECRET_KEY is {}", map["SECRET_KEY"])])),
    };
    let input = b"ISSUER_URL=https://id.example/x\nSECRET_KEY=a-secret-with-digits-12345\n";
    oracles::config::holds(input, Config::from_map);
    fails(|| oracles::config::holds(input, loud));
    let keyless = |map: &BTreeMap<String, String>| {
        let mut config = Config::from_map(map)?;
        config.secret_key = None;
        Ok(config)
    };
    let input = b"ISSUER_URL=https://id.example\nSECRET_KEY=a-secret-with-digits-12345-a-secret\nSTORE_URL=memory:\n";
    fails(|| oracles::config::holds(input, keyless));
}

#[test]
fn a_bootstrap_file_that_is_quoted() {
    let quoting = |text: &str| Err(ConfigErrors(vec![format!("line 1: {text}")]));
    fails(|| {
        let input = b"[[users]]\nusername = \"ada\"\npassword = \"correct horse battery\"\n";
        oracles::bootstrap_toml::holds(input, quoting);
    });
}

#[test]
fn a_backup_whose_end_may_be_missing() {
    let about = || BackupInfo {
        latchkey: "0.1.0".into(),
        issuer: ISSUER.into(),
        created_at: NOW,
        with_sessions: true,
        readable_by: 1,
    };
    fails(|| oracles::backup_file::holds(b"\x00\x90\x03\n", |_, _| Ok(about())));
}

#[test]
fn a_redirect_to_a_stranger_and_an_error_with_a_code() {
    let query = b"client_id=shop&redirect_uri=https%3A%2F%2Fshop.example%2Fcb";
    let to = |location: &str| Answer {
        status: 303,
        location: Some(location.into()),
        ..Answer::default()
    };
    let holds = |signed_in, location: &str, issued| {
        oracles::authz_request::holds(query, signed_in, &to(location), issued);
    };
    holds(true, "https://shop.example/cb?code=x&iss=y", 1);
    holds(false, "https://shop.example/cb?error=x&iss=y", 0);
    holds(false, "/login?interaction=x", 0);
    fails(|| holds(false, "https://evil.example/cb?error=x&iss=y", 0));
    fails(|| holds(false, "https://shop.example/cb.evil.example?error=x&iss=y", 0));
    fails(|| holds(true, "https://shop.example/cb?error=x&iss=y", 1));
    fails(|| holds(true, "https://shop.example/cb?error=x&code=z&iss=y", 0));
    fails(|| holds(false, "https://shop.example/cb?code=x&iss=y", 1));
    fails(|| holds(true, "//evil.example/login?interaction=x", 0));
    fails(|| {
        let broken = Answer { status: 500, ..Answer::default() };
        oracles::authz_request::holds(query, false, &broken, 0);
    });
}

#[test]
fn two_answers_to_what_may_be_one_request() {
    use oracles::http1_wire::{ParsedRequests, holds};
    let smuggled = b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n";
    let asked = ParsedRequests::in_these(smuggled);
    let once = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
    holds(&asked, once.as_bytes());
    fails(|| holds(&asked, once.repeat(2).as_bytes()));
    fails(|| holds(&asked, once.replace("400", "500").as_bytes()));
    let two = ParsedRequests::in_these(b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n");
    holds(&two, once.repeat(2).as_bytes());
    fails(|| holds(&two, once.repeat(3).as_bytes()));
    fails(|| holds(&ParsedRequests::in_these(b"GET / HTTP/1.1\r\n\r\n"), b""));
}

#[test]
fn a_record_that_is_not_read_as_it_was_written() {
    use latchkey::infra::clock::UnixTime;
    use latchkey::infra::store::{Key, Partition, Record};

    #[derive(serde::Serialize)]
    struct Older {
        count: u64,
    }
    impl<'de> serde::Deserialize<'de> for Older {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            let read: Map<String, Value> = Map::deserialize(from)?;
            Ok(Self { count: read["count"].as_u64().unwrap_or_default() + 1 })
        }
    }
    impl Record for Older {
        const KIND: &'static str = "older.v0";

        fn key(&self) -> Key<Self> {
            Key::single(Partition::new("older"))
        }

        fn delete_after(&self) -> Option<UnixTime> {
            None
        }
    }
    fails(|| oracles::redis_record::stable::<Older>(br#"{"count":1}"#));
}
