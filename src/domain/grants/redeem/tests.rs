use std::time::Duration;

use super::*;
use crate::domain::grants::{Credential, GrantId};
use crate::infra::random;

fn attempt() -> AttemptId {
    AttemptId(random::uuid())
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
        client_created_at: None,
        client_epoch: None,
        authentication: None,
        scope: "openid".parse().unwrap(),
        claims: crate::protocol::claims::ClaimsRequest::default(),
        nonce: None,
        code: Some(CodeState::Issued {
            secret: secret.digest(),
            credential: Credential::AuthorizationCode,
            redirect_uri: Some("https://shop.example/cb".into()),
            challenge: None,
            expires_at: LATER,
            failures: 0,
        }),
        refresh_tokens: None,
        status: GrantStatus::Active,
        resources: Vec::new(),
        revoked_access: Vec::new(),
        opaque_tokens: Vec::new(),
        cnf: None,
        ends_at: NOW.plus(Duration::from_secs(3600)),
    }
}

fn shown<'a>(client: &'a ClientId, secret: &'a Secret) -> CodeRedemption<'a> {
    CodeRedemption {
        attempt: attempt(),
        client,
        credential: Credential::AuthorizationCode,
        secret,
        redirect_uri: Some("https://shop.example/cb"),
        verifier: None,
        proven_key: None,
        refresh_tokens: None,
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
        (good(), LATER, Some(GrantError::Expired)),
        (shown(&thief, &secret), NOW, Some(GrantError::WrongClient)),
        (shown(&shop, &other), NOW, Some(GrantError::WrongSecret)),
        (CodeRedemption { redirect_uri: None, ..good() }, NOW, Some(GrantError::WrongRedirectUri)),
        (
            CodeRedemption { verifier: Some("x"), ..good() },
            NOW,
            Some(GrantError::Pkce(PkceError::UnexpectedVerifier)),
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
    assert_eq!(grant.redeem(&shown(&thief, &secret), NOW), Err(GrantError::WrongClient));
    assert_eq!(grant.status, GrantStatus::Active);
    assert_eq!(grant.redeem(&shown(&shop, &secret), NOW), Err(GrantError::Replayed));
    assert_eq!(grant.status, GrantStatus::Revoked { at: NOW, why: RevocationReason::CodeReplayed });
}

#[test]
fn a_wrong_guess_does_not_burn_the_code_but_five_do() {
    let secret = Secret::random();
    let shop = client("shop");
    let mut grant = grant(&secret);
    for _ in 0..4 {
        let wrong =
            CodeRedemption { redirect_uri: Some("https://x.example"), ..shown(&shop, &secret) };
        assert_eq!(grant.redeem(&wrong, NOW), Err(GrantError::WrongRedirectUri));
    }
    let mut survivor = grant.clone();
    assert_eq!(survivor.redeem(&shown(&shop, &secret), NOW), Ok(Redeemed));
    let wrong = CodeRedemption { redirect_uri: None, ..shown(&shop, &secret) };
    assert_eq!(grant.redeem(&wrong, NOW), Err(GrantError::WrongRedirectUri));
    assert_eq!(grant.redeem(&shown(&shop, &secret), NOW), Err(GrantError::Revoked));
}

/// Operators alert on them, so a renamed variant must not change its word.
#[test]
fn every_refusal_has_the_word_it_always_had_in_the_audit_log() {
    for (refusal, word) in [
        (GrantError::Expired, "Expired"),
        (GrantError::Unknown, "Unknown"),
        (GrantError::NoRefresh, "NoRefresh"),
        (GrantError::Pkce(PkceError::MalformedChallenge), "Pkce(MalformedChallenge)"),
        (GrantError::Pkce(PkceError::MalformedVerifier), "Pkce(MalformedVerifier)"),
        (GrantError::Pkce(PkceError::MethodNotS256), "Pkce(MethodNotS256)"),
        (GrantError::Pkce(PkceError::MissingVerifier), "Pkce(MissingVerifier)"),
        (GrantError::Pkce(PkceError::UnexpectedVerifier), "Pkce(UnexpectedVerifier)"),
        (GrantError::Pkce(PkceError::WrongVerifier), "Pkce(WrongVerifier)"),
        (GrantError::Replayed, "Replayed"),
        (GrantError::Revoked, "Revoked"),
        (GrantError::WrongClient, "WrongClient"),
        (GrantError::WrongRedirectUri, "WrongRedirectUri"),
        (GrantError::WrongSecret, "WrongSecret"),
        (GrantError::Inactive(InactiveParty::ClientGone), "Denied(ClientGone)"),
        (GrantError::Inactive(InactiveParty::ClientCutOff), "Denied(ClientCutOff)"),
        (GrantError::Inactive(InactiveParty::UserGone), "Denied(UserGone)"),
        (GrantError::Inactive(InactiveParty::UserCutOff), "Denied(UserCutOff)"),
        (GrantError::Inactive(InactiveParty::ConsentWithdrawn), "Denied(ConsentWithdrawn)"),
        (GrantError::Inactive(InactiveParty::SessionEnded), "Denied(SessionEnded)"),
        (GrantError::Inactive(InactiveParty::Unproven), "Denied(Unproven)"),
        (
            GrantError::TooManyTokens { retry_after: Duration::from_millis(1_500) },
            "TooManyTokens { retry_after: 1.5s }",
        ),
    ] {
        assert_eq!(refusal.as_str(), word);
    }
}

#[test]
fn redemption_binds_the_grant_to_the_key_that_the_request_proves_to_hold() {
    let (shop, secret) = (client("shop"), Secret::random());
    let key = Confirmation::JwkThumbprint("thumbprint".to_owned());
    let mut grant = grant(&secret);
    let redemption = CodeRedemption { proven_key: Some(&key), ..shown(&shop, &secret) };
    assert_eq!(grant.redeem(&redemption, NOW), Ok(Redeemed));
    assert_eq!(grant.cnf, Some(key));
}
