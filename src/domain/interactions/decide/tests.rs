use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::domain::authenticators::Authentication;
use crate::domain::authorization_request::{
    Destination, HintedSubject, Reply, RequestPolicy, validate,
};
use crate::domain::clients::{ClientId, ClientSettings, RegistrationSource};
use crate::domain::consent;
use crate::domain::epoch::Epoch;
use crate::domain::grants::AttemptId;
use crate::domain::interactions::{InteractionOutcome, REPEAT_WINDOW, RefusalCode};
use crate::domain::resources::ResourceCatalogue;
use crate::domain::sessions::SessionLifetimes;
use crate::infra::secret::Secret;
use crate::protocol::claims::{ClaimsRequest, ScopeCatalogue};
use crate::protocol::client_metadata::ApplicationType;
use crate::protocol::{ClientMetadata, Params, Prompt, RequirePkce, ResponseType, Subject};

const NOW: UnixTime = UnixTime::from_millis(1_700_000_000_000);
const URI: &str = "https://shop.example/cb";

fn client(first_party: bool, method: &str, uri: &str) -> Client {
    let members = json!({"redirect_uris": [uri], "token_endpoint_auth_method": method});
    Client {
        id: ClientId::parse("shop").unwrap(),
        metadata: ClientMetadata::parse(members.as_object().unwrap()).unwrap(),
        settings: ClientSettings { first_party, ..ClientSettings::default() },
        secrets: Vec::new(),
        registration_token: None,
        enabled: true,
        source: RegistrationSource::Operator,
        created_at: NOW,
        unused_until: None,
        development: false,
        declared: None,
    }
}

fn request(client: &Client, more: &str) -> AuthorizationRequest {
    let uri = &client.metadata.redirect_uris[0];
    let challenge =
        "code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
    let text =
        format!("response_type=code&scope=openid+email&redirect_uri={uri}&{challenge}&{more}");
    let params = Params::parse(text.as_bytes()).unwrap();
    let reply = Reply::Redirect(Destination::resolve(&params, &client.metadata).unwrap());
    let policy = RequestPolicy {
        issuer: "https://id.example",
        resources: &ResourceCatalogue::default(),
        catalogue: &ScopeCatalogue::default(),
        response_types: &[ResponseType::Code],
        require_pkce: RequirePkce::All,
    };
    validate(&params, client, reply, policy, HintedSubject::Absent).unwrap()
}

fn session(age: u64) -> Session {
    let limits =
        SessionLifetimes { idle: Duration::from_secs(3600), absolute: Duration::from_secs(7200) };
    let then = NOW.minus(Duration::from_secs(age));
    Session::begin(
        Authentication::by_password(Subject::parse("ada").unwrap(), Epoch::default(), then),
        limits,
    )
    .0
}

fn consent(client: &Client, scope: &str) -> Consent {
    Consent {
        sub: Subject::parse("ada").unwrap(),
        client: client.id.clone(),
        scope: scope.parse().unwrap(),
        claims: ClaimsRequest::default().user_claims().into_iter().map(str::to_owned).collect(),
        apis: BTreeMap::new(),
        display_digest: consent::display_digest(client),
        given_at: NOW,
    }
}

