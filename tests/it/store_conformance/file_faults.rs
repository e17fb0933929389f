//! The file store with a full disk, a second process, and data of a later release.

use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use latchkey::infra::clock::{Clock, UnixTime};
use latchkey::infra::store::{
    CommitOutcome, FileStore, OpenError, Partition, RawKey, Store, StoreError, Transaction,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{LIFETIME, raw};

const FOLDER: &str = "LATCHKEY_TEST_SMALL_DISK";

async fn opened(folder: &Path) -> FileStore {
    FileStore::open(folder, Clock::System).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn refused(folder: &Path) -> String {
    match FileStore::open(folder, Clock::System).await {
        Ok(_) => panic!("it opens"),
        Err(error) => error.to_string(),
    }
}

fn numbered(number: usize) -> RawKey {
    RawKey::new(Partition::new(format!("n:{number}")), "k", None)
}

/// So large that a few make a page of their own, so that damage finds them.
fn content(number: usize) -> Vec<u8> {
    number.to_string().into_bytes().into_iter().cycle().take(3000).collect()
}

async fn files(
    store: &FileStore,
    number: usize,
    until: Option<UnixTime>,
) -> Result<(), StoreError> {
    let key = numbered(number);
    let change = Transaction::within(key.partition().clone()).put(key, content(number), until);
    store.commit(change).await.map(|outcome| assert_eq!(outcome, CommitOutcome::Committed))
}

/// Files one after the other until one is refused; how many were not.
async fn files_until_refused(store: &FileStore, from: usize) -> usize {
    for number in from..from + 100_000 {
        match files(store, number, None).await {
            Ok(()) => {}
            Err(StoreError::Unavailable(_)) => return number,
            Err(other) => panic!("{other}"),
        }
    }
    panic!("the disk is never full");
}

#[tokio::test]
async fn a_disk_that_cannot_be_asked_is_not_taken_for_full() {
    let around = tempfile::tempdir().expect("a folder");
    let (folder, moved) = (around.path().join("data"), around.path().join("moved"));
    let store = opened(&folder).await;
    files(&store, 1, None).await.expect("room");
    // The file is open and can be written; where it was, there is nothing to ask.
    std::fs::rename(&folder, &moved).expect("moved");
    files(&store, 2, None).await.expect("room");
    all_there(&store, 1..3).await;
}

async fn all_there(store: &FileStore, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let held = store.get(&numbered(number)).await.expect("readable");
        assert!(held == Some(content(number)), "{number} is not what it was");
    }
}

#[tokio::test]
async fn only_the_owner_may_look_and_only_one_process_at_a_time() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("a/data");
    let store = opened(&folder).await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for entry in std::fs::read_dir(&folder).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }

    let Err(error) = FileStore::open(&folder, Clock::System).await else { panic!("it opens") };
    assert!(matches!(&error, OpenError::InUse { .. }), "{error}");
    let said = error.to_string();
    assert!(said.contains(&*folder.to_string_lossy()), "{said}");
    assert!(said.contains(&format!("process {}", std::process::id())), "{said}");
    drop(store);
    opened(&folder).await.ping().await.unwrap();
}

#[tokio::test]
async fn what_is_due_goes_with_other_changes_a_few_at_a_time_and_by_itself_when_nothing_changes() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::manual(Clock::System.now());
    let store = FileStore::open(folder.path(), clock.clone()).await.unwrap();
    let until = clock.now().plus(LIFETIME);
    for number in 0..40 {
        files(&store, number, Some(until)).await.unwrap();
    }
    files(&store, 40, None).await.unwrap();
    assert_eq!(store.count_entries().await.unwrap(), (41, 40));
    clock.advance(LIFETIME);
    assert_eq!(store.get(&numbered(7)).await.unwrap(), None, "it is over for readers at once");
    for _ in 0..5 {
        store.ping().await.unwrap();
    }
    assert_eq!(store.count_entries().await.unwrap(), (1, 0));

    let until = clock.now().plus(LIFETIME);
    files(&store, 41, Some(until)).await.unwrap();
    clock.advance(LIFETIME);
    let since = Instant::now();
    while store.count_entries().await.unwrap() != (1, 0) {
        assert!(since.elapsed() < Duration::from_secs(10), "nobody looks");
        tokio::task::yield_now().await;
    }
    all_there(&store, 40..41).await;
}

#[tokio::test]
async fn a_later_schema_and_a_strange_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(opened(folder.path()).await);
    let path = folder.path().join("latchkey.redb");
    let database = redb::Database::open(&path).unwrap();
    let change = database.begin_write().unwrap();
    let meta = redb::TableDefinition::<&str, u64>::new("meta");
    change.open_table(meta).unwrap().insert("schema", 2).unwrap();
    change.commit().unwrap();
    drop(database);
    assert!(refused(folder.path()).await.contains("later version"));

    std::fs::remove_file(&path).unwrap();
    drop(redb::Database::create(&path).unwrap());
    assert!(refused(folder.path()).await.contains("is damaged"));

    let file = folder.path().join("a file");
    std::fs::write(&file, "").unwrap();
    assert!(refused(&file).await.contains("a file cannot be used"));
}

