use std::time::Duration;

use serde_json::json;

use super::*;
use crate::clients::{ClientId, Settings, Source};
use crate::consents;
use crate::epoch::Epoch;
use crate::protocol::claims::{ClaimsRequest, ScopeCatalogue};
use crate::protocol::client_metadata::ApplicationType;
use crate::protocol::{ClientMetadata, Params, Prompt, RequirePkce, ResponseType, Subject};
use crate::requests::{Destination, Hinted, RequestPolicy, validate};
use crate::secret::Secret;
use crate::sessions::Limits;

const NOW: UnixTime = UnixTime::from_millis(1_700_000_000_000);
const URI: &str = "https://shop.example/cb";

fn client(first_party: bool, method: &str, uri: &str) -> Client {
    let members = json!({"redirect_uris": [uri], "token_endpoint_auth_method": method});
    Client {
        id: ClientId::parse("shop").unwrap(),
        metadata: ClientMetadata::parse(members.as_object().unwrap()).unwrap(),
        settings: Settings { first_party, ..Settings::default() },
        secrets: Vec::new(),
        registration_token: None,
        enabled: true,
        source: Source::Operator,
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
    let to = Destination::settle(&params, &client.metadata).unwrap();
    let policy = RequestPolicy {
        catalogue: &ScopeCatalogue::default(),
        response_types: &[ResponseType::Code],
        require_pkce: RequirePkce::All,
    };
    validate(&params, client, to, policy, Hinted::Nobody).unwrap()
}

fn session(age: u64) -> Session {
    let limits = Limits { idle: Duration::from_secs(3600), absolute: Duration::from_secs(7200) };
    let then = NOW.minus(Duration::from_secs(age));
    Session::begin(Subject::parse("ada").unwrap(), Epoch::default(), &["pwd"], limits, then).0
}

fn consent(client: &Client, scope: &str) -> Consent {
    Consent {
        sub: Subject::parse("ada").unwrap(),
        client: client.id.clone(),
        scope: scope.parse().unwrap(),
        claims: ClaimsRequest::default().names().into_iter().map(str::to_owned).collect(),
        face: consents::face(client),
        given_at: NOW,
    }
}

#[test]
fn every_prompt_meets_every_session() {
    use ErrorCode::{ConsentRequired, LoginRequired};
    use Next::{AskAccount, AskConsent, AskLogin, Issue, Refuse};

    let client = client(false, "client_secret_basic", URI);
    let (full, partial) = (consent(&client, "openid email"), consent(&client, "openid"));
    #[rustfmt::skip]
    let table = [
        // prompt                  absent                 stale                  partial                  full
        ("",                      [AskLogin,              AskLogin,              AskConsent,              Issue]),
        ("prompt=consent",        [AskLogin,              AskLogin,              AskConsent,              AskConsent]),
        ("prompt=login",          [AskLogin,              AskLogin,              AskLogin,                AskLogin]),
        ("prompt=select_account", [AskLogin,              AskLogin,              AskAccount,              AskAccount]),
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
            let known = Known { request, client, session, seen_as, consent, interaction: None };
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
        let known = Known {
            request: &request,
            client: &client,
            session: Some(&session),
            seen_as: Some(&session.sub),
            consent: Some(&full),
            interaction: Some(it),
        };
        decide(known, NOW)
    };
    assert_eq!(next(&it), Next::AskLogin);
    it.signed_in = Some(session.id);
    assert_eq!(next(&it), Next::AskConsent);
    let agreed = |sub: &str, scope: &str, claims: &[&str]| {
        Some(super::super::Agreed {
            sub: Subject::parse(sub).unwrap(),
            scope: scope.parse().unwrap(),
            claims: claims.iter().map(|claim| (*claim).to_owned()).collect(),
        })
    };
    for (agreed, expected, what) in [
        (agreed("ada", "openid", &["name"]), Next::AskConsent, "less than what is asked"),
        (agreed("ada", "openid email", &[]), Next::AskConsent, "a claim less"),
        (agreed("eve", "openid email", &["name"]), Next::AskConsent, "somebody else's yes"),
        (agreed("ada", "openid email", &["name"]), Next::Issue, "all of it"),
    ] {
        it.agreed = agreed;
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
        (false, "none", web, private, private, Next::AskConsent),
        (false, "none", native, private, private, Next::AskConsent),
        (false, "none", native, loopback, loopback, Next::AskConsent),
        (false, "none", native, loopback, "http://127.0.0.1:4711/cb", Next::AskConsent),
        // In development: at its one registered address, and not at whatever port of a device.
        (false, "none", web, loopback, loopback, Next::Issue),
        (false, "none", web, portless, portless, Next::Issue),
        (false, "none", web, portless, "http://127.0.0.1:4711/cb", Next::AskConsent),
        (false, "none", web, URI, URI, Next::Issue),
        (false, "none", native, URI, URI, Next::Issue),
        // It proves itself.
        (false, "client_secret_basic", native, private, private, Next::Issue),
        (true, "none", native, private, private, Next::Issue),
    ] {
        let mut client = client(first_party, method, registered);
        client.metadata.application_type = kind;
        let mut request = request(&client, "");
        let asked = format!("redirect_uri={uri}");
        let asked = Params::parse(asked.as_bytes()).unwrap();
        request.destination = Destination::settle(&asked, &client.metadata).unwrap();
        let full = consent(&client, "openid email");
        let known = Known {
            request: &request,
            client: &client,
            session: Some(&session),
            seen_as: Some(&session.sub),
            consent: Some(&full),
            interaction: None,
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
        let known = Known {
            request,
            client: &client,
            session: Some(&session),
            seen_as: Some(&session.sub),
            consent: None,
            interaction: None,
        };
        decide(known, NOW)
    };
    assert_eq!(decided(&request), Next::AskLogin);
    request.prompt = Prompt { none: true, ..Prompt::default() };
    assert_eq!(decided(&request), Next::Refuse(ErrorCode::LoginRequired));
}
