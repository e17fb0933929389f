//! That the oracles can fail: each is given an implementation with a mistake that somebody has made before,
//! or what such a one would have answered, and an input that shows it.

mod components;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use latchkey::domain::authorization_request::request_object::merge_params;
use latchkey::domain::clients::ClientId;
use latchkey::domain::clients::assertion::validate_claims;
use latchkey::domain::grants::{OpaqueToken, RefreshToken};
use latchkey::http::cookies::Cookies;
use latchkey::infra::jose::{self, SigningKey};
use latchkey::infra::outbound::{OutboundClient, OutboundOptions};
use latchkey::protocol::claims::ClaimsRequest;
use latchkey::protocol::client_auth::read_basic;
use latchkey::protocol::redirect_uri::matches;
use latchkey::protocol::{ClientMetadata, Params, PkceError, Scope};
use serde_json::{Map, Value, json};

use super::oracles::in_process_server::{ISSUER, NOW};
use super::oracles::{self, signer::TestSigner};

#[track_caller]
fn fails(what: impl FnOnce()) {
    assert!(catch_unwind(AssertUnwindSafe(what)).is_err(), "the oracle does not see it");
}

#[test]
fn a_reader_of_forms_that_lets_the_last_one_win() {
    let lenient = |data: &[u8]| {
        let pairs: BTreeMap<_, _> = url::form_urlencoded::parse(data).into_owned().collect();
        Params::collect(pairs)
    };
    oracles::params::holds(b"a=1&b=2", lenient);
    fails(|| oracles::params::holds(b"a=1&a=2", lenient));
    fails(|| oracles::params::holds(b"a=%zz", lenient));
}

#[test]
fn a_comparison_of_redirect_uris_by_their_beginning() {
    let by_prefix = |registered: &str, requested: &str, _| requested.starts_with(registered);
    let input = b"https://shop.example/cb\nhttps://shop.example/cb.evil.example\n";
    oracles::redirect_match::holds(input, matches);
    fails(|| oracles::redirect_match::holds(input, by_prefix));
    let any_port = |one: &str, two: &str, _: bool| one == two || matches(one, two, true);
    fails(|| {
        oracles::redirect_match::holds(b"http://[::1]:1/cb\nhttp://[::1]:2/cb\n", any_port);
    });
}

#[test]
fn a_registration_of_whatever_a_browser_can_read() {
    let readable = |uri: &str| {
        url::Url::parse(uri)
            .map(drop)
            .map_err(|_| latchkey::protocol::redirect_uri::RedirectUriError::NotAbsolute)
    };
    oracles::redirect_register::holds(b"https://shop.example/cb", readable);
    for uri in [
        "https:///shop.example/",
        "https://a@b.example/",
        "javascript:alert(1)",
        "https://a.example/x/../y",
        "http://shop.example/",
        "https://0x7f.1/",
    ] {
        fails(|| oracles::redirect_register::holds(uri.as_bytes(), readable));
    }
}

#[test]
fn a_basic_header_cut_at_the_last_colon() {
    let at_the_last = |header: &str| {
        let (id, secret) = read_basic(header)?;
        let whole = format!("{id}:{secret}");
        let (id, secret) = whole.rsplit_once(':')?;
        Some((id.to_owned(), secret.to_owned()))
    };
    oracles::basic_auth::holds(b"+shop\nsecret", at_the_last);
    fails(|| oracles::basic_auth::holds(b"+shop\nse:cret", at_the_last));
}

#[test]
fn a_verifier_of_any_length_and_a_method_that_is_assumed() {
    let digest =
        |verifier: &str| latchkey::infra::secret::Digest::of(verifier.as_bytes()).to_base64url();
    let lenient = |challenge: &str, _: Option<&str>, verifier: Option<&str>| match verifier {
        Some(verifier) if digest(verifier) == challenge => Ok(()),
        Some(_) => Err(PkceError::WrongVerifier),
        None => Err(PkceError::MissingVerifier),
    };
    let long = [b"S256\n", &[b'a'; 43][..]].concat();
    oracles::pkce::holds(&long, lenient);
    fails(|| oracles::pkce::holds(&long[..long.len() - 1], lenient));
    fails(|| oracles::pkce::holds(&[b"plain\n", &[b'a'; 43][..]].concat(), lenient));
}

