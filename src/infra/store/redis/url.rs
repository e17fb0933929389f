//! Parses `REDIS_URL`: the servers, their topology, TLS, and the login.

use std::path::PathBuf;

use redis::{ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo};
use url::Url;

/// A parsed URL. It holds a password, so it has no `Debug`.
pub struct RedisUrl {
    pub(super) servers: ServerAddresses,
    /// Whether every connection, to sentinels too, is TLS.
    pub(super) tls: bool,
    /// User, password and database.
    pub(super) login: RedisConnectionInfo,
}

/// The topology, and the addresses to begin with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum ServerAddresses {
    /// One primary.
    Single(Endpoint),
    /// The primary that these sentinels watch under the name `service`.
    Sentinels { sentinels: Vec<Endpoint>, service: String },
    /// A cluster; any of the seeds knows the rest.
    Cluster { seeds: Vec<Endpoint> },
}

/// Where one server listens.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Endpoint {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

impl RedisUrl {
    /// The error says what the URL must be, and repeats nothing of it: it may hold a password.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.starts_with("redis+unix://") {
            return unix(text);
        }
        let (scheme, rest) = text.split_once("://").ok_or(EXPECTED)?;
        let (tls, shape) = match scheme.strip_prefix("rediss") {
            Some(shape) => (true, shape),
            None => (false, scheme.strip_prefix("redis").ok_or(EXPECTED)?),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (format!("{user}@"), hosts),
            None => (String::new(), authority),
        };
        let (servers, database) = match shape {
            "" => (ServerAddresses::Single(only(endpoints(hosts, 6379)?)?), path),
            "-sentinel" => sentinel(hosts, path)?,
            "-cluster" => (ServerAddresses::Cluster { seeds: endpoints(hosts, 6379)? }, path),
            _ => return Err(EXPECTED),
        };
        if !database.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(EXPECTED);
        }
        if matches!(servers, ServerAddresses::Cluster { .. }) && !matches!(database, "" | "0") {
            return Err("must not name a database, because a cluster has only one");
        }
        // The library undoes the percent-encoding of the user and the password.
        let login = format!("redis://{user}host/{database}").into_connection_info();
        let login = login.map_err(|_| EXPECTED)?.redis_settings().clone();
        Ok(Self { servers, tls, login })
    }

    /// How many replicas must acknowledge a critical write where `REDIS_MIN_REPLICAS_ACK` is not set. Behind
    /// sentinels there is a replica, or there could be no failover; a cluster may have none.
    pub fn default_acks(&self) -> u32 {
        match self.servers {
            ServerAddresses::Single(_) | ServerAddresses::Cluster { .. } => 0,
            ServerAddresses::Sentinels { .. } => 1,
        }
    }

    /// Whether connections use TLS.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Whether the primary is found through sentinels.
    pub fn is_sentinel(&self) -> bool {
        matches!(self.servers, ServerAddresses::Sentinels { .. })
    }
}

impl Endpoint {
    /// Parses `host:port` as Redis writes it in a redirection: an IPv6 host has no brackets, and an empty host
    /// is the one that was asked.
    pub(super) fn parse_redirection(text: &str, asked: &Self) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok()?;
        match (host, asked) {
            ("" | "?", Self::Tcp { host, .. }) => Some(Self::Tcp { host: host.clone(), port }),
            ("" | "?", Self::Unix(_)) => None,
            (host, _) => Some(Self::tcp(host, port)),
        }
    }

    pub(super) fn tcp(host: &str, port: u16) -> Self {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Self::Tcp { host, port }
    }
}

fn unix(text: &str) -> Result<RedisUrl, &'static str> {
    let info = text.into_connection_info().map_err(|_| EXPECTED)?;
    let ConnectionAddr::Unix(path) = info.addr() else { return Err(EXPECTED) };
    if path.as_os_str().len() < 2 {
        return Err(EXPECTED);
    }
    let servers = ServerAddresses::Single(Endpoint::Unix(path.clone()));
    Ok(RedisUrl { servers, tls: false, login: info.redis_settings().clone() })
}

