//! Each invariant can fail: a good history with one wrong event in it has to be detected.

use serde_json::json;

use super::encoding;
use super::history::{
    Expected, History, IssuedCode, Login, Observation, PresentedToken, TokenReply, Tokens,
};
use super::idempotence::is_done_once;
use super::interference::{Observed, nobody_else_shows};
use super::invariants::{INVARIANTS, Truth, check_all};
use super::reference::GRACE;
use super::runner::scopes;

const BEGAN: u64 = 1_700_000_000;
const NONE: [u8; 0] = [];

fn truth() -> Truth {
    Truth { issuer: "http://localhost:1".to_owned(), began: BEGAN }
}

fn tokens(generation: u64) -> Tokens {
    let mut claims = json!({
        "sub": "sub-of-ada", "auth_time": BEGAN + 10, "amr": ["pwd"], "acr": "1",
        "aud": "shop", "iss": "http://localhost:1", "sid": "s",
    });
    if generation == 0 {
        claims["nonce"] = json!("n");
    }
    Tokens {
        scope: scopes("openid email"),
        generation,
        refresh: format!("rt1.x.{generation}.y"),
        claims,
        registered: scopes("openid email profile"),
    }
}

fn redeemed(told: TokenReply) -> Observation {
    Observation::Redeemed { code: 0, by: 0, gate: Expected::Accepted, told }
}

fn refreshed(presented: u64, told: TokenReply) -> Observation {
    let newest_held = presented;
    Observation::Refreshed {
        code: 0,
        by: 0,
        presented,
        newest_held,
        in_time: true,
        gate: Expected::Accepted,
        told,
    }
}

fn asks(token: PresentedToken) -> Observation {
    Observation::Asks { code: 0, by: 0, token, active: true, scope: scopes("openid") }
}

/// Ada signs in, agrees, and her application redeems and refreshes.
fn good() -> Vec<Observation> {
    let login = Login { person: 0, name: 1, at: 10 };
    let issue = IssuedCode {
        flow: 0,
        code: 0,
        browser: 0,
        client: 0,
        scope: scopes("openid email"),
        registered: scopes("openid email"),
        nonce: "n".to_owned(),
        wants_acr: true,
        login: Some(login),
        bound: true,
    };
    vec![
        Observation::Asked {
            flow: 0,
            browser: 0,
            login_anew: true,
            max_age: None,
            consent_anew: true,
        },
        Observation::SignedIn { browser: 0, login },
        Observation::Agreed { flow: 0, person: Some(0), client: 0, scope: scopes("openid email") },
        Observation::Coded(issue),
        Observation::Sent { client: Some(0), to: "https://shop.example/cb?code=x".to_owned() },
        redeemed(TokenReply::Tokens(tokens(0))),
        refreshed(0, TokenReply::Tokens(tokens(1))),
        asks(PresentedToken::Access(1)),
    ]
}

fn told(seen: Vec<Observation>) -> History {
    let mut history = History::default();
    for what in seen {
        history.record(10, what);
    }
    history
}

/// The numbers of those that are broken.
fn broken(history: &History) -> Vec<u8> {
    let laws = INVARIANTS.iter().filter(|(_, law)| law(history, &truth()).is_err());
    laws.map(|(number, _)| *number).collect()
}

/// The good history with more after it.
fn and_then(more: Vec<Observation>) -> Vec<u8> {
    broken(&told(good().into_iter().chain(more).collect()))
}

/// The good history with one part of it told otherwise.
fn otherwise(place: usize, lie: impl FnOnce(&mut Observation)) -> Vec<u8> {
    let mut seen = good();
    lie(&mut seen[place]);
    broken(&told(seen))
}

fn with_issue(lie: impl FnOnce(&mut IssuedCode)) -> Vec<u8> {
    otherwise(3, |seen| {
        if let Observation::Coded(issue) = seen {
            lie(issue);
        }
    })
}

fn with_tokens(lie: impl FnOnce(&mut Tokens)) -> Vec<u8> {
    otherwise(5, |seen| {
        if let Observation::Redeemed { told: TokenReply::Tokens(tokens), .. } = seen {
            lie(tokens);
        }
    })
}

#[test]
fn a_good_history_breaks_nothing() {
    assert_eq!(broken(&told(good())), NONE);
    check_all(&told(good()), &truth()).expect("nothing is broken");
}

