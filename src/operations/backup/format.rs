//! The file: a few bytes in clear, then frames, each encrypted by itself (AES-256-GCM).
//!
//! | bytes | |
//! |---|---|
//! | 8 | `LATCHBAK` |
//! | 2 | the format's number |
//! | 32 | a salt, new for each file |
//! | then for each frame: 4 | its length, the highest bit set at the last one |
//! | | the frame, its tag at the end |
//!
//! The key is derived from `SECRET_KEY` and the salt, so nonces can be a counter. A nonce also says whether the frame
//! is the last ([STREAM]): a truncated file, or a frame that was moved, left out or replaced, is refused.
//!
//! [STREAM]: https://eprint.iacr.org/2015/189

use std::io::{self, Read, Write};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::infra::random;
use crate::infra::secret_key::MacKey;

/// What this version writes, and the newest it reads.
pub const FORMAT: u16 = 1;

const MAGIC: &[u8; 8] = b"LATCHBAK";
const SALT_LEN: usize = 32;
const PREAMBLE_LEN: usize = MAGIC.len() + 2 + SALT_LEN;
const LAST_FRAME_FLAG: u32 = 1 << 31;
/// More than any record has: a longer frame was not written by Latchkey.
const MAX_FRAME_BYTES: u32 = 16 << 20;

/// What helps where the file is not what was written.
const DAMAGED_HINT: &str = "copy it anew from where it was made, without anything that changes bytes on the way, or take \
    an earlier one";

/// Why a backup is not read any further.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    #[error(transparent)]
    Io(io::Error),
    #[error("it is not a backup of Latchkey")]
    NotABackup,
    #[error(
        "it was written by a newer Latchkey (format {0}, this one reads up to {own}): restore it with that one",
        own = FORMAT
    )]
    Newer(u16),
    /// Neither the present secret key nor a previous one decrypts the first frame.
    #[error(
        "SECRET_KEY does not open it: it was made under another one, or its first bytes are damaged. If the \
         SECRET_KEY has changed since, give the one of then as SECRET_KEY_PREVIOUS; the signing keys are \
         encrypted anew"
    )]
    WrongKey,
    /// The number of the frame that does not authenticate.
    #[error("it is damaged (in frame {0}): {hint}", hint = DAMAGED_HINT)]
    Damaged(u64),
    #[error("it is cut off, its end is missing: {hint}", hint = DAMAGED_HINT)]
    CutShort,
    #[error("it is damaged, it goes on after its end: {hint}", hint = DAMAGED_HINT)]
    Trailing,
}

impl From<io::Error> for FormatError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::CutShort } else { Self::Io(error) }
    }
}

/// What both ends count.
struct Frames {
    cipher: LessSafeKey,
    preamble: [u8; PREAMBLE_LEN],
    count: u64,
}

impl Frames {
    fn new(root: &MacKey, preamble: [u8; PREAMBLE_LEN]) -> Option<Self> {
        let key = Zeroizing::new(root.mac(&["backup.v1".as_bytes(), &preamble]));
        let key = UnboundKey::new(&AES_256_GCM, &*key).ok()?;
        Some(Self { cipher: LessSafeKey::new(key), preamble, count: 0 })
    }

    fn nonce(&self, last: bool) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        nonce[0] = u8::from(last);
        nonce[NONCE_LEN - 8..].copy_from_slice(&self.count.to_be_bytes());
        Nonce::assume_unique_for_key(nonce)
    }

    fn open(&mut self, mut frame: Vec<u8>, last: bool) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, aad) = (self.nonce(last), Aad::from(self.preamble));
        let length = self.cipher.open_in_place(nonce, aad, &mut frame).ok()?.len();
        frame.truncate(length);
        self.count += 1;
        Some(Zeroizing::new(frame))
    }
}

/// Writes a backup, frame by frame.
pub struct FrameWriter<W> {
    out: W,
    frames: Frames,
}

impl<W: Write> FrameWriter<W> {
    /// Begins a file under the present secret.
    pub fn begin(mut out: W, key: &MacKey) -> io::Result<Self> {
        let mut preamble = [0; PREAMBLE_LEN];
        let (magic, rest) = preamble.split_at_mut(MAGIC.len());
        magic.copy_from_slice(MAGIC);
        rest[..2].copy_from_slice(&FORMAT.to_be_bytes());
        rest[2..].copy_from_slice(&random::bytes::<SALT_LEN>());
        let frames = Frames::new(key, preamble).ok_or_else(unsealed)?;
        out.write_all(&preamble)?;
        Ok(Self { out, frames })
    }