#[test]
fn a_scope_that_takes_any_word() {
    let lenient = |text: &str| text.replace(['"', '\\'], "").parse::<Scope>();
    oracles::scope::holds(b"openid email\nemail", lenient);
    fails(|| oracles::scope::holds(b"a\"b\n", lenient));
}

#[test]
fn a_client_address_that_is_the_first_in_the_list() {
    let first = |peer, values: &[Vec<u8>], _: &[ipnet::IpNet]| {
        let value = String::from_utf8_lossy(&values[0]);
        value.split(',').next().and_then(|it| it.trim().parse().ok()).unwrap_or(peer)
    };
    fails(|| oracles::xff::holds(b"10.0.0.1\n10.0.0.0/8\n1.1.1.1, 2.2.2.2", first));
}

#[test]
fn tokens_of_which_only_a_part_is_looked_at() {
    let by_peeking = |text: &str, _: &ClientId, _: &_| RefreshToken::parse_unverified(text);
    fails(|| oracles::refresh_token_parse::holds(b"seed", by_peeking));
    let trimmed = |kind, text: &str| OpaqueToken::parse(kind, text.trim_end_matches('='));
    let padded =
        b"ac1.00000000000000000000000000000008.CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=";
    oracles::code_parse::holds(padded, OpaqueToken::parse);
    fails(|| oracles::code_parse::holds(padded, trimmed));
}

#[test]
fn a_cookie_of_which_the_first_counts() {
    let one = "latchkey-dev-5000-session=BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU";
    let twice = format!("\n{one}; {one}\n");
    oracles::cookie_parse::holds(twice.as_bytes(), Cookies::read);
    fails(|| {
        oracles::cookie_parse::holds(twice.as_bytes(), |app, headers| {
            let mut headers = headers.clone();
            for line in headers.values_mut() {
                let text = line.to_str().expect("text").split("; latchkey-dev-5000-session").next();
                *line = text.and_then(|it| it.parse().ok()).expect("a header");
            }
            Cookies::read(app, &headers)
        });
    });
}

