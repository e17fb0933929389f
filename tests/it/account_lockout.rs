//! Account lockout: many guesses lock an account, its owner goes on meanwhile, and an operator finds and unlocks
//! it.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use latchkey::config::SecretString;
use latchkey::domain::authenticators::{
    self, Credentials, GuessLimits, LoginError, LoginFailure, LoginOutcome, PasswordAuthenticator,
    QueuedPassword,
};
use latchkey::domain::epoch::Epoch;
use latchkey::domain::users::{self, AddOutcome, Device, User};
use latchkey::infra::clock::{Clock, UnixTime};
use latchkey::infra::password::{Password, PasswordHasher};
use latchkey::infra::store::{MemoryStore, Store};
use latchkey::operations::events::List;
use latchkey::operations::users::{SetPassword, Show, Unlock};
use latchkey::protocol::Subject;
use serde_json::Map;

use crate::support::browser::AuthorizationResponse;
use crate::support::test_server::{Backend, PASSWORD, TestServer, on_every_backend};

on_every_backend![a_locked_account_is_found_and_freed_and_its_owner_goes_on_meanwhile];

/// The login form of a server, without HTTP.
struct LoginForm<'a> {
    store: &'a dyn Store,
    clock: &'a Clock,
    passwords: &'a PasswordHasher,
}

impl LoginForm<'_> {
    async fn tries(
        &self,
        (username, password): (&str, &str),
        address: IpAddr,
        device: Option<&Device>,
    ) -> Result<LoginOutcome, LoginFailure> {
        let (store, clock, passwords) = (self.store, self.clock, self.passwords);
        let limits = GuessLimits { per_address: Some(300), total: Some(6_000) };
        let typed = QueuedPassword::acquire(passwords, password).await?;
        let desk = PasswordAuthenticator { store, clock, limits };
        desk.authenticate(&Credentials { username, address, device }, typed).await
    }
}

fn address(number: u32) -> IpAddr {
    Ipv4Addr::from(0x0a00_0000 + number).into()
}

fn ada(now: UnixTime, hash: String) -> User {
    User {
        sub: Subject::parse("sub-of-ada").expect("a subject"),
        username: "ada".to_owned(),
        password: Some(hash),
        enabled: true,
        claims: Map::new(),
        groups: Vec::new(),
        created_at: now,
        development: false,
        declared: None,
    }
}

/// What many guessers got for their guesses.
#[derive(Default)]
struct Guessers {
    /// Guesses that were held against the password since the last right one.
    answered: u32,
    /// How often the account was locked.
    locks: u32,
}

impl Guessers {
    /// Everybody guesses once.
    async fn guesses(&mut self, form: &LoginForm<'_>, size: u32) {
        for number in 0..size {
            match form.tries(("Ada", "a wrong guess"), address(number), None).await {
                Err(LoginFailure { why: LoginError::WrongPassword, locks, sub }) => {
                    assert_eq!(sub.as_ref().map(Subject::as_str), Some("sub-of-ada"));
                    self.answered += 1;
                    self.locks += u32::from(locks);
                }
                Err(LoginFailure {
                    why: LoginError::Locked(_) | LoginError::Throttled(_), ..
                }) => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(self.answered <= 100, "{} guesses were answered in a row", self.answered);
    }
}

/// 63B §3.2.2: no more than a hundred wrong ones in a row, and nobody is shut out by others for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_addresses_guess_for_a_day_and_the_right_person_signs_in() {
    const CROWD: u32 = 10_000;
    let start = UnixTime::from_secs(1_800_000_000);
    let clock = Clock::manual(start);
    let store: Box<dyn Store> = Box::new(MemoryStore::new(clock.clone()));
    let passwords = PasswordHasher::new(2, 64);
    let right = Password::parse(PASSWORD).expect("a password");
    let hash = passwords.hash(right).await.expect("a hash");
    assert_eq!(users::add(&*store, &ada(start, hash)).await.expect("a store"), AddOutcome::Added);
    let form = LoginForm { store: &*store, clock: &clock, passwords: &passwords };
    let (home, mut away) = (address(1 << 20), 1 << 21);
    let mut device = Device::new();
    let first = form.tries(("ada", PASSWORD), home, None).await.expect("she signs in");
    device.add_user(&first.user.sub, Epoch::default(), clock.now());

    let mut guessers = Guessers::default();
    for hour in 0..24 {
        guessers.guesses(&form, CROWD).await;
        if hour == 2 {
            // From somewhere else, with a browser that is new: the account is locked, whatever she types.
            away += 1;
            let failed = form.tries(("ada", PASSWORD), address(away), None).await;
            assert!(matches!(failed, Err(LoginFailure { why: LoginError::Locked(_), .. })));
        }
        if hour % 6 == 4 {
            // With her own she signs in at the first try, which unlocks it; then the new one may, too.
            let own = form.tries(("ada", PASSWORD), home, Some(&device)).await;
            assert!(own.expect("her own browser").unlocked);
            away += 1;
            let fresh = form.tries(("ada", PASSWORD), address(away), None).await;
            assert!(!fresh.expect("a fresh browser").unlocked);
            guessers.answered = 0;
        }
        clock.advance(Duration::from_secs(3600));
    }
    assert!(guessers.locks >= 1, "it was locked: {}", guessers.locks);

    // Without a browser that is known the operator helps. Those who guessed have nothing left for today.
    authenticators::unlock(&*store, &first.user.sub).await.expect("a store");
    guessers.guesses(&form, CROWD).await;
    away += 1;
    form.tries(("ada", PASSWORD), address(away), None).await.expect("a fresh browser");
    let locked = authenticators::locked_since(&*store, &first.user.sub).await.expect("a store");
    assert_eq!(locked, None);
}

/// One address alone slows itself down, and nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_never_locks_an_account_for_others_however_long_it_guesses() {
    let clock = Clock::manual(UnixTime::from_secs(1_800_000_000));
    let store: Box<dyn Store> = Box::new(MemoryStore::new(clock.clone()));
    let passwords = PasswordHasher::new(2, 64);
    let hash = passwords.hash(Password::parse(PASSWORD).expect("one")).await.expect("a hash");
    let user = ada(clock.now(), hash);
    assert_eq!(users::add(&*store, &user).await.expect("a store"), AddOutcome::Added);
    let form = LoginForm { store: &*store, clock: &clock, passwords: &passwords };
    let mut answered = 0;
    for _ in 0..8 * 24 * 12 {
        for _ in 0..3 {
            let failed = form.tries(("ada", "a wrong guess"), address(1), None).await;
            let why = failed.expect_err("a wrong guess").why;
            answered += u32::from(matches!(why, LoginError::WrongPassword));
            assert!(!matches!(why, LoginError::Locked(_)));
        }
        clock.advance(Duration::from_secs(300));
    }
    assert!((100..=8 * 20 + 20).contains(&answered), "{answered} answered in eight days");
    form.tries(("ada", PASSWORD), address(2), None).await.expect("somebody else's address");
}

