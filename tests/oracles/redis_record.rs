use std::time::Duration;

use latchkey::domain::authorization_request::AuthorizationRequest;
use latchkey::domain::clients::assertion::UsedAssertion;
use latchkey::domain::epoch::EpochRecord;
use latchkey::domain::grants::{
    AuthenticationContext, CodeState, Credential, Grant, GrantId, GrantStatus, GrantV2,
};
use latchkey::domain::interactions::Interaction;
use latchkey::domain::keys::RingRecord;
use latchkey::domain::logout_notifications::{Delivery, SessionClients};
use latchkey::domain::rate_limit::Attempts;
use latchkey::domain::token_claims::RevokedToken;
use latchkey::infra::secret::{Digest, Secret, base64url};
use latchkey::infra::store::{RawKey, Record, Transaction};
use latchkey::protocol::claims::ClaimsRequest;
use serde_json::json;
use uuid::Uuid;

use super::in_process_server::{self, CLIENT_SECRET, InProcessServer, NOW};
use super::{edited, lines};

/// Any bytes under a key of ours are a valid record or count as absent: they are never a panic, a 500 or an
/// error page of a store that is down. What is read of them and written again is read as the same.
///
/// Lines: a letter for the kind, and the bytes; an [edit](super::edited) of a valid record if they begin
/// with `~`.
pub fn redis_record(data: &[u8]) {
    let [kind, bytes] = lines(data);
    let bytes = |valid: Vec<u8>| match bytes.strip_prefix(b"~") {
        Some(how) => edited(&valid, how),
        None => bytes.to_vec(),
    };
    match kind.first() {
        Some(b'c') => planted(&in_process_server::client("shop"), bytes),
        Some(b'u') => planted(&in_process_server::user(), bytes),
        Some(b's') => planted(&in_process_server::session(), bytes),
        Some(b'k') => planted(&in_process_server::consent(), bytes),
        Some(b'g') => planted(&grant(), bytes),
        Some(b'G') => stable::<GrantV2>(&bytes(grant_bytes().1)),
        Some(b'e') => stable::<EpochRecord>(&bytes(b"{}".to_vec())),
        Some(b'i') => planted(&interaction(), bytes),
        Some(b'a') => stable::<UsedAssertion>(&bytes(b"{}".to_vec())),
        Some(b'r') => stable::<RevokedToken>(&bytes(b"{}".to_vec())),
        Some(b't') => stable::<Attempts>(&bytes(b"{}".to_vec())),
        Some(b'd') => stable::<Delivery>(&bytes(b"{}".to_vec())),
        Some(b'p') => stable::<SessionClients>(&bytes(b"{}".to_vec())),
        _ => stable::<RingRecord>(&bytes(b"{}".to_vec())),
    }
}

/// Reading, writing and reading is reading.
pub fn stable<R: Record>(bytes: &[u8]) {
    let Ok(read) = serde_json::from_slice::<R>(bytes) else { return };
    let written = serde_json::to_value(&read).expect("a record can be written");
    let again: R = serde_json::from_value(written.clone()).expect("what we wrote can be read");
    assert_eq!(serde_json::to_value(&again).expect("JSON"), written);
}

/// In the place of this record, while somebody goes through all that reads it.
fn planted<R: Record>(valid: &R, bytes: impl Fn(Vec<u8>) -> Vec<u8>) {
    let own = serde_json::to_vec(valid).expect("JSON");
    let bytes = bytes(own.clone());
    stable::<R>(&bytes);
    InProcessServer::with(|server| {
        for record in [grant_bytes(), interaction_bytes()] {
            put(server, &record.0, record.1);
        }
        put(server, valid.key().raw(), bytes.clone());
        everybody_asks(server);
        put(server, valid.key().raw(), own);
    });
}

fn put(server: &InProcessServer, key: &RawKey, bytes: Vec<u8>) {
    let change = Transaction::within(key.partition().clone()).put(key.clone(), bytes, None);
    let _ = server.waits(server.app().store.commit(change)).expect("a store");
}