/// What every damage comes to: a refusal that names the file, or nothing is missing.
async fn is_told_or_harmless(folder: &Path, what: &str) -> bool {
    match FileStore::open(folder, Clock::System).await {
        Ok(store) => {
            all_there(&store, 0..200).await;
            false
        }
        Err(error) => {
            let said = error.to_string();
            assert!(said.contains("latchkey.redb is damaged"), "{what}: {said}");
            true
        }
    }
}

#[tokio::test]
async fn damage_is_told_at_the_start_and_never_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(folder.path()).await;
    for number in 0..200 {
        files(&store, number, None).await.unwrap();
    }
    drop(store);
    let path = folder.path().join("latchkey.redb");
    let whole = std::fs::read(&path).unwrap();
    for bad in [&b""[..], b"SQLite format 3\0", &[0; 8192], &whole[..whole.len() / 2]] {
        std::fs::write(&path, bad).unwrap();
        let what = format!("{} bytes", bad.len());
        assert!(is_told_or_harmless(folder.path(), &what).await, "{what}");
    }

    let mut told = 0;
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        std::fs::write(&path, &whole).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        let bad: Vec<u8> = whole[at..].iter().take(64).map(|byte| !byte).collect();
        file.write_all_at(&bad, u64::try_from(at).unwrap()).unwrap();
        told += usize::from(is_told_or_harmless(folder.path(), &format!("at {at}")).await);
    }
    assert!(told > 5, "{told} of 40 were told");
}

/// The limit this process has for its files, which is a disk that fills up in the middle of a write.
fn lift_the_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: maximum, maximum }).expect("within the maximum");
}

/// Fills what it was given, and goes on when there is room again. Given nothing, it fills a small folder of
/// its own for a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hand_fills_its_disk() {
    let own = tempfile::tempdir().unwrap();
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        let store = opened(own.path()).await;
        for number in 0..3 {
            files(&store, number, None).await.unwrap();
        }
        return all_there(&store, 0..3).await;
    };
    let limited = getrlimit(Resource::Fsize).current.is_some();
    let ballast = folder.join("ballast");
    if !limited {
        std::fs::write(&ballast, vec![1; 1 << 20]).unwrap();
    }
    let data = folder.join("data");
    let store = opened(&data).await;
    let full = files_until_refused(&store, 0).await;
    assert!(full > 20, "only {full} had room");
    if !limited {
        // Not a byte left: whoever else is on this disk may take what the store leaves.
        let rest = std::fs::File::create(folder.join("rest")).unwrap();
        let blocks = (0..).map(|block| rest.write_all_at(&[1; 4096], block * 4096));
        assert!(blocks.take(10_000).any(|written| written.is_err()));
    }
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    assert!(matches!(files(&store, full, None).await, Err(StoreError::Unavailable(_))));
    all_there(&store, 0..full).await;
    assert_eq!(store.get(&numbered(full)).await.unwrap(), None);

    if limited {
        lift_the_limit();
    } else {
        std::fs::remove_file(&ballast).unwrap();
        std::fs::remove_file(folder.join("rest")).unwrap();
    }
    for number in full..full + 20 {
        files(&store, number, None).await.unwrap();
    }
    assert_eq!(store.increment(&raw("tally"), LIFETIME).await.unwrap(), 1);
    drop(store);
    all_there(&opened(&data).await, 0..full + 20).await;
}

/// Files of 4 MiB at most, in units of 512 bytes; without the signal that says so.
const LIMITED: [&str; 3] = ["sh", "-c", "trap '' XFSZ; ulimit -S -f 8192; exec \"$0\" \"$@\""];

/// Runs the test above by itself, in a process that `wrapped` prepares.
fn fills(wrapped: &[&str], folder: &Path) -> Output {
    let name = "store_conformance::file_faults::a_hand_fills_its_disk";
    Command::new(wrapped[0])
        .args(&wrapped[1..])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(FOLDER, folder)
        .output()
        .expect("a shell")
}

fn assert_well(output: &Output) {
    let [said, complained] = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{complained}");
}

#[test]
fn a_write_that_fails_in_the_middle_is_undone_and_the_next_one_that_fits_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    assert_well(&fills(&LIMITED, folder.path()));
}

#[test]
fn a_full_disk_refuses_changes_keeps_what_it_has_and_takes_more_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let mount =
        "mount -t tmpfs -o size=6m none \"$LATCHKEY_TEST_SMALL_DISK\" && exec \"$0\" \"$@\"";
    // By right, by a user namespace, or by sudo. Where the machine lets nobody mount anything, a limit on
    // the size of files stands in for the small disk.
    let ways: [&[&str]; 3] = [
        &["unshare", "-m"],
        &["unshare", "-rm"],
        &["sudo", "-n", "--preserve-env=LATCHKEY_TEST_SMALL_DISK", "unshare", "-m"],
    ];
    let works = |way: &&&[&str]| {
        let tried = Command::new(way[0])
            .args(&way[1..])
            .args(["sh", "-c", "mount -t tmpfs -o size=1m none \"$0\""])
            .arg(folder.path())
            .output();
        tried.is_ok_and(|output| output.status.success())
    };
    match ways.iter().find(works) {
        Some(way) => {
            assert_well(&fills(&[way, &["sh", "-c", mount][..]].concat(), folder.path()));
        }
        None => assert_well(&fills(&LIMITED, folder.path())),
    }
}
