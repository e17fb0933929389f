use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;

use zeroize::Zeroizing;

use super::private_file::read_private;
use super::{KeyFileError, KeyUse};
use crate::infra::jose::{self, Algorithm, PrivateKey, SigningKey};
use crate::infra::random;
use crate::infra::secret;

/// Where key files are read, or created.
#[derive(Clone, Debug)]
pub struct KeySource {
    /// `PRIVATE_KEY_PATH`: it must exist.
    pub private_key_path: Option<PathBuf>,
    /// `PUBLIC_KEY_PATH`: it must be the public half of the private key.
    pub public_key_path: Option<PathBuf>,
    /// Where keys are looked for, and created, that have no path of their own.
    pub keys_dir: PathBuf,
}

/// Keys from files, and which of them were created.
#[derive(Debug, Default)]
pub struct FileKeys {
    /// At most one for each algorithm.
    pub keys: Vec<SigningKey>,
    /// A sentence for the operator for each key created just now.
    pub notices: Vec<String>,
    /// The `kid`s of the keys created just now.
    pub created_kids: Vec<String>,
}

/// Loads the given key and those in the keys folder. With `make`, missing ones are created there: with a store
/// that forgets, the files are what lasts.
pub fn load_files(
    source: &KeySource,
    purposes: &[KeyUse],
    make: bool,
) -> Result<FileKeys, KeyFileError> {
    let mut found = FileKeys::default();
    for purpose in purposes {
        match (purpose, &source.private_key_path) {
            (KeyUse::Decryption(_), _) => {}
            (KeyUse::Signing(Algorithm::Rs256), Some(path)) => {
                found.keys.push(load_given(source, path)?);
            }
            (KeyUse::Signing(alg), _) => load_from_dir(source, *alg, make, &mut found)?,
        }
    }
    // A key has one name and is used with one algorithm (RFC 8725 §3.1): the same RSA key for two would
    // be one key in the set.
    let kids: Vec<_> = found.keys.iter().map(SigningKey::kid).collect();
    match (1..kids.len()).find(|at| kids[..*at].contains(&kids[*at])) {
        Some(at) => {
            let alg = found.keys[at].alg().as_str();
            Err(KeyFileError::new(format!(
                "the {alg} key is another algorithm's too; each needs its own"
            )))
        }
        None => Ok(found),
    }
}

fn load_given(source: &KeySource, path: &Path) -> Result<SigningKey, KeyFileError> {
    let key = parse(path, Algorithm::Rs256, &read_private(path)?)?;
    if let Some(public) = &source.public_key_path {
        let pem = fs::read_to_string(public)
            .map_err(|error| KeyFileError::about(public, format!("cannot be read: {error}")))?;
        if !jose::is_public_half(&pem, key.jwk()) {
            let what = format!("is not the public half of {}", path.display());
            return Err(KeyFileError::about(public, what));
        }
    }
    Ok(key)
}

fn load_from_dir(
    source: &KeySource,
    alg: Algorithm,
    make: bool,
    found: &mut FileKeys,
) -> Result<(), KeyFileError> {
    let path = source.keys_dir.join(match alg {
        Algorithm::Rs256 => "signing.pem",
        Algorithm::Ps256 => "signing-ps256.pem",
        Algorithm::Es256 => "signing-es256.pem",
        Algorithm::EdDsa => "signing-eddsa.pem",
    });
    if !path.exists() {
        if !make {
            return Ok(());
        }
        let key = SigningKey::generate_for(alg).and_then(|key| Ok((key.to_pem()?, key)));
        let (pem, key) = key.map_err(|why| KeyFileError::about(&path, why))?;
        if create_file(&path, &pem)? {
            let (alg, path) = (alg.as_str(), path.display());
            found.notices.push(format!("made a new {alg} signing key in {path}"));
            found.created_kids.push(key.kid().to_owned());
        }
    }
    // Of several processes the first created the file; all use what it holds now.
    found.keys.push(parse(&path, alg, &read_private(&path)?)?);
    Ok(())
}

