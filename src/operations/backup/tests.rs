use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::format::FrameWriter;
use super::*;
use crate::domain::authenticators::Authentication;
use crate::domain::clients::{self, Client, ClientId, ClientSettings, RegistrationSource};
use crate::domain::consent::{self, Consent};
use crate::domain::epoch::Epoch;
use crate::domain::grants::{self, Grant, GrantId, GrantStatus};
use crate::domain::keys::{KeyEncryptor, KeyRing, KeyUse as KeyPurpose, RotationPolicy};
use crate::domain::sessions::{self, Session, SessionLifetimes};
use crate::domain::users::{self, AddOutcome, User};
use crate::infra::clock::Clock;
use crate::infra::jose::Algorithm;
use crate::infra::random;
use crate::infra::secret_key::{MacPurpose, SecretKey};
use crate::infra::store::schema::CURRENT_SCHEMA;
use crate::infra::store::{CreateOutcome, MemoryStore, Store};
use crate::protocol::claims::ClaimsRequest;
use crate::protocol::{ClientMetadata, Subject};

const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);
const HOUR: Duration = Duration::from_secs(3600);

fn root(text: &str) -> SecretKey {
    SecretKey::from_text(&text.repeat(32)).unwrap()
}

fn empty() -> (Arc<dyn Store>, Clock) {
    let clock = Clock::manual(NOW);
    (Arc::new(MemoryStore::new(clock.clone())), clock)
}

fn subject(name: &str) -> Subject {
    Subject::parse(name).unwrap()
}

fn user(name: &str, sub: &str) -> User {
    User {
        sub: subject(sub),
        username: name.to_owned(),
        password: Some("$argon2id$not-a-real-one".to_owned()),
        enabled: true,
        claims: json!({"name": name}).as_object().cloned().unwrap(),
        groups: Vec::new(),
        created_at: NOW,
        development: false,
        declared: None,
    }
}

fn client(id: &str, unused_until: Option<UnixTime>) -> Client {
    let members = json!({"redirect_uris": [format!("https://{id}.example/cb")]});
    Client {
        id: ClientId::parse(id).unwrap(),
        metadata: ClientMetadata::parse(members.as_object().unwrap()).unwrap(),
        settings: ClientSettings::default(),
        secrets: Vec::new(),
        registration_token: None,
        enabled: true,
        source: RegistrationSource::Operator,
        created_at: NOW,
        unused_until,
        development: false,
        declared: None,
    }
}

fn consent(sub: &str, id: &str) -> Consent {
    let client = client(id, None);
    Consent {
        sub: subject(sub),
        scope: "openid email".parse().unwrap(),
        claims: ["email".to_owned()].into(),
        apis: std::collections::BTreeMap::new(),
        display_digest: consent::display_digest(&client),
        client: client.id,
        given_at: NOW,
    }
}

/// Two people, two clients, a consent, a key, a session, a grant.
async fn lived_in(text: &str) -> (Arc<dyn Store>, Clock, Session, Grant) {
    let (store, clock) = empty();
    for (name, sub) in [("Ada", "a"), ("bob", "b")] {
        assert_eq!(users::add(&*store, &user(name, sub)).await.unwrap(), AddOutcome::Added);
    }
    for it in [client("shop", None), client("passing", Some(NOW.plus(HOUR)))] {
        assert_eq!(clients::add(&*store, &it).await.unwrap(), CreateOutcome::Created);
    }
    consent::remember(&*store, &consent("a", "shop")).await.unwrap();
    let policy = RotationPolicy {
        interval: None,
        publication_lead: HOUR,
        retention: HOUR,
        activation_delay: HOUR,
    };
    let purposes = vec![KeyPurpose::Signing(Algorithm::EdDsa)];
    let at = (Arc::clone(&store), clock.clone());
    KeyRing::open(at, KeyEncryptor::new(&root(text)), purposes, policy, Vec::new()).await.unwrap();
    let limits = SessionLifetimes { idle: HOUR, absolute: 2 * HOUR };
    let (session, _) =
        Session::begin(Authentication::by_password(subject("a"), Epoch::default(), NOW), limits);
    sessions::begin(&*store, &session, None).await.unwrap();
    let grant = Grant {
        id: GrantId(random::uuid()),
        client: ClientId::parse("shop").unwrap(),
        client_created_at: None,
        client_epoch: None,
        authentication: Some(grants::AuthenticationContext {
            sub: subject("a"),
            authenticated_at: NOW,
            amr: Vec::new(),
            acr: session.acr,
            sid: session.sid,
            bound_to_session: true,
            wants_acr: false,
            epoch: None,
            consent_epoch: None,
        }),
        scope: "openid".parse().unwrap(),
        claims: ClaimsRequest::default(),
        nonce: None,
        code: None,
        refresh_tokens: None,
        status: GrantStatus::Active,
        resources: Vec::new(),
        revoked_access: Vec::new(),
        opaque_tokens: Vec::new(),
        cnf: None,
        ends_at: NOW.plus(HOUR),
    };
    grants::insert(&*store, &grant, grant.ends_at, NOW).await.unwrap();
    (store, clock, session, grant)
}

