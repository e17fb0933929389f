//! The configuration, parsed from environment variables. All errors are reported at once, each with the name of its variable,
//! before a port is bound.
//!
//! Nothing here opens a socket, and only `environment.rs` reads files.

mod describe;
mod dev_account;
pub mod dotenv;
mod duration;
pub mod env_vars;
mod environment;
mod issuer;
mod key_ring;
mod lifetimes;
mod logging;
mod network;
mod parser;
mod rate_limit;
mod registration;
mod secret_string;
mod secrets;
mod software_statements;
mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

pub use describe::describe;
pub use dev_account::DevAccount;
pub use environment::environment;
pub use issuer::Issuer;
pub use key_ring::KeyRingSettings;
pub use lifetimes::{Lifetimes, ServerLimits};
pub use logging::{LogFormat, LogSettings};
pub use network::{CorsSettings, Http2, MetricsListen, OutboundSettings, TlsSettings};
pub use rate_limit::RateLimitSettings;
pub use registration::RegistrationPolicy;
pub use secret_string::SecretString;
pub use software_statements::{SoftwareStatementIssuer, SoftwareStatementKeys};

use crate::infra::store::StoreSettings;
use crate::protocol::RequirePkce;
use crate::protocol::client_metadata::ServerCapabilities;
use parser::ConfigParser;

/// All settings, validated.
#[derive(Clone, Debug)]
pub struct Config {
    /// The issuer identifier.
    pub issuer: Issuer,
    /// `host:port` of every listener.
    pub listen: Vec<String>,
    /// `None` only on a loopback issuer: then one is made and kept beside the signing key.
    pub secret_key: Option<SecretString>,
    /// The former secret key, accepted while it is being replaced.
    pub secret_key_previous: Option<SecretString>,
    /// The salt of pairwise subjects, if not derived from the secret key.
    pub pairwise_salt: Option<SecretString>,
    /// Where generated keys are kept.
    pub keys_dir: PathBuf,
    /// The signing key, if it is given rather than made.
    pub private_key_path: Option<PathBuf>,
    /// Its public half, to be checked against it.
    pub public_key_path: Option<PathBuf>,
    /// Which keys there are, and how long each signs.
    pub key_ring: KeyRingSettings,
    /// Where state is kept.
    pub store: StoreSettings,
    /// How long a value read from Redis is cached, if Redis reports changes; zero turns the cache off.
    pub cache_ttl: Duration,
    /// Where operators' commands reach this server, if not in the folder of its store.
    pub control_socket: Option<PathBuf>,
    /// Clients and users to create at start.
    pub bootstrap_file: Option<PathBuf>,
    /// Hosts of which WebFinger leads here; without any there is no WebFinger.
    pub webfinger_domains: Vec<String>,
    /// What is logged.
    pub log: LogSettings,
    /// The origins whose scripts may call this server.
    pub cors: CorsSettings,
    /// How often one address may fail.
    pub rate_limit: RateLimitSettings,
    /// Who may register clients.
    pub registration: RegistrationPolicy,
    /// The issuers whose software statements are accepted (RFC 7591 §2.3).
    pub software_statement_issuers: Vec<SoftwareStatementIssuer>,
    /// What clients may register for.
    pub offer: ServerCapabilities,
    /// Which clients have to use PKCE.
    pub require_pkce: RequirePkce,
    /// Whether pages load the logos that clients registered.
    pub registration_logos: bool,
    /// Whether request objects are fetched where clients registered them.
    pub request_uri: bool,
    /// Whether applications can watch the session in the browser.
    pub session_management: bool,
    /// How many registered clients there may be.
    pub registration_limit: u64,
    /// Whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// The certificate, if TLS is not left to a proxy.
    pub tls: Option<TlsSettings>,
    /// Where HTTP/2 is spoken.
    pub http2: Http2,
    /// Where `/metrics` is served.
    pub metrics_listen: MetricsListen,
    /// Exceptions for outgoing requests.
    pub outbound: OutboundSettings,
    /// How long things live.
    pub lifetimes: Lifetimes,
    /// How much may happen at once.
    pub limits: ServerLimits,
    /// The development account.
    pub dev_account: Option<DevAccount>,
    /// Further `Host` values to answer to.
    pub extra_hosts: Vec<String>,
    /// Warnings for the operator.
    pub warnings: Vec<String>,
}

