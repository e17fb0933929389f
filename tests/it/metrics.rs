//! What is counted, as Prometheus sees it.

use crate::support::http;
use crate::support::test_server::{House, on_every_store};

on_every_store![
    every_store_command_is_counted_whoever_asked,
    the_readme_names_every_metric,
    a_scrape_asks_nothing_of_the_store
];

/// The value of the line that begins with this.
async fn value(house: &House, line: &str) -> f64 {
    let metrics = house.metrics().await;
    let found = metrics.lines().find_map(|it| it.strip_prefix(line)?.strip_prefix(' '));
    let found = found.unwrap_or_else(|| panic!("no {line}: {metrics}"));
    found.parse().expect("a number")
}

async fn every_store_command_is_counted_whoever_asked(house: House) {
    let good = r#"oidc_store_commands_total{outcome="ok",verb="get"}"#;
    let bad = r#"oidc_store_commands_total{outcome="unavailable",verb="get"}"#;
    let timed = r#"oidc_store_seconds_count{verb="get"}"#;
    assert!(value(&house, bad).await.abs() < 0.5, "there from the start");
    let shop = house.relying_party("shop").await;
    let tokens = shop.signs_in(&house.browser("ada"), "openid").await;
    let before = value(&house, good).await;
    assert_eq!(house.userinfo(tokens.access()).await.status, 200);
    assert!(value(&house, good).await > before);

    house.faults().plan_verb("get");
    assert_eq!(house.userinfo(tokens.access()).await.status, 503);
    assert_eq!(shop.refreshes(tokens.refresh()).await.status, 503);
    house.faults().heal();
    let (bad, timed) = (value(&house, bad).await, value(&house, timed).await);
    assert!((bad - 2.0).abs() < 0.5, "{bad}");
    assert!((timed - value(&house, good).await - bad).abs() < 0.5, "each has its time: {timed}");
}

async fn a_scrape_asks_nothing_of_the_store(house: House) {
    let shop = house.relying_party("shop").await;
    shop.signs_in(&house.browser("ada"), "openid").await;
    let sessions = value(&house, "oidc_active_sessions").await;
    assert!((sessions - 1.0).abs() < 0.5, "{sessions}");
    // The couriers ask by themselves, so what is looked at is what a scrape would fail of.
    let scrape = async || http::send(house.http().get(house.url("/metrics"))).await;
    house.faults().plan_verb("names");
    let scraped = scrape().await;
    house.faults().heal();
    assert_eq!(scraped.status, 200);
    assert!(scraped.body.contains("oidc_active_sessions 1\n"), "{}", scraped.body);
    shop.signs_in(&house.browser("bob"), "openid").await;
    assert!(scrape().await.body.contains("oidc_active_sessions 1\n"), "as counted last");
    assert!(house.metrics().await.contains("oidc_active_sessions 2\n"), "and as counted now");
}

async fn the_readme_names_every_metric(house: House) {
    let shop = house.relying_party("shop").await;
    let tokens = shop.signs_in(&house.browser("ada"), "openid").await;
    shop.exchanges(&tokens.code, &tokens.request).await;
    shop.revokes(tokens.refresh()).await;
    let readme = include_str!("../../README.md");
    let metrics = house.metrics().await;
    let names: Vec<&str> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    assert!(names.len() >= 9, "{names:?}");
    for name in names {
        assert!(readme.contains(&format!("`{name}")), "{name}");
    }
}