async fn limited(backing: Backend) -> TestServer {
    let on = [("RATE_LIMITING_ENABLED", "true"), ("RATE_LIMIT_PER_MINUTE", "100000")];
    TestServer::start_with(backing, &on).await
}

async fn guesses(server: &TestServer, from: u32, count: u32) {
    let app = server.app();
    let form = LoginForm { store: server.store(), clock: &app.clock, passwords: &app.passwords };
    for number in from..from + count {
        let failed = form.tries(("ada", "a wrong guess"), address(number), None).await;
        assert!(matches!(failed.expect_err("wrong").why, LoginError::WrongPassword));
    }
}

async fn events(server: &TestServer, since: UnixTime, kind: &str) -> Vec<Vec<String>> {
    let (user, event) = (Some("ada".to_owned()), Some(kind.to_owned()));
    let found = server.run_operation(List { since, user, client: None, event }).await;
    assert_eq!(found.left_out, 0);
    found.events.into_iter().map(|event| event.fields.into_values().collect()).collect()
}

async fn a_locked_account_is_found_and_freed_and_its_owner_goes_on_meanwhile(backing: Backend) {
    let server = limited(backing).await;
    let since = server.app().now();
    let shop = server.relying_party("shop").await;
    let (own, fresh) = (server.browser("ada"), server.browser("ada"));
    shop.sign_in(&own, "openid").await;
    let shown = async || server.run_operation(Show { user: "ada".to_owned() }).await.locked_since;
    assert_eq!(shown().await, None);

    guesses(&server, 0, 99).await;
    let login = fresh.open(&shop.authorization_request("openid").url()).await;
    assert_eq!(fresh.sign_in_as(&login, "ada", "the hundredth").await.status, 200);
    let shut = fresh.sign_in(&login).await;
    assert_eq!((shut.status, shut.header("retry-after")), (429, Some("3600")));
    assert_eq!(shown().await, Some(server.app().now()));
    assert_eq!(events(&server, since, "account_locked").await, [["127.0.0.1", "sub-of-ada"]]);
    let failed = events(&server, since, "sign_in_failed").await;
    let told = |reason| ["shop", "127.0.0.1", reason, "sub-of-ada"].map(str::to_owned).to_vec();
    assert_eq!(failed, [told("wrong_password"), told("locked")]);

    // Her own browser has a counter of its own, and being right there ends it.
    let again = own.open(&shop.authorization_request("openid").with("prompt", "login").url()).await;
    assert!(!AuthorizationResponse::from_redirect(&own.sign_in(&again).await).code().is_empty());
    assert_eq!(shown().await, None);
    assert_eq!(
        events(&server, since, "account_unlocked").await,
        [["sign_in", "127.0.0.1", "sub-of-ada"]]
    );
    assert!(
        !AuthorizationResponse::from_redirect(&fresh.sign_in(&login).await).code().is_empty(),
        "and everywhere"
    );

    // So does the operator, and so does a new password.
    guesses(&server, 1000, 100).await;
    let unlocked = server.run_operation(Unlock { user: "ada".to_owned() }).await;
    assert_eq!(unlocked.since, Some(server.app().now()));
    assert_eq!(
        server.run_operation(Unlock { user: "ada".to_owned() }).await.since,
        None,
        "no more"
    );
    let third = server.browser("ada");
    let login = third.open(&shop.authorization_request("openid").url()).await;
    assert!(!AuthorizationResponse::from_redirect(&third.sign_in(&login).await).code().is_empty());

    guesses(&server, 2000, 100).await;
    let password = SecretString::new("coffee with nine otters");
    server.run_operation(SetPassword { user: "ada".to_owned(), password }).await;
    assert_eq!(shown().await, None);
    let by = ["command_line", "sub-of-ada"].map(str::to_owned).to_vec();
    let freed = events(&server, since, "account_unlocked").await;
    assert_eq!(freed[1..], [by.clone(), by]);
    let changed = events(&server, since, "user_changed").await;
    assert_eq!(changed, [["command_line", "password_set", "sub-of-ada"]]);
}