#[test]
fn every_prompt_meets_every_session() {
    use ErrorCode::{ConsentRequired, LoginRequired};
    use NextStep::{Issue, Refuse};

    const LOGIN: NextStep = NextStep::Ask(Step::Login);
    const ACCOUNT: NextStep = NextStep::Ask(Step::Account);
    const CONSENT: NextStep = NextStep::Ask(Step::Consent);

    let client = client(false, "client_secret_basic", URI);
    let (full, partial) = (consent(&client, "openid email"), consent(&client, "openid"));
    #[rustfmt::skip]
    let table = [
        // prompt                  absent                 stale                  partial                  full
        ("",                      [LOGIN,                 LOGIN,                 CONSENT,                 Issue]),
        ("prompt=consent",        [LOGIN,                 LOGIN,                 CONSENT,                 CONSENT]),
        ("prompt=login",          [LOGIN,                 LOGIN,                 LOGIN,                   LOGIN]),
        ("prompt=select_account", [LOGIN,                 LOGIN,                 ACCOUNT,                 ACCOUNT]),
        ("prompt=none",           [Refuse(LoginRequired), Refuse(LoginRequired), Refuse(ConsentRequired), Issue]),
    ];
    for (prompt, row) in table {
        let request = request(&client, &format!("max_age=300&{prompt}"));
        let (stale, fresh) = (session(301), session(299));
        let columns = [
            (None, None),
            (Some(&stale), Some(&full)),
            (Some(&fresh), Some(&partial)),
            (Some(&fresh), Some(&full)),
        ];
        for ((session, consent), expected) in columns.into_iter().zip(row) {
            let seen_as = session.map(|session| &session.sub);
            let (request, client) = (&request, &client);
            let known = DecisionInput {
                request,
                client,
                session,
                client_subject: seen_as,
                consent,
                interaction: None,
                has_cookie: false,
            };
            assert_eq!(decide(known, NOW), expected, "{prompt} {session:?}");
        }
    }
}

#[test]
fn what_was_done_in_the_interaction_counts_and_nothing_else_does() {
    let client = client(false, "client_secret_basic", URI);
    let claims = "claims=%7B%22userinfo%22%3A%7B%22name%22%3Anull%7D%7D";
    let request = request(&client, &format!("prompt=login+consent&max_age=0&{claims}"));
    let session = session(0);
    let lifetime = Duration::from_secs(600);
    let (mut it, _) = Interaction::begin(request.clone(), &Secret::random(), lifetime, NOW);
    let next = |it: &Interaction| {
        let full = consent(&client, "openid email");
        let known = DecisionInput {
            request: &request,
            client: &client,
            session: Some(&session),
            client_subject: Some(&session.sub),
            consent: Some(&full),
            interaction: Some(it),
            has_cookie: true,
        };
        decide(known, NOW)
    };
    assert_eq!(next(&it), NextStep::Ask(Step::Login));
    it.signed_in_session = Some(session.id);
    assert_eq!(next(&it), NextStep::Ask(Step::Consent));
    let agreed = |sub: &str, scope: &str, claims: &[&str]| {
        Some(super::super::GivenConsent {
            sub: Subject::parse(sub).unwrap(),
            scope: scope.parse().unwrap(),
            claims: claims.iter().map(|claim| (*claim).to_owned()).collect(),
            resources: BTreeSet::new(),
            consent_epoch: crate::domain::epoch::Epoch::default(),
        })
    };
    for (agreed, expected, what) in [
        (
            agreed("ada", "openid", &["name"]),
            NextStep::Ask(Step::Consent),
            "less than what is asked",
        ),
        (agreed("ada", "openid email", &[]), NextStep::Ask(Step::Consent), "a claim less"),
        (
            agreed("eve", "openid email", &["name"]),
            NextStep::Ask(Step::Consent),
            "somebody else's yes",
        ),
        (agreed("ada", "openid email", &["name"]), NextStep::Issue, "all of it"),
    ] {
        it.given_consent = agreed;
        assert_eq!(next(&it), expected, "{what}");
    }
}