fn sentinel<'a>(hosts: &str, path: &'a str) -> Result<(ServerAddresses, &'a str), &'static str> {
    let (service, database) = path.split_once('/').unwrap_or((path, ""));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if service.is_empty() || !service.bytes().all(plain) {
        return Err(
            "must name the service the sentinels watch: redis-sentinel://host:26379/service",
        );
    }
    let servers = ServerAddresses::Sentinels {
        sentinels: endpoints(hosts, 26379)?,
        service: service.to_owned(),
    };
    Ok((servers, database))
}

fn endpoints(hosts: &str, default_port: u16) -> Result<Vec<Endpoint>, &'static str> {
    let one = |host: &str| {
        let url = Url::parse(&format!("redis://{host}")).map_err(|_| EXPECTED)?;
        let bare =
            matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let host = url.host_str().filter(|host| bare && !host.is_empty()).ok_or(EXPECTED)?;
        Ok(Endpoint::tcp(host, url.port().unwrap_or(default_port)))
    };
    hosts.split(',').map(one).collect()
}

fn only(mut endpoints: Vec<Endpoint>) -> Result<Endpoint, &'static str> {
    match (endpoints.pop(), endpoints.is_empty()) {
        (Some(endpoint), true) => Ok(endpoint),
        _ => Err("must name one host; several are for redis-sentinel:// and redis-cluster://"),
    }
}

const EXPECTED: &str = "must be redis://[user:password@]host[:port][/database], redis+unix:///path, \
    redis-sentinel://[user:password@]host[:port],…/service[/database] or \
    redis-cluster://[user:password@]host[:port],…, with rediss instead of redis for TLS";

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(text: &str) -> ServerAddresses {
        RedisUrl::parse(text).unwrap_or_else(|why| panic!("{text} {why}")).servers
    }

    #[test]
    fn every_shape_is_read_with_its_default_port() {
        let (one, two) = (Endpoint::tcp("a", 6379), Endpoint::tcp("b", 7000));
        assert_eq!(servers("redis://a"), ServerAddresses::Single(one.clone()));
        assert_eq!(servers("rediss://a:6379/2"), ServerAddresses::Single(one.clone()));
        assert_eq!(servers("redis://[::1]:7"), ServerAddresses::Single(Endpoint::tcp("::1", 7)));
        assert_eq!(
            servers("redis+unix:///run/r.sock"),
            ServerAddresses::Single(Endpoint::Unix("/run/r.sock".into()))
        );
        assert_eq!(
            servers("redis-cluster://a,b:7000"),
            ServerAddresses::Cluster { seeds: vec![one, two] }
        );
        let sentinels = vec![Endpoint::tcp("a", 26379), Endpoint::tcp("b", 1)];
        let service = "main".to_owned();
        assert_eq!(
            servers("redis-sentinel://a,b:1/main/3"),
            ServerAddresses::Sentinels { sentinels, service }
        );
    }

    #[test]
    fn who_and_which_database_are_read_in_every_shape() {
        for text in [
            "rediss://ada:p%40ss@a/3",
            "redis-sentinel://ada:p%40ss@a,b/main/3",
            "redis+unix:///run/r.sock?db=3&user=ada&pass=p%40ss",
        ] {
            let address = RedisUrl::parse(text).unwrap_or_else(|why| panic!("{text} {why}"));
            let login = &address.login;
            assert_eq!((login.username(), login.password()), (Some("ada"), Some("p@ss")), "{text}");
            assert_eq!(login.db(), 3, "{text}");
            assert_eq!(address.is_tls(), text.starts_with("rediss"), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_it() {
        for text in [
            "hunter2",
            "http://hunter2",
            "redis://",
            "redis://a,hunter2",
            "redis://a/hunter2",
            "redis://:hunter2@a:notaport/0",
            "redis://a:1?hunter2",
            "redis+unix://hunter2",
            "redis-sentinel://a,hunter2",
            "redis-sentinel://a,b/main/hunter2",
            "redis-cluster://hunter2,/",
            "redis-cluster://a/1",
            "redis-hunter2://a",
        ] {
            let why = RedisUrl::parse(text).err().unwrap_or_else(|| panic!("{text} is taken"));
            assert!(!why.contains("hunter2"), "{why}");
        }
    }

    #[test]
    fn a_redirection_may_leave_out_the_host() {
        let asked = Endpoint::tcp("a", 1);
        assert_eq!(Endpoint::parse_redirection("b:2", &asked), Some(Endpoint::tcp("b", 2)));
        assert_eq!(Endpoint::parse_redirection(":2", &asked), Some(Endpoint::tcp("a", 2)));
        assert_eq!(Endpoint::parse_redirection("::1:2", &asked), Some(Endpoint::tcp("::1", 2)));
        assert_eq!(Endpoint::parse_redirection("b", &asked), None);
    }
}
