//! `latchkey backup` and `latchkey restore`.

mod file;

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Read, Seek, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;

use self::file::PendingFile;
use super::error::CliError;
use super::{operator, output, store};
use crate::config::Config;
use crate::domain::keys::{load_secret_key, secret_path};
use crate::infra::clock::{Clock, UnixTime};
use crate::infra::secret_key::SecretKey;
use crate::infra::store::Store;
use crate::infra::store::schema::{CURRENT_SCHEMA, SchemaRecord};
use crate::operations::backup::{
    BackupError, BackupInfo, BackupSummary, FormatError, RestoreReport, VerifiedBackup, is_in_use,
    save,
};

/// What to back up, and where to.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The file to make; there must be none of that name. `-` is standard output
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Sessions, codes and refresh tokens, too: for a move to another store
    #[arg(long)]
    with_sessions: bool,
}

/// What to restore, and how.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup; `-` is standard input
    #[arg(long = "in", value_name = "FILE")]
    input: PathBuf,
    /// Restore into a store that is in use: what the backup has replaces what is there, the rest stays
    #[arg(long)]
    overwrite: bool,
    /// Check everything, say what would be done, and write nothing
    #[arg(long)]
    dry_run: bool,
}

impl RestoreArgs {
    /// Whether it only looks.
    pub(super) fn is_dry(&self) -> bool {
        self.dry_run
    }
}

pub(super) async fn backup(args: &BackupArgs, config: &Config) -> Result<String, CliError> {
    let store = open_durable(config, false).await?;
    if !is_in_use(&*store).await? {
        return Err(refused(EMPTY_STORE.to_owned()));
    }
    let root = load_secret_key(config)?;
    let schema = store.load(&SchemaRecord::store_key()).await?;
    let written_for = schema.map_or(0, |held| held.record.readable_by);
    let about = BackupInfo {
        latchkey: env!("CARGO_PKG_VERSION").to_owned(),
        issuer: config.issuer.as_str().to_owned(),
        created_at: Clock::System.now(),
        with_sessions: args.with_sessions,
        // A newer release that was taken back may have left records that an older one does not know.
        readable_by: written_for.max(CURRENT_SCHEMA.readable_by),
    };
    if is_stream(&args.out) {
        return to_standard_output(&*store, &root, &about, config).await;
    }
    let place = |error| refused(format!("{}: {error}", args.out.display()));
    let file = PendingFile::create(&args.out).map_err(|error| place(BackupError::Io(error)))?;
    let out = BufWriter::new(file.as_file());
    let (out, saved) = save(&*store, &root, &about, out).await.map_err(|error| match error {
        BackupError::Io(_) => place(error),
        other => other.into(),
    })?;
    drop(out);
    file.commit().map_err(|error| place(BackupError::Io(error)))?;
    Ok(summary_text(&args.out.display().to_string(), &saved, config))
}

/// For a container whose root cannot be written, and for pipes. Nothing but the backup goes there; what there
/// is to say goes where errors go. Whoever reads it knows by the exit code whether it is whole, and so does
/// `restore`, which takes no half of one.
async fn to_standard_output(
    store: &dyn Store,
    root: &SecretKey,
    about: &BackupInfo,
    config: &Config,
) -> Result<String, CliError> {
    if io::stdout().is_terminal() {
        return Err(refused(
            "--out -: a terminal is no place for a backup; write it to a file".into(),
        ));
    }
    let place = |error| refused(format!("standard output: {error}"));
    let out = BufWriter::new(io::stdout());
    let (mut out, saved) = save(store, root, about, out).await.map_err(|error| match error {
        BackupError::Io(_) => place(error),
        other => other.into(),
    })?;
    out.flush().map_err(|error| place(BackupError::Io(error)))?;
    let _unheard = writeln!(io::stderr(), "{}", summary_text("standard output", &saved, config));
    Ok(String::new())
}

/// How programs that read and write files are told of the streams.
fn is_stream(name: &Path) -> bool {
    name == Path::new("-")
}

fn summary_text(place: &str, saved: &BackupSummary, config: &Config) -> String {
    let mut text = format!("wrote {place}\n");
    for (name, count) in &saved.counts {
        let _ = writeln!(text, "{name}: {count}");
    }
    if saved.unreadable > 0 {
        let _ = writeln!(text, "NOT in it, because they cannot be read: {}", saved.unreadable);
    }
    let _ = write!(
        text,
        "It opens with the SECRET_KEY of now only{}: keep both, and apart from each other.",
        generated_key_hint(config)
    );
    text
}

/// Where the `SECRET_KEY` is that nobody set.
fn generated_key_hint(config: &Config) -> String {
    match &config.secret_key {
        Some(_) => String::new(),
        None => format!(", which was made and is in {}", secret_path(&config.keys_dir).display()),
    }
}

