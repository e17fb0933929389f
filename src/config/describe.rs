//! The output of `latchkey check-config`: every variable with its value.

use std::fmt::{Display, Write as _};
use std::path::Path;

use super::duration;
use super::env_vars::ENV_VARS;
use super::store;
use super::{Config, LogFormat, MetricsListen, RegistrationPolicy};

/// One `NAME=value` line for each variable, in the order of the table; a secret is only said to be
/// set. The warnings follow.
pub fn describe(config: &Config) -> String {
    let mut text = String::new();
    for var in ENV_VARS {
        let value = config.effective(var.name).unwrap_or_else(|| "(not set)".to_owned());
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}={value}", var.name);
    }
    for warning in &config.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    text
}

impl Config {
    /// The value of a variable in force, as it would be written; `None` if there is none.
    pub(super) fn effective(&self, name: &str) -> Option<String> {
        let place = self.location_value(name).or_else(|| store::effective(&self.store, name));
        place.or_else(|| self.policy_value(name)).or_else(|| self.limit_value(name))
    }

    fn location_value(&self, name: &str) -> Option<String> {
        match name {
            "ISSUER_URL" => Some(self.issuer.as_str().to_owned()),
            "LISTEN" => list(&self.listen),
            "EXTRA_HOSTS" => list(&self.extra_hosts),
            "TRUSTED_PROXIES" => list(&self.trusted_proxies),
            "HTTP2" => Some(self.http2.as_str().to_owned()),
            "WEBFINGER_DOMAINS" => list(&self.webfinger_domains),
            "TLS_CERT_PATH" => self.tls.as_ref().map(|tls| path(&tls.cert_path)),
            "TLS_KEY_PATH" => self.tls.as_ref().map(|tls| path(&tls.key_path)),
            "METRICS_LISTEN" => match &self.metrics_listen {
                MetricsListen::MainListener => None,
                MetricsListen::Separate { address, .. } => Some(address.clone()),
                MetricsListen::Off => Some("off".to_owned()),
            },
            "KEYS_DIR" => Some(path(&self.keys_dir)),
            "PRIVATE_KEY_PATH" => self.private_key_path.as_deref().map(path),
            "PUBLIC_KEY_PATH" => self.public_key_path.as_deref().map(path),
            "BOOTSTRAP_FILE" => self.bootstrap_file.as_deref().map(path),
            "OUTGOING_CA_FILE" => self.outbound.ca_file.as_deref().map(path),
            "OUTGOING_ALLOW_PRIVATE" => list(&self.outbound.allow_private),
            "SIGNING_ALGS" => {
                let words: Vec<_> =
                    self.key_ring.signing_algs.iter().map(|alg| alg.as_str()).collect();
                list(&words)
            }
            "REQUEST_OBJECT_ENCRYPTION" => {
                Some(self.key_ring.request_object_encryption.to_string())
            }
            "CONTROL_SOCKET" => self.control_socket().as_deref().map(path),
            _ => None,
        }
    }

