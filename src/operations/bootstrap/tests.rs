use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::domain::clients::{self, ClientId};
use crate::domain::events::{Actor, Events};
use crate::infra::clock::{Clock, UnixTime};
use crate::infra::password::PasswordHasher;
use crate::infra::secret::Digest;
use crate::infra::store::{MemoryStore, Store};
use crate::operations::Context;

mod told;

const SECRET: &str = "a-secret-of-thirty-two-characters-or-more";

const FILE: &str = r#"
[[scopes]]
name = "groups"
description = "See which groups you are in"
claims = ["groups"]

[[users]]
username = "Ada"
password = "tea with seven otters"
groups = ["staff"]
[users.claims]
name = "Ada Lovelace"
birthdate = 1815-12-10
updated_at = 1_700_000_000
address = { country = "UK" }
score = [1, 2.5, true]

[[clients]]
client_id = "shop"
client_secret = "a-secret-of-thirty-two-characters-or-more"
redirect_uris = ["https://shop.example/cb"]
scope = "openid groups"
[clients.settings]
first_party = true
"#;

const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

fn store() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new(Clock::manual(NOW)))
}

async fn apply(file: &str, store: &dyn Store) -> Result<ApplyReport, ApplyError> {
    let (events, passwords) = (Events::new(Clock::manual(NOW)), PasswordHasher::new(1, 4));
    let context = Context {
        issuer: "https://id.example",
        store,
        now: NOW,
        passwords: &passwords,
        events: &events,
        keys: None,
        declared: &Declared::default(),
        by: Actor::BootstrapFile,
    };
    let applied = Bootstrap::parse(file).unwrap().apply(&context).await;
    events.flush(store).await.unwrap();
    applied
}

fn tally(created: usize, changed: usize, unchanged: usize) -> ApplyCounts {
    ApplyCounts { created, changed, unchanged }
}

fn errors(file: &str) -> Vec<String> {
    Bootstrap::parse(file).unwrap_err().0
}

#[tokio::test]
async fn applying_twice_changes_nothing_the_second_time() {
    let store = store();
    let first = apply(FILE, &*store).await.unwrap();
    assert_eq!(first, ApplyReport { users: tally(1, 0, 0), clients: tally(1, 0, 0) });
    let ada = users::find_by_username(&*store, "ada").await.unwrap().unwrap();
    let second = apply(FILE, &*store).await.unwrap();
    assert_eq!(second, ApplyReport { users: tally(0, 0, 1), clients: tally(0, 0, 1) });

    assert_eq!(users::find_by_username(&*store, "ada").await.unwrap().unwrap(), ada);
    assert_eq!(ada.claims["birthdate"], "1815-12-10");
    assert_eq!(ada.claims["score"], json!([1, 2.5, true]));
    assert_eq!(ada.claims["address"], json!({"country": "UK"}));
    let shop = ClientId::parse("shop").unwrap();
    let shop = clients::find(&*store, &shop).await.unwrap().unwrap();
    assert!(shop.accepts_secret(SECRET, NOW) && shop.settings.first_party);
    assert!(clients::is_known_origin(&*store, "https://shop.example").await.unwrap());
}

#[tokio::test]
async fn what_differs_is_changed_and_the_rest_is_left_alone() {
    let store = store();
    apply(FILE, &*store).await.unwrap();
    let before = users::find_by_username(&*store, "ada").await.unwrap().unwrap();
    users::update(&*store, &before.sub, |user| user.enabled = false).await.unwrap();

    let file = FILE
        .replace("https://shop.example/cb", "https://shop.example/back")
        .replace("[\"staff\"]", "[\"staff\", \"admin\"]");
    let applied = apply(&file, &*store).await.unwrap();
    assert_eq!(applied, ApplyReport { users: tally(0, 1, 0), clients: tally(0, 1, 0) });
    let after = users::find_by_username(&*store, "ada").await.unwrap().unwrap();
    assert_eq!(after.groups, ["staff", "admin"]);
    assert_eq!(after.password, before.password, "a password that matches is not hashed again");
    assert!(!after.enabled, "a restart lets nobody in again whom the operator disabled");
    assert_eq!(after.sub, before.sub);

    let file = file.replace("seven otters", "nine otters").replace(SECRET, &"s".repeat(40));
    let applied = apply(&file, &*store).await.unwrap();
    assert_eq!(applied, ApplyReport { users: tally(0, 1, 0), clients: tally(0, 1, 0) });
    let again = users::find_by_username(&*store, "ada").await.unwrap().unwrap();
    assert_ne!(again.password, before.password);
    let shop = ClientId::parse("shop").unwrap();
    let shop = clients::find(&*store, &shop).await.unwrap().unwrap();
    assert!(!shop.accepts_secret(SECRET, NOW) && shop.accepts_secret(&"s".repeat(40), NOW));

    let nobody = apply("", &*store).await.unwrap();
    assert_eq!(nobody, ApplyReport::default());
    assert!(users::find(&*store, &before.sub).await.unwrap().is_some());
}