pub(super) async fn restore(
    args: &RestoreArgs,
    config: &Config,
    now: UnixTime,
) -> Result<String, CliError> {
    let file = open(&args.input).map_err(BackupError::Io);
    let root = load_secret_key(config)?;
    let named = |error: BackupError| match error {
        BackupError::Store(error) => error.into(),
        BackupError::Format(FormatError::WrongKey) if config.secret_key.is_none() => {
            let path = secret_path(&config.keys_dir).display().to_string();
            refused(format!("{error}. No SECRET_KEY is set here, so {path} is what was tried"))
        }
        BackupError::Io(_)
        | BackupError::Format(_)
        | BackupError::Content(_)
        | BackupError::Ring(_) => {
            let place = args.input.display();
            refused(if is_stream(&args.input) {
                format!("standard input: {error}")
            } else {
                format!("{place}: {error}")
            })
        }
    };
    let mut backup = file.and_then(|file| VerifiedBackup::check(file, &root)).map_err(named)?;
    let store = open_durable(config, !args.dry_run).await?;
    let in_use = is_in_use(&*store).await?;
    let plan = backup.plan(&*store, &root, now).await.map_err(named)?;
    let about = backup_text(backup.about(), config);
    if !plan.conflicts.is_empty() {
        let conflicts = plan.conflicts.join("\n");
        let why = "nothing was written: user names belong to other people by now";
        return Err(refused(format!("{why}\n{conflicts}\nremove or rename them first")));
    }
    if args.dry_run {
        let needs = if in_use { "the store is in use: it takes --overwrite\n" } else { "" };
        return Ok(format!("{about}{needs}would restore\n{}", counts_text(&plan)));
    }
    if in_use && !args.overwrite {
        let done = counts_text(&plan);
        return Err(refused(format!("{about}{STORE_IN_USE}\n{done}")));
    }
    let report = backup.restore(&*store, &root, now).await.map_err(named)?;
    Ok(format!("{about}restored\n{}", counts_text(&report)))
}

/// A file is read several times over; what comes by standard input is kept, encrypted as it is.
fn open(name: &Path) -> io::Result<Box<dyn ReadSeek + Send>> {
    if !is_stream(name) {
        return Ok(Box::new(File::open(name)?));
    }
    let mut backup = Vec::new();
    io::stdin().read_to_end(&mut backup)?;
    Ok(Box::new(io::Cursor::new(backup)))
}

trait ReadSeek: Read + Seek {}
impl<T: Read + Seek> ReadSeek for T {}

/// Whoever backs up by night learns of a wrong setting in the morning, not when the backup is needed.
const EMPTY_STORE: &str = "no backup was made: there is nothing in this store. Are REDIS_URL and REDIS_PREFIX \
    those of the servers?";

const STORE_IN_USE: &str = "nothing was written: there are users, clients or signing keys in this store. \
    --overwrite lets what the backup has replace what is there under the same names, and leaves the rest \
    alone. It would do this:";

fn backup_text(about: &BackupInfo, config: &Config) -> String {
    let (version, issuer) = (&about.latchkey, &about.issuer);
    let at = output::timestamp(about.created_at);
    let mut text = format!("a backup of {issuer}, made by Latchkey {version} at {at}\n");
    if *issuer != config.issuer.as_str() {
        let here = config.issuer.as_str();
        let _ = writeln!(text, "note: the issuer here is {here}; clients compare it by the letter");
    }
    text
}

fn counts_text(report: &RestoreReport) -> String {
    let mut text = String::new();
    for (name, counts) in &report.kinds {
        let _ = write!(text, "{name}: {} new", counts.new);
        let _ = write!(text, ", {} replaced, {} unchanged", counts.replaced, counts.unchanged);
        let _ = writeln!(text, ", {} left out because their time is over", counts.expired);
    }
    if report.kinds.is_empty() {
        text.push_str("nothing: the backup is empty\n");
    }
    text
}

/// The store, or what to do without one that lasts.
async fn open_durable(
    config: &Config,
    writes: bool,
) -> Result<std::sync::Arc<dyn Store>, CliError> {
    let store = if writes {
        store::open_durable(config).await
    } else {
        operator::open_store_to_read(config).await
    };
    store.map_err(|error| match error {
        CliError::Refused(_) => refused(NO_DURABLE_STORE.to_owned()),
        other => other,
    })
}

const NO_DURABLE_STORE: &str = "neither REDIS_URL nor a STORE_URL of file: is set, so everything is in the memory of \
    the running server, which this command cannot reach and which is gone when it ends. What lasts there is what you wrote: keep \
    copies of the file of BOOTSTRAP_FILE, of KEYS_DIR and of SECRET_KEY; or set one of the two.";

fn refused(why: String) -> CliError {
    CliError::Refused(why)
}

impl From<BackupError> for CliError {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Store(error) => error.into(),
            BackupError::Io(_)
            | BackupError::Format(_)
            | BackupError::Content(_)
            | BackupError::Ring(_) => refused(error.to_string()),
        }
    }
}
