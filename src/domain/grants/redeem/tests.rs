use std::time::Duration;

use super::*;
use crate::domain::grants::{Credential, GrantId};
use crate::infra::random;

fn attempt() -> Attempt {
    Attempt(random::uuid())
}

fn client(id: &str) -> ClientId {
    ClientId::parse(id).unwrap()
}

const NOW: UnixTime = UnixTime::from_millis(1_700_000_000_000);
const LATER: UnixTime = UnixTime::from_millis(1_700_000_060_000);

fn grant(secret: &Secret) -> Grant {
    Grant {
        id: GrantId(uuid::Uuid::nil()),
        client: client("shop"),
        client_since: None,
        client_epoch: None,
        person: None,
        scope: "openid".parse().unwrap(),
        claims: crate::protocol::claims::ClaimsRequest::default(),
        nonce: None,
        code: Some(Code::Issued {
            secret: secret.digest(),
            credential: Credential::AuthorizationCode,
            redirect_uri: Some("https://shop.example/cb".into()),
            challenge: None,
            expires_at: LATER,
            failures: 0,
        }),
        refresh: None,
        standing: Standing::Good,
        resources: Vec::new(),
        revoked_access: Vec::new(),
        opaque: Vec::new(),
        cnf: None,
        ends_at: NOW.plus(Duration::from_secs(3600)),
    }
}

fn shown<'a>(client: &'a ClientId, secret: &'a Secret) -> Redemption<'a> {
    Redemption {
        attempt: attempt(),
        client,
        credential: Credential::AuthorizationCode,
        secret,
        redirect_uri: Some("https://shop.example/cb"),
        verifier: None,
        refresh: None,
        ends_at: NOW,
    }
}

#[test]
fn each_check_refuses_alone() {
    let (secret, other) = (Secret::random(), Secret::random());
    let (shop, thief) = (client("shop"), client("thief"));
    let good = || shown(&shop, &secret);
    let cases = [
        (good(), NOW, None),
        (good(), LATER, Some(Refusal::Expired)),
        (shown(&thief, &secret), NOW, Some(Refusal::WrongClient)),
        (shown(&shop, &other), NOW, Some(Refusal::WrongSecret)),
        (Redemption { redirect_uri: None, ..good() }, NOW, Some(Refusal::WrongRedirectUri)),
        (
            Redemption { verifier: Some("x"), ..good() },
            NOW,
            Some(Refusal::Pkce(PkceError::UnexpectedVerifier)),
        ),
    ];
    for (shown, now, refusal) in cases {
        assert_eq!(grant(&secret).redeem(&shown, now).err(), refusal, "{shown:?}");
    }
}

#[test]
fn a_replay_ends_the_grant_but_a_thief_cannot_cause_one() {
    let secret = Secret::random();
    let (shop, thief) = (client("shop"), client("thief"));
    let mut grant = grant(&secret);
    let first = shown(&shop, &secret);

    assert_eq!(grant.redeem(&first, NOW), Ok(Redeemed));
    assert_eq!(grant.redeem(&first, NOW), Ok(Redeemed), "the same try, again");
    assert_eq!(grant.redeem(&shown(&thief, &secret), NOW), Err(Refusal::WrongClient));
    assert_eq!(grant.standing, Standing::Good);
    assert_eq!(grant.redeem(&shown(&shop, &secret), NOW), Err(Refusal::Replayed));
    assert_eq!(grant.standing, Standing::Revoked { at: NOW, why: Why::CodeReplayed });
}

#[test]
fn a_wrong_guess_does_not_burn_the_code_but_five_do() {
    let secret = Secret::random();
    let shop = client("shop");
    let mut grant = grant(&secret);
    for _ in 0..4 {
        let wrong = Redemption { redirect_uri: Some("https://x.example"), ..shown(&shop, &secret) };
        assert_eq!(grant.redeem(&wrong, NOW), Err(Refusal::WrongRedirectUri));
    }
    let mut survivor = grant.clone();
    assert_eq!(survivor.redeem(&shown(&shop, &secret), NOW), Ok(Redeemed));
    let wrong = Redemption { redirect_uri: None, ..shown(&shop, &secret) };
    assert_eq!(grant.redeem(&wrong, NOW), Err(Refusal::WrongRedirectUri));
    assert_eq!(grant.redeem(&shown(&shop, &secret), NOW), Err(Refusal::Revoked));
}

/// Operators alert on them, so a renamed variant must not change its word.
#[test]
fn every_refusal_has_the_word_it_always_had_in_the_audit_log() {
    for (refusal, word) in [
        (Refusal::Expired, "Expired"),
        (Refusal::Unknown, "Unknown"),
        (Refusal::NoRefresh, "NoRefresh"),
        (Refusal::Pkce(PkceError::MalformedChallenge), "Pkce(MalformedChallenge)"),
        (Refusal::Pkce(PkceError::MalformedVerifier), "Pkce(MalformedVerifier)"),
        (Refusal::Pkce(PkceError::MethodNotS256), "Pkce(MethodNotS256)"),
        (Refusal::Pkce(PkceError::MissingVerifier), "Pkce(MissingVerifier)"),
        (Refusal::Pkce(PkceError::UnexpectedVerifier), "Pkce(UnexpectedVerifier)"),
        (Refusal::Pkce(PkceError::WrongVerifier), "Pkce(WrongVerifier)"),
        (Refusal::Replayed, "Replayed"),
        (Refusal::Revoked, "Revoked"),
        (Refusal::WrongClient, "WrongClient"),
        (Refusal::WrongRedirectUri, "WrongRedirectUri"),
        (Refusal::WrongSecret, "WrongSecret"),
        (Refusal::Denied(Denied::ClientGone), "Denied(ClientGone)"),
        (Refusal::Denied(Denied::ClientCutOff), "Denied(ClientCutOff)"),
        (Refusal::Denied(Denied::UserGone), "Denied(UserGone)"),
        (Refusal::Denied(Denied::UserCutOff), "Denied(UserCutOff)"),
        (Refusal::Denied(Denied::ConsentWithdrawn), "Denied(ConsentWithdrawn)"),
        (Refusal::Denied(Denied::SessionEnded), "Denied(SessionEnded)"),
        (Refusal::Denied(Denied::Unproven), "Denied(Unproven)"),
        (
            Refusal::TooManyTokens { retry_after: Duration::from_millis(1_500) },
            "TooManyTokens { retry_after: 1.5s }",
        ),
    ] {
        assert_eq!(refusal.as_str(), word);
    }
}
