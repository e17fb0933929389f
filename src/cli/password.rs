//! A new password: typed twice at a terminal, or one line of standard input.

use std::io::{BufRead, IsTerminal};

use zeroize::Zeroizing;

use super::failure::Failure;
use crate::config::SecretText;
use crate::password::{LONGEST, Password};

/// Asks for it. Never an argument: those show in process lists and shell histories.
pub(super) fn ask() -> Result<SecretText, Failure> {
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
    let mut line = Zeroizing::new(String::new());
    // One byte too many is enough to know that it is too long.
    let most = u64::try_from(LONGEST + 2).unwrap_or(u64::MAX);
    input.take(most).read_line(&mut line).map_err(|error| unreadable(&error))?;
    let text = line.strip_suffix('\n').unwrap_or(&line);
    Ok(Zeroizing::new(text.strip_suffix('\r').unwrap_or(text).to_owned()))
}

fn judged(text: &str) -> Result<SecretText, Failure> {
    judge(text).map(|_good| SecretText::new(text))
}

pub(super) fn judge(text: &str) -> Result<Password, Failure> {
    let password = Password::parse(text)
        .ok_or_else(|| Failure::Refused(format!("a password has 1 to {LONGEST} bytes")))?;
    password.is_acceptable().map_err(|why| Failure::Refused(why.to_owned()))?;
    Ok(password)
}

fn unreadable(error: &std::io::Error) -> Failure {
    Failure::Refused(format!("the password cannot be read: {error}"))
}
