//! A code is good once.

use crate::conformance::checks::tokens;
use crate::conformance::suite::Suite;
use crate::support::http;

/// The same code again, after a while; gives what came of the first.
async fn again(suite: &Suite, after: u64) -> String {
    let client = suite.client().await;
    let done = client.signs_in(&suite.browser(), &client.asks()).await;
    suite.waits(after);
    let code = done.callback.get("code").expect("a code");
    tokens::invalid_grant(&client.exchanges(code, &[]).await);
    done.access_token.expect("an access token")
}

pub async fn oidcc_codereuse(suite: &Suite) {
    again(suite, 0).await;
}

pub async fn oidcc_codereuse_30seconds(suite: &Suite) {
    let token = again(suite, 30).await;
    let url = suite.endpoint("userinfo_endpoint");
    let answer = http::send(suite.provider.http().get(url).bearer_auth(token)).await;
    assert!((400..500).contains(&answer.status), "EnsureHttpStatusCodeIs4xx: {answer:?}");
}
