//! A new password: typed twice at a terminal, or one line of standard input.

use std::io::{BufRead, IsTerminal};

use zeroize::Zeroizing;

use super::error::CliError;
use crate::config::SecretString;
use crate::infra::password::{MAX_PASSWORD_LEN, MAX_TYPED_LEN, Password};

/// Asks for it. Never an argument: those show in process lists and shell histories.
pub(super) fn ask() -> Result<SecretString, CliError> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return check(&read_line(stdin.lock())?);
    }
    let prompt = |text: &str| rpassword::prompt_password(text).map(Zeroizing::new);
    let first = prompt("New password: ").map_err(|error| unreadable(&error))?;
    let password = check(&first)?;
    let again = prompt("The same again: ").map_err(|error| unreadable(&error))?;
    if first == again {
        Ok(password)
    } else {
        Err(CliError::Refused("the two passwords differ".to_owned()))
    }
}

/// The first line, without its end.
pub(super) fn read_line(input: impl BufRead) -> Result<Zeroizing<String>, CliError> {
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
    let text = text.map_err(|_| CliError::Refused("the password is not UTF-8".to_owned()))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn check(text: &str) -> Result<SecretString, CliError> {
    parse_password(text).map(|_good| SecretString::new(text))
}

pub(super) fn parse_password(text: &str) -> Result<Password, CliError> {
    let password = Password::parse(text).ok_or_else(too_long)?;
    password.is_acceptable().map_err(|why| CliError::Refused(why.to_owned()))?;
    Ok(password)
}

fn too_long() -> CliError {
    CliError::Refused(format!("a password has 1 to {MAX_PASSWORD_LEN} bytes"))
}

fn unreadable(error: &std::io::Error) -> CliError {
    CliError::Refused(format!("the password cannot be read: {error}"))
}
