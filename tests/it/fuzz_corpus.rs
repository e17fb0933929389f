//! The oracles of `tests/oracles/`, over their seeds in `fuzz/corpus/` and over what a mutator makes of them:
//! the same in every run. `FUZZ_ROUNDS=20` takes twenty times as many; `make fuzz` looks for more, guided by
//! which code an input reaches.

#[path = "../oracles/mod.rs"]
mod oracles;

mod mutator;
mod seeded_bugs;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mutator::Mutator;
use oracles::{ALL, Target};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn target(name: &str) -> &'static Target {
    ALL.iter().find(|target| target.name == name).expect("a target")
}

/// What people wrote down to begin with, by name.
fn seeds(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = root().join("corpus").join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    let file = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().expect("a readable name");
        // What libFuzzer has found and put there has a digest for a name.
        let own = name.len() < 40;
        own.then(|| (name, fs::read(entry.path()).expect("a seed")))
    };
    let mut seeds: Vec<_> = entries.filter_map(|entry| file(entry.expect("an entry"))).collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "{name} has a seed");
    seeds
}

/// Every seed, and so many generations of what becomes of them.
fn run(name: &str) {
    let target = target(name);
    let seeds = seeds(name);
    for (seed, data) in &seeds {
        judge(target, data, seed);
    }
    let more: u32 = std::env::var("FUZZ_ROUNDS").map_or(1, |it| it.parse().expect("a number"));
    let mut mutator = Mutator::new(name, seeds.into_iter().map(|(_, data)| data).collect());
    for round in 0..target.rounds * more {
        let data = mutator.next();
        judge(target, &data, &format!("round {round}"));
    }
}

fn judge(target: &Target, data: &[u8], what: &str) {
    let held = catch_unwind(AssertUnwindSafe(|| (target.oracle)(data)));
    assert!(held.is_ok(), "{} does not hold, {what}: b\"{}\"", target.name, data.escape_ascii());
}

macro_rules! each_holds {
    ($($name:ident),+ $(,)?) => {
        /// For each target: it holds for its seeds, and for what becomes of them.
        mod holds_for_seeds_and_mutations {
            $(#[test]
            fn $name() {
                super::run(stringify!($name));
            })+
        }

        const RUN_HERE: &[&str] = &[$(stringify!($name)),+];
    };
}

each_holds!(
    authz_request,
    backup_file,
    basic_auth,
    bootstrap_toml,
    claims_param,
    client_assertion,
    client_metadata,
    code_parse,
    config,
    cookie_parse,
    http1_wire,
    jwe_decrypt,
    jwk_set,
    jwt_verify,
    params,
    pkce,
    redirect_match,
    redirect_register,
    redis_record,
    redis_url,
    refresh_token_parse,
    request_object,
    scope,
    sector_document,
    software_statement,
    ssrf_guard,
    templates,
    xff,
);

#[test]
fn every_oracle_is_a_target_of_the_fuzzer_and_of_this_file() {
    let names: Vec<&str> = ALL.iter().map(|target| target.name).collect();
    assert_eq!(names, RUN_HERE);
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    let bins = manifest.lines().filter_map(|line| line.strip_prefix("path = \"fuzz_targets/"));
    let bins: Vec<&str> = bins.filter_map(|rest| rest.strip_suffix(".rs\"")).collect();
    assert_eq!(bins, names);
    let listed = |folder: &str| -> Vec<String> {
        let entries = fs::read_dir(root().join(folder)).expect("a folder");
        let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("a readable name");
        let mut found: Vec<_> = entries.map(|it| name(it.expect("an entry"))).collect();
        found.sort();
        found
    };
    assert_eq!(listed("corpus"), names);
    let files: Vec<String> = names.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(listed("fuzz_targets"), files);
    for name in names {
        let text = fs::read_to_string(root().join(format!("fuzz_targets/{name}.rs")));
        assert!(text.expect("a target").contains(&format!("oracles::{name}::{name}(data)")));
    }
}

/// Eight times the input may take eight times as long, and some more; not sixty-four times. On a machine that
/// is busy with other things it may look so, but not three times over.
#[test]
fn no_input_takes_longer_than_its_length_says() {
    for target in ALL.iter().filter(|target| target.is_linear) {
        for grown in mutator::growing(&seeds(target.name)) {
            let bounded = (0..3).any(|_| {
                let (short, long) = (took(target, &grown(8 << 10)), took(target, &grown(64 << 10)));
                long < short * 32 + Duration::from_millis(100)
            });
            assert!(bounded, "{} of b\"{}…\"", target.name, grown(64).escape_ascii());
        }
    }
}

fn took(target: &Target, data: &[u8]) -> Duration {
    let once = |_| {
        let begun = Instant::now();
        judge(target, data, "a long one");
        begun.elapsed()
    };
    (0..2).map(once).min().expect("twice")
}