#[test]
fn a_code_that_is_redeemed_twice_or_lives_on_after_it_was_tried_twice_breaks_1() {
    assert_eq!(and_then(vec![redeemed(TokenReply::Tokens(tokens(0)))]), [1]);
    assert_eq!(and_then(vec![redeemed(TokenReply::Refused), asks(PresentedToken::Access(1))]), [1]);
    let back = Observation::RolledBack { to: 4 };
    assert_eq!(
        and_then(vec![back, redeemed(TokenReply::Tokens(tokens(0)))]),
        NONE,
        "the store forgot"
    );
}

#[test]
fn two_successors_or_one_that_was_replaced_long_ago_break_2() {
    let other = Tokens { refresh: "rt1.x.1.z".to_owned(), ..tokens(1) };
    assert_eq!(and_then(vec![refreshed(0, TokenReply::Tokens(other))]), [2]);
    let next = refreshed(1, TokenReply::Tokens(tokens(2)));
    let burst = refreshed(0, TokenReply::Tokens(tokens(2)));
    assert_eq!(and_then(vec![next.clone(), burst.clone()]), NONE, "one burst, all answered alike");
    let mut late = told(good().into_iter().chain([next.clone(), burst]).collect());
    late.0.last_mut().expect("the second").at += GRACE;
    assert_eq!(broken(&late), [2], "that long after it was replaced");
    let nine: Vec<Observation> =
        (1..9).map(|n| refreshed(n, TokenReply::Tokens(tokens(n + 1)))).collect();
    let shows = |n| [nine.clone(), vec![refreshed(n, TokenReply::Tokens(tokens(9)))]].concat();
    assert_eq!((and_then(shows(1)), and_then(shows(0))), (NONE.to_vec(), vec![2]));
    assert_eq!(and_then(vec![refreshed(7, TokenReply::Tokens(tokens(8)))]), [2]);
    assert_eq!(
        and_then(vec![next, refreshed(1, TokenReply::Tokens(tokens(2)))]),
        NONE,
        "a repetition"
    );
}

#[test]
fn an_honest_client_that_is_refused_breaks_3() {
    assert_eq!(and_then(vec![refreshed(1, TokenReply::Refused)]), [3]);
    let mut older = refreshed(0, TokenReply::Refused);
    if let Observation::Refreshed { newest_held, .. } = &mut older {
        *newest_held = 1;
    }
    assert_eq!(
        and_then(vec![older, refreshed(1, TokenReply::Refused)]),
        NONE,
        "it showed an older one"
    );
}

#[test]
fn what_another_client_gets_breaks_4() {
    let lie = |seen: &mut Observation| {
        if let Observation::Asks { by, .. } = seen {
            *by = 1;
        }
    };
    assert_eq!(otherwise(7, lie), [4]);
    let lie = |seen: &mut Observation| {
        if let Observation::Refreshed { by, .. } = seen {
            *by = 1;
        }
    };
    assert!(otherwise(6, lie).contains(&4));
}

#[test]
fn a_scope_that_grows_anywhere_breaks_5() {
    assert_eq!(with_tokens(|it| it.scope.extend(["profile".to_owned()])), [5]);
    assert_eq!(with_tokens(|it| it.registered = scopes("openid")), [5]);
    assert_eq!(with_issue(|it| it.registered = scopes("openid")), [5]);
    assert!(with_issue(|it| it.scope.extend(["profile".to_owned()])).contains(&5));
    let lie = |seen: &mut Observation| {
        if let Observation::Asks { scope, .. } = seen {
            *scope = scopes("phone");
        }
    };
    assert_eq!(otherwise(7, lie), [5]);
}

#[test]
fn anything_that_lives_on_after_its_end_breaks_6() {
    let ends = [
        Observation::Revoked { code: 0, access: None },
        Observation::Revoked { code: 0, access: Some(1) },
        Observation::SignedOut { name: 1 },
        Observation::CutOff { person: 0 },
        Observation::ClientOff { client: 0 },
        Observation::ClientRemoved { client: 0 },
    ];
    for end in ends {
        assert_eq!(and_then(vec![end.clone(), asks(PresentedToken::Access(1))]), [6], "{end:?}");
        let back = Observation::RolledBack { to: 8 };
        assert_eq!(
            and_then(vec![end, back, asks(PresentedToken::Access(1))]),
            NONE,
            "the store forgot"
        );
    }
    let others = vec![
        Observation::SignedOut { name: 2 },
        Observation::CutOff { person: 1 },
        asks(PresentedToken::Access(1)),
    ];
    assert_eq!(and_then(others), NONE, "another's end");
}

