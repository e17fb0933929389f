//! F29: input that is far too large, or as large as it may be and strange.
//!
//! It is refused with the status that says why, and costs next to nothing: what is refused is not read,
//! and what is read is at most 64 KiB.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::client::Browser;
use crate::context::RunContext;
use crate::parts::http::send;
use crate::parts::installation::Installation;
use crate::parts::raw_http::{self, UploadOutcome};
use crate::parts::server::Server;
use crate::report::Report;

const MB: usize = 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);

const POSTS: [&str; 8] = [
    "/token",
    "/introspect",
    "/revoke",
    "/register",
    "/authorize",
    "/logout",
    "/consent",
    "/userinfo",
];
const GETS: [&str; 8] = [
    "/authorize",
    "/logout",
    "/jwks.json",
    "/.well-known/openid-configuration",
    "/ready",
    "/metrics",
    "/userinfo",
    "/",
];

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";
const JSON: &str = "Content-Type: application/json";

/// One request of a kind, and what may be answered.
struct Case {
    name: &'static str,
    path: String,
    head: String,
    body: Vec<u8>,
    /// The body is said again until so many bytes are sent.
    most: usize,
    may: &'static [u16],
}

/// It was not read.
const TOO_LARGE: &[u16] = &[413, 414, 431];
/// It was read and makes no sense; 303 takes the no to the application.
const NONSENSE: &[u16] = &[400, 401, 403, 404, 405, 413, 415, 302, 303];
/// A body where none is looked at changes nothing.
const UNREAD: &[u16] = &[200, 302, 303, 400, 401, 405, 413];

/// `500=0 rss_growth_mb<=20 cpu_per_req_ms<=5`, and nothing is accepted or left without an answer.
pub async fn run(context: RunContext) -> Vec<Report> {
    let installation = Installation::new().await;
    let server = installation.start_server("memory:").await;
    let cases = cases(&installation);
    // What every server has that has answered anything is not growth.
    for path in GETS {
        send(server.client().get(path)).await;
    }
    let signed_in = Browser::sign_in(server.client(), installation.client(0), "p0").await;
    signed_in.expect("signed in");
    let (rss, cpu) = (server.rss_mb(), server.cpu_s());
    let (mut rss_max, mut requests, mut taken_max) = (rss, 0_u32, 0);
    let (mut silent, mut broken, mut strange) = (0, 0, Vec::new());
    let mut by_status: BTreeMap<u16, usize> = BTreeMap::new();
    for _ in 0..context.pick(5, 100) {
        for case in &cases {
            let UploadOutcome { status, taken } = case.is_sent(&server).await;
            requests += 1;
            taken_max = taken_max.max(taken);
            rss_max = rss_max.max(server.rss_mb());
            let Some(status) = status else {
                silent += 1;
                strange.push(format!("{}{}=none", case.name, case.path));
                continue;
            };
            *by_status.entry(status).or_default() += 1;
            broken += usize::from(status >= 500);
            if !case.may.contains(&status) {
                strange.push(format!("{}{}={status}", case.name, case.path));
            }
        }
    }
    let cpu_ms = 1000.0 * (server.cpu_s() - cpu) / f64::from(requests);
    let statuses: Vec<_> = by_status.iter().map(|(status, n)| format!("{status}x{n}")).collect();
    let mut report = Report::new();
    report.figure("requests", requests).figure("statuses", statuses.join(","));
    strange.sort_unstable();
    strange.dedup();
    report.never("unexpected", strange.len());
    if !strange.is_empty() {
        report.figure("which", strange.join(","));
    }
    #[expect(clippy::cast_precision_loss, reason = "megabytes")]
    report
        .never("unanswered", silent)
        .never("500", broken)
        .measurement("taken_max_mb", taken_max as f64 / MB as f64)
        .at_most("rss_growth_mb", rss_max - rss, 20.0)
        .within("cpu_per_req_ms", cpu_ms, 5.0, 40.0)
        .never("panics", server.panics());
    vec![report]
}

impl Case {
    async fn is_sent(&self, server: &Server) -> UploadOutcome {
        raw_http::upload(server.at(), &self.head, &self.body, self.most, PATIENCE).await
    }
}

fn cases(installation: &Installation) -> Vec<Case> {
    let host = installation.host();
    let mut cases = Vec::new();
    let methods =
        POSTS.map(|path| ("POST", path)).into_iter().chain(GETS.map(|path| ("GET", path)));
    for (method, path) in methods {
        large_bodies(host, method, path, &mut cases);
        large_heads(host, method, path, &mut cases);
    }
    let bomb = bomb();
    for path in POSTS {
        let mut put = |name, kind, body: Vec<u8>, may| {
            cases.push(exact(name, host, path, &[kind], body, may));
        };
        put("200k_params", FORM, b"a=&".repeat(200_000), TOO_LARGE);
        put("32k_params", FORM, b"a&".repeat(32_000), NONSENSE);
        put("json_depth_1e5", JSON, b"[".repeat(100_000), TOO_LARGE);
        put("json_depth_6e4", JSON, b"[".repeat(60_000), NONSENSE);
        put("json_objects", JSON, b"{\"a\":".repeat(12_000), NONSENSE);
        cases.push(exact(
            "gzip_bomb",
            host,
            path,
            &[FORM, "Content-Encoding: gzip"],
            bomb.clone(),
            NONSENSE,
        ));
    }
    documents(installation, &mut cases);
    cases
}

