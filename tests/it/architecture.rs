//! Reads the source and checks what the compiler does not: layers, forbidden names, sizes, files that documents
//! name.

use std::fs;
use std::path::Path;

/// A file of `src/`, without its tests and comments.
struct Source {
    /// Relative to `src/`.
    path: String,
    /// As it stands.
    whole: String,
    /// What runs.
    code: String,
}

impl Source {
    /// The layer's folder.
    fn layer(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }

    /// The endpoint family it belongs to, if it does.
    fn endpoint(&self) -> Option<&str> {
        let mut folders = self.path.split('/');
        (folders.next() == Some("endpoints")).then(|| folders.next()).flatten()
    }

    /// What it names below `root`, which ends in `::`.
    fn names(&self, root: &str) -> Vec<String> {
        let mut names = Vec::new();
        for (at, _) in self.code.match_indices(root) {
            let rest = &self.code[at + root.len()..];
            let group = rest.strip_prefix('{').map(top_level);
            names.extend(group.unwrap_or_else(|| vec![word(rest)]));
        }
        names
    }

    fn is_one_of(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path.starts_with(place))
    }
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first words of the items of a `{…}` that was just opened.
fn top_level(text: &str) -> Vec<String> {
    let (mut depth, mut item, mut items) = (0, String::new(), Vec::new());
    for c in text.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => items.push(std::mem::take(&mut item)),
            _ => {}
        }
        if depth == 0 && c != ',' {
            item.push(c);
        }
    }
    items.push(item);
    items.iter().map(|item| word(item.trim())).filter(|word| !word.is_empty()).collect()
}

/// Every file below the folder with that ending.
fn files(folder: &Path, ending: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path.to_string_lossy().into_owned());
        }
    }
}

fn below(folder: &str, ending: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut found = Vec::new();
    files(&root, ending, &mut found);
    found.sort();
    assert!(found.len() > 3, "{folder} has {ending} files");
    let read = |path: String| {
        let text = fs::read_to_string(&path).expect("text");
        let root = root.to_string_lossy().into_owned();
        (path[root.len() + 1..].to_owned(), text)
    };
    found.into_iter().map(read).collect()
}

fn sources() -> Vec<Source> {
    let own = below("src", ".rs").into_iter().filter(|(path, whole)| {
        let tests = path.ends_with("/tests.rs") || whole.starts_with("#![cfg(test)]");
        !tests && path != "http/page_test_util.rs"
    });
    own.map(|(path, whole)| Source { code: without_tests(&whole), path, whole }).collect()
}

fn without_tests(whole: &str) -> String {
    let code = whole.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    code.lines().filter(is_code).collect::<Vec<_>>().join("\n")
}

/// The layers in the order of `lib.rs`: each uses the ones before it.
fn layers() -> Vec<String> {
    let lines = include_str!("../../src/lib.rs").lines();
    let modules = lines.filter_map(|line| line.strip_prefix("pub mod "));
    modules.map(|name| name.trim_end_matches(';').to_owned()).collect()
}

/// `file: what`, for each line of code outside the allowed places that has the text.
fn breaches(text: &str, allowed: &[&str]) -> Vec<String> {
    let sources = sources();
    let strangers = sources.iter().filter(|source| !source.is_one_of(allowed));
    let lines = strangers.flat_map(|source| {
        let lines = source.code.lines().filter(|line| line.contains(text));
        lines.map(|line| format!("{}: {}", source.path, line.trim()))
    });
    lines.collect()
}

/// Uses of a layer above that are meant, and why.
const EXCEPTIONS: [(&str, &str, &str); 1] =
    [("protocol/pkce.rs", "infra", "a challenge is a digest, and comparing digests is pure")];