#[test]
fn a_claim_that_is_not_so_breaks_7() {
    for (name, lie) in [
        ("sub", json!("sub-of-bob")),
        ("auth_time", json!(BEGAN + 11)),
        ("amr", json!(["pwd", "otp"])),
        ("acr", json!(null)),
        ("nonce", json!("m")),
        ("sid", json!("t")),
        ("aud", json!("forum")),
        ("iss", json!("http://localhost:2")),
    ] {
        assert_eq!(with_tokens(|it| it.claims[name] = lie.clone()), [7], "{name}");
    }
    let lie = |seen: &mut Observation| {
        if let Observation::Asked { login_anew, max_age, .. } = seen {
            (*login_anew, *max_age) = (false, Some(5));
        }
    };
    let mut seen = good();
    lie(&mut seen[0]);
    let mut history = told(seen);
    assert_eq!(broken(&history), NONE, "signed in at that moment");
    for fact in
        history.0.iter_mut().filter(|fact| !matches!(fact.what, Observation::SignedIn { .. }))
    {
        fact.at = 16;
    }
    assert_eq!(broken(&history), [7], "six seconds are more than five");
}

#[test]
fn a_step_that_is_left_out_breaks_8() {
    for place in 0..3 {
        let mut seen = good();
        seen.remove(place);
        assert!(broken(&told(seen)).contains(&8), "without {place}");
    }
    assert_eq!(with_issue(|it| it.browser = 1), [8], "in another browser");
    assert!(with_issue(|it| it.login = None).contains(&8));
    let mut seen = good();
    seen.insert(3, Observation::SignedOut { name: 1 });
    assert!(broken(&told(seen)).contains(&8), "after the logout");
    let lie = |seen: &mut Observation| {
        if let Observation::Agreed { flow, .. } = seen {
            *flow = 9;
        }
    };
    assert_eq!(otherwise(2, lie), [8], "it had to be agreed to anew");
}

#[test]
fn a_way_out_breaks_9() {
    for to in [
        "https://evil.example/cb?code=x",
        "https://shop.example/cb.evil.example?code=x",
        "https://forum.example/cb?code=x",
        "//evil.example/",
        "http://localhost:12/",
    ] {
        let lie = |seen: &mut Observation| {
            if let Observation::Sent { to: held, .. } = seen {
                *held = to.into();
            }
        };
        assert_eq!(otherwise(4, lie), [9], "{to}");
    }
}

#[test]
fn whoever_shows_somebody_else_breaks_10() {
    let seen = |status, length, commands| Observed { what: "login", status, length, commands };
    let plain = [seen(200, 10, 3)];
    assert!(nobody_else_shows(&plain, &plain).is_ok());
    for other in [seen(400, 10, 3), seen(200, 11, 3), seen(200, 10, 4)] {
        assert!(nobody_else_shows(&plain, &[other]).is_err());
    }
    assert!(nobody_else_shows(&plain, &[]).is_err());
}

#[test]
fn what_counts_every_time_breaks_12() {
    let counts = |state: &mut u64| {
        *state += 1;
        *state
    };
    assert!(is_done_once(&0_u64, counts).is_err());
    assert!(is_done_once(&0_u64, |state| *state += 1).is_err(), "the state alone");
    assert!(is_done_once(&0_u64, |state| *state = 7).is_ok());
}

#[test]
fn a_record_that_shows_a_secret_or_does_not_read_back_breaks_13() {
    let record = br#"{"sub":"a","username":"ada","password":null,"enabled":true,"created_at":0}"#;
    let judge = |bytes: &[u8], secret: &str| encoding::judge("{user:a}user.v1", bytes, &[secret]);
    let whole = String::from_utf8_lossy(record)
        .replace("\"created_at\"", "\"claims\":{},\"groups\":[],\"created_at\"");
    judge(whole.as_bytes(), "a secret").expect("nothing is wrong with it");
    assert!(judge(whole.replace("ada", "a secret").as_bytes(), "a secret").is_err());
    assert!(judge(record, "a secret").is_err(), "something is added");
    assert!(judge(b"{}", "a secret").is_err());
}