/// A hundred megabytes, by length, in chunks, and with a question first.
fn large_bodies(host: &str, method: &str, path: &str, cases: &mut Vec<Case>) {
    let length = format!("Content-Length: {}", 100 * MB);
    let piece = vec![b'a'; 64 * 1024];
    let mut chunk = b"10000\r\n".to_vec();
    chunk.extend_from_slice(&piece);
    chunk.extend_from_slice(b"\r\n");
    let may = if method == "GET" { UNREAD } else { NONSENSE };
    let mut put = |name, lines: &[&str], body: &[u8], may| {
        let head = raw_http::head(method, path, host, lines);
        let (path, body) = (format!("{method}{path}"), body.to_vec());
        cases.push(Case { name, path, head, body, most: 100 * MB, may });
    };
    put("length", &[FORM, &length, ""], &piece, TOO_LARGE);
    put("chunked", &[FORM, "Transfer-Encoding: chunked", ""], &chunk, may);
    put("expect", &[FORM, &length, "Expect: 100-continue", ""], b"", TOO_LARGE);
}

/// A megabyte in one line, ten thousand lines, and an address of 200 000 parameters.
fn large_heads(host: &str, method: &str, path: &str, cases: &mut Vec<Case>) {
    let mut put = |name, head: String| {
        let path = format!("{method}{path}");
        cases.push(Case { name, path, head, body: Vec::new(), most: 0, may: TOO_LARGE });
    };
    let line = format!("X-Large: {}", "a".repeat(MB));
    put("1mb_header", raw_http::head(method, path, host, &[&line, ""]));
    put("1e4_headers", raw_http::head(method, path, host, &[&*"X-Many: a\r\n".repeat(10_000), ""]));
    let query = format!("{path}?{}", "a=&".repeat(200_000));
    put("200k_in_query", raw_http::head(method, &query, host, &[""]));
}

/// What is within 64 KiB and read: tokens of dots, and scopes of ten thousand words.
fn documents(installation: &Installation, cases: &mut Vec<Case>) {
    let (host, shop) = (installation.host(), installation.client(0));
    let signed = STANDARD.encode(format!("{}:{}", shop.id, shop.secret));
    let signed = format!("Authorization: Basic {signed}");
    let dots = ".".repeat(60_000);
    let bearer =
        "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
    let words: Vec<_> = (0..10_000).map(|number| number.to_string()).collect();
    let words = words.join("+");
    let asks =
        format!("response_type=code&client_id={}&redirect_uri={}", shop.id, shop.redirect_uri);
    for (name, path, body) in [
        (
            "dots_in_assertion",
            "/token",
            format!("grant_type=client_credentials&{bearer}&client_assertion={dots}"),
        ),
        ("dots_in_refresh", "/token", format!("grant_type=refresh_token&refresh_token={dots}")),
        ("dots_in_code", "/token", format!("grant_type=authorization_code&code={dots}")),
        ("dots_in_request", "/authorize", format!("{asks}&request={dots}")),
        ("scope_1e4", "/authorize", format!("{asks}&scope={words}")),
        ("scope_1e4", "/token", format!("grant_type=client_credentials&scope={words}")),
    ] {
        cases.push(exact(name, host, path, &[FORM, &signed], body.into_bytes(), NONSENSE));
    }
    // These answer 200 to what they do not know, as their specifications say.
    let fine = &[200, 303, 400, 401];
    for (name, path, body) in [
        ("dots_in_token", "/introspect", format!("token={dots}")),
        ("dots_in_token", "/revoke", format!("token={dots}")),
        ("dots_in_hint", "/logout", format!("id_token_hint={dots}")),
    ] {
        cases.push(exact(name, host, path, &[FORM, &signed], body.into_bytes(), fine));
    }
    let bearer = format!("Authorization: Bearer {}", ".".repeat(100_000));
    cases.push(exact("dots_in_bearer", host, "/userinfo", &[FORM, &bearer], Vec::new(), TOO_LARGE));
    let registered = format!(
        "{{\"redirect_uris\":[\"https://a.example/\"],\"scope\":\"{}\"}}",
        "a ".repeat(10_000)
    );
    cases.push(exact("scope_1e4", host, "/register", &[JSON], registered.into_bytes(), NONSENSE));
}

fn exact(
    name: &'static str,
    host: &str,
    path: &str,
    lines: &[&str],
    body: Vec<u8>,
    may: &'static [u16],
) -> Case {
    let length = format!("Content-Length: {}", body.len());
    let mut lines = lines.to_vec();
    lines.extend([&*length, ""]);
    let head = raw_http::head("POST", path, host, &lines);
    let most = body.len();
    Case { name, path: path.to_owned(), head, body, most, may }
}

/// Fifty megabytes of nothing, packed.
fn bomb() -> Vec<u8> {
    let packing = Command::new("sh").args(["-c", "head -c 50000000 /dev/zero | gzip -9"]).output();
    packing.expect("gzip").stdout
}