fn about(with_sessions: bool) -> BackupInfo {
    let (latchkey, issuer) = ("0.1.0".to_owned(), "https://id.example".to_owned());
    BackupInfo { latchkey, issuer, created_at: NOW, with_sessions, readable_by: 1 }
}

async fn saved(store: &dyn Store, text: &str, with_sessions: bool) -> (Vec<u8>, BackupSummary) {
    save(store, &root(text), &about(with_sessions), Vec::new()).await.unwrap()
}

fn opened(file: &[u8], root: &SecretKey) -> Result<VerifiedBackup<Cursor<Vec<u8>>>, BackupError> {
    VerifiedBackup::check(Cursor::new(file.to_vec()), root)
}

async fn restored(store: &dyn Store, file: &[u8], now: UnixTime) -> RestoreReport {
    let root = root("k");
    opened(file, &root).unwrap().restore(store, &root, now).await.unwrap()
}

fn new(new: u64) -> RestoreCounts {
    RestoreCounts { new, ..RestoreCounts::default() }
}

#[tokio::test]
async fn what_lasts_comes_back_with_its_names_lists_and_deadlines() {
    let (old, ..) = lived_in("k").await;
    let (file, saved) = saved(&*old, "k", false).await;
    let counts = [("clients", 2), ("consents", 1), ("key ring", 1), ("users", 2)];
    assert_eq!(saved.counts, counts.map(|(name, count)| (name.to_owned(), count)).into());
    assert_eq!(saved.unreadable, 0);

    let (store, clock) = empty();
    assert!(!is_in_use(&*store).await.unwrap());
    let report = restored(&*store, &file, NOW).await;
    assert_eq!(report.kinds, counts.map(|(name, count)| (name, new(count))).into());
    assert!(is_in_use(&*store).await.unwrap());
    assert_eq!(users::list(&*store).await.unwrap(), users::list(&*old).await.unwrap());
    assert_eq!(clients::list(&*store).await.unwrap(), clients::list(&*old).await.unwrap());
    let ada = users::find_by_username(&*store, "ADA").await.unwrap().unwrap();
    assert_eq!(ada, user("Ada", "a"));
    let shop = ClientId::parse("shop").unwrap();
    let found = consent::find(&*store, &ada.sub, &shop).await.unwrap();
    assert_eq!(found, Some(consent("a", "shop")));
    assert_eq!(consent::list_clients(&*store, &ada.sub).await.unwrap(), [shop].into());
    assert!(clients::is_known_origin(&*store, "https://shop.example").await.unwrap());
    assert!(sessions::list_ids(&*store, &ada.sub).await.unwrap().is_empty());

    clock.advance(HOUR);
    let left = clients::list(&*store).await.unwrap();
    assert_eq!(left.len(), 1, "the other one was forgotten when its time was over");
}

