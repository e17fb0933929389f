use latchkey::protocol::{Scope, ScopeError};

use super::{lines, text};

/// A scope is read by the grammar of [RFC 6749 §3.3], order and repetition mean nothing, and set operations
/// are those on sets.
///
/// Lines: a scope, and another.
///
/// [RFC 6749 §3.3]: https://www.rfc-editor.org/rfc/rfc6749#section-3.3
pub fn scope(data: &[u8]) {
    holds(data, str::parse);
}

pub fn holds(data: &[u8], parse: impl Fn(&str) -> Result<Scope, ScopeError>) {
    let [one, other] = lines(data).map(text);
    let (left, right) = (checked(&one, &parse), checked(&other, &parse));
    let (Some(left), Some(right)) = (left, right) else { return };
    assert_eq!(left.union(&right), right.union(&left));
    assert_eq!(left.intersection(&right), right.intersection(&left));
    let in_both = |token: &&str| left.contains(token) && right.contains(token);
    let shared = left.intersection(&right);
    assert!(shared.iter().eq(left.iter().filter(in_both)));
    assert!(shared.is_subset(&left) && shared.is_subset(&right));
    assert!(left.is_subset(&left.union(&right)));
    assert_eq!(left.is_subset(&right), left.iter().all(|token| right.contains(token)));
    for token in right.iter() {
        let less = left.clone().without(token);
        assert!(!less.contains(token) && less.is_subset(&left));
    }
}

fn checked(text: &str, parse: impl Fn(&str) -> Result<Scope, ScopeError>) -> Option<Scope> {
    let mut tokens: Vec<&str> = text.split(' ').filter(|token| !token.is_empty()).collect();
    let wordable = |c: char| matches!(c, '\x21' | '\x23'..='\x5b' | '\x5d'..='\x7e');
    tokens.sort_unstable();
    tokens.dedup();
    let within = text.len() <= 1024 && tokens.len() <= 50;
    let good = within && tokens.iter().all(|it| it.chars().all(wordable));
    let read = parse(text);
    assert_eq!(read.is_ok(), good, "{text:?}");
    let read = read.ok()?;
    assert!(read.iter().eq(tokens.iter().copied()), "{text:?}: {read:?}");
    assert_eq!(read.is_empty(), tokens.is_empty());
    let backwards: Vec<&str> = text.split(' ').rev().collect();
    assert_eq!(parse(&backwards.join(" ")).as_ref(), Ok(&read));
    assert_eq!(parse(&read.to_string()).as_ref(), Ok(&read));
    let json = serde_json::to_string(&read).expect("text");
    assert_eq!(serde_json::from_str::<Scope>(&json).ok().as_ref(), Some(&read));
    Some(read)
}
