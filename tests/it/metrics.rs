//! What is counted, as Prometheus sees it.

use crate::support::http;
use crate::support::test_server::{TestServer, on_every_store};

on_every_store![
    every_store_command_is_counted_whoever_asked,
    the_readme_names_every_metric,
    a_scrape_asks_nothing_of_the_store
];

/// The value of the line that begins with this.
async fn value(server: &TestServer, line: &str) -> f64 {
    let metrics = server.metrics().await;
    let found = metrics.lines().find_map(|it| it.strip_prefix(line)?.strip_prefix(' '));
    let found = found.unwrap_or_else(|| panic!("no {line}: {metrics}"));
    found.parse().expect("a number")
}

async fn every_store_command_is_counted_whoever_asked(server: TestServer) {
    let good = r#"oidc_store_commands_total{outcome="ok",verb="get"}"#;
    let bad = r#"oidc_store_commands_total{outcome="unavailable",verb="get"}"#;
    let timed = r#"oidc_store_seconds_count{verb="get"}"#;
    assert!(value(&server, bad).await.abs() < 0.5, "there from the start");
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid").await;
    let before = value(&server, good).await;
    assert_eq!(server.userinfo(tokens.access()).await.status, 200);
    assert!(value(&server, good).await > before);

    server.failing_store().fail_operation("get");
    assert_eq!(server.userinfo(tokens.access()).await.status, 503);
    assert_eq!(shop.refresh(tokens.refresh()).await.status, 503);
    server.failing_store().heal();
    let (bad, timed) = (value(&server, bad).await, value(&server, timed).await);
    assert!((bad - 2.0).abs() < 0.5, "{bad}");
    assert!((timed - value(&server, good).await - bad).abs() < 0.5, "each has its time: {timed}");
}

async fn a_scrape_asks_nothing_of_the_store(server: TestServer) {
    let shop = server.relying_party("shop").await;
    shop.sign_in(&server.browser("ada"), "openid").await;
    let sessions = value(&server, "oidc_active_sessions").await;
    assert!((sessions - 1.0).abs() < 0.5, "{sessions}");
    // The logout workers ask by themselves, so what is looked at is what a scrape would fail of.
    let scrape = async || http::send(server.http().get(server.url("/metrics"))).await;
    server.failing_store().fail_operation("names");
    let scraped = scrape().await;
    server.failing_store().heal();
    assert_eq!(scraped.status, 200);
    assert!(scraped.body.contains("oidc_active_sessions 1\n"), "{}", scraped.body);
    shop.sign_in(&server.browser("bob"), "openid").await;
    assert!(scrape().await.body.contains("oidc_active_sessions 1\n"), "as counted last");
    assert!(server.metrics().await.contains("oidc_active_sessions 2\n"), "and as counted now");
}

async fn the_readme_names_every_metric(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid").await;
    shop.redeem(&tokens.code, &tokens.request).await;
    shop.revoke(tokens.refresh()).await;
    let readme = include_str!("../../README.md");
    let metrics = server.metrics().await;
    let names: Vec<&str> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    assert!(names.len() >= 9, "{names:?}");
    for name in names {
        assert!(readme.contains(&format!("`{name}")), "{name}");
    }
}
