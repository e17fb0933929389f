//! What must hold of every parser of foreign bytes, written once: libFuzzer runs these from `fuzz/`, and
//! `tests/it/fuzz_corpus.rs` runs them over the seeds and over what a mutator makes of these.
//!
//! An oracle takes bytes and panics if something does not hold. It knows a second way to tell: a slow and
//! naive reader of the same format (most of them in [`reference_parsers`]), or a rule that every accepted input has to
//! obey. Where it can, it takes what it judges as a parameter, so that `tests/it/fuzz_corpus/seeded_bugs.rs` can show
//! that a wrong implementation does not pass.
//!
//! Inputs are lines rather than a binary encoding, so that a person can write a seed and read a finding.

pub mod in_process_server;
pub mod reference_parsers;
pub mod signer;

pub mod authz_request;
pub mod backup_file;
pub mod basic_auth;
pub mod bootstrap_toml;
pub mod claims_param;
pub mod client_assertion;
pub mod client_metadata;
pub mod code_parse;
pub mod config;
pub mod cookie_parse;
pub mod http1_wire;
pub mod jwe_decrypt;
pub mod jwk_set;
pub mod jwt_verify;
pub mod params;
pub mod pkce;
pub mod redirect_match;
pub mod redirect_register;
pub mod redis_record;
pub mod redis_url;
pub mod refresh_token_parse;
pub mod request_object;
pub mod scope;
pub mod sector_document;
pub mod software_statement;
pub mod ssrf_guard;
pub mod templates;
pub mod xff;

/// One of them, under the name of its seeds.
pub struct Target {
    pub name: &'static str,
    pub oracle: fn(&[u8]),
    /// How many generated inputs an ordinary test run takes.
    pub rounds: u32,
    /// Whether the time it takes should grow no faster than the input: not where a bound on the size
    /// comes first, or where only an operator's own file is read.
    pub is_linear: bool,
}

macro_rules! targets {
    ($($name:ident $rounds:literal $linear:literal),+ $(,)?) => {
        &[$(Target {
            name: stringify!($name),
            oracle: $name::$name,
            rounds: $rounds,
            is_linear: $linear,
        }),+]
    };
}

/// All of them.
pub const ALL: &[Target] = targets![
    authz_request 300 false,
    backup_file 300 true,
    basic_auth 2000 true,
    bootstrap_toml 500 false,
    claims_param 2000 true,
    client_assertion 300 true,
    client_metadata 300 true,
    code_parse 2000 true,
    config 500 true,
    cookie_parse 1000 true,
    http1_wire 150 false,
    jwe_decrypt 200 true,
    jwk_set 500 true,
    jwt_verify 500 true,
    params 2000 true,
    pkce 2000 true,
    redirect_match 2000 true,
    redirect_register 2000 true,
    redis_record 300 true,
    redis_url 1000 true,
    refresh_token_parse 2000 true,
    request_object 1000 true,
    scope 2000 true,
    sector_document 1000 true,
    software_statement 200 true,
    ssrf_guard 1000 true,
    templates 100 false,
    xff 2000 true,
];

/// The first `N - 1` lines, and everything behind them.
pub fn lines<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    let mut pieces = data.splitn(N, |byte| *byte == b'\n');
    std::array::from_fn(|_| pieces.next().unwrap_or_default())
}

/// As text; what is no UTF-8 becomes something that is.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Something valid with one thing changed, as `how` says: two bytes where, one what, and what to put in.
/// A short `how` changes nothing.
pub fn edited(valid: &[u8], how: &[u8]) -> Vec<u8> {
    let [high, low, what, more @ ..] = how else { return valid.to_vec() };
    let at = usize::from(u16::from_be_bytes([*high, *low])) % (valid.len() + 1);
    let (mut head, tail) = (valid[..at].to_vec(), &valid[at..]);
    let count = usize::from(what >> 2);
    match what % 4 {
        0 => head.extend(
            tail.iter().enumerate().map(
                |(n, byte)| {
                    if n == 0 { byte ^ (1 << (count % 8)) } else { *byte }
                },
            ),
        ),
        1 => head.extend(tail.iter().skip(count + 1)),
        2 => head.extend(more.iter().chain(tail)),
        _ => {}
    }
    head
}