impl Config {
    /// Parses the variables, or returns every error in them.
    pub fn from_map(map: &BTreeMap<String, String>) -> Result<Self, ConfigErrors> {
        let parser = &mut ConfigParser::new(map);
        let issuer = read_issuer(parser);
        let key_ring = KeyRingSettings::read(parser);
        let listen = network::listen(parser, &issuer);
        let secret_key = secrets::secret_key(parser, &issuer);
        let secret_key_previous = secrets::secret_key_previous(parser);
        let pairwise_salt = secrets::pairwise_salt(parser);
        let store = store::read(parser, &issuer);
        let mut config = Self {
            listen,
            secret_key,
            secret_key_previous,
            pairwise_salt,
            keys_dir: parser.get_or_default("KEYS_DIR").map(PathBuf::from).unwrap_or_default(),
            private_key_path: parser.get("PRIVATE_KEY_PATH").map(PathBuf::from),
            public_key_path: parser.get("PUBLIC_KEY_PATH").map(PathBuf::from),
            control_socket: parser.get("CONTROL_SOCKET").map(PathBuf::from),
            cache_ttl: parser.duration("REDIS_CACHE_TTL", 0..=3600),
            bootstrap_file: parser.get("BOOTSTRAP_FILE").map(PathBuf::from),
            log: logging::log(parser),
            cors: network::cors(parser),
            rate_limit: rate_limit::rate_limit(parser, &issuer),
            registration: registration::registration(parser, &issuer),
            software_statement_issuers: software_statements::issuers(parser),
            offer: registration::offer(parser, &key_ring),
            key_ring,
            require_pkce: registration::require_pkce(parser),
            registration_logos: parser.flag("REGISTRATION_LOGOS"),
            request_uri: parser.flag("REQUEST_URI"),
            session_management: parser.flag("SESSION_MANAGEMENT"),
            registration_limit: parser
                .number("REGISTRATION_MAX_CLIENTS", 0..=10_000_000)
                .unwrap_or_default(),
            trusted_proxies: network::trusted_proxies(parser),
            tls: network::tls(parser, &issuer),
            http2: network::http2(parser),
            metrics_listen: network::metrics_listen(parser, &issuer),
            outbound: network::outgoing(parser),
            lifetimes: Lifetimes::read(parser),
            limits: ServerLimits::read(parser),
            dev_account: dev_account::dev(parser, &issuer, &store),
            extra_hosts: network::extra_hosts(parser),
            webfinger_domains: network::webfinger_domains(parser),
            warnings: Vec::new(),
            store,
            issuer,
        };
        network::warn_of_plain_http(parser, &config);
        if config.public_key_path.is_some() && config.private_key_path.is_none() {
            parser.add_error("PUBLIC_KEY_PATH", "must come with PRIVATE_KEY_PATH");
        }
        warn_of_misspellings(parser, map);
        config.warnings = std::mem::take(&mut parser.warnings);
        if parser.errors.is_empty() {
            Ok(config)
        } else {
            Err(ConfigErrors(std::mem::take(&mut parser.errors)))
        }
    }

    /// Where operators' commands reach a running server: as configured, or beside the store that only the
    /// server can open.
    pub fn control_socket(&self) -> Option<PathBuf> {
        let beside = || self.store.data_dir().map(|folder| folder.join("control.sock"));
        self.control_socket.clone().or_else(beside)
    }
}

/// The issuer, or a placeholder that requires nothing further, so that a bad `ISSUER_URL` is one error and not several.
fn read_issuer(parser: &mut ConfigParser<'_>) -> Issuer {
    let text = parser.get_or_default("ISSUER_URL").unwrap_or_default();
    match Issuer::parse(text) {
        Ok(issuer) => {
            // Pages, cookies and forms are addressed from the root of a host.
            if !issuer.path().is_empty() {
                let problem = "must not have a path: give Latchkey a host of its own";
                parser.add_error("ISSUER_URL", problem);
            }
            issuer
        }
        Err(problem) => {
            parser.add_error("ISSUER_URL", &problem);
            Issuer::placeholder()
        }
    }
}

/// Warns of names that look like misspelt variables. They are no errors, since the environment has many other names.
fn warn_of_misspellings(parser: &mut ConfigParser<'_>, map: &BTreeMap<String, String>) {
    for name in map.keys() {
        if let Some(meant) = env_vars::suggestion_for(name) {
            parser.warn(format!("{name} is not a variable of ours; did you mean {meant}?"));
        }
    }
}

/// All errors of the configuration, one sentence each, starting with the name of the variable.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigErrors(pub Vec<String>);