#[test]
fn a_layer_uses_only_the_layers_before_it() {
    let layers = layers();
    let number = |name: &str| layers.iter().position(|layer| layer == name);
    let (mut found, mut uses) = (Vec::new(), 0);
    for source in sources() {
        let Some(own) = number(source.layer()) else {
            assert!(matches!(&*source.path, "lib.rs" | "main.rs"), "{} has a layer", source.path);
            continue;
        };
        for name in source.names("crate::") {
            let Some(other) = number(&name).filter(|_| name != source.layer()) else { continue };
            uses += 1;
            let meant = EXCEPTIONS.iter().any(|it| (it.0, it.1) == (&*source.path, &*name));
            if other > own && !meant {
                found.push(format!("{} uses {name}", source.path));
            }
        }
    }
    assert!(uses > 100, "the reader of this test finds what it looks for: {uses}");
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn endpoints_never_use_endpoints() {
    let mut found = Vec::new();
    for source in sources() {
        let Some(own) = source.endpoint() else { continue };
        let others = source.names("crate::endpoints::").into_iter().filter(|name| name != own);
        found.extend(others.map(|name| format!("{} uses {name}", source.path)));
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn the_protocol_layer_is_pure() {
    let impure =
        ["async ", ".await", "axum", "infra::store", "infra::clock", "SystemTime", "tokio"];
    for source in sources().iter().filter(|source| source.layer() == "protocol") {
        for word in impure {
            assert!(!source.code.contains(word), "{} has {word}", source.path);
        }
    }
}

#[test]
fn axum_is_known_to_http_the_endpoints_and_the_server_only() {
    assert_eq!(breaches("axum", &["http/", "endpoints/", "server/"]), Vec::<String>::new());
}

#[test]
fn redis_is_known_in_one_place() {
    for text in ["use redis::", " redis::", "(redis::", "<redis::"] {
        let found = breaches(text, &["infra/store/redis"]);
        assert_eq!(found, Vec::<String>::new(), "{text}");
    }
}

#[test]
fn the_database_is_known_in_one_place() {
    assert_eq!(breaches("redb::", &["infra/store/file"]), Vec::<String>::new());
}

/// `clippy.toml` forbids to ask for the time and for randomness, and these places say that they may.
#[test]
fn the_time_and_randomness_are_asked_for_in_one_place_each() {
    let allowed = ["infra/clock.rs", "infra/random.rs", "infra/jose/"];
    assert_eq!(breaches("clippy::disallowed_", &allowed), Vec::<String>::new());
}

#[test]
fn no_file_is_too_long_to_read() {
    let long: Vec<String> = (below("src", ".rs").into_iter().chain(below("tests/it", ".rs")))
        .filter(|(_, whole)| whole.lines().count() > 400)
        .map(|(path, _)| path)
        .collect();
    assert_eq!(long, Vec::<String>::new());
}

#[test]
fn nothing_is_left_for_later() {
    for source in sources() {
        for text in ["TODO", "FIXME", "todo!(", "unimplemented!(", "unsafe "] {
            assert!(!source.whole.contains(text), "{} has {text}", source.path);
        }
    }
}

/// Paths in a text, from `src/` and the like to the end of the word.
fn named_paths(text: &str) -> Vec<String> {
    let is_path = |c: char| c.is_alphanumeric() || "/._-".contains(c);
    let mut paths = Vec::new();
    for folder in ["src/", "tests/", "docs/", "benches/", "fuzz/", ".ci/"] {
        for (at, _) in text.match_indices(folder) {
            let before = text[..at].chars().next_back();
            let path: String = text[at..].chars().take_while(|c| is_path(*c)).collect();
            let is_pattern = path.contains("NAME") || path.contains("NN");
            if !before.is_some_and(is_path) && !is_pattern {
                paths.push(path.trim_end_matches(['.', '-']).to_owned());
            }
        }
    }
    paths
}

/// ARCHITECTURE.md, CONTRIBUTING.md and the decision records name files, and comments name decision records.
#[test]
fn every_file_that_is_named_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| fs::read_to_string(root.join(name)).expect("a document");
    let documents =
        ["ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| (name.to_owned(), read(name)));
    let mut decisions = Vec::new();
    files(&root.join("docs/decisions"), ".md", &mut decisions);
    let decisions = decisions.into_iter().map(|path| (path.clone(), read(&path)));
    let comments = below("src", ".rs").into_iter().map(|(path, whole)| {
        let lines = whole.lines().filter(|line| line.contains("docs/decisions/"));
        (path, lines.collect::<Vec<_>>().join("\n"))
    });
    let (mut missing, mut named) = (Vec::new(), 0);
    for (document, text) in documents.into_iter().chain(decisions).chain(comments) {
        for path in named_paths(&text) {
            named += 1;
            if !root.join(&path).exists() {
                missing.push(format!("{document} names {path}"));
            }
        }
    }
    assert!(named > 100, "the reader of this test finds what it looks for: {named}");
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn every_decision_record_is_in_the_index() {
    let records = below("docs/decisions", ".md");
    let index = records.iter().find(|(name, _)| name == "README.md");
    let index = &index.expect("docs/decisions/README.md").1;
    for (name, whole) in records.iter().filter(|(name, _)| name != "README.md") {
        let title = whole.lines().next().and_then(|line| line.strip_prefix("# ")).expect("a title");
        assert!(index.contains(&format!("- [{title}]({name})")), "{name}: {title}");
    }
}

#[test]
fn templates_escape_everything() {
    for (path, text) in below("templates", ".html") {
        let safe =
            text.contains("|safe") || text.contains("| safe") || text.contains("escape none");
        assert!(!safe, "{path}");
    }
}