#[tokio::test]
async fn sessions_and_grants_come_along_if_asked_for_unless_their_time_is_over() {
    let (old, _, session, grant) = lived_in("k").await;
    let (file, saved) = saved(&*old, "k", true).await;
    assert_eq!((saved.counts["sessions"], saved.counts["grants"]), (1, 1));
    let (store, clock) = empty();
    restored(&*store, &file, NOW).await;
    let found = sessions::find(&*store, session.id, NOW).await.unwrap();
    assert_eq!(found.as_ref(), Some(&session));
    let named = sessions::find_by_sid(&*store, session.sid, NOW).await.unwrap();
    assert_eq!(named, Some(session));
    assert_eq!(sessions::count_live(&*store, NOW).await.unwrap(), 1);
    let ended = grants::revoke_all_for_subject(&*store, &subject("a"), NOW).await.unwrap();
    assert_eq!((ended.sessions, ended.grants), (1, 1), "both are in their person's lists");
    assert!(grants::find(&*store, grant.id).await.unwrap().is_some());

    let (later, clock_of_later) = (empty(), NOW.plus(3 * HOUR));
    later.1.advance(3 * HOUR);
    let report = restored(&*later.0, &file, clock_of_later).await;
    assert_eq!(report.kinds["sessions"], RestoreCounts { expired: 1, ..RestoreCounts::default() });
    assert_eq!(
        report.kinds["clients"],
        RestoreCounts { new: 1, expired: 1, ..RestoreCounts::default() }
    );
    drop(clock);
}

#[tokio::test]
async fn restoring_twice_comes_to_the_same_and_a_look_changes_nothing() {
    let (old, ..) = lived_in("k").await;
    let (file, _) = saved(&*old, "k", true).await;
    let (store, _) = empty();
    let root = root("k");
    let mut backup = opened(&file, &root).unwrap();
    let looked = backup.plan(&*store, &root, NOW).await.unwrap();
    assert!(!is_in_use(&*store).await.unwrap());
    assert_eq!(backup.restore(&*store, &root, NOW).await.unwrap(), looked);
    let again = backup.restore(&*store, &root, NOW).await.unwrap();
    let unchanged = |counts: &RestoreCounts| RestoreCounts {
        unchanged: counts.new,
        ..RestoreCounts::default()
    };
    let expected = looked.kinds.iter().map(|(name, tally)| (*name, unchanged(tally))).collect();
    assert_eq!(again, RestoreReport { kinds: expected, conflicts: Vec::new() });
}

#[tokio::test]
async fn what_is_there_under_the_same_names_is_replaced_and_the_rest_stays() {
    let (old, ..) = lived_in("k").await;
    let (file, _) = saved(&*old, "k", false).await;
    let (store, ..) = lived_in("k").await;
    let keys_before = store.load(&crate::domain::keys::ring_key()).await.unwrap().unwrap().record;
    users::remove(&*store, &user("Ada", "a")).await.unwrap();
    let renamed = User { enabled: false, ..user("countess", "a") };
    assert_eq!(users::add(&*store, &renamed).await.unwrap(), AddOutcome::Added);
    assert_eq!(users::add(&*store, &user("eve", "e")).await.unwrap(), AddOutcome::Added);
    let report = restored(&*store, &file, NOW).await;
    assert_eq!(
        report.kinds["users"],
        RestoreCounts { replaced: 1, unchanged: 1, ..RestoreCounts::default() }
    );
    assert_eq!(report.kinds["key ring"], RestoreCounts { replaced: 1, ..RestoreCounts::default() });
    let by_name = async |name| users::find_by_username(&*store, name).await.unwrap();
    assert_eq!(by_name("ada").await, Some(user("Ada", "a")));
    assert_eq!(by_name("eve").await, Some(user("eve", "e")));
    assert_eq!(
        users::reserve_username(&*store, "countess", subject("c")).await.unwrap(),
        subject("c")
    );
    let keys = store.load(&crate::domain::keys::ring_key()).await.unwrap().unwrap().record;
    assert_eq!((keys_before.count(), keys.count()), (1, 2), "what signed here stays trusted");
}

#[tokio::test]
async fn a_name_that_is_somebody_elses_by_now_is_a_conflict() {
    let (old, ..) = lived_in("k").await;
    let (file, _) = saved(&*old, "k", false).await;
    let (store, _) = empty();
    assert_eq!(users::add(&*store, &user("ADA", "other")).await.unwrap(), AddOutcome::Added);
    let root = root("k");
    let report = opened(&file, &root).unwrap().plan(&*store, &root, NOW).await.unwrap();
    assert_eq!(report.conflicts, ["Ada is a in the backup and other in the store"]);
}