/// The file of the generated `SECRET_KEY`.
pub fn secret_path(keys_dir: &Path) -> PathBuf {
    keys_dir.join("secret")
}

/// Reads the generated `SECRET_KEY` from the keys folder; creates it, of 43 characters, if it is missing.
pub fn load_or_create_secret(keys_dir: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    let path = secret_path(keys_dir);
    if !path.exists() {
        let text = Zeroizing::new(secret::base64url(&random::bytes::<32>()) + "\n");
        create_file(&path, &text)?;
    }
    let text = read_private(&path)?;
    Ok(Zeroizing::new(text.trim_end().to_owned()))
}

fn parse(path: &Path, alg: Algorithm, pem: &str) -> Result<SigningKey, KeyFileError> {
    PrivateKey::from_pem(pem)
        .and_then(|key| SigningKey::from_private(&key, alg))
        .map_err(|why| KeyFileError::about(path, why))
}

/// Writes a file of mode 0600 whole or not at all; `false` if it was there already.
fn create_file(path: &Path, text: &str) -> Result<bool, KeyFileError> {
    let unwritable =
        |error: io::Error| KeyFileError::about(path, format!("cannot be written: {error}"));
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
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    fn source(dir: &Path, path: Option<PathBuf>) -> KeySource {
        KeySource { private_key_path: path, public_key_path: None, keys_dir: dir.join("keys") }
    }

    const RS256: &[KeyUse] = &[KeyUse::Signing(Algorithm::Rs256)];

    #[test]
    fn a_key_is_made_once_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let source = source(dir.path(), None);
        assert!(load_files(&source, RS256, false).unwrap().keys.is_empty());
        assert!(!dir.path().join("keys").exists(), "none was wanted");
        let first = load_files(&source, RS256, true).unwrap();
        assert!(first.notices[0].contains("signing.pem"));
        let second = load_files(&source, RS256, false).unwrap();
        assert_eq!(first.keys[0].kid(), second.keys[0].kid());
        assert_eq!(second.notices, Vec::<String>::new());
        let mode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().mode() & 0o777;
        assert_eq!((mode("keys"), mode("keys/signing.pem")), (0o700, 0o600));
        let secret = load_or_create_secret(&dir.path().join("keys")).unwrap();
        assert_eq!(secret.len(), 43);
        assert_eq!(secret, load_or_create_secret(&dir.path().join("keys")).unwrap());
    }

    #[test]
    fn each_algorithm_has_a_file_of_its_own_and_a_file_of_another_kind_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let source = source(dir.path(), None);
        let all: Vec<_> = Algorithm::ALL.iter().map(|alg| KeyUse::Signing(*alg)).collect();
        let made = load_files(&source, &all, true).unwrap();
        assert_eq!(made.notices.len(), 4);
        let algs: Vec<_> = made.keys.iter().map(SigningKey::alg).collect();
        assert_eq!(algs, Algorithm::ALL);
        let keys = dir.path().join("keys");
        fs::copy(keys.join("signing.pem"), keys.join("signing-es256.pem")).unwrap();
        let complaint = load_files(&source, &all, false).unwrap_err().to_string();
        assert!(complaint.ends_with("signing-es256.pem is not a private key on the curve P-256"));
        fs::copy(keys.join("signing.pem"), keys.join("signing-ps256.pem")).unwrap();
        let complaint = load_files(&source, &all[..2], false).unwrap_err().to_string();
        assert!(complaint.starts_with("the PS256 key is another algorithm's too"), "{complaint}");
    }

    #[test]
    fn a_given_path_that_does_not_load_is_named_and_nothing_takes_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("op.pem");
        let refuse = |what: &str| {
            let complaint =
                load_files(&source(dir.path(), Some(path.clone())), RS256, true).unwrap_err();
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
        refuse("chmod o=");
        write(&pem, 0o440);
        let handed_over = source(dir.path(), Some(path.clone()));
        assert_eq!(load_files(&handed_over, RS256, true).unwrap().keys.len(), 1);
        write(&pem[..pem.len() / 2], 0o400);
        refuse("not a readable PEM");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        refuse("not a file");
    }
}
