use super::*;
use crate::infra::clock::Clock;
use crate::infra::store::MemoryStore;

const LIMITS: SessionLifetimes =
    SessionLifetimes { idle: Duration::from_secs(3600), absolute: Duration::from_secs(12 * 3600) };

#[tokio::test]
async fn a_session_ends_idle_and_at_last_absolutely() {
    let clock = Clock::manual(UnixTime::from_secs(1_700_000_000));
    let store: Box<dyn Store> = Box::new(MemoryStore::new(clock.clone()));
    let ada = Subject::parse("ada").unwrap();
    let (session, cookie) =
        Session::begin(Authentication::by_password(ada, Epoch::default(), clock.now()), LIMITS);
    begin(&*store, &session, None).await.unwrap();
    let live = async || find(&*store, SessionId::of(&cookie), clock.now()).await.unwrap();
    let mut hours = 0;
    while let Some(session) = live().await {
        touch(&*store, &session, LIMITS.idle, clock.now()).await.unwrap();
        assert_eq!(count_live(&*store, clock.now()).await.unwrap(), 1);
        clock.advance(Duration::from_secs(1800));
        hours += 1;
    }
    assert_eq!(hours, 24, "half hours in use");
    assert_eq!(count_live(&*store, clock.now()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_name_ends_with_its_session_unless_another_goes_by_it() {
    let clock = Clock::manual(UnixTime::from_secs(1_700_000_000));
    let store: Box<dyn Store> = Box::new(MemoryStore::new(clock.clone()));
    let ada = || Subject::parse("ada").unwrap();
    let (first, _) =
        Session::begin(Authentication::by_password(ada(), Epoch::default(), clock.now()), LIMITS);
    let (mut second, _) =
        Session::begin(Authentication::by_password(ada(), Epoch::default(), clock.now()), LIMITS);
    second.sid = first.sid;
    begin(&*store, &first, None).await.unwrap();
    begin(&*store, &second, Some(first.id)).await.unwrap();
    let sid_record = find_by_sid(&*store, first.sid, clock.now()).await.unwrap();
    assert_eq!(sid_record.map(|session| session.id), Some(second.id));
    end(&*store, second.id).await.unwrap();
    assert!(find_by_sid(&*store, first.sid, clock.now()).await.unwrap().is_none());
}

#[tokio::test]
async fn of_two_sign_ins_at_one_moment_the_name_goes_with_the_one_that_the_browser_keeps() {
    let clock = Clock::manual(UnixTime::from_secs(1_700_000_000));
    let store: Box<dyn Store> = Box::new(MemoryStore::new(clock.clone()));
    let ada = Subject::parse("ada").unwrap();
    let new = || {
        Session::begin(
            Authentication::by_password(ada.clone(), Epoch::default(), clock.now()),
            LIMITS,
        )
        .0
    };
    let kept = new();
    let lost = Session { sid: kept.sid, ..new() };
    begin(&*store, &kept, None).await.unwrap();
    begin(&*store, &lost, None).await.unwrap();
    for _ in 0..3 {
        // Longer, in all, than a session lives that nobody uses.
        clock.advance(LIMITS.idle / 2);
        let found = find(&*store, kept.id, clock.now()).await.unwrap().expect("in use");
        touch(&*store, &found, LIMITS.idle, clock.now()).await.unwrap();
    }
    let sid_record = find_by_sid(&*store, kept.sid, clock.now()).await.unwrap();
    assert_eq!(sid_record.map(|session| session.id), Some(kept.id));
}

#[tokio::test]
async fn whatever_goes_by_a_name_ends_with_it_and_nothing_goes_by_it_again() {
    let clock = Clock::manual(UnixTime::from_secs(1_700_000_000));
    let store: Box<dyn Store> = Box::new(MemoryStore::new(clock.clone()));
    let ada = Subject::parse("ada").unwrap();
    let new = || {
        Session::begin(
            Authentication::by_password(ada.clone(), Epoch::default(), clock.now()),
            LIMITS,
        )
        .0
    };
    let first = new();
    // Two sign-ins of one browser at once, and a third that is still under way at the end.
    let [second, third, late] = [(); 3].map(|()| Session { sid: first.sid, ..new() });
    for it in [&first, &second, &third] {
        begin(&*store, it, None).await.unwrap();
    }
    let ended = end(&*store, second.id).await.unwrap();
    assert_eq!(ended.as_ref(), Some(&second));
    let is_live = async |id| find(&*store, id, clock.now()).await.unwrap().is_some();
    for it in [&first, &second, &third] {
        assert!(!is_live(it.id).await);
    }
    let begun = begin(&*store, &late, Some(first.id)).await.unwrap();
    assert_ne!(begun.sid, first.sid, "it begins under a name of its own");
    assert!(is_live(late.id).await);
    assert!(find_by_sid(&*store, first.sid, clock.now()).await.unwrap().is_none());
    clock.advance(LIMITS.absolute + Duration::from_secs(3601));
    let place = RawKey::new(Partition::new(format!("sid:{}", first.sid.simple())), "sid.v1", None);
    assert_eq!(store.get(&place).await.unwrap(), None, "nothing is left");
}

#[tokio::test]
async fn a_session_from_before_a_cut_off_opens_nothing_whenever_it_is_filed() {
    let clock = Clock::manual(UnixTime::from_secs(1_700_000_000));
    let store: Box<dyn Store> = Box::new(MemoryStore::new(clock.clone()));
    let ada = Subject::parse("ada").unwrap();
    let owner = EpochOwner::User(ada.clone());
    let read = async || epoch::current(&*store, &owner, Consistency::Strong).await.unwrap();
    let before = read().await;
    epoch::raise(&*store, &owner, clock.now()).await.unwrap();
    let is_live = async |epoch| {
        let (session, _) =
            Session::begin(Authentication::by_password(ada.clone(), epoch, clock.now()), LIMITS);
        begin(&*store, &session, None).await.unwrap();
        find(&*store, session.id, clock.now()).await.unwrap().is_some()
    };
    assert!(!is_live(before).await);
    assert!(is_live(read().await).await, "in the same millisecond");
}

#[tokio::test]
async fn a_new_sign_in_makes_the_old_cookie_worthless() {
    let clock = Clock::manual(UnixTime::from_secs(1_700_000_000));
    let store: Box<dyn Store> = Box::new(MemoryStore::new(clock.clone()));
    let ada = || Subject::parse("ada").unwrap();
    let (first, old) =
        Session::begin(Authentication::by_password(ada(), Epoch::default(), clock.now()), LIMITS);
    begin(&*store, &first, None).await.unwrap();
    let (second, new) =
        Session::begin(Authentication::by_password(ada(), Epoch::default(), clock.now()), LIMITS);
    begin(&*store, &second, Some(first.id)).await.unwrap();
    let found = async |cookie| find(&*store, SessionId::of(cookie), clock.now()).await.unwrap();
    assert_eq!(found(&old).await, None);
    assert_eq!(found(&new).await, Some(second));
}
#[tokio::test]
async fn a_persons_sessions_end_together_and_nobody_elses() {
    let clock = Clock::manual(UnixTime::from_secs(1_700_000_000));
    let store: Box<dyn Store> = Box::new(MemoryStore::new(clock.clone()));
    let opened = async |name| {
        let sub = Subject::parse(name).unwrap();
        let (session, _) =
            Session::begin(Authentication::by_password(sub, Epoch::default(), clock.now()), LIMITS);
        begin(&*store, &session, None).await.unwrap();
        session
    };
    let (one, two, other) = (opened("ada").await, opened("ada").await, opened("bob").await);
    clock.advance(LIMITS.idle / 2);
    touch(&*store, &two, LIMITS.idle, clock.now()).await.unwrap();
    assert_eq!(end_all_for_subject(&*store, &one.sub).await.unwrap().len(), 2);
    let is_live = async |it: &Session| find(&*store, it.id, clock.now()).await.unwrap().is_some();
    assert!(!is_live(&one).await && !is_live(&two).await && is_live(&other).await);
    assert_eq!(count_live(&*store, clock.now()).await.unwrap(), 1);
    assert_eq!(end_all_for_subject(&*store, &one.sub).await.unwrap(), []);
}

#[tokio::test]
async fn a_persons_list_forgets_what_is_long_over() {
    let clock = Clock::manual(UnixTime::from_secs(1_700_000_000));
    let store: Box<dyn Store> = Box::new(MemoryStore::new(clock.clone()));
    let ada = Subject::parse("ada").unwrap();
    for _ in 0..9 {
        let (session, _) = Session::begin(
            Authentication::by_password(ada.clone(), Epoch::default(), clock.now()),
            LIMITS,
        );
        begin(&*store, &session, None).await.unwrap();
        clock.advance(LIMITS.absolute / 3);
    }
    let index = RawKey::new(crate::domain::users::partition(&ada), "sessions.v1", None);
    assert_eq!(store.scan_index(&index, "", 99).await.unwrap().len(), 4);
}