#[tokio::test]
async fn a_changed_secret_key_opens_it_beside_the_one_before_and_seals_the_keys_anew() {
    let (old, ..) = lived_in("k").await;
    let (file, _) = saved(&*old, "k", false).await;
    assert!(matches!(opened(&file, &root("n")), Err(BackupError::Format(FormatError::WrongKey))));
    let both = root("n").with_previous(&"k".repeat(32)).unwrap();
    let (store, _) = empty();
    opened(&file, &both).unwrap().restore(&*store, &both, NOW).await.unwrap();
    let ring = store.load(&crate::domain::keys::ring_key()).await.unwrap().unwrap().record;
    assert!(
        ring.encrypted_under(&KeyEncryptor::new(&root("n"))).is_ok(),
        "the new one alone is enough"
    );
}

#[tokio::test]
async fn a_secret_key_that_is_not_the_stores_makes_no_backup() {
    let (old, ..) = lived_in("k").await;
    let refused = save(&*old, &root("n"), &about(false), Vec::new()).await.unwrap_err();
    assert!(refused.to_string().contains("SECRET_KEY does not open the signing key"), "{refused}");
}

#[tokio::test]
async fn nothing_of_it_can_be_read_without_the_secret() {
    let (old, ..) = lived_in("k").await;
    let (file, _) = saved(&*old, "k", true).await;
    for word in ["argon2id", "Ada", "shop", "id.example", "keyring", "user.v1", "0.1.0"] {
        let shows = file.windows(word.len()).any(|it| it == word.as_bytes());
        assert!(!shows, "{word}");
    }
}

fn made(frames: &[&str]) -> Vec<u8> {
    let mut writer =
        FrameWriter::begin(Vec::new(), &root("k").mac_key(MacPurpose::Backup)).unwrap();
    let (last, others) = frames.split_last().unwrap();
    for frame in others {
        writer.frame(frame.as_bytes()).unwrap();
    }
    writer.finish(last.as_bytes()).unwrap()
}

#[test]
fn what_it_says_and_what_it_holds_must_agree_before_anything_is_written() {
    let head = serde_json::to_string(&about(false)).unwrap();
    let ada = json!({"kind": "user.v1", "record": user("Ada", "a")}).to_string();
    let check = |frames: &[&str]| opened(&made(frames), &root("k"));
    assert_eq!(check(&[&head, &ada, r#"{"users":1}"#]).unwrap().about(), &about(false));
    for (frames, what) in [
        ([&*head, &*ada, r#"{"users":2}"#], "fewer than it says"),
        ([&head, &ada, "{}"], "more than it says"),
        ([&head, r#"{"kind":"user.v2","record":{}}"#, "{}"], "a kind nobody knows"),
        ([&head, r#"{"kind":"user.v1","record":{}}"#, r#"{"users":1}"#], "half a record"),
        (["{}", &ada, r#"{"users":1}"#], "no head"),
        ([&head, &ada, "[]"], "no end"),
    ] {
        assert!(matches!(check(&frames), Err(BackupError::Content(_))), "{what}");
    }
}

#[test]
fn a_backup_whose_records_only_a_newer_release_understands_is_refused_before_they_are_read() {
    let head = |readable_by: u32| {
        let mut head = serde_json::to_value(about(false)).unwrap();
        head["readable_by"] = readable_by.into();
        head["anything"] = json!(["new"]);
        made(&[&head.to_string(), "{}"])
    };
    let Err(BackupError::Content(why)) = opened(&head(CURRENT_SCHEMA.schema + 1), &root("k"))
    else {
        panic!()
    };
    assert!(why.contains("newer Latchkey") && !why.contains('\n'), "{why}");
    let newest = BackupInfo { readable_by: CURRENT_SCHEMA.schema, ..about(false) };
    assert_eq!(opened(&head(CURRENT_SCHEMA.schema), &root("k")).unwrap().about(), &newest);
    let older = r#"{"latchkey":"0","issuer":"i","created_at":1,"with_sessions":false}"#;
    assert!(
        opened(&made(&[older, "{}"]), &root("k")).is_ok(),
        "one that does not say is the first"
    );
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_told_and_not_passed_over() {
    let (old, ..) = lived_in("k").await;
    let key = users::user_key(&subject("b"));
    let change = crate::infra::store::Transaction::within(key.raw().partition().clone()).put(
        key.raw().clone(),
        b"{".to_vec(),
        None,
    );
    assert_eq!(old.commit(change).await.unwrap(), crate::infra::store::CommitOutcome::Committed);
    let (_, saved) = saved(&*old, "k", false).await;
    assert_eq!((saved.counts["users"], saved.unreadable), (1, 1));
}
