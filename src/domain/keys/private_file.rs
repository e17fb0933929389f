//! Reads files that hold a private key or `SECRET_KEY`, unless other users could read or replace them.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::{Gid, getegid, geteuid, getgroups};
use zeroize::Zeroizing;

use super::KeyFileError;

/// The user and groups of this process.
struct ProcessIdentity {
    uid: u32,
    gids: Vec<u32>,
}

/// The owner and mode of a file.
#[derive(Clone, Copy)]
struct FileAccess {
    uid: u32,
    gid: u32,
    mode: u32,
}

impl ProcessIdentity {
    fn of_this_process() -> Self {
        let others = getgroups().unwrap_or_default();
        let gids = others.into_iter().chain([getegid()]).map(Gid::as_raw).collect();
        Self { uid: geteuid().as_raw(), gids }
    }

    /// Why a file is refused, as the end of a sentence. Reading by a group of ours is allowed, because that is how
    /// orchestrators hand a secret to a process that is not root: `fsGroup` makes it root's, with mode 0440. Writing
    /// by a group is allowed only for our own files (`fsGroup` makes 0660 of those in a volume); elsewhere the group
    /// could put another key there.
    fn reject_reason(&self, file: FileAccess) -> Option<&'static str> {
        let by_group = file.mode & 0o070 != 0;
        let is_our_group = self.gids.contains(&file.gid);
        if file.mode & 0o007 != 0 {
            return Some("can be read by others; run chmod o= on it");
        }
        if by_group && !is_our_group {
            return Some(
                "can be read by a group that Latchkey is not in; run chgrp to one it is in, or chmod g= on it",
            );
        }
        if file.uid == self.uid {
            return None;
        }
        if file.uid != 0 {
            return Some("belongs to another user");
        }
        (file.mode & 0o020 != 0).then_some("can be written by a group; run chmod g-w on it")
    }
}

/// Reads a file that only its owner and a group of ours can read. A looser one is refused, not warned about.
pub(super) fn read_private(path: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    let unreadable =
        |error: io::Error| KeyFileError::about(path, format!("cannot be read: {error}"));
    let real = fs::canonicalize(path).map_err(unreadable)?;
    let about = fs::metadata(&real).map_err(unreadable)?;
    if !about.is_file() {
        return Err(KeyFileError::about(path, "is not a file"));
    }
    let access = FileAccess { uid: about.uid(), gid: about.gid(), mode: about.mode() };
    if let Some(objection) = ProcessIdentity::of_this_process().reject_reason(access) {
        return Err(KeyFileError::about(path, objection));
    }
    let is_link = fs::symlink_metadata(path).map_err(unreadable)?.is_symlink();
    let folder_mode = real.parent().and_then(|it| fs::metadata(it).ok()).map_or(0, |it| it.mode());
    // A sticky world-writable folder such as /tmp lets nobody replace another's file.
    if is_link && folder_mode & 0o002 != 0 && folder_mode & 0o1000 == 0 {
        return Err(KeyFileError::about(path, "is a link into a folder that anybody can write to"));
    }
    fs::read_to_string(&real).map(Zeroizing::new).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_of_ours_may_read_a_private_file_and_nobody_else() {
        let latchkey = ProcessIdentity { uid: 65532, gids: vec![65532, 2000] };
        let (root, ours, stranger) = (0, 65532, 1000);
        #[rustfmt::skip]
        let table = [
            // uid,     gid,   mode,   what is said
            (ours,     65532, 0o600,  None),
            (ours,     65532, 0o400,  None),
            (root,     0,     0o400,  None),
            // A Secret with `fsGroup`; and a volume, whose files get all that the owner has.
            (root,     65532, 0o440,  None),
            (ours,     65532, 0o660,  None),
            (root,     65532, 0o640,  None),
            // A group that may write could put another key there.
            (root,     65532, 0o460,  Some("written by a group")),
            (root,     65532, 0o660,  Some("written by a group")),
            // Whoever it belongs to can change it and what it says.
            (stranger, 2000,  0o640,  Some("another user")),
            (root,     65532, 0o444,  Some("others")),
            (ours,     65532, 0o604,  Some("others")),
            (ours,     65532, 0o602,  Some("others")),
            (root,     0,     0o440,  Some("a group that Latchkey is not in")),
            (ours,     100,   0o640,  Some("a group that Latchkey is not in")),
            (stranger, 65532, 0o600,  Some("another user")),
            (stranger, 100,   0o600,  Some("another user")),
        ];
        for (uid, gid, mode, said) in table {
            let objection = latchkey.reject_reason(FileAccess { uid, gid, mode });
            let fits = match (objection, said) {
                (None, None) => true,
                (Some(objection), Some(said)) => objection.contains(said),
                (Some(_), None) | (None, Some(_)) => false,
            };
            assert!(fits, "{uid}:{gid} {mode:o}: {objection:?}");
        }
    }
}
