//! Checks by `INFO` whether a Redis can be trusted with grants and sessions. A managed service may hide
//! fields; the message then says that the field is missing, not that its value is wrong.

use super::error::{BACKEND, unreachable};
use crate::infra::store::OpenError;

/// `GETDEL` and `SET … PXAT` both came with 6.2.
const MIN_VERSION: (u32, u32) = (6, 2);

/// Fails if the server cannot be used at all, or would lose data and `allow_volatile` is not set. With it,
/// answers what would lose data, as warnings.
pub(super) fn check_server(
    info: &str,
    as_cluster: bool,
    allow_volatile: bool,
) -> Result<Vec<String>, OpenError> {
    let field = |name: &str| field(info, name);
    if field("loading") == Some("1") {
        return Err(unreachable("redis is still loading its data"));
    }

    let mut unsuitable = Vec::new();
    // Valkey reports in redis_version, if at all, the Redis that it was forked from; every Valkey is newer.
    let version = field("redis_version").or(field("valkey_version")).unwrap_or_default();
    match major_and_minor(version) {
        Some(version) if version >= MIN_VERSION => {}
        Some(_) => unsuitable.push(format!("redis {version} is too old, it must be 6.2 or later")),
        None => {
            unsuitable.push("it does not tell its version, which must be 6.2 or later".to_owned());
        }
    }
    if field("cluster_enabled") == Some("1") && !as_cluster {
        unsuitable
            .push("it is a node of a cluster, which is redis-cluster:// in REDIS_URL".to_owned());
    }
    match field("role") {
        Some("master" | "primary") => {}
        Some(_) => unsuitable.push("it is a replica, and only a primary takes writes".to_owned()),
        None => unsuitable.push("it does not tell whether it is a primary".to_owned()),
    }
    if !unsuitable.is_empty() {
        return Err(OpenError::Unsuitable { backend: BACKEND, problems: unsuitable });
    }

    let mut volatile = Vec::new();
    match field("aof_enabled") {
        Some("1") => {}
        Some(_) => volatile.push("it keeps no append-only file (set `appendonly yes`)".to_owned()),
        None => {
            volatile.push("it does not tell whether it keeps an append-only file".to_owned());
        }
    }
    match field("maxmemory_policy") {
        Some("noeviction") => {}
        Some(other) => volatile.push(format!(
            "its maxmemory-policy is {other}, which throws live records away (set `noeviction`)"
        )),
        None => volatile.push("it does not tell its maxmemory-policy".to_owned()),
    }
    if volatile.is_empty() || allow_volatile {
        Ok(volatile)
    } else {
        Err(OpenError::NotDurable { backend: BACKEND, problems: volatile })
    }
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'))
}

fn major_and_minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(version: &str, role: &str, aof: &str, policy: &str) -> String {
        format!(
            "# Server\r\nredis_version:{version}\r\n# Memory\r\nmaxmemory_policy:{policy}\r\n\
             # Persistence\r\nloading:0\r\naof_enabled:{aof}\r\n# Replication\r\nrole:{role}\r\n"
        )
    }

    #[test]
    fn a_durable_primary_is_accepted_without_a_word() {
        for version in ["6.2.0", "7.0.15", "10.0.1"] {
            let info = info(version, "master", "1", "noeviction");
            assert!(check_server(&info, false, false).unwrap().is_empty());
        }
    }

    #[test]
    fn what_would_forget_is_refused_unless_the_operator_allows_it() {
        let info = info("7.0.15", "master", "0", "allkeys-lru");
        let refusal = check_server(&info, false, false).unwrap_err().to_string();
        assert!(refusal.contains("appendonly yes") && refusal.contains("allkeys-lru"), "{refusal}");
        assert_eq!(check_server(&info, false, true).unwrap().len(), 2);
    }

    #[test]
    fn an_old_redis_or_a_replica_is_refused_whatever_the_operator_allows() {
        for (version, role) in [("6.0.16", "master"), ("7.0.15", "slave"), ("what", "master")] {
            let info = info(version, role, "1", "noeviction");
            assert!(
                matches!(check_server(&info, false, true), Err(OpenError::Unsuitable { .. })),
                "{version} {role}"
            );
        }
        assert!(matches!(check_server("", false, true), Err(OpenError::Unsuitable { .. })));
    }

    #[test]
    fn what_is_not_told_is_not_called_a_fault() {
        let silent = |member: &str| {
            let all = info("7.0.15", "master", "1", "noeviction");
            let kept = all.lines().filter(|line| !line.starts_with(member));
            check_server(&kept.collect::<Vec<_>>().join("\r\n"), false, false)
                .unwrap_err()
                .to_string()
        };
        for (member, said) in [
            ("redis_version", "does not tell its version"),
            ("role", "does not tell whether it is a primary"),
            ("aof_enabled", "does not tell whether it keeps an append-only file"),
            ("maxmemory_policy", "does not tell its maxmemory-policy"),
        ] {
            let refusal = silent(member);
            assert!(refusal.contains(said), "{refusal}");
            assert!(!refusal.contains("too old") && !refusal.contains("replica"), "{refusal}");
        }
    }

    #[test]
    fn a_redis_that_is_still_loading_is_not_reachable_yet() {
        assert!(matches!(
            check_server("loading:1\r\n", false, true),
            Err(OpenError::Unreachable { .. })
        ));
    }

    #[test]
    fn valkey_is_understood_however_it_speaks() {
        let valkey = "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.1\r\n\
            valkey_release_stage:ga\r\nserver_mode:standalone\r\n# Memory\r\n\
            maxmemory_policy:noeviction\r\n# Persistence\r\nloading:0\r\naof_enabled:1\r\n\
            # Replication\r\nrole:master\r\n# Cluster\r\ncluster_enabled:0\r\n";
        let later =
            valkey.replace("redis_version:7.2.4\r\n", "").replace("role:master", "role:primary");
        for info in [valkey, &later] {
            assert!(check_server(info, false, false).unwrap().is_empty(), "{info}");
        }
    }

    #[test]
    fn a_node_of_a_cluster_is_refused_as_a_server_of_its_own() {
        let info = info("7.0.15", "master", "1", "noeviction") + "cluster_enabled:1\r\n";
        assert!(
            check_server(&info, false, true).unwrap_err().to_string().contains("redis-cluster://")
        );
        assert!(check_server(&info, true, false).unwrap().is_empty());
    }
}
