//! The table of all variables. The parser's defaults, the check for unknown names, `latchkey check-config`, `.env.example` and
//! the README's table follow from it.

use std::fmt::Write as _;

use DefaultValue::{Rule, Unset, Value};

/// One variable.
#[derive(Debug)]
pub struct EnvVar {
    /// Its name in the environment.
    pub name: &'static str,
    /// Its value when it is not set.
    pub default: DefaultValue,
    /// One sentence for the operator.
    pub help: &'static str,
    /// Whether its value must not be shown; such a variable may also be given as `NAME_FILE`.
    pub secret: bool,
}

/// The value of a variable that is not set.
#[derive(Debug)]
pub enum DefaultValue {
    /// The same as if this text had been written; the parser reads it from here.
    Value(&'static str),
    /// Depends on other settings; this says how.
    Rule(&'static str),
    /// No value.
    Unset,
}

impl DefaultValue {
    /// The text for a table.
    pub fn text(&self) -> &'static str {
        match self {
            Self::Value(text) | Self::Rule(text) => text,
            Self::Unset => "not set",
        }
    }
}

/// The variable of that name.
pub fn find(name: &str) -> Option<&'static EnvVar> {
    ENV_VARS.iter().find(|var| var.name == name)
}

/// Whether the name is a variable, or the `NAME_FILE` form of a secret one.
pub fn is_known(name: &str) -> bool {
    let is_secret = |name| find(name).is_some_and(|var: &EnvVar| var.secret);
    find(name).is_some() || name.strip_suffix("_FILE").is_some_and(is_secret)
}

/// The variable that an unknown name probably means: one that starts with the name (`ISSUER`), or is at most two letters away
/// (`REDIS_URI`), or the name without the prefix that other programs would have (`LATCHKEY_ISSUER_URL`).
pub fn suggestion_for(name: &str) -> Option<&str> {
    if let Some(rest) = name.strip_prefix("LATCHKEY_") {
        return if is_known(rest) { Some(rest) } else { suggestion_for(rest) };
    }
    // Shorter words (LOG, TLS, DEV, HOSTS) belong to others as often as to us.
    if name.len() < 6 || is_known(name) {
        return None;
    }
    let goes_on = |var: &str| var.strip_prefix(name).is_some_and(|rest| rest.starts_with('_'));
    let close = ENV_VARS.iter().find(|var| edit_distance(name, var.name) <= 2);
    close.or_else(|| ENV_VARS.iter().find(|var| goes_on(var.name))).map(|var| var.name)
}

