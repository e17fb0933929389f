//! A new password: typed twice at a terminal, or one line of standard input.

use std::io::{BufRead, IsTerminal};

use zeroize::Zeroizing;

use super::failure::Failure;
use crate::config::SecretString;
use crate::infra::password::{MAX_PASSWORD_LEN, MAX_TYPED_LEN, Password};

/// Asks for it. Never an argument: those show in process lists and shell histories.
pub(super) fn ask() -> Result<SecretString, Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return judged(&read_line(stdin.lock())?);
    }
    let prompt = |text: &str| rpassword::prompt_password(text).map(Zeroizing::new);
    let first = prompt("New password: ").map_err(|error| unreadable(&error))?;
    let password = judged(&first)?;
    let again = prompt("The same again: ").map_err(|error| unreadable(&error))?;
    if first == again {
        Ok(password)
    } else {
        Err(Failure::Refused("the two passwords differ".to_owned()))
    }
}

/// The first line, without its end.
pub(super) fn read_line(input: impl BufRead) -> Result<Zeroizing<String>, Failure> {
    let mut line = Zeroizing::new(Vec::new());
    // One byte too many is enough to know that it is too long, and may be the first of a letter.
    let most = u64::try_from(MAX_TYPED_LEN + 2).unwrap_or(u64::MAX);
    input.take(most).read_until(b'\n', &mut line).map_err(|error| unreadable(&error))?;
    let text = line.strip_suffix(b"\n").unwrap_or(&line);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    if text.len() > MAX_TYPED_LEN {
        return Err(too_long());
    }
    let text = str::from_utf8(text);
    let text = text.map_err(|_| Failure::Refused("the password is not UTF-8".to_owned()))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn judged(text: &str) -> Result<SecretString, Failure> {
    judge(text).map(|_good| SecretString::new(text))
}

pub(super) fn judge(text: &str) -> Result<Password, Failure> {
    let password = Password::parse(text).ok_or_else(too_long)?;
    password.is_acceptable().map_err(|why| Failure::Refused(why.to_owned()))?;
    Ok(password)
}

fn too_long() -> Failure {
    Failure::Refused(format!("a password has 1 to {MAX_PASSWORD_LEN} bytes"))
}

fn unreadable(error: &std::io::Error) -> Failure {
    Failure::Refused(format!("the password cannot be read: {error}"))
}
