//! Redis behind sentinels, with replicas that lag.

use std::time::Duration;

use super::proxy::{NetworkFault, Proxy};
use super::redis::{RedisServer, ServerSignal};
use super::topologies::{is_primary, sentinel_url, sentinels};

/// One primary, two replicas, three sentinels. Everybody knows every server by a proxy in front of it,
/// and what one tells its replicas comes later.
pub struct LaggingReplicas {
    servers: Vec<RedisServer>,
    proxies: Vec<Proxy>,
    sentinels: Vec<RedisServer>,
}

const REPLICAS: usize = 2;

impl LaggingReplicas {
    /// Returns when all is well, and nobody is behind.
    pub async fn start(down_after: Duration) -> Self {
        let fast = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"];
        let (mut servers, mut proxies) = (Vec::new(), Vec::<Proxy>::new());
        for _ in 0..=REPLICAS {
            let server = RedisServer::start_with_extra(&fast);
            let proxy = Proxy::start(server.port()).await;
            let port = proxy.port().to_string();
            server.command(&[b"CONFIG", b"SET", b"replica-announce-ip", b"127.0.0.1"]);
            server.command(&[b"CONFIG", b"SET", b"replica-announce-port", port.as_bytes()]);
            if let Some(primary) = proxies.first() {
                let port = primary.port().to_string();
                server.command(&[b"REPLICAOF", b"127.0.0.1", port.as_bytes()]);
            }
            servers.push(server);
            proxies.push(proxy);
        }
        let complete = |servers: &[RedisServer]| {
            let says = servers[0].command(&[b"INFO", b"replication"]);
            says.matches("state=online").count() == REPLICAS
        };
        for _ in 0..1000 {
            if complete(&servers) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(complete(&servers), "the replicas do not come");
        let port = proxies[0].port();
        // They look through proxies that this thread may have to run.
        let watching =
            tokio::task::spawn_blocking(move || sentinels(port, REPLICAS, down_after)).await;
        let sentinels = watching.expect("three sentinels");
        Self { servers, proxies, sentinels }
    }

    pub fn url(&self) -> String {
        sentinel_url(&self.sentinels)
    }

    /// From now on the replicas are so far behind.
    pub fn lags(&self, behind: Duration) {
        for proxy in &self.proxies {
            proxy.set_fault(NetworkFault::Lag(behind));
        }
    }

    /// The machine of the primary is gone, with everything that was on its way out of it.
    pub fn loses_its_primary(&self) {
        self.proxies[0].set_fault(NetworkFault::Reset);
        self.servers[0].signal(ServerSignal::Kill);
    }

    /// Whether one of the replicas is a primary by now.
    pub fn has_promoted(&self) -> bool {
        self.servers[1..].iter().any(is_primary)
    }
}