/// The README's table.
pub fn markdown_table() -> String {
    let mut table = String::from("| Variable | Default | Meaning |\n| --- | --- | --- |\n");
    for var in ENV_VARS {
        let default = match var.default {
            DefaultValue::Value(value) => format!("`{value}`"),
            DefaultValue::Rule(_) | DefaultValue::Unset => var.default.text().to_owned(),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(table, "| `{}` | {default} | {} |", var.name, var.help);
    }
    table
}

/// Levenshtein's distance, by rows.
fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<u8> = right.bytes().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

const fn var(name: &'static str, fallback: DefaultValue, help: &'static str) -> EnvVar {
    EnvVar { name, default: fallback, help, secret: false }
}

const fn secret(name: &'static str, fallback: DefaultValue, help: &'static str) -> EnvVar {
    EnvVar { name, default: fallback, help, secret: true }
}

/// The table, in the order in which an operator would think of them.
#[rustfmt::skip]
pub const ENV_VARS: &[EnvVar] = &[
    var("ISSUER_URL", Value("http://localhost:5000"), "The URL clients know this server by: https except on a loopback host, no path, no trailing slash."),
    var("LISTEN", Rule("the issuer's port on `127.0.0.1` and `[::1]` if the issuer is loopback, otherwise `0.0.0.0:5000`"), "Where to accept connections: `host:port` or a bare port, several separated by commas."),
    var("EXTRA_HOSTS", Unset, "Further `Host` header values to answer to besides the issuer's, separated by commas."),
    var("TRUSTED_PROXIES", Unset, "Addresses or networks whose `X-Forwarded-For` is believed, separated by commas."),
    var("TLS_CERT_PATH", Unset, "PEM certificate chain, to speak TLS without a proxy; needs `TLS_KEY_PATH`."),
    var("TLS_KEY_PATH", Unset, "PEM private key of the certificate; needs `TLS_CERT_PATH`."),
    var("HTTP2", Value("tls"), "Where HTTP/2 is spoken: `tls`, with clients that ask for it by ALPN; `prior-knowledge`, also without TLS, with proxies that begin with it; `off`."),
    var("METRICS_LISTEN", Rule("where everything else is if the issuer is loopback, otherwise `127.0.0.1:9464`"), "Serve `/metrics` on this `host:port` only; a bare port means loopback, `off` nowhere."),

    secret("SECRET_KEY", Rule("made and kept in `KEYS_DIR` if the issuer is loopback, otherwise required"), "At least 32 random characters that cookies and token handles are derived from; the same on every server. One that repeats itself is refused."),
    secret("SECRET_KEY_PREVIOUS", Unset, "The `SECRET_KEY` before the current one, while it is being changed: what was made under it is still accepted."),
    secret("PAIRWISE_SALT", Rule("derived from `SECRET_KEY`"), "At least 32 random characters that pairwise subjects are made with. It must never change, so set it before `SECRET_KEY` changes: to the first `SECRET_KEY` the subjects were made with."),
    var("KEYS_DIR", Value("keys"), "The folder where generated keys are kept."),
    var("PRIVATE_KEY_PATH", Unset, "The PEM signing key; without it one is made in `KEYS_DIR`."),
    var("PUBLIC_KEY_PATH", Unset, "The PEM public key, checked against the private one; needs `PRIVATE_KEY_PATH`."),
    var("SIGNING_ALGS", Value("RS256"), "What tokens can be signed with, separated by commas: `RS256`, which is always among it, `PS256`, `ES256`, `EdDSA`."),
    var("KEY_ROTATION_INTERVAL", Value("90d"), "How long a signing key is used before the next one takes its place; 0 for until `latchkey keys rotate`."),
    var("REQUEST_OBJECT_ENCRYPTION", Value("false"), "Whether to publish keys that clients can encrypt request objects for."),

    var("STORE_URL", Rule("`memory:` if the issuer is loopback; otherwise it or `REDIS_URL` is required"), "Where a server that is alone keeps its state: `file:` and a folder, or `memory:`, which forgets; not beside `REDIS_URL`."),
    var("CONTROL_SOCKET", Rule("`control.sock` in the folder of a `file:` store, otherwise none"), "The Unix socket by which commands such as `latchkey user disable` reach a running server; for its own user only."),
    secret("REDIS_URL", Unset, "Where several servers keep their state: `redis://[user:password@]host[:port][/database]`, `redis+unix:///path`, `redis-sentinel://[user:password@]host[:port],…/service[/database]` or `redis-cluster://[user:password@]host[:port],…`, with `rediss` instead of `redis` for TLS; not beside `STORE_URL`."),
    var("REDIS_CA_FILE", Unset, "PEM certificates to trust for Redis by TLS, besides the public ones."),
    var("REDIS_CERT_FILE", Unset, "PEM certificate chain to show to Redis; needs `REDIS_KEY_FILE`."),
    var("REDIS_KEY_FILE", Unset, "PEM private key of that certificate; needs `REDIS_CERT_FILE`."),
    secret("REDIS_SENTINEL_PASSWORD", Unset, "The password of the sentinels, if they ask for one; that of Redis itself is in `REDIS_URL`."),
    var("REDIS_MIN_REPLICAS_ACK", Rule("1 with Sentinel, otherwise 0"), "How many replicas must have a change before it counts; with fewer the request is answered 503."),
    var("REDIS_PREFIX", Value("latchkey:"), "What every Redis key starts with."),
    var("REDIS_CACHE_TTL", Value("5s"), "How long clients, people and sessions read from Redis are kept in memory, as long as Redis tells of every change; 0 for not at all, at most 1h."),
    var("ALLOW_VOLATILE_STORE", Value("false"), "Start even if Redis may lose or evict what it was told to keep."),
    var("BOOTSTRAP_FILE", Unset, "A TOML file of clients and users to create at start."),
    var("DEV_USER", Rule("`demo`"), "The name of the development account; there is none unless the issuer is loopback."),
    secret("DEV_PASSWORD", Rule("made and shown at start"), "The password of the development account; only on a loopback issuer."),
    var("DEV_GUESS_LIMITS_ENABLED", Value("true"), "Whether wrong passwords slow an account down and lock it; `false` only on a loopback issuer."),

    var("REGISTRATION", Rule("`open` if the issuer is loopback and there is no `REGISTRATION_TOKEN`, otherwise `token`"), "Who may register clients: `open`, `token` or `off`."),
    secret("REGISTRATION_TOKEN", Unset, "Initial access tokens for `REGISTRATION=token`, at least 32 characters each, separated by commas."),
    var("REGISTRATION_MAX_CLIENTS", Value("10000"), "How many registered clients there may be."),
    var("REGISTRATION_LOGOS", Value("false"), "Whether pages load the logo of a client that registered itself, if it is at the origin of the redirect URI: whoever is sent to one calls there before having agreed to anything."),
    var("SOFTWARE_STATEMENT_ISSUERS", Unset, "Whose software statements are believed, separated by commas: `issuer=keys` each, where `keys` is the https URL or the path of a JWK Set."),
    var("RESPONSE_TYPES", Value("code,none"), "What authorization answers may carry, separated by commas: `code` and `none`; for implicit and hybrid also `id_token`, `id_token token`, `code id_token`, `code token`, `code id_token token`."),
    var("REQUIRE_PKCE", Value("or-nonce"), "What clients must send beside their request: `or-nonce` (PKCE or a nonce), `all` (PKCE), or `public` (nothing, but for public clients, as OpenID Connect certification has it). Public clients always use PKCE. Clients of the operator's own can have a setting each."),
    var("CLIENT_SECRET_JWT", Value("false"), "Whether clients that register themselves may authenticate by `client_secret_jwt`. Their secrets are then kept encrypted under `SECRET_KEY`, not as digests."),
    var("REQUEST_URI", Value("true"), "Whether request objects are fetched from the `request_uris` that clients registered, by the same guarded requests as their `jwks_uri`."),
    var("SESSION_MANAGEMENT", Value("true"), "Whether applications can watch for a sign-out in the browser: `session_state` in authorization answers, and `/check-session`."),
    var("WEBFINGER_DOMAINS", Unset, "Domains whose people sign in here (`acct:ada@example.com`), separated by commas: `/.well-known/webfinger` then leads from them, and from the issuer's own host, to the issuer."),
    var("CORS_ENABLED", Value("true"), "Whether browser applications on other origins may call the token and userinfo endpoints."),
    var("CORS_ORIGINS", Unset, "Exact origins allowed besides those of registered redirect URIs, separated by commas: `https://app.example`, or of a web view `capacitor://localhost`."),
    var("CORS_ALLOWED_HEADERS", Unset, "Request headers that scripts of those origins may send besides the usual ones (`Authorization`, `Content-Type`, `traceparent` and its like), separated by commas; `*` for any."),
    var("RATE_LIMITING_ENABLED", Value("true"), "Whether attempts are limited by address. Guesses at one account are limited in any case."),
    var("RATE_LIMIT_PER_MINUTE", Value("300"), "Failed or unauthenticated attempts one address may make a minute: sign-in failures, failed client authentications (of one client: a tenth, at least 5), registrations; ten times as many authorizations begun that need a page, one for each 2 KiB of what is kept of them; and for each session a fifth, at least 10, that need none."),

    var("OUTGOING_CA_FILE", Unset, "PEM certificates to trust for outgoing requests, besides the public ones: authorities, or the very certificates that servers show, for the names in them."),
    var("OUTGOING_ALLOW_PRIVATE", Unset, "Hosts or networks that outgoing requests may reach although private, separated by commas."),

    var("CODE_LIFETIME", Value("1m"), "How long an authorization code may be redeemed."),
    var("ACCESS_TOKEN_LIFETIME", Value("10m"), "How long an access token is good for."),
    var("ID_TOKEN_LIFETIME", Value("10m"), "How long an ID token is good for."),
    var("REFRESH_TOKEN_IDLE_LIFETIME", Value("7d"), "How long a refresh token may lie unused."),
    var("REFRESH_TOKEN_LIFETIME", Value("30d"), "How long refreshing may go on after the sign-in."),
    var("REFRESH_TOKEN_GRACE", Value("30s"), "How long a refresh token that was replaced is answered with the newest one; 0 for never."),
    var("SESSION_IDLE_LIFETIME", Value("1h"), "How long a browser session may lie unused."),
    var("SESSION_LIFETIME", Value("12h"), "How long a browser session may last."),
    var("INTERACTION_LIFETIME", Value("10m"), "How long a person may take to sign in and consent."),

    var("MAX_CONNECTIONS", Value("4096"), "How many connections may be open, and of HTTP/2 requests under way."),
    var("MAX_CONNECTIONS_PER_ADDRESS", Value("100"), "How many connections one address may have open, and of HTTP/2 requests under way."),
    var("KEEP_ALIVE", Value("75s"), "How long a connection may rest between two requests: longer than a proxy keeps it."),
    var("HASH_THREADS", Rule("one less than there are cores, at least 1"), "How many passwords may be hashed at the same time."),
    var("HASH_QUEUE", Value("256"), "How many passwords may wait to be hashed, 25 seconds at most; more are told to come back later."),
    var("DRAIN_DELAY", Value("0s"), "How long to go on serving after the signal to stop, while `/ready` already says no."),

    var("LOG_LEVEL", Value("info"), "`error`, `warn`, `info`, `debug` or `trace`, or a list such as `info,latchkey::infra::store=debug`."),
    var("LOG_FORMAT", Value("auto"), "`pretty`, `json`, or `auto`: pretty on a terminal."),
];
