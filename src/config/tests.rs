use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use super::env_vars::{self, DefaultValue, ENV_VARS};
use super::*;

mod network;
mod public;

const KEY: &str = "7Zq4mBv1xYpT0kLr9WcNfHs2dGjUaE5oIi83";

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn read(pairs: &[(&str, &str)]) -> Config {
    Config::from_map(&map(pairs)).unwrap_or_else(|complaints| panic!("{complaints}"))
}

fn complaints(pairs: &[(&str, &str)]) -> Vec<String> {
    match Config::from_map(&map(pairs)) {
        Ok(config) => panic!("accepted {pairs:?} as {config:?}"),
        Err(ConfigErrors(complaints)) => complaints,
    }
}

#[test]
fn with_nothing_set_a_developer_gets_a_working_house() {
    let config = read(&[]);
    assert_eq!(config.issuer.as_str(), "http://localhost:5000");
    assert_eq!(config.listen, ["127.0.0.1:5000", "[::1]:5000"]);
    assert!(config.secret_key.is_none() && !config.store.is_durable() && config.tls.is_none());
    assert!(matches!(config.registration, RegistrationPolicy::Open));
    assert_eq!(config.dev_account.map(|dev| dev.user).as_deref(), Some("demo"));
    assert_eq!(config.lifetimes.code, Duration::from_mins(1));
    assert_eq!(config.lifetimes.refresh_absolute, Duration::from_hours(720));
    assert_eq!(config.registration_limit, 10_000);
    assert!(config.cors.enabled && config.rate_limit.enabled);
    assert!(config.limits.hash_threads >= 1);
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn every_bad_value_is_named_and_all_of_them_at_once() {
    #[rustfmt::skip]
    let bad = [
        ("ISSUER_URL", "http://id.example"), ("LISTEN", "localhost"), ("SECRET_KEY", "short"),
        ("SECRET_KEY_PREVIOUS", "short too"),
        ("REDIS_URL", "rediss-cluster://cache/1"), ("REDIS_PREFIX", "{tag}"), ("STORE_URL", "file:"), ("LOG_LEVEL", "loud"),
        ("REDIS_MIN_REPLICAS_ACK", "-1"), ("REDIS_CERT_FILE", "cert.pem"),
        ("LOG_FORMAT", "xml"), ("CORS_ENABLED", "maybe"), ("CORS_ORIGINS", "https://app.example/"),
        ("CORS_ALLOWED_HEADERS", "X-One X-Two"), ("WEBFINGER_DOMAINS", "@example.com"),
        ("HTTP2", "h2c"), ("KEEP_ALIVE", "0"),
        ("RATE_LIMITING_ENABLED", "2"), ("RATE_LIMIT_PER_MINUTE", "0"), ("REGISTRATION", "closed"),
        ("REGISTRATION_TOKEN", "short"), ("REGISTRATION_MAX_CLIENTS", "-1"),
        ("TRUSTED_PROXIES", "proxy"), ("TLS_CERT_PATH", "cert.pem"), ("METRICS_LISTEN", "99999"),
        ("OUTGOING_ALLOW_PRIVATE", "10.0.0.0/33"), ("EXTRA_HOSTS", "a b"), ("DRAIN_DELAY", "61"),
        ("CODE_LIFETIME", "11m"), ("ACCESS_TOKEN_LIFETIME", "1"), ("ID_TOKEN_LIFETIME", "+60"),
        ("REFRESH_TOKEN_IDLE_LIFETIME", "-7d"), ("REFRESH_TOKEN_LIFETIME", "2y"),
        ("REFRESH_TOKEN_GRACE", "121s"), ("SESSION_IDLE_LIFETIME", "m"), ("SESSION_LIFETIME", "0"),
        ("INTERACTION_LIFETIME", "99999999999999999999d"), ("MAX_CONNECTIONS", "0"),
        ("MAX_CONNECTIONS_PER_ADDRESS", "many"), ("HASH_THREADS", "1.5"), ("HASH_QUEUE", "0"),
        ("ALLOW_VOLATILE_STORE", "perhaps"), ("PUBLIC_KEY_PATH", "public.pem"),
    ];
    let found = complaints(&bad);
    for (name, _) in bad {
        // The missing half of a pair is the one to name.
        let name = match name {
            "TLS_CERT_PATH" => "TLS_KEY_PATH",
            "REDIS_CERT_FILE" => "REDIS_KEY_FILE",
            name => name,
        };
        assert!(
            found.iter().any(|line| line.starts_with(&format!("{name} "))),
            "{name}: {found:?}"
        );
    }
    assert_eq!(found.len(), bad.len(), "{found:#?}");
    assert_eq!(ConfigErrors(found).to_string().lines().count(), bad.len());
}

#[test]
fn guesses_are_free_on_a_loopback_issuer_and_nowhere_else() {
    let off = [("DEV_GUESS_LIMITS_ENABLED", "false"), ("RATE_LIMITING_ENABLED", "false")];
    assert!(!read(&off).rate_limit.guesses);
    let found = complaints(&[off[0], ("ISSUER_URL", "https://id.example"), ("SECRET_KEY", KEY)]);
    assert!(found.iter().any(|line| line.starts_with("DEV_GUESS_LIMITS_ENABLED ")), "{found:?}");
    assert!(read(&[off[1]]).rate_limit.guesses, "one switch is not the other");
}

#[test]
fn a_complaint_shows_what_it_found_unless_that_is_a_secret() {
    let found = complaints(&[("SECRET_KEY", "hunter2"), ("REDIS_URL", "http://:hunter2@cache")]);
    assert!(found.len() == 2 && !found.concat().contains("hunter2"), "{found:?}");
    assert!(complaints(&[("LOG_FORMAT", "xml")])[0].contains("\"xml\""));
}

#[test]
fn an_issuer_has_one_spelling() {
    for (bad, why) in [
        ("https://id.example/", "must not end in a slash"),
        ("https://id.example/tenant/", "write https://id.example/tenant"),
        ("https://id.example?x", "no query"),
        ("https://id.example/#", "no query and no fragment"),
        ("https://ada@id.example", "user name"),
        ("https://@id.example", "user name"),
        ("http://id.example", "must be https"),
        ("http://localhost.id.example", "must be https"),
        ("https://ID.example", "https://id.example"),
        ("https://id.example:443", "https://id.example"),
        ("https://id.example/a/../b", "https://id.example/b"),
        ("https://id.example//a", "single slashes"),
        ("https://id.example/a%20b", "letters"),
        ("https://*.example", "wildcard"),
        ("ftp://id.example", "must be an https URL"),
        ("id.example", "must be a URL"),
    ] {
        let problem = Issuer::parse(bad).expect_err(bad);
        assert!(problem.contains(why), "{bad}: {problem}");
    }
}

#[test]
fn an_issuer_with_a_path_is_one_complaint_among_all_the_others() {
    let found = complaints(&[("ISSUER_URL", "http://localhost:5000/id"), ("LOG_FORMAT", "xml")]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(
        found[0],
        "ISSUER_URL must not have a path: give Latchkey a host of its own \
         (found \"http://localhost:5000/id\")"
    );
}

#[test]
fn the_key_before_is_another_key() {
    let other = KEY.to_uppercase();
    let keys = |previous| [("SECRET_KEY", KEY), ("SECRET_KEY_PREVIOUS", previous)];
    assert!(read(&keys(&other)).secret_key_previous.is_some());
    assert_eq!(complaints(&keys(KEY)), ["SECRET_KEY_PREVIOUS must be another key than SECRET_KEY"]);
}

#[test]
fn an_issuer_knows_its_parts() {
    let tenant = Issuer::parse("https://id.example:8443/tenant").expect("an issuer");
    assert_eq!(tenant.origin(), "https://id.example:8443");
    assert_eq!((tenant.path(), tenant.host().as_str()), ("/tenant", "id.example:8443"));
    assert_eq!(tenant.url("/token"), "https://id.example:8443/tenant/token");
    assert!(tenant.is_https() && !tenant.is_loopback());
    for loopback in
        ["http://localhost:5000", "http://127.0.0.1", "http://[::1]:7", "https://a.localhost"]
    {
        let issuer = Issuer::parse(loopback).expect(loopback);
        assert!(issuer.is_loopback() && issuer.path().is_empty(), "{loopback}");
    }
}

#[test]
fn a_port_alone_listens_where_the_issuer_allows() {
    assert_eq!(read(&[("LISTEN", "7000")]).listen, ["127.0.0.1:7000", "[::1]:7000"]);
    assert_eq!(read(&[("ISSUER_URL", "http://127.0.0.1:81")]).listen[0], "127.0.0.1:81");
    let wide = read(&[("LISTEN", "0.0.0.0:7000, localhost:1")]);
    assert_eq!(wide.listen, ["0.0.0.0:7000", "localhost:1"]);
    assert!(wide.warnings[0].starts_with("LISTEN reaches beyond"), "{:?}", wide.warnings);
}

#[test]
fn registration_is_gated_as_soon_as_there_is_a_token() {
    let tokens = format!("{KEY}, {KEY}2");
    let token = ("REGISTRATION_TOKEN", tokens.as_str());
    assert!(
        matches!(read(&[token]).registration, RegistrationPolicy::Token(tokens) if tokens.len() == 2)
    );
    let open = read(&[token, ("REGISTRATION", "open")]);
    assert!(matches!(open.registration, RegistrationPolicy::Open));
    assert!(open.warnings[0].contains("not used"));
    assert!(matches!(read(&[("REGISTRATION", "off")]).registration, RegistrationPolicy::Off));
}

#[test]
fn what_loosens_the_house_is_said_aloud() {
    let config = read(&[("OUTGOING_ALLOW_PRIVATE", "Hooks.internal,10.1.0.0/16,::1")]);
    assert_eq!(config.outbound.allow_private, ["hooks.internal", "10.1.0.0/16", "::1"]);
    assert!(config.warnings[0].contains("hooks.internal, 10.1.0.0/16"), "{:?}", config.warnings);
    let config = read(&[("TRUSTED_PROXIES", "::/0,10.1.2.3")]);
    assert!(config.warnings[0].contains("trusts everybody"));
    assert_eq!(config.trusted_proxies[1].to_string(), "10.1.2.3/32");
}

#[test]
fn idle_lifetimes_end_within_absolute_ones() {
    let found = complaints(&[("SESSION_LIFETIME", "30m"), ("REFRESH_TOKEN_LIFETIME", "6d")]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("REFRESH_TOKEN_IDLE_LIFETIME must not be longer"));
}

#[test]
fn empty_means_not_set() {
    let config = read(&[("ISSUER_URL", ""), ("SECRET_KEY", " "), ("CODE_LIFETIME", "")]);
    assert_eq!(config.issuer.as_str(), "http://localhost:5000");
    assert!(config.secret_key.is_none());
}

#[test]
fn a_misspelling_is_refused_in_our_file_and_only_mentioned_in_the_environment() {
    for (name, meant) in [
        ("ISSUER", "ISSUER_URL"),
        ("ISSUER_URI", "ISSUER_URL"),
        ("REDIS_URI", "REDIS_URL"),
        ("LATCHKEY_ISSUER_URL", " ISSUER_URL"),
        ("LATCHKEY_ISSUER", " ISSUER_URL"),
        ("LATCHKEY_SECRET_KEY_FILE", " SECRET_KEY_FILE"),
    ] {
        let warnings = read(&[(name, "x")]).warnings;
        assert!(warnings.len() == 1 && warnings[0].contains(meant), "{warnings:?}");
        let (_, found) = environment::overlay(BTreeMap::new(), Ok(format!("{name}=x")));
        assert!(
            found.len() == 1 && found[0].starts_with(name) && found[0].contains(meant),
            "{found:?}"
        );
    }
    let ordinary = [
        ("PATH", "x"),
        ("HOSTNAME", "x"),
        ("LOG", "x"),
        ("REDIS_PORT", "x"),
        ("LISTEN_FDS", "3"),
        // What Kubernetes tells of a Service of our name.
        ("LATCHKEY_SERVICE_HOST", "x"),
        ("LATCHKEY_PORT", "x"),
        ("LATCHKEY_PORT_5000_TCP_ADDR", "x"),
        ("LATCHKEY_SELFTEST_PASSWORD", "x"),
    ];
    assert!(read(&ordinary).warnings.is_empty());
    let (_, found) = environment::overlay(BTreeMap::new(), Ok("PATH=x".to_owned()));
    assert!(found[0].contains("unknown key"));
}

#[test]
fn a_dotenv_file_is_read_the_way_shells_write_it() {
    let text = "\u{feff}# a comment\r\nexport KEYS_DIR = 'a # b'\r\nLOG_FORMAT=json # why\n\n\
                REDIS_PREFIX=\"a\\\"b\\\\\" # c\nLISTEN=80#1\nSECRET_KEY=a=b\nDEV_USER=\n";
    let (map, found) = environment::overlay(BTreeMap::new(), Ok(text.to_owned()));
    assert!(found.is_empty(), "{found:?}");
    let expected = [
        ("DEV_USER", ""),
        ("KEYS_DIR", "a # b"),
        ("LISTEN", "80#1"),
        ("LOG_FORMAT", "json"),
        ("REDIS_PREFIX", "a\"b\\"),
        ("SECRET_KEY", "a=b"),
    ];
    assert_eq!(map.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect::<Vec<_>>(), expected);
    let text = "hunter2\nKEYS_DIR='x\nLISTEN=1\nLISTEN=2\nLOG_LEVEL=\"a\"b\n";
    let (_, found) = environment::overlay(BTreeMap::new(), Ok(text.to_owned()));
    assert!(found.len() == 4 && !found.concat().contains("hunter2"), "{found:?}");
}

#[test]
fn the_process_wins_over_the_file_in_either_form() {
    let process = map(&[("LISTEN", "1"), ("SECRET_KEY", KEY)]);
    let text = "LISTEN=2\nKEYS_DIR=k\nSECRET_KEY_FILE=/nowhere/at/all\n".to_owned();
    let (map, found) = environment::overlay(process, Ok(text));
    assert!(found.is_empty(), "{found:?}");
    assert_eq!((map["LISTEN"].as_str(), map["KEYS_DIR"].as_str()), ("1", "k"));
    assert_eq!(map["SECRET_KEY"], KEY);
}

#[test]
fn a_secret_may_live_in_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let merge = |pairs: &[(&str, &str)]| {
        environment::overlay(map(pairs), Err(io::Error::from(io::ErrorKind::NotFound)))
    };
    let (good, empty) = (file("good", &format!("{KEY}\n")), file("empty", "\n"));
    let (read, found) = merge(&[("SECRET_KEY_FILE", &good)]);
    assert_eq!((read["SECRET_KEY"].as_str(), found.len()), (KEY, 0));
    for (pairs, why) in [
        (&[("SECRET_KEY_FILE", good.as_str()), ("SECRET_KEY", KEY)][..], "not both"),
        (&[("REDIS_URL_FILE", "/nowhere/at/all")][..], "/nowhere/at/all"),
        (&[("DEV_PASSWORD_FILE", empty.as_str())][..], "is empty"),
    ] {
        let (_, found) = merge(pairs);
        assert!(found.len() == 1, "{found:?}");
        assert!(found[0].contains(why) && found[0].contains(pairs[0].0), "{found:?}");
    }
}

#[test]
fn an_unreadable_dotenv_file_is_a_complaint() {
    let error = io::Error::from(io::ErrorKind::PermissionDenied);
    let (_, found) = environment::overlay(BTreeMap::new(), Err(error));
    assert!(found[0].starts_with(".env must be readable"));
}

#[test]
fn the_example_file_is_accepted_as_it_is_and_with_everything_switched_on() {
    let example = include_str!("../../.env.example");
    let assignment = |line: &str| {
        let name = line.strip_prefix("# ").and_then(|rest| rest.split_once('='));
        name.is_some_and(|(name, _)| env_vars::find(name).is_some())
    };
    let switched_on: Vec<&str> =
        example.lines().map(|line| if assignment(line) { &line[2..] } else { line }).collect();
    for text in [example.to_owned(), switched_on.join("\n")] {
        let (map, found) = environment::overlay(BTreeMap::new(), Ok(text));
        assert!(found.is_empty(), "{found:?}");
        // There is one store, so one of the two is left out.
        for other in ["STORE_URL", "REDIS_URL"] {
            let mut map = map.clone();
            map.remove(other);
            Config::from_map(&map).unwrap_or_else(|complaints| panic!("{complaints}"));
        }
    }
    let (map, _) = environment::overlay(BTreeMap::new(), Ok(switched_on.join("\n")));
    for var in ENV_VARS {
        let shown = map.get(var.name).unwrap_or_else(|| panic!("{} is not in it", var.name));
        if let DefaultValue::Value(default) = var.default {
            assert_eq!(shown, default, "{}", var.name);
        }
    }
}

#[test]
fn whoever_changes_the_secret_key_is_told_of_pairwise_subjects() {
    let previous = format!("{KEY}, before");
    let changing = [("SECRET_KEY", KEY), ("SECRET_KEY_PREVIOUS", &*previous)];
    let warnings = read(&changing).warnings;
    assert!(warnings[0].contains("PAIRWISE_SALT is not set"), "{warnings:?}");
    let kept = [&changing[..], &[("PAIRWISE_SALT", KEY)]].concat();
    assert!(read(&kept).warnings.is_empty());
}

#[test]
fn what_check_config_prints_covers_every_variable_and_no_secret() {
    let secrets = ["SECRET_KEY", "DEV_PASSWORD", "REGISTRATION_TOKEN", "REDIS_SENTINEL_PASSWORD"];
    let mut pairs: Vec<_> = secrets.iter().map(|name| (*name, KEY)).collect();
    let previous = format!("{KEY}, before");
    pairs.push(("SECRET_KEY_PREVIOUS", &previous));
    pairs.push(("PAIRWISE_SALT", KEY));
    let url = format!("redis://:{KEY}@localhost");
    pairs.push(("REDIS_URL", &url));
    let config = read(&pairs);
    let text = describe(&config);
    for (var, line) in ENV_VARS.iter().zip(text.lines()) {
        assert!(line.starts_with(&format!("{}=", var.name)), "{line}");
        if let DefaultValue::Value(default) = var.default {
            assert_eq!(line.split_once('=').map(|(_, value)| value), Some(default), "{line}");
        }
        assert_eq!(line.ends_with("(set, not shown)"), var.secret, "{line}");
    }
    assert!(!text.contains(KEY) && !format!("{config:?}").contains(KEY));
}

#[test]
fn what_is_set_is_what_check_config_prints() {
    let rows = [
        ("ISSUER_URL", "https://id.example"),
        ("EXTRA_HOSTS", "latchkey:5000"),
        ("TLS_CERT_PATH", "c.pem"),
        ("TLS_KEY_PATH", "k.pem"),
        ("METRICS_LISTEN", "127.0.0.1:9090"),
        ("PRIVATE_KEY_PATH", "private.pem"),
        ("PUBLIC_KEY_PATH", "public.pem"),
        ("BOOTSTRAP_FILE", "b.toml"),
        ("OUTGOING_CA_FILE", "ca.pem"),
        ("OUTGOING_ALLOW_PRIVATE", "10.1.0.0/16"),
        ("TRUSTED_PROXIES", "10.0.0.0/8"),
        ("CORS_ORIGINS", "https://app.example,capacitor://localhost"),
        ("CORS_ALLOWED_HEADERS", "X-Trace-Id,b3"),
        ("WEBFINGER_DOMAINS", "example.com,id.example:8443"),
        ("HTTP2", "prior-knowledge"),
        ("KEEP_ALIVE", "620s"),
        ("REGISTRATION", "off"),
        ("SOFTWARE_STATEMENT_ISSUERS", "https://trust.example=trust.json"),
        ("CLIENT_SECRET_JWT", "true"),
        ("LOG_LEVEL", "info,latchkey::infra::store=debug"),
        ("LOG_FORMAT", "json"),
        ("HASH_THREADS", "3"),
        ("SESSION_IDLE_LIFETIME", "90s"),
        ("LISTEN", "127.0.0.1:1,[::1]:2"),
    ];
    let beside = [("SECRET_KEY", KEY), ("STORE_URL", "memory:")];
    let text = describe(&read(&[&rows[..], &beside].concat()));
    for (name, value) in rows {
        assert!(text.lines().any(|line| line == format!("{name}={value}")), "{name}: {text}");
    }
}

#[test]
fn the_readme_table_has_a_row_for_every_variable() {
    let table = env_vars::markdown_table();
    assert_eq!(table.lines().count(), ENV_VARS.len() + 2);
    assert!(table.lines().all(|line| line.matches(" | ").count() == 2), "{table}");
}