fn everybody_asks(server: &InProcessServer) {
    let cookies = format!(
        "latchkey-dev-5000-session={}; latchkey-dev-5000-browser={}",
        in_process_server::cookie().reveal(),
        secret(6).reveal()
    );
    let cookies = ("cookie", &*cookies);
    let id = secret(7).reveal();
    let query = "client_id=shop&response_type=code&scope=openid+profile&redirect_uri=https%3A%2F%2Fshop.example%2Fcb";
    let pages = [
        format!("/authorize?{query}"),
        format!("/authorize?interaction={id}"),
        format!("/login?interaction={id}"),
        format!("/consent?interaction={id}"),
        "/logout".to_owned(),
    ];
    for page in &pages {
        fine(&server.asks("GET", page, &[cookies], b""), page);
    }
    let post = format!("client_id=shop&client_secret={CLIENT_SECRET}");
    let code = format!("ac1.{}.{}", Uuid::from_u128(8).simple(), secret(8).reveal());
    let form = ("content-type", "application/x-www-form-urlencoded");
    for (path, fields) in [
        (
            "/token",
            format!(
                "grant_type=authorization_code&code={code}&redirect_uri=https%3A%2F%2Fshop.example%2Fcb"
            ),
        ),
        ("/introspect", format!("token={}", code.replace("ac1", "at1"))),
        ("/revoke", format!("token={}", code.replace("ac1", "at1"))),
    ] {
        let basic = format!("{post}&{fields}");
        fine(&server.asks("POST", path, &[form], basic.as_bytes()), path);
    }
    let bearer = format!("Bearer {}", code.replace("ac1", "at1"));
    fine(&server.asks("GET", "/userinfo", &[("authorization", &bearer)], b""), "/userinfo");
}

fn fine(answer: &in_process_server::Answer, what: &str) {
    assert!(answer.status < 500, "{what}: {answer:?}");
}

fn secret(byte: u8) -> Secret {
    Secret::parse(&base64url(&[byte; 32])).expect("32 bytes")
}

pub fn grant() -> Grant {
    let session = in_process_server::session();
    Grant {
        id: GrantId(Uuid::from_u128(8)),
        client: in_process_server::client("shop").id,
        authentication: Some(AuthenticationContext {
            sub: session.sub,
            authenticated_at: NOW,
            amr: session.amr,
            acr: session.acr,
            sid: session.sid,
            bound_to_session: true,
            wants_acr: true,
            epoch: None,
            consent_epoch: None,
        }),
        scope: "openid profile".parse().expect("a scope"),
        claims: ClaimsRequest::default(),
        nonce: Some("n".into()),
        code: Some(code()),
        refresh_tokens: None,
        status: GrantStatus::Active,
        resources: vec!["https://api.example".into()],
        revoked_access: vec![(Uuid::from_u128(1), NOW)],
        opaque_tokens: Vec::new(),
        cnf: None,
        client_created_at: None,
        client_epoch: None,
        ends_at: in_process_server::session().absolute_end,
    }
}

fn code() -> CodeState {
    CodeState::Issued {
        secret: secret(8).digest(),
        credential: Credential::AuthorizationCode,
        redirect_uri: Some("https://shop.example/cb".into()),
        challenge: None,
        expires_at: NOW.plus(Duration::from_secs(60)),
        failures: 0,
    }
}

pub fn interaction() -> Interaction {
    let request = json!({
        "client": "shop",
        "destination": {"redirect_uri": "https://shop.example/cb", "state": "s", "mode": "query"},
        "response_type": "code", "scope": "openid email", "claims": {},
        "nonce": "n", "challenge": null,
        "prompt": {"none": false, "login": false, "consent": false, "select_account": false}, "max_age": 60,
        "login_hint": "ada", "hinted": null, "wants_acr": false,
        "query": "client_id=shop&response_type=code&scope=openid",
    });
    let request = serde_json::from_value::<AuthorizationRequest>(request.clone())
        .unwrap_or_else(|why| panic!("{why}: {request}"));
    let (made, _) = Interaction::begin(request, &secret(6), Duration::from_secs(600), NOW);
    let mut written = serde_json::to_value(&made).expect("JSON");
    written["id"] = json!(Digest::of(&[7; 32]).to_base64url());
    serde_json::from_value(written).expect("an interaction")
}

fn grant_bytes() -> (RawKey, Vec<u8>) {
    let it = grant();
    (it.key().raw().clone(), serde_json::to_vec(&it).expect("JSON"))
}

fn interaction_bytes() -> (RawKey, Vec<u8>) {
    let it = interaction();
    (it.key().raw().clone(), serde_json::to_vec(&it).expect("JSON"))
}