#[test]
fn an_application_nobody_can_tie_to_a_place_is_always_asked_about() {
    let session = session(1);
    let (web, native) = (ApplicationType::Web, ApplicationType::Native);
    let (private, loopback) = ("com.example.app:/cb", "http://127.0.0.1:5173/cb");
    let portless = "http://127.0.0.1/cb";
    for (first_party, method, kind, registered, uri, expected) in [
        (false, "none", web, private, private, NextStep::Ask(Step::Consent)),
        (false, "none", native, private, private, NextStep::Ask(Step::Consent)),
        (false, "none", native, loopback, loopback, NextStep::Ask(Step::Consent)),
        (false, "none", native, loopback, "http://127.0.0.1:4711/cb", NextStep::Ask(Step::Consent)),
        // In development: at its one registered address, and not at whatever port of a device.
        (false, "none", web, loopback, loopback, NextStep::Issue),
        (false, "none", web, portless, portless, NextStep::Issue),
        (false, "none", web, portless, "http://127.0.0.1:4711/cb", NextStep::Ask(Step::Consent)),
        (false, "none", web, URI, URI, NextStep::Issue),
        (false, "none", native, URI, URI, NextStep::Issue),
        // It proves itself.
        (false, "client_secret_basic", native, private, private, NextStep::Issue),
        (true, "none", native, private, private, NextStep::Issue),
    ] {
        let mut client = client(first_party, method, registered);
        client.metadata.application_type = kind;
        let mut request = request(&client, "");
        let asked = format!("redirect_uri={uri}");
        let asked = Params::parse(asked.as_bytes()).unwrap();
        request.reply = Reply::Redirect(Destination::resolve(&asked, &client.metadata).unwrap());
        let full = consent(&client, "openid email");
        let known = DecisionInput {
            request: &request,
            client: &client,
            session: Some(&session),
            client_subject: Some(&session.sub),
            consent: Some(&full),
            interaction: None,
            has_cookie: false,
        };
        assert_eq!(decide(known, NOW), expected, "{method} {kind:?} {registered} {uri}");
    }
}

#[test]
fn another_person_than_the_hinted_one_is_not_given_out() {
    let client = client(true, "none", URI);
    let session = session(1);
    let mut request = request(&client, "");
    request.hinted = Subject::parse("eve");
    let decided = |request: &AuthorizationRequest| {
        let known = DecisionInput {
            request,
            client: &client,
            session: Some(&session),
            client_subject: Some(&session.sub),
            consent: None,
            interaction: None,
            has_cookie: false,
        };
        decide(known, NOW)
    };
    assert_eq!(decided(&request), NextStep::Ask(Step::Login));
    request.prompt = Prompt { none: true, ..Prompt::default() };
    assert_eq!(decided(&request), NextStep::Refuse(ErrorCode::LoginRequired));
}

