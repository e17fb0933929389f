use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::{fmt, process};

use zeroize::Zeroizing;

use crate::jose::{self, SigningKey};
use crate::{random, secret};

/// Where the key is, or may be made.
#[derive(Clone, Debug)]
pub struct KeySource {
    /// Given by the operator: it must be there.
    pub private_key_path: Option<PathBuf>,
    /// Given by the operator: it must be the public half of the private key.
    pub public_key_path: Option<PathBuf>,
    /// Where a key is looked for, and made, when no path was given.
    pub keys_dir: PathBuf,
}

/// Why a key or secret file cannot be used, as a sentence that names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyComplaint(String);

impl KeyComplaint {
    fn about(path: &Path, what: impl fmt::Display) -> Self {
        Self(format!("{} {what}", path.display()))
    }
}

impl fmt::Display for KeyComplaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for KeyComplaint {}

/// The signing key, and a notice if it was made just now.
pub(super) fn load_or_make_key(
    source: &KeySource,
) -> Result<(SigningKey, Option<String>), KeyComplaint> {
    if let Some(path) = &source.private_key_path {
        let key = parse(path, &read_private(path)?)?;
        if let Some(public) = &source.public_key_path {
            let pem = fs::read_to_string(public)
                .map_err(|error| KeyComplaint::about(public, format!("cannot be read: {error}")))?;
            if !jose::is_public_half(&pem, &key) {
                let what = format!("is not the public half of {}", path.display());
                return Err(KeyComplaint::about(public, what));
            }
        }
        return Ok((key, None));
    }
    let path = source.keys_dir.join("signing.pem");
    if path.exists() {
        return Ok((parse(&path, &read_private(&path)?)?, None));
    }
    let (_, pem) = SigningKey::generate().map_err(|why| KeyComplaint::about(&path, why))?;
    let made = write_new(&path, &pem)?;
    // Whoever was first made the key: both read what stands there now.
    let key = parse(&path, &read_private(&path)?)?;
    let notice = made.then(|| format!("made a new 2048-bit signing key in {}", path.display()));
    Ok((key, notice))
}

/// The installation's root secret, kept beside the signing key; made once. 43 characters.
pub fn load_or_make_secret(keys_dir: &Path) -> Result<Zeroizing<String>, KeyComplaint> {
    let path = keys_dir.join("secret");
    if !path.exists() {
        let text = Zeroizing::new(secret::base64url(&random::bytes::<32>()) + "\n");
        write_new(&path, &text)?;
    }
    let text = read_private(&path)?;
    Ok(Zeroizing::new(text.trim_end().to_owned()))
}

fn parse(path: &Path, pem: &str) -> Result<SigningKey, KeyComplaint> {
    SigningKey::from_pem(pem).map_err(|why| KeyComplaint::about(path, why))
}

/// Reads a file that only its owner can read. Anything looser is refused, not warned about.
fn read_private(path: &Path) -> Result<Zeroizing<String>, KeyComplaint> {
    let unreadable =
        |error: io::Error| KeyComplaint::about(path, format!("cannot be read: {error}"));
    let real = fs::canonicalize(path).map_err(unreadable)?;
    let about = fs::metadata(&real).map_err(unreadable)?;
    if !about.is_file() {
        return Err(KeyComplaint::about(path, "is not a file"));
    }
    if about.mode() & 0o077 != 0 {
        return Err(KeyComplaint::about(path, "can be read by others; run chmod 600 on it"));
    }
    let me = rustix::process::geteuid().as_raw();
    if about.uid() != me && about.uid() != 0 {
        return Err(KeyComplaint::about(path, "belongs to another user"));
    }
    let is_link = fs::symlink_metadata(path).map_err(unreadable)?.is_symlink();
    let folder_mode = real.parent().and_then(|it| fs::metadata(it).ok()).map_or(0, |it| it.mode());
    // A sticky world-writable folder such as /tmp lets nobody replace another's file.
    if is_link && folder_mode & 0o002 != 0 && folder_mode & 0o1000 == 0 {
        return Err(KeyComplaint::about(path, "is a link into a folder that anybody can write to"));
    }
    fs::read_to_string(&real).map(Zeroizing::new).map_err(unreadable)
}

/// Writes a file of mode 0600 whole or not at all; `false` if it was there already.
fn write_new(path: &Path, text: &str) -> Result<bool, KeyComplaint> {
    let unwritable =
        |error: io::Error| KeyComplaint::about(path, format!("cannot be written: {error}"));
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unwritable)?;
    let unique = uuid::Uuid::from_bytes(random::bytes()).simple();
    let draft = folder.join(format!(".new-{}-{unique}", process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let written = options.open(&draft).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    // A link, unlike a rename, fails where a file is: of two processes one wins and both know.
    let linked = written.and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft).map_err(unwritable)?;
    match linked {
        Ok(()) => {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(unwritable)?;
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(unwritable(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn source(dir: &Path, path: Option<PathBuf>) -> KeySource {
        KeySource { private_key_path: path, public_key_path: None, keys_dir: dir.join("keys") }
    }

    #[test]
    fn a_key_is_made_once_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let (first, notice) = load_or_make_key(&source(dir.path(), None)).unwrap();
        assert!(notice.unwrap().contains("signing.pem"));
        let (second, notice) = load_or_make_key(&source(dir.path(), None)).unwrap();
        assert_eq!((first.kid(), notice), (second.kid(), None));
        let mode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().mode() & 0o777;
        assert_eq!((mode("keys"), mode("keys/signing.pem")), (0o700, 0o600));
        let secret = load_or_make_secret(&dir.path().join("keys")).unwrap();
        assert_eq!(secret.len(), 43);
        assert_eq!(secret, load_or_make_secret(&dir.path().join("keys")).unwrap());
    }

    #[test]
    fn a_given_path_that_does_not_load_is_named_and_nothing_takes_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("op.pem");
        let refuse = |what: &str| {
            let complaint = load_or_make_key(&source(dir.path(), Some(path.clone()))).unwrap_err();
            let text = complaint.to_string();
            assert!(text.contains("op.pem") && text.contains(what), "{text}");
            assert!(!dir.path().join("keys").exists());
        };
        refuse("cannot be read");
        let write = |text: &str, mode: u32| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        write("", 0o600);
        refuse("not a readable PEM");
        write("-----BEGIN ENCRYPTED PRIVATE KEY-----\n", 0o600);
        refuse("encrypted");
        let (_, pem) = SigningKey::generate().unwrap();
        write(&pem, 0o644);
        refuse("chmod 600");
        write(&pem[..pem.len() / 2], 0o600);
        refuse("not a readable PEM");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        refuse("not a file");
    }
}
