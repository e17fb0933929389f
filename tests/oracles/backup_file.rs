use std::io::Cursor;
use std::sync::OnceLock;

use latchkey::infra::secret_key::SecretKey;
use latchkey::operations::backup::{BackupError, BackupInfo, VerifiedBackup, save};

use super::in_process_server::{ISSUER, InProcessServer, NOW};
use super::{edited, lines};

/// A backup is read if it is, byte for byte, one that was written: not with anything changed, cut off, put
/// behind it, or under another secret. Bytes that were never one are no panic.
///
/// Lines: an [edit](super::edited) of a backup; and any bytes, which are tried as a file too.
pub fn backup_file(data: &[u8]) {
    holds(data, |file, root| {
        VerifiedBackup::check(Cursor::new(file), root).map(|it| it.about().clone())
    });
}

pub fn holds(data: &[u8], check: impl Fn(Vec<u8>, &SecretKey) -> Result<BackupInfo, BackupError>) {
    static WRITTEN: OnceLock<Vec<u8>> = OnceLock::new();
    let written = WRITTEN.get_or_init(|| {
        InProcessServer::with(|server| {
            let (key, about) = (root("k"), about());
            let saved = save(&*server.app().store, &key, &about, Vec::new());
            server.waits(saved).expect("a backup").0
        })
    });
    let read = check(written.clone(), &root("k")).expect("what was written");
    assert_eq!(read, about());
    assert!(check(written.clone(), &root("s")).is_err(), "under another secret");

    let [how, behind] = lines(data);
    let changed = edited(written, how);
    if changed != *written {
        assert!(check(changed, &root("k")).is_err(), "changed by {how:?}");
    }
    let longer = [written, behind].concat();
    assert_eq!(check(longer, &root("k")).is_ok(), behind.is_empty(), "and {behind:?} behind it");
    assert!(check(data.to_vec(), &root("k")).is_err());
    // What looks like one as far as it is not encrypted.
    let begun = [&written[..42], data].concat();
    assert!(check(begun, &root("k")).is_err());
}

fn root(letter: &str) -> SecretKey {
    SecretKey::from_text(&letter.repeat(32)).expect("a long key")
}

fn about() -> BackupInfo {
    BackupInfo {
        latchkey: "0.1.0".into(),
        issuer: ISSUER.into(),
        created_at: NOW,
        with_sessions: true,
        readable_by: 1,
    }
}