fn verifies(user: &users::User, password: &str) -> bool {
    use argon2::PasswordVerifier;
    let hash = user.password.as_deref().unwrap();
    let hash = argon2::PasswordHash::new(hash).unwrap();
    argon2::Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
}

#[tokio::test]
async fn a_password_in_the_file_counts_when_it_is_new_there_and_undoes_no_reset() {
    let store = store();
    apply(FILE, &*store).await.unwrap();
    let ada = async || users::find_by_username(&*store, "ada").await.unwrap().unwrap();
    let reset = async |password: &str| {
        let hashed = PasswordHasher::new(1, 1)
            .hash(crate::infra::password::Password::parse(password).unwrap())
            .await
            .unwrap();
        let sub = ada().await.sub;
        let step = |user: &mut users::User| user.password = Some(hashed.clone());
        users::update(&*store, &sub, step).await.unwrap();
    };
    reset("changed by hand").await;
    let unchanged = ApplyReport { users: tally(0, 0, 1), clients: tally(0, 0, 1) };
    for _ in 0..2 {
        assert_eq!(apply(FILE, &*store).await.unwrap(), unchanged);
        assert!(verifies(&ada().await, "changed by hand"));
    }
    let next = FILE.replace("seven otters", "nine otters");
    let applied = apply(&next, &*store).await.unwrap();
    assert_eq!(applied.users, tally(0, 1, 0));
    assert!(verifies(&ada().await, "tea with nine otters"));
    reset("changed again").await;
    assert_eq!(apply(&next, &*store).await.unwrap(), unchanged);
    assert!(verifies(&ada().await, "changed again"));

    // One from before anything was remembered: what is stored stays, and the next word counts.
    let forget = |user: &mut users::User| user.declared = None;
    users::update(&*store, &ada().await.sub, forget).await.unwrap();
    assert_eq!(apply(&next, &*store).await.unwrap(), unchanged);
    assert!(verifies(&ada().await, "changed again"));
    apply(FILE, &*store).await.unwrap();
    assert!(verifies(&ada().await, "tea with seven otters"));
}

#[tokio::test]
async fn a_rotated_secret_and_a_switch_are_not_undone_either() {
    let store = store();
    let file = FILE
        .replace("username = \"Ada\"", "username = \"Ada\"\nenabled = true")
        .replace("client_id = \"shop\"", "client_id = \"shop\"\nenabled = true");
    apply(&file, &*store).await.unwrap();
    let id = ClientId::parse("shop").unwrap();
    let shop = async || clients::find(&*store, &id).await.unwrap().unwrap();
    let ada = async || users::find_by_username(&*store, "ada").await.unwrap().unwrap();
    let (rotated, later) = ("r".repeat(40), NOW.plus(std::time::Duration::from_secs(60)));
    clients::update(&*store, &id, |client| {
        client.rotate_secret(Digest::of(rotated.as_bytes()), NOW, NOW);
        client.enabled = false;
    })
    .await
    .unwrap();
    users::update(&*store, &ada().await.sub, |user| user.enabled = false).await.unwrap();

    let unchanged = ApplyReport { users: tally(0, 0, 1), clients: tally(0, 0, 1) };
    assert_eq!(apply(&file, &*store).await.unwrap(), unchanged);
    let held = shop().await;
    assert!(
        !held.enabled
            && held.accepts_secret(&rotated, later)
            && !held.accepts_secret(SECRET, later)
    );
    assert!(!ada().await.enabled);

    let next = file.replace(SECRET, &"s".repeat(40)).replace("enabled = true", "enabled = false");
    apply(&next, &*store).await.unwrap();
    let held = shop().await;
    assert!(held.accepts_secret(&"s".repeat(40), later) && !held.accepts_secret(&rotated, later));
    let back = next.replace("enabled = false", "enabled = true");
    assert_eq!(apply(&back, &*store).await.unwrap().users, tally(0, 1, 0));
    assert!(shop().await.enabled && ada().await.enabled, "the file's word is new");

    // What registered itself is the operator's from now on, whole.
    let step = |client: &mut clients::Client| {
        client.source = clients::RegistrationSource::Registered;
        client.secrets[0].digest = Digest::of(rotated.as_bytes());
    };
    clients::update(&*store, &id, step).await.unwrap();
    apply(&back, &*store).await.unwrap();
    assert!(shop().await.accepts_secret(&"s".repeat(40), later));
}