/// The status of an interaction decides before anything that was asked: the rows are what was done, the columns who
/// comes and when.
#[test]
fn a_visit_goes_on_in_its_own_browser_until_it_is_over_and_who_asks_twice_is_told_the_same() {
    use ErrorCode::AccessDenied;
    use NextStep::{Issue, Refuse};

    const LOGIN: NextStep = NextStep::Ask(Step::Login);
    const CONSENT: NextStep = NextStep::Ask(Step::Consent);
    const EXPIRED: NextStep = NextStep::Stop(StopReason::Expired);
    const FINISHED: NextStep = NextStep::Stop(StopReason::Finished);
    const FOREIGN: NextStep = NextStep::Stop(StopReason::Foreign);

    let client = client(false, "client_secret_basic", URI);
    let request = request(&client, "prompt=login+consent");
    let session = session(0);
    let lifetime = Duration::from_secs(600);
    let begun = Interaction::begin(request.clone(), &Secret::random(), lifetime, NOW).0;
    let mut signed_in = begun.clone();
    signed_in.record_sign_in(&session);
    let mut agreed = signed_in.clone();
    let scope = "openid email".parse().unwrap();
    let claims = BTreeSet::new();
    let consent_epoch = crate::domain::epoch::Epoch::default();
    let sub = session.sub.clone();
    agreed.given_consent = Some(super::super::GivenConsent {
        sub,
        scope,
        claims,
        resources: BTreeSet::new(),
        consent_epoch,
    });
    let declined = Interaction { declined: true, ..begun.clone() };
    let answered = |it: &Interaction, refused| {
        let mut it = it.clone();
        let attempt = AttemptId(Uuid::from_u128(1));
        assert!(
            it.finish(attempt, InteractionOutcome { at: NOW, sid: Some(session.sid), refused })
        );
        it
    };
    let given = answered(&agreed, None);
    let denied = answered(&declined, Some(RefusalCode::AccessDenied));
    let by_older_release = Interaction { outcome: None, ..given.clone() };
    // Answered in a session that has ended since; the same person is here again.
    let mut before = given.clone();
    before.outcome = Some(InteractionOutcome { at: NOW, sid: None, refused: None });
    #[rustfmt::skip]
    let table = [
        //                   own, at once          own, a minute later  own, too late  another's, at once  another's, too late
        (&begun,            [LOGIN,                LOGIN,               EXPIRED,       FOREIGN,            FOREIGN]),
        (&signed_in,        [CONSENT,              CONSENT,             EXPIRED,       FOREIGN,            FOREIGN]),
        (&agreed,           [Issue,                Issue,               EXPIRED,       FOREIGN,            FOREIGN]),
        (&declined,         [Refuse(AccessDenied), Refuse(AccessDenied),EXPIRED,       FOREIGN,            FOREIGN]),
        (&given,            [Issue,                FINISHED,            FINISHED,      FINISHED,           FINISHED]),
        (&denied,           [Refuse(AccessDenied), FINISHED,            FINISHED,      FINISHED,           FINISHED]),
        (&before,           [FINISHED,             FINISHED,            FINISHED,      FINISHED,           FINISHED]),
        (&by_older_release, [FINISHED,             FINISHED,            FINISHED,      FINISHED,           FINISHED]),
    ];
    let (soon, minute, late) = (NOW, NOW.plus(REPEAT_WINDOW), NOW.plus(lifetime));
    let columns = [(true, soon), (true, minute), (true, late), (false, soon), (false, late)];
    for (n, (it, row)) in table.into_iter().enumerate() {
        for ((own, now), expected) in columns.into_iter().zip(row) {
            let known = DecisionInput {
                request: &request,
                client: &client,
                session: Some(&session),
                client_subject: Some(&session.sub),
                consent: None,
                interaction: Some(it),
                has_cookie: own,
            };
            assert_eq!(decide(known, now), expected, "row {n}, own: {own}, {now:?}");
        }
    }
}

#[test]
fn of_the_sessions_that_one_form_made_any_will_do_and_an_older_one_of_the_name_will_not() {
    let client = client(true, "none", URI);
    let request = request(&client, "prompt=login");
    let lifetime = Duration::from_secs(600);
    let (first, older) = (session(0), session(1));
    let second = Session { sid: first.sid, ..session(0) };
    let before = Session { sid: first.sid, ..older };
    let mut it = Interaction::begin(request.clone(), &Secret::random(), lifetime, NOW).0;
    it.record_sign_in(&first);
    for (session, expected) in [
        (&first, NextStep::Issue),
        (&second, NextStep::Issue),
        (&before, NextStep::Ask(Step::Login)),
        (&session(0), NextStep::Ask(Step::Login)),
    ] {
        let known = DecisionInput {
            request: &request,
            client: &client,
            session: Some(session),
            client_subject: Some(&session.sub),
            consent: None,
            interaction: Some(&it),
            has_cookie: true,
        };
        assert_eq!(decide(known, NOW), expected);
    }
}

#[test]
fn of_two_tries_to_finish_one_is_the_first_however_often_it_asks() {
    let client = client(true, "none", URI);
    let lifetime = Duration::from_secs(600);
    let mut it = Interaction::begin(request(&client, ""), &Secret::random(), lifetime, NOW).0;
    let [first, second] = [1, 2].map(|n| AttemptId(Uuid::from_u128(n)));
    let answer = InteractionOutcome { at: NOW, sid: None, refused: None };
    let other = InteractionOutcome { at: NOW, sid: None, refused: Some(RefusalCode::AccessDenied) };
    assert!(it.finish(first, answer) && it.finish(first, answer));
    assert!(!it.finish(second, other));
    assert_eq!(it.outcome, Some(answer));
}
