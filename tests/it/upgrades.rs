//! Releases that follow one another on the same data: which may, which may not, and what they tolerate.

mod grants_v2;
mod newer_records;

use std::process::Output;
use std::sync::Arc;

use latchkey::infra::clock::Clock;
use latchkey::infra::store::schema::{
    CURRENT_SCHEMA, SchemaRecord, SchemaVersion, check_schema, ensure_schema,
};
use latchkey::infra::store::{CommitOutcome, FileStore, OpenError, Store, Transaction};

use crate::cli::{Program, command, free_port};
use crate::support::test_server::{Backend, TestServer, on_every_store};

on_every_store![
    a_server_says_which_schema_it_writes,
    a_release_and_the_next_run_side_by_side_and_the_one_after_leaves_the_first_behind,
    of_servers_that_start_at_once_on_nothing_all_start,
    what_cannot_be_read_is_not_taken_for_nothing,
];

/// Releases to come: each understood by the one before it, and reading what that one left.
const fn release(schema: u32) -> SchemaVersion {
    SchemaVersion { schema, readable_by: schema - 1, reads_from: schema - 1 }
}

const FIRST: SchemaVersion = SchemaVersion { schema: 1, readable_by: 1, reads_from: 1 };

async fn said(store: &dyn Store) -> Option<(u32, u32)> {
    let found = store.load(&SchemaRecord::store_key()).await.expect("a store");
    found.map(|it| (it.record.written, it.record.readable_by))
}

async fn a_server_says_which_schema_it_writes(provider: TestServer) {
    let expected = Some((CURRENT_SCHEMA.schema, CURRENT_SCHEMA.readable_by));
    assert_eq!(said(provider.store()).await, expected);
    provider.start_another(&[]).await;
    assert_eq!(said(provider.store()).await, expected, "and once is enough");
}

async fn a_release_and_the_next_run_side_by_side_and_the_one_after_leaves_the_first_behind(
    provider: TestServer,
) {
    let store = provider.store();
    store.remove(&SchemaRecord::store_key()).await.expect("a store");
    check_schema(store, FIRST).await.expect("nothing is there to misread");
    assert_eq!(said(store).await, None, "looking writes nothing");
    let far = ensure_schema(store, release(3)).await;
    assert!(far.is_ok(), "on nothing any release may begin: {far:?}");

    store.put(&SchemaRecord { written: 1, readable_by: 1 }).await.expect("a store");
    let refused = ensure_schema(store, release(3)).await;
    assert!(matches!(refused, Err(OpenError::Older { data: 1, reads: 2 })), "{refused:?}");
    assert_eq!(said(store).await, Some((1, 1)), "who is refused changes nothing");
    for (release, both) in [(FIRST, (1, 1)), (release(2), (2, 1)), (FIRST, (2, 1))] {
        ensure_schema(store, release).await.expect("side by side");
        assert_eq!(said(store).await, Some(both), "{release:?}");
    }
    for (release, both) in [(release(3), (3, 2)), (release(2), (3, 2)), (release(3), (3, 2))] {
        ensure_schema(store, release).await.expect("side by side");
        assert_eq!(said(store).await, Some(both), "{release:?}");
    }
    for refused in [ensure_schema(store, FIRST).await, check_schema(store, FIRST).await] {
        let Err(why @ OpenError::Newer { data: 2, reads: 1 }) = refused else {
            panic!("{refused:?}")
        };
        let line = why.to_string();
        assert!(line.contains("newer Latchkey") && !line.contains('\n'), "{line}");
    }
    assert_eq!(said(store).await, Some((3, 2)), "who is refused changes nothing");
}

async fn of_servers_that_start_at_once_on_nothing_all_start(provider: TestServer) {
    provider.store().remove(&SchemaRecord::store_key()).await.expect("a store");
    let starting: Vec<_> = (0..16)
        .map(|number| {
            let store = Arc::clone(&provider.app().store);
            let release = if number % 2 == 0 { FIRST } else { release(2) };
            tokio::spawn(async move { ensure_schema(&*store, release).await })
        })
        .collect();
    for server in starting {
        server.await.expect("an end").expect("a start");
    }
    assert_eq!(said(provider.store()).await, Some((2, 1)));
}

async fn what_cannot_be_read_is_not_taken_for_nothing(provider: TestServer) {
    let place = SchemaRecord::store_key();
    let broken = Transaction::within(place.raw().partition().clone());
    let broken = broken.put(place.raw().clone(), b"{\"written\":1}".to_vec(), None);
    assert_eq!(provider.store().commit(broken).await.expect("a store"), CommitOutcome::Committed);
    for refused in [
        ensure_schema(provider.store(), CURRENT_SCHEMA).await,
        check_schema(provider.store(), CURRENT_SCHEMA).await,
    ] {
        assert!(matches!(refused, Err(OpenError::SchemaUnreadable(_))), "{refused:?}");
    }
}

/// Data of a release that nobody has yet; it still says nothing to this one if `readable_by` is 2.
async fn left_by_a_newer_one(store: &dyn Store, readable_by: u32) {
    store.put(&SchemaRecord { written: 9, readable_by }).await.expect("a store");
}

fn refuses(output: &Output) {
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(69), "{told}");
    let line = told.lines().last().expect("a line");
    assert!(line.contains("the store was used by a newer Latchkey"), "{told}");
    assert!(line.contains("schema 9") && !told.contains("panicked"), "{told}");
}

/// Everything that opens a store.
const WHOEVER: [&[&str]; 8] = [
    &["serve"],
    &["user", "list"],
    &["client", "list"],
    &["keys", "list"],
    &["keys", "rotate"],
    &["logout", "list"],
    &["backup", "--out", "b"],
    &[],
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_and_its_tools_refuse_newer_data_in_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let leave = async |readable_by| {
        let opened = FileStore::open(&folder.path().join("data"), Clock::System).await;
        left_by_a_newer_one(&opened.expect("a folder"), readable_by).await;
    };
    leave(9).await;
    let file = [("STORE_URL", "file:./data")];
    for words in WHOEVER {
        refuses(&command(folder.path(), &file).args(words).output().expect("an end"));
    }
    leave(CURRENT_SCHEMA.schema).await;
    let demo = [file[0], ("DEV_USER", "ada")];
    let program = Program::start_in(folder.path(), free_port(), &demo).await;
    program.signal(rustix::process::Signal::TERM);
    assert_eq!(program.exit_code(), Some(0), "the release before that one starts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_and_its_tools_refuse_newer_data_in_redis() {
    let provider = TestServer::start(Backend::Redis).await;
    left_by_a_newer_one(provider.store(), 9).await;
    let folder = tempfile::tempdir().expect("a folder");
    let settings = provider.redis_settings();
    let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
    for words in WHOEVER {
        refuses(&command(folder.path(), &settings).args(words).output().expect("an end"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_leaves_no_trace_in_the_store_and_other_tools_say_who_was_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = [("STORE_URL", "file:./data")];
    let run = |words: &[&str]| command(folder.path(), &settings).args(words).output();
    let refused = run(&["backup", "--out", "b"]).expect("an end");
    assert_eq!(refused.status.code(), Some(1), "there is nothing in it");
    let open = async || {
        FileStore::open(&folder.path().join("data"), Clock::System).await.expect("a folder")
    };
    assert_eq!(said(&open().await).await, None);
    assert_eq!(run(&["user", "list"]).expect("an end").status.code(), Some(0));
    assert_eq!(
        said(&open().await).await,
        Some((CURRENT_SCHEMA.schema, CURRENT_SCHEMA.readable_by))
    );
}
