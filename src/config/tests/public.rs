//! What is different where not only developers are.

use super::*;

#[test]
fn metrics_are_beside_the_pages_only_in_development() {
    let public = [("ISSUER_URL", "https://id.example"), ("SECRET_KEY", KEY)];
    let metrics = |pairs: &[&[(&str, &str)]]| read(&pairs.concat()).metrics_listen;
    let own = |address: &str, asked| MetricsListen::Own { address: address.to_owned(), asked };
    assert_eq!(metrics(&[]), MetricsListen::WithTheRest);
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
    let public = [("ISSUER_URL", "https://id.example"), ("SECRET_KEY", KEY)];
    let found = complaints(&[&public[..], &[("DEV_PASSWORD", "ada")]].concat());
    assert!(found.len() == 1 && found[0].starts_with("DEV_PASSWORD"), "{found:?}");
    // The Compose file brings it along: no account, and no server that ends again and again.
    let named = read(&[&public[..], &[("DEV_USER", "demo")]].concat());
    assert!(named.dev.is_none());
    assert!(named.warnings.iter().any(|it| it.starts_with("DEV_USER is not used")));
    let redis = ("REDIS_URL", "redis://localhost");
    assert!(read(&[redis]).dev.is_none());
    assert!(read(&[("BOOTSTRAP_FILE", "b.toml")]).dev.is_none());
    assert_eq!(read(&[redis, ("DEV_USER", "ada")]).dev.map(|dev| dev.user).as_deref(), Some("ada"));
}