    fn policy_value(&self, name: &str) -> Option<String> {
        match name {
            "SECRET_KEY" if self.secret_key.is_none() => Some("(made and kept)".to_owned()),
            "SECRET_KEY" => hidden(true),
            "SECRET_KEY_PREVIOUS" => hidden(self.secret_key_previous.is_some()),
            "PAIRWISE_SALT" => hidden(self.pairwise_salt.is_some()),
            "DEV_USER" => self.dev_account.as_ref().map(|dev| dev.user.clone()),
            "DEV_PASSWORD" => {
                hidden(self.dev_account.as_ref().is_some_and(|dev| dev.password.is_some()))
            }
            "DEV_GUESS_LIMITS_ENABLED" => Some(self.rate_limit.guesses.to_string()),
            "REGISTRATION" => Some(self.registration.as_str().to_owned()),
            "REGISTRATION_TOKEN" => match &self.registration {
                RegistrationPolicy::Token(tokens) => hidden(!tokens.is_empty()),
                RegistrationPolicy::Open | RegistrationPolicy::Off => None,
            },
            "REGISTRATION_MAX_CLIENTS" => Some(self.registration_limit.to_string()),
            "SOFTWARE_STATEMENT_ISSUERS" => list(&self.software_statement_issuers),
            "RESPONSE_TYPES" => {
                let words: Vec<_> =
                    self.offer.response_types.iter().map(|it| it.as_str()).collect();
                Some(words.join(","))
            }
            "CLIENT_SECRET_JWT" => Some(self.offer.client_secret_jwt.to_string()),
            "REGISTRATION_LOGOS" => Some(self.registration_logos.to_string()),
            "REQUEST_URI" => Some(self.request_uri.to_string()),
            "REQUIRE_PKCE" => Some(self.require_pkce.as_str().to_owned()),
            "SESSION_MANAGEMENT" => Some(self.session_management.to_string()),
            "CORS_ENABLED" => Some(self.cors.enabled.to_string()),
            "CORS_ORIGINS" => list(&self.cors.origins),
            "CORS_ALLOWED_HEADERS" => list(&self.cors.allowed_headers),
            "RATE_LIMITING_ENABLED" => Some(self.rate_limit.enabled.to_string()),
            "RATE_LIMIT_PER_MINUTE" => Some(self.rate_limit.per_minute.to_string()),
            "LOG_LEVEL" => Some(self.log.level.clone()),
            "LOG_FORMAT" => Some(self.log.format.as_str().to_owned()),
            _ => None,
        }
    }

    fn limit_value(&self, name: &str) -> Option<String> {
        let (lifetimes, limits) = (&self.lifetimes, &self.limits);
        let count = match name {
            "MAX_CONNECTIONS" => limits.max_connections,
            "MAX_CONNECTIONS_PER_ADDRESS" => limits.max_connections_per_address,
            "HASH_THREADS" => limits.hash_threads,
            "HASH_QUEUE" => limits.hash_queue,
            _ => {
                let length = match name {
                    "CODE_LIFETIME" => lifetimes.code,
                    "ACCESS_TOKEN_LIFETIME" => lifetimes.access_token,
                    "ID_TOKEN_LIFETIME" => lifetimes.id_token,
                    "REFRESH_TOKEN_IDLE_LIFETIME" => lifetimes.refresh_idle,
                    "REFRESH_TOKEN_LIFETIME" => lifetimes.refresh_absolute,
                    "REFRESH_TOKEN_GRACE" => lifetimes.refresh_grace,
                    "SESSION_IDLE_LIFETIME" => lifetimes.session_idle,
                    "SESSION_LIFETIME" => lifetimes.session_absolute,
                    "INTERACTION_LIFETIME" => lifetimes.interaction,
                    "KEY_ROTATION_INTERVAL" => self.key_ring.rotation_interval.unwrap_or_default(),
                    "REDIS_CACHE_TTL" => self.cache_ttl,
                    "KEEP_ALIVE" => limits.keep_alive,
                    "DRAIN_DELAY" => limits.drain,
                    _ => return None,
                };
                return Some(duration::show(length.as_secs()));
            }
        };
        Some(count.to_string())
    }
}

impl RegistrationPolicy {
    /// As it is written.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Token(_) => "token",
            Self::Off => "off",
        }
    }
}

impl LogFormat {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Pretty => "pretty",
            Self::Json => "json",
        }
    }
}

fn list(entries: &[impl Display]) -> Option<String> {
    let entries: Vec<String> = entries.iter().map(ToString::to_string).collect();
    (!entries.is_empty()).then(|| entries.join(","))
}

/// That a secret is set, without the secret.
pub(super) fn hidden(set: bool) -> Option<String> {
    set.then(|| "(set, not shown)".to_owned())
}

pub(super) fn path(path: &Path) -> String {
    path.display().to_string()
}