#[test]
fn a_claims_parameter_whose_demands_are_ignored() {
    let lenient = |text: &str| Ok(ClaimsRequest::parse(text).unwrap_or_default());
    oracles::claims_param::holds(br#"{"userinfo":{"email":null}}"#, lenient);
    oracles::claims_param::holds(br#"{"userinfo":{"email":7}}"#, ClaimsRequest::parse);
    fails(|| oracles::claims_param::holds(br#"{"userinfo":{"sub":7}}"#, lenient));
}

#[test]
fn an_assertion_that_may_live_for_ever_or_be_for_somebody_else() {
    let claims = |exp: u64, aud: &str| {
        let claims = json!({"iss": "signer", "sub": "signer", "aud": aud, "exp": exp, "jti": "j"});
        format!("c\n\n\n{claims}")
    };
    let later = |claims: &Map<String, Value>, client: &ClientId, audiences: &[&str], _| {
        let at = claims["exp"].as_u64().expect("a number");
        validate_claims(
            claims,
            client,
            audiences,
            latchkey::infra::clock::UnixTime::from_secs(at - 60),
        )
    };
    let now = NOW.as_secs();
    oracles::client_assertion::holds(claims(now + 60, ISSUER).as_bytes(), later);
    fails(|| oracles::client_assertion::holds(claims(now + 3600, ISSUER).as_bytes(), later));
    let of_anybody = |claims: &Map<String, Value>, client: &ClientId, _: &[&str], now| {
        validate_claims(claims, client, &[claims["aud"].as_str().expect("text")], now)
    };
    let input = claims(now + 60, "https://other.example");
    fails(|| oracles::client_assertion::holds(input.as_bytes(), of_anybody));
}

#[test]
fn a_request_object_beside_which_everything_counts() {
    let claims =
        json!({"iss": "shop", "aud": ISSUER, "exp": NOW.as_secs() + 60, "scope": "openid"});
    let input = format!("client_id=shop&state=x\noauth-authz-req+jwt\n{claims}");
    oracles::request_object::holds(input.as_bytes(), merge_params);
    fails(|| {
        oracles::request_object::holds(input.as_bytes(), |outer, object, client, issuer, now| {
            let claims = object.claims.clone();
            let untyped = jose::VerifiedJwt { typ: None, claims };
            merge_params(outer, &untyped, client, issuer, now)
        });
    });
}

#[test]
fn a_token_whose_header_says_how_to_verify_it() {
    let believed = |token: &str, _: &SigningKey| {
        jose::parse_unverified(token).map(|it| it.claims).ok_or(jose::VerificationError::Malformed)
    };
    fails(|| oracles::jwt_verify::holds(b"s\n{\"alg\":\"none\"}\n\n{}", believed));
    let untyped = |token: &str, key: &SigningKey| {
        let own = jose::verify_own(token, [key], "at+jwt");
        own.or_else(|_| jose::verify_own(token, [key], "jwt"))
    };
    fails(|| oracles::jwt_verify::holds(b"m\njwt\n\n{}", untyped));
}

#[test]
fn a_decryption_that_shrugs_off_what_was_changed() {
    let first = std::cell::RefCell::new(None);
    let remembers = |text: &str, key: &_| {
        let opened = jose::decrypt(text, key);
        let mut first = first.borrow_mut();
        let told = first.get_or_insert_with(|| opened.clone()).clone();
        if text.len() > 40 { told } else { opened }
    };
    fails(|| oracles::jwe_decrypt::holds(b"10\n\x00\x50\x00\nhello", remembers));
}

#[test]
fn keys_that_are_kept_without_a_look_at_them() {
    let kept = |members: &Map<String, Value>| {
        let mut metadata = ClientMetadata::parse(&Map::from_iter([(
            "redirect_uris".to_owned(),
            members["redirect_uris"].clone(),
        )]))?;
        metadata.jwks = members.get("jwks").cloned();
        Ok(metadata)
    };
    let mut pair = TestSigner::Client.jwk();
    oracles::jwk_set::holds(json!({"keys": [pair]}).to_string().as_bytes(), kept);
    pair["d"] = "AAAA".into();
    fails(|| oracles::jwk_set::holds(json!({"keys": [pair]}).to_string().as_bytes(), kept));
}

#[test]
fn a_registration_that_changes_when_it_is_read_again() {
    let growing = |members: &Map<String, Value>| {
        let mut metadata = ClientMetadata::parse(members)?;
        metadata.contacts.push("more@shop.example".into());
        Ok(metadata)
    };
    let input = br#"{"redirect_uris":["https://shop.example/cb"]}"#;
    oracles::client_metadata::holds(input, ClientMetadata::parse);
    fails(|| oracles::client_metadata::holds(input, growing));
}

#[test]
fn a_statement_that_is_taken_from_anybody() {
    let token = TestSigner::Stranger
        .signs(br#"{"alg":"EdDSA"}"#, br#"{"iss":"https://federation.example"}"#);
    oracles::software_statement::judged(None, &token);
    fails(|| oracles::software_statement::judged(Some(Map::new()), &token));
}

#[test]
fn a_sector_that_lists_one_of_two() {
    let any = |client: &ClientMetadata, document: &Value| {
        let alone =
            ClientMetadata { redirect_uris: client.redirect_uris[..1].to_vec(), ..client.clone() };
        alone.check_sector(document)
    };
    let input = b"https://shop.example/other\n[\"https://shop.example/cb\"]";
    fails(|| oracles::sector_document::holds(input, any));
}

#[test]
fn an_address_in_the_clear_that_is_taken_for_tls() {
    oracles::redis_url::understood("redis://a", (false, false, 0));
    fails(|| oracles::redis_url::understood("redis://a", (true, false, 0)));
    fails(|| oracles::redis_url::refused("redis://:hunter2hunter2@", "no: hunter2hunter2"));
}

#[test]
fn a_fetch_that_looks_at_one_address_and_connects_to_all() {
    let fetcher = OutboundClient::new(OutboundOptions::default()).expect("a fetcher");
    let first = |url: &str, resolved: &[std::net::IpAddr]| {
        fetcher.destinations(url, &resolved[..1])?;
        Ok(resolved.iter().map(|it| (*it, 443).into()).collect())
    };
    oracles::ssrf_guard::holds(b"https://a.example/\n1.1.1.1 2606:4700::1111", first);
    fails(|| oracles::ssrf_guard::holds(b"https://a.example/\n1.1.1.1 10.0.0.1", first));
    // The second answer of a resolver that changes its mind.
    let other = |_: &str, _: &[std::net::IpAddr]| Ok(vec![([1, 0, 0, 1], 443).into()]);
    fails(|| oracles::ssrf_guard::holds(b"https://a.example/\n1.1.1.1", other));
}