#[tokio::test]
async fn a_name_and_a_subject_that_belong_to_others_are_a_conflict_with_its_line() {
    let store = store();
    apply("[[users]]\nusername = \"ada\"\nsub = \"a\"", &*store).await.unwrap();
    for (file, problem) in [
        ("\n[[users]]\nusername = \"ADA\"\nsub = \"b\"", "user name under another sub"),
        ("\n[[users]]\nusername = \"eve\"\nsub = \"a\"", "sub under another user name"),
    ] {
        let error = apply(file, &*store).await.unwrap_err().to_string();
        assert!(error.starts_with("line 2: user ") && error.contains(problem), "{error}");
    }
}

#[tokio::test]
async fn a_secret_may_be_given_as_its_hash_in_two_spellings_and_a_password_too() {
    let digest = Digest::of(SECRET.as_bytes());
    let hash = PasswordHasher::new(1, 1)
        .hash(crate::infra::password::Password::parse("tea").unwrap())
        .await
        .unwrap();
    for spelling in [digest.to_hex(), digest.to_hex().to_uppercase(), digest.to_base64url()] {
        let store = store();
        let file = FILE
            .replace(
                &format!("client_secret = \"{SECRET}\""),
                &format!("client_secret_sha256 = \"{spelling}\""),
            )
            .replace(
                "password = \"tea with seven otters\"",
                &format!("password_hash = \"{hash}\""),
            );
        apply(&file, &*store).await.unwrap();
        let shop = ClientId::parse("shop").unwrap();
        assert!(clients::find(&*store, &shop).await.unwrap().unwrap().accepts_secret(SECRET, NOW));
        let ada = users::find_by_username(&*store, "ada").await.unwrap().unwrap();
        assert_eq!(ada.password.as_deref(), Some(&*hash));
    }
}

#[test]
fn every_complaint_names_its_line() {
    let user = |lines: &str| errors(&format!("[[users]]\nusername = \"ada\"\n{lines}"));
    assert_eq!(user("colour = 1"), ["line 3: colour: there is no such key here"]);
    let place = "it is a claim, and belongs under [users.claims]";
    let misplaced = format!("line 3: email: there is no such key here; {place}");
    assert_eq!(user("email = \"ada@example.com\""), [misplaced]);
    assert_eq!(user("enabled = \"no\""), ["line 3: enabled: must be true or false"]);
    assert_eq!(user("password = \"\""), ["line 3: password: must be 1 to 512 bytes"]);
    assert!(
        user("password_hash = \"$1$x\"")[0].starts_with("line 3: password_hash: must be Argon")
    );
    assert!(
        user("claims.email_verified = \"yes\"")[0].starts_with("line 3: claims: email_verified")
    );
    assert!(
        user("[users.claims]\nname = \"A\"\nsub = \"x\"")[0].starts_with("line 5: claims: sub")
    );
    assert_eq!(
        user("[[users]]\nusername = \"ADA \""),
        ["line 4: username: ADA is declared in line 2 already"]
    );
    assert_eq!(errors("\n[[users]]\nsub = \"x\""), ["line 2: username: is required"]);
    assert_eq!(errors("user = 1"), ["line 1: user: there is no such key here"]);
    assert!(errors("users = 1")[0].starts_with("line 1: users: must be an array of tables"));
    assert!(errors("[[scopes]]\nname = \"two words\"")[0].starts_with("line 2: name: must be"));
    assert!(errors("a = 1\nb = = 2")[0].starts_with("line 2: "));
}

#[test]
fn every_complaint_about_a_client_names_its_line() {
    let client = |lines: &str| {
        errors(&format!("[[clients]]\nclient_id = \"shop\"\nclient_secret = \"{SECRET}\"\n{lines}"))
    };
    let uri = "redirect_uris = [\"https://shop.example/cb\"]";
    assert!(
        client("redirect_uris = [\"https://a.example/#x\"]")[0]
            .starts_with("line 4: redirect_uris: each")
    );
    assert!(client("")[0].starts_with("line 1: redirect_uris is required"));
    assert_eq!(
        client(&format!("{uri}\ncolour = 1")),
        ["line 5: colour: there is no such key here"]
    );
    let misplaced = client(&format!("{uri}\nfirst_party = true"));
    assert!(misplaced[0].ends_with("belongs under [clients.settings]"), "{misplaced:?}");
    let settings = client(&format!("{uri}\n[clients.settings]\nfirst_party = 1"));
    assert!(settings[0].starts_with("line 6: settings: first_party: "), "{settings:?}");
    let unknown = client(&format!("{uri}\nsettings.colour = 1"));
    assert!(unknown[0].starts_with("line 5: settings: colour: unknown field"), "{unknown:?}");
    let mac = client(&format!("{uri}\ntoken_endpoint_auth_method = \"client_secret_jwt\""));
    assert!(mac[0].contains("only for clients that register themselves"), "{mac:?}");
    let public = client(&format!("{uri}\ntoken_endpoint_auth_method = \"none\""));
    assert_eq!(public, ["line 5: token_endpoint_auth_method: none goes without a secret"]);
    let three = client(&format!("{uri}\nclient_secrets = [\"{SECRET}1\", \"{SECRET}2\"]"));
    assert!(three[0].starts_with("line 1: client_secrets: "));
    let short = "[[clients]]\nclient_id = \"shop\"\nclient_secret = \"short\"\n";
    assert!(errors(&format!("{short}{uri}"))[0].starts_with("line 3: client_secret: must be 32"));
    let none = errors(&format!("[[clients]]\nclient_id = \"shop\"\n{uri}"));
    assert!(none[0].starts_with("line 1: client_secret: is required"));
    let unbound = "token_endpoint_auth_method = \"none\"\nsettings.require_pkce = false";
    let unbound = errors(&format!("[[clients]]\nclient_id = \"app\"\n{uri}\n{unbound}"));
    assert_eq!(unbound, ["line 5: settings: require_pkce: a public client cannot be let off PKCE"]);
}

