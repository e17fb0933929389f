//! What is different where not only developers are.

use super::*;

#[test]
fn metrics_are_beside_the_pages_only_in_development() {
    let public =
        [("ISSUER_URL", "https://id.example"), ("SECRET_KEY", KEY), ("STORE_URL", "memory:")];
    let metrics = |pairs: &[&[(&str, &str)]]| read(&pairs.concat()).metrics_listen;
    let own = |address: &str, asked| MetricsListen::Separate { address: address.to_owned(), asked };
    assert_eq!(metrics(&[]), MetricsListen::MainListener);
    assert_eq!(metrics(&[&public]), own("127.0.0.1:9464", false));
    for issuer in [&[][..], &public] {
        assert_eq!(metrics(&[issuer, &[("METRICS_LISTEN", "9090")]]), own("127.0.0.1:9090", true));
        assert_eq!(metrics(&[issuer, &[("METRICS_LISTEN", "[::]:9")]]), own("[::]:9", true));
        assert_eq!(metrics(&[issuer, &[("METRICS_LISTEN", "off")]]), MetricsListen::Off);
    }
}

#[test]
fn a_secret_that_repeats_itself_is_refused_unless_something_goes_on_with_it() {
    let weak = "x".repeat(48);
    for name in ["SECRET_KEY", "REGISTRATION_TOKEN"] {
        let found = complaints(&[(name, &weak)]);
        assert!(found.len() == 1 && found[0].starts_with(name), "{found:?}");
        assert!(found[0].contains("random") && !found[0].contains(&weak), "{found:?}");
    }
    for name in ["SECRET_KEY_PREVIOUS", "PAIRWISE_SALT"] {
        let config = read(&[("SECRET_KEY", KEY), ("PAIRWISE_SALT", KEY), (name, &weak)]);
        assert!(config.warnings.iter().any(|it| it.starts_with(name)), "{:?}", config.warnings);
    }
}

#[test]
fn a_development_account_exists_only_where_only_developers_are() {
    let public =
        [("ISSUER_URL", "https://id.example"), ("SECRET_KEY", KEY), ("STORE_URL", "memory:")];
    let found = complaints(&[&public[..], &[("DEV_PASSWORD", "ada")]].concat());
    assert!(found.len() == 1 && found[0].starts_with("DEV_PASSWORD"), "{found:?}");
    // The Compose file brings it along: no account, and no server that ends again and again.
    let named = read(&[&public[..], &[("DEV_USER", "demo")]].concat());
    assert!(named.dev_account.is_none());
    assert!(named.warnings.iter().any(|it| it.starts_with("DEV_USER is not used")));
    let redis = ("REDIS_URL", "redis://localhost");
    assert!(read(&[redis]).dev_account.is_none());
    assert!(read(&[("BOOTSTRAP_FILE", "b.toml")]).dev_account.is_none());
    assert_eq!(
        read(&[redis, ("DEV_USER", "ada")]).dev_account.map(|dev| dev.user).as_deref(),
        Some("ada")
    );
}

#[test]
fn a_public_issuer_needs_a_secret_key_and_gets_careful_defaults() {
    assert!(complaints(&[("ISSUER_URL", "https://id.example")])[0].starts_with("SECRET_KEY must"));
    let public =
        [("ISSUER_URL", "https://id.example"), ("SECRET_KEY", KEY), ("STORE_URL", "memory:")];
    let config = read(&public);
    assert_eq!(config.listen, ["0.0.0.0:5000"]);
    assert!(matches!(config.registration, RegistrationPolicy::Token(tokens) if tokens.is_empty()));
    assert!(config.dev_account.is_none());
    assert!(config.warnings.iter().any(|warning| warning.contains("REGISTRATION_TOKEN")));
    let of_tls = |more: &[(&'static str, &'static str)]| {
        let config = read(&[&public[..], more].concat());
        config.warnings.iter().filter(|warning| warning.contains("TLS_CERT_PATH")).count()
    };
    assert_eq!(of_tls(&[]), 1, "{:?}", config.warnings);
    assert_eq!(of_tls(&[("TRUSTED_PROXIES", "10.0.0.1")]), 0);
    assert_eq!(of_tls(&[("TLS_CERT_PATH", "c.pem"), ("TLS_KEY_PATH", "k.pem")]), 0);
}
