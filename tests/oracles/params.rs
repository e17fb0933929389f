use latchkey::protocol::{Params, ParamsError};

use super::reference_parsers;

/// A query or a form is what a slow reader finds in it; every repetition is found ([RFC 6749 §3.1]); and
/// what was read, written and read again is the same.
///
/// [RFC 6749 §3.1]: https://www.rfc-editor.org/rfc/rfc6749#section-3.1
pub fn params(data: &[u8]) {
    holds(data, Params::parse);
}

pub fn holds(data: &[u8], parse: impl Fn(&[u8]) -> Result<Params, ParamsError>) {
    let read = parse(data);
    match (&read, slowly(data)) {
        (Ok(params), Ok(expected)) => {
            let found: Vec<(String, String)> =
                params.iter().map(|(name, value)| (name.into(), value.into())).collect();
            assert_eq!(found, expected);
            let again = parse(params.to_query().as_bytes()).expect("what we wrote is well-formed");
            assert!(again.iter().eq(params.iter()), "{params:?} became {again:?}");
            assert_eq!(again.to_query(), params.to_query());
        }
        (Err(found), Err(expected)) => assert_eq!(found, &expected),
        (found, expected) => panic!("{found:?}, but {expected:?}"),
    }
}

fn slowly(data: &[u8]) -> Result<Vec<(String, String)>, ParamsError> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for piece in data.split(|byte| *byte == b'&') {
        if piece.is_empty() {
            continue;
        }
        if pairs.len() >= 100 {
            return Err(ParamsError::TooMany);
        }
        let mut halves = piece.splitn(2, |byte| *byte == b'=');
        let mut half = || reference_parsers::form_decoded(halves.next().unwrap_or_default());
        match (half(), half()) {
            (Some(name), Some(value)) => pairs.push((name, value)),
            _ => return Err(ParamsError::Encoding),
        }
    }
    // Every value of `resource` counts, and of `audience` in a token exchange; of several other names that
    // are repeated the first in the alphabet is named.
    let exchange = pairs
        .iter()
        .filter(|(name, _)| name == "grant_type")
        .map(|(_, value)| value.as_str())
        .eq(["urn:ietf:params:oauth:grant-type:token-exchange"]);
    pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
    for two in pairs.windows(2) {
        let name = &two[0].0;
        let may_repeat = name == "resource" || exchange && name == "audience";
        if *name == two[1].0 && !may_repeat {
            return Err(ParamsError::Repeated(name.clone()));
        }
    }
    pairs.retain(|(_, value)| !value.is_empty());
    Ok(pairs)
}