#[test]
fn a_complaint_never_shows_a_secret() {
    for file in [
        format!("[[clients]]\nclient_secret = \"{SECRET}"),
        format!("[[clients]]\nclient_secret = [\"{SECRET}\"]"),
        format!("[[users]]\npassword = \"{SECRET}\" x"),
    ] {
        let errors = errors(&file).join("\n");
        assert!(!errors.contains(SECRET), "{errors}");
    }
}

#[test]
fn a_declared_scope_joins_the_standard_ones() {
    let mut catalogue = ScopeCatalogue::default();
    Bootstrap::parse(FILE).unwrap().catalogue(&mut catalogue);
    assert!(catalogue.get("groups").unwrap().claims.contains("groups"));
    assert!(catalogue.get("openid").is_some());
}

#[test]
fn a_declared_client_may_have_several_ways_to_authenticate_and_has_two_if_none_is_named() {
    let methods = |lines: &str| {
        let file = format!(
            "[[clients]]\nclient_id = \"shop\"\nclient_secret = \"{SECRET}\"\n\
             redirect_uris = [\"https://shop.example/cb\"]\n{lines}"
        );
        let read = Bootstrap::parse(&file).map_err(|ConfigErrors(lines)| lines)?;
        let methods = read.clients[0].declaration.metadata.auth_methods().iter();
        Ok(methods.map(|method| method.as_str()).collect::<Vec<_>>())
    };
    let (one, several) = ("token_endpoint_auth_method", "token_endpoint_auth_methods");
    let both = vec!["client_secret_basic", "client_secret_post"];
    let listed = format!("{several} = [\"client_secret_basic\", \"client_secret_post\"]");
    assert_eq!(methods(""), Ok(both.clone()));
    assert_eq!(methods(&listed), Ok(both));
    assert_eq!(methods(&format!("{one} = \"client_secret_post\"")), Ok(vec!["client_secret_post"]));
    let with_none = methods(&format!("{several} = [\"none\", \"client_secret_post\"]"));
    let why = "line 5: token_endpoint_auth_methods: none is for a client that has no other";
    assert_eq!(with_none, Err(vec![why.to_owned()]));
    let by_mac = methods(&format!("{several} = [\"client_secret_jwt\", \"client_secret_post\"]"));
    assert!(by_mac.unwrap_err()[0].contains("only for clients that register themselves"));
}

#[test]
fn what_access_tokens_for_an_api_say_is_noted_and_a_typ_that_is_none_is_refused() {
    let file = |settings: &str| {
        format!(
            "[[clients]]\nclient_id = \"shop\"\nclient_secret = \"{SECRET}\"\n\
             redirect_uris = [\"https://shop.example/cb\"]\n[clients.settings]\n{settings}"
        )
    };
    let notes =
        |settings: &str| -> Vec<_> { Bootstrap::parse(&file(settings)).unwrap().notes().collect() };
    let api = "audience = [\"https://api.example\"]";
    assert_eq!(notes("first_party = true"), [""; 0], "no API");
    assert_eq!(notes(&format!("{api}\nopaque_access_tokens = true")), [""; 0], "no JWT");
    let told = notes(api);
    assert!(told[0].starts_with("client shop: access tokens for https://api.example say typ at+"));
    let told = notes(&format!("{api}\naccess_token_typ = \"JWT\""));
    assert!(told[0].contains("say typ JWT, ") && told[0].contains("token_use"), "{told:?}");
    let unknown = errors(&file("access_token_typ = \"jwt\""));
    assert!(unknown[0].starts_with("line 6: settings: access_token_typ: "), "{unknown:?}");
}
