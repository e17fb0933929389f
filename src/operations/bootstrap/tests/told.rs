//! What the operator is told of a file: its changes, and what stops nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::domain::events::{StoredEvent, events_since};
use crate::infra::store::{CommitOutcome, PingInfo, RawKey, StoreError, StoreFuture, Transaction};
use crate::operations::declaration::Remark;

#[tokio::test]
async fn what_the_file_changes_is_told_as_the_command_line_tells_it() {
    let store = store();
    apply(FILE, &*store).await.unwrap();
    apply(FILE, &*store).await.unwrap();
    let next = FILE
        .replace("tea with seven otters", "tea with nine otters")
        .replace("username = \"Ada\"", "username = \"Ada\"\nenabled = false")
        .replace("Ada Lovelace", "Ada King")
        .replace(SECRET, &"s".repeat(40))
        .replace("client_id = \"shop\"", "client_id = \"shop\"\nclient_name = \"Bazaar\"");
    apply(&next, &*store).await.unwrap();
    let (events, left_out) = events_since(&*store, NOW, NOW).await.unwrap();
    let told = |it: &StoredEvent| {
        assert_eq!(it.fields["by"], "bootstrap_file");
        format!("{} {}", it.event, it.fields["change"])
    };
    let told: Vec<_> = events.iter().map(told).collect();
    assert_eq!(left_out, 0);
    let expected = [
        "user_changed added",
        "client_changed added",
        "user_changed updated",
        "user_changed password_set",
        "user_changed disabled",
        "client_changed updated",
        "client_changed secret_rotated",
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_only_the_operator_may_declare_is_warned_of_at_each_start() {
    let uris =
        r#"redirect_uris = ["myapp://cb", "http://192.168.0.7/cb", "https://shop.example/cb"]"#;
    let public = "token_endpoint_auth_method = \"none\"";
    let file = format!("[[clients]]\nclient_id = \"shop\"\n{uris}\n{public}");
    let warnings: Vec<_> = Bootstrap::parse(&file).unwrap().warnings().collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    let begins = |at: usize, text: &str| {
        warnings[at].starts_with(&format!("BOOTSTRAP_FILE line 1: redirect_uris: {text} "))
    };
    assert!(begins(0, "myapp://cb") && begins(1, "http://192.168.0.7/cb"), "{warnings:?}");
}

#[test]
fn a_secret_that_somebody_will_wonder_about_is_warned_of() {
    let warnings = |secret: &str, method: &str| -> Vec<String> {
        let file = format!(
            "\n[[clients]]\nclient_id = \"shop\"\nredirect_uris = [\"https://shop.example/cb\"]\n\
             client_secret = \"{secret}\"\ntoken_endpoint_auth_method = \"{method}\""
        );
        Bootstrap::parse(&file).unwrap().warnings().collect()
    };
    let (basic, post) = ("client_secret_basic", "client_secret_post");
    let good = "7Zq4mBv1xYpT0kLr9WcNfHs2dGjUaE5o";
    for (secret, method, about) in [
        (good.to_owned(), basic, vec![]),
        (format!("{good}+"), basic, vec!["has + or %"]),
        (format!("{good}%41"), basic, vec!["has + or %"]),
        // A form is encoded as a whole, and every library does it.
        (format!("{good}+%"), post, vec![]),
        ("s".repeat(40), post, vec!["repeats itself"]),
        ("+".repeat(40), basic, vec!["has + or %", "repeats itself"]),
    ] {
        let found = warnings(&secret, method);
        assert_eq!(found.len(), about.len(), "{found:?}");
        for (sentence, about) in found.iter().zip(about) {
            assert!(sentence.starts_with("BOOTSTRAP_FILE line 2: client_secret: "), "{sentence}");
            assert!(sentence.contains(about) && !sentence.contains(&secret), "{sentence}");
        }
    }
}

/// A store that takes so many commits more, and then none.
struct FailsAfter(Arc<dyn Store>, AtomicUsize);

impl Store for FailsAfter {
    fn get<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        self.0.get(key)
    }

    fn get_and_remove<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        self.0.get_and_remove(key)
    }

    fn commit(&self, transaction: Transaction) -> StoreFuture<'_, CommitOutcome> {
        let left = self.1.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |it| it.checked_sub(1));
        match left {
            Ok(_) => self.0.commit(transaction),
            Err(_) => Box::pin(async { Err(StoreError::Unavailable("cut off".into())) }),
        }
    }

    fn scan_index<'a>(
        &'a self,
        index: &'a RawKey,
        after: &'a str,
        limit: usize,
    ) -> StoreFuture<'a, Vec<String>> {
        self.0.scan_index(index, after, limit)
    }

    fn increment<'a>(&'a self, counter: &'a RawKey, window: Duration) -> StoreFuture<'a, u64> {
        self.0.increment(counter, window)
    }

    fn ping(&self) -> StoreFuture<'_, PingInfo> {
        self.0.ping()
    }
}

#[tokio::test]
async fn a_new_password_is_told_of_although_the_store_fails_right_after_it_was_set() {
    let store = store();
    apply(FILE, &*store).await.unwrap();
    let file = Bootstrap::parse(&FILE.replace("seven otters", "nine otters")).unwrap();
    let told = async |commits| {
        let failing = FailsAfter(Arc::clone(&store), AtomicUsize::new(commits));
        let (events, passwords) = (Events::new(Clock::manual(NOW)), PasswordHasher::new(1, 4));
        let context = Context {
            issuer: "https://id.example",
            store: &failing,
            now: NOW,
            passwords: &passwords,
            events: &events,
            keys: None,
            declared: &Declared::default(),
            by: Actor::BootstrapFile,
        };
        let mut remarks = Vec::new();
        let declaration = &file.users[0].declaration;
        let declared = declaration.declare(&context, &mut |remark| remarks.push(remark)).await;
        (declared.is_ok(), remarks)
    };
    assert_eq!(told(1).await, (false, vec![Remark::NewPassword]));
    assert_eq!(told(9).await, (true, Vec::new()), "and the next start has nothing to tell");
}