    /// Adds a frame that is not the last.
    pub fn frame(&mut self, text: &[u8]) -> io::Result<()> {
        self.seal(text, false)
    }

    /// Adds the last frame.
    pub fn finish(mut self, text: &[u8]) -> io::Result<W> {
        self.seal(text, true)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn seal(&mut self, text: &[u8], last: bool) -> io::Result<()> {
        let mut sealed = text.to_vec();
        let (nonce, aad) = (self.frames.nonce(last), Aad::from(self.frames.preamble));
        let done = self.frames.cipher.seal_in_place_append_tag(nonce, aad, &mut sealed);
        done.map_err(|_| unsealed())?;
        self.frames.count += 1;
        let length = u32::try_from(sealed.len()).ok().filter(|length| *length <= MAX_FRAME_BYTES);
        let length = length.ok_or_else(|| io::Error::other("a record is too long for a backup"))?;
        self.out.write_all(&(length | if last { LAST_FRAME_FLAG } else { 0 }).to_be_bytes())?;
        self.out.write_all(&sealed)
    }
}

fn unsealed() -> io::Error {
    io::Error::other("a frame cannot be encrypted")
}

/// Reads a backup, frame by frame.
pub struct FrameReader<R> {
    input: R,
    frames: Frames,
}

impl<R: Read> FrameReader<R> {
    /// The file from its beginning, and its first frame.
    pub fn open(mut input: R, key: &MacKey) -> Result<(Self, Zeroizing<Vec<u8>>), FormatError> {
        let mut preamble = [0; PREAMBLE_LEN];
        let (start, salt) = preamble.split_at_mut(MAGIC.len() + 2);
        read_exactly(&mut input, start).map_err(|it| match it {
            FormatError::CutShort => FormatError::NotABackup,
            other => other,
        })?;
        let (magic, format) = start.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(FormatError::NotABackup);
        }
        match u16::from_be_bytes([format[0], format[1]]) {
            0 => return Err(FormatError::NotABackup),
            FORMAT => {}
            newer => return Err(FormatError::Newer(newer)),
        }
        read_exactly(&mut input, salt)?;
        let (first, last) = raw(&mut input, 0)?;
        if last {
            return Err(FormatError::Damaged(0));
        }
        for root in key.generations() {
            let Some(mut frames) = Frames::new(&root, preamble) else { continue };
            if let Some(text) = frames.open(first.clone(), false) {
                return Ok((Self { input, frames }, text));
            }
        }
        Err(FormatError::WrongKey)
    }

    /// The next frame, and whether it is the last. Not to be called after that.
    pub fn next(&mut self) -> Result<(Zeroizing<Vec<u8>>, bool), FormatError> {
        let count = self.frames.count;
        let (frame, last) = raw(&mut self.input, count)?;
        let text = self.frames.open(frame, last).ok_or(FormatError::Damaged(count))?;
        if last && self.input.read(&mut [0])? != 0 {
            return Err(FormatError::Trailing);
        }
        Ok((text, last))
    }
}

/// A frame as it stands in the file.
fn raw(input: &mut impl Read, count: u64) -> Result<(Vec<u8>, bool), FormatError> {
    let mut length = [0; 4];
    read_exactly(input, &mut length)?;
    let length = u32::from_be_bytes(length);
    let (length, last) = (length & !LAST_FRAME_FLAG, length & LAST_FRAME_FLAG != 0);
    if length > MAX_FRAME_BYTES {
        return Err(FormatError::Damaged(count));
    }
    // Grows with what is there, not with what is claimed.
    let mut frame = Vec::new();
    let read = input.take(length.into()).read_to_end(&mut frame)?;
    if read < length as usize {
        return Err(FormatError::CutShort);
    }
    Ok((frame, last))
}

fn read_exactly(input: &mut impl Read, into: &mut [u8]) -> Result<(), FormatError> {
    Ok(input.read_exact(into)?)
}

#[cfg(test)]
mod tests;
