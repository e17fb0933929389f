//! A transition that is repeated under the same attempt id answers the same and changes nothing more.

use std::time::Duration;

use latchkey::domain::clients::ClientId;
use latchkey::domain::grants::{
    AttemptId, CodeRedemption, CodeState, Credential, Grant, GrantId, GrantStatus, RefreshRequest,
    RefreshTokenFamily, RevocationReason,
};
use latchkey::infra::clock::UnixTime;
use latchkey::infra::secret::Secret;
use latchkey::protocol::claims::ClaimsRequest;
use proptest::prelude::*;
use serde_json::Value;
use uuid::Uuid;

const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);
const CODE: Duration = Duration::from_secs(60);
const GRACE: Duration = Duration::from_secs(30);

/// **12, idempotence.** Re-running a step of the store with the same attempt returns the same answer and
/// leaves the same state.
pub fn is_done_once<S, A>(state: &S, step: impl Fn(&mut S) -> A) -> Result<(), String>
where
    S: Clone + serde::Serialize,
    A: PartialEq + std::fmt::Debug,
{
    let written = |state: &S| serde_json::to_value(state).expect("a record");
    let mut once = state.clone();
    let first = step(&mut once);
    let mut twice = once.clone();
    let second = step(&mut twice);
    let (once, twice): (Value, Value) = (written(&once), written(&twice));
    if first != second || once != twice {
        return Err(format!(
            "invariant 12 is broken: {first:?} became {second:?}, and {once} became {twice}"
        ));
    }
    Ok(())
}

/// What is done to a grant, with its attempt where it carries one.
#[derive(Clone, Debug)]
enum Step {
    Redeem { attempt: u128, right_secret: bool, right_client: bool, right_uri: bool },
    Rotate { presented: u64, right_client: bool },
    Revoke,
    RevokeAccess(u128),
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        (
            0..3_u128,
            prop::bool::weighted(0.9),
            prop::bool::weighted(0.9),
            prop::bool::weighted(0.8)
        )
            .prop_map(|(attempt, right_secret, right_client, right_uri)| Step::Redeem {
                attempt,
                right_secret,
                right_client,
                right_uri
            }),
        (0..4_u64, prop::bool::weighted(0.9))
            .prop_map(|(presented, right_client)| Step::Rotate { presented, right_client }),
        Just(Step::Revoke),
        (0..3_u128).prop_map(Step::RevokeAccess),
    ]
}

fn grant(secret: &Secret) -> Grant {
    Grant {
        id: GrantId(Uuid::nil()),
        client: ClientId::parse("shop").expect("an id"),
        client_created_at: None,
        client_epoch: None,
        authentication: None,
        scope: "openid".parse().expect("a scope"),
        claims: ClaimsRequest::default(),
        nonce: None,
        code: Some(CodeState::Issued {
            secret: secret.digest(),
            credential: Credential::AuthorizationCode,
            redirect_uri: Some("https://shop.example/cb".to_owned()),
            challenge: None,
            expires_at: NOW.plus(CODE),
            failures: 0,
        }),
        refresh_tokens: None,
        status: GrantStatus::Active,
        resources: Vec::new(),
        revoked_access: Vec::new(),
        opaque_tokens: Vec::new(),
        cnf: None,
        ends_at: NOW.plus(CODE),
    }
}

/// Does the step, and answers what it answered.
fn run(step: &Step, grant: &mut Grant, secret: &Secret, now: UnixTime) -> String {
    let name = |right: bool| ClientId::parse(if right { "shop" } else { "forum" }).expect("an id");
    match *step {
        Step::Redeem { attempt, right_secret, right_client, right_uri } => {
            let other = Secret::parse(&"A".repeat(43)).expect("32 bytes");
            let shown = CodeRedemption {
                attempt: AttemptId(Uuid::from_u128(attempt)),
                client: &name(right_client),
                credential: Credential::AuthorizationCode,
                secret: if right_secret { secret } else { &other },
                redirect_uri: right_uri.then_some("https://shop.example/cb"),
                verifier: None,
                proven_key: None,
                refresh_tokens: Some(RefreshTokenFamily::new(CODE * 60, CODE * 600, now)),
                ends_at: now.plus(CODE * 600),
            };
            format!("{:?}", grant.redeem(&shown, now))
        }
        Step::Rotate { presented, right_client } => {
            let rotation = RefreshRequest { client: &name(right_client), presented, grace: GRACE };
            format!("{:?}", grant.rotate(rotation, now))
        }
        Step::Revoke => {
            grant.revoke(now, RevocationReason::Requested);
            String::new()
        }
        Step::RevokeAccess(token) => {
            grant.revoke_access_token(Uuid::from_u128(token), NOW.plus(CODE * 10), now);
            String::new()
        }
    }
}

/// Whether it is a step that the server itself would run again: a failed redemption counts against the code,
/// a replay's answer changes once the grant is over, and a guessed future generation is never ours to ask for.
fn is_own_try(step: &Step, grant: &Grant, secret: &Secret, now: UnixTime) -> bool {
    match step {
        Step::Redeem { .. } => run(step, &mut grant.clone(), secret, now).starts_with("Ok"),
        Step::Rotate { presented, .. } => {
            let known =
                grant.refresh_tokens.as_ref().is_some_and(|held| *presented <= held.current);
            known && run(step, &mut grant.clone(), secret, now).starts_with("Ok")
        }
        Step::Revoke | Step::RevokeAccess(_) => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_step_that_is_run_again_answers_the_same_and_changes_nothing_more(
        trace in prop::collection::vec((steps(), 0..20_u64), 1..20),
    ) {
        let secret = Secret::parse(&"B".repeat(42)).or(Secret::parse(&format!("{}A", "B".repeat(42))));
        let secret = secret.expect("32 bytes");
        let (mut held, mut now) = (grant(&secret), NOW);
        for (step, wait) in trace {
            now = now.plus(Duration::from_secs(wait));
            if is_own_try(&step, &held, &secret, now) {
                let done = is_done_once(&held, |grant| run(&step, grant, &secret, now));
                prop_assert!(done.is_ok(), "{:?}: {:?}", step, done);
            }
            run(&step, &mut held, &secret, now);
        }
    }
}
