use std::sync::Arc;

use super::*;
use crate::infra::clock::Clock;
use crate::infra::store::MemoryStore;

fn store() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new(Clock::manual(UnixTime::from_secs(1_700_000_000))))
}

fn sub(text: &str) -> Subject {
    Subject::parse(text).unwrap()
}

fn user(username: &str, sub: &Subject) -> User {
    User {
        sub: sub.clone(),
        username: username.to_owned(),
        password: None,
        enabled: true,
        claims: Map::new(),
        groups: Vec::new(),
        created_at: UnixTime::from_secs(1_700_000_000),
        development: false,
        declared: None,
    }
}

#[tokio::test]
async fn whoever_comes_second_finishes_what_the_first_began_under_the_first_ones_subject() {
    let store = store();
    let first = reserve_username(&*store, "Ada", sub("one")).await.unwrap();
    let second = reserve_username(&*store, " ADA ", sub("two")).await.unwrap();
    assert_eq!((first.as_str(), second.as_str()), ("one", "one"));
    assert_eq!(add(&*store, &user("ada", &second)).await.unwrap(), AddOutcome::Added);
    assert_eq!(add(&*store, &user("Ada", &first)).await.unwrap(), AddOutcome::UsernameTaken);
    assert_eq!(list(&*store).await.unwrap(), [user("ada", &sub("one"))]);
    let third = reserve_username(&*store, "ada", sub("three")).await.unwrap();
    assert_eq!(third, sub("three"), "a person who is there lends nobody their subject");
    assert_eq!(add(&*store, &user("ada", &third)).await.unwrap(), AddOutcome::UsernameTaken);
}

#[tokio::test]
async fn a_name_in_the_middle_of_being_added_is_not_taken_away_by_another_subject() {
    let store = store();
    let first = reserve_username(&*store, "ada", sub("one")).await.unwrap();
    let other = add(&*store, &user("ada", &sub("two"))).await.unwrap();
    assert_eq!(other, AddOutcome::UsernameTaken);
    assert_eq!(add(&*store, &user("ada", &first)).await.unwrap(), AddOutcome::Added);
    let found = find_by_username(&*store, "ada").await.unwrap();
    assert_eq!(found.map(|user| user.sub), Some(first));
}

#[tokio::test]
async fn a_subject_that_has_another_name_leaves_the_new_name_free() {
    let store = store();
    assert_eq!(add(&*store, &user("ada", &sub("one"))).await.unwrap(), AddOutcome::Added);
    assert_eq!(add(&*store, &user("eve", &sub("one"))).await.unwrap(), AddOutcome::SubjectTaken);
    assert_eq!(add(&*store, &user("eve", &sub("two"))).await.unwrap(), AddOutcome::Added);
}

#[tokio::test]
async fn a_removed_persons_subject_goes_to_nobody_else() {
    let store = store();
    let ada = user("ada", &sub("one"));
    assert_eq!(add(&*store, &ada).await.unwrap(), AddOutcome::Added);
    remove(&*store, &ada).await.unwrap();
    assert_eq!(reserve_username(&*store, "ada", sub("two")).await.unwrap(), sub("two"));
    assert!(list(&*store).await.unwrap().is_empty());
}
