//! Several redis servers that know one another: behind sentinels, and as a cluster.

use std::process::Stdio;
use std::sync::{Once, OnceLock};
use std::time::Duration;

use super::redis::{RedisServer, eventually, free_port, send_command};

/// The shape of the redis that the whole run shares. `LATCHKEY_TEST_REDIS` says it: `node`, which is
/// usual, `sentinel` or `cluster`.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Node,
    Sentinel,
    Cluster,
}

impl Shape {
    fn wanted() -> Self {
        match std::env::var("LATCHKEY_TEST_REDIS").as_deref() {
            Err(_) | Ok("node") => Self::Node,
            Ok("sentinel") => Self::Sentinel,
            Ok("cluster") => Self::Cluster,
            Ok(other) => panic!("LATCHKEY_TEST_REDIS is node, sentinel or cluster, not {other}"),
        }
    }
}

/// The redis that the whole run shares, with a prefix for each server. Where there are several databases
/// it is number 1: in number 0 others look at every key there is.
pub fn shared_url() -> String {
    init_logging();
    match Shape::wanted() {
        Shape::Node => format!("{}1", RedisServer::shared().url()),
        Shape::Sentinel => format!("{}/1", RedisSentinel::shared().url()),
        Shape::Cluster => RedisCluster::shared().url(),
    }
}

/// Whether everything that servers say is to be seen, for whoever looks through it afterwards.
pub fn logs_enabled() -> bool {
    std::env::var_os("LATCHKEY_TEST_LOUD").is_some()
}

/// What a server of the test's own should do with its output.
pub fn child_output() -> Stdio {
    if logs_enabled() { Stdio::inherit() } else { Stdio::null() }
}

/// The servers' own warnings and errors, if they are to be seen.
fn init_logging() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| {
        if logs_enabled() {
            let log = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN);
            log.with_ansi(false).with_writer(std::io::stderr).init();
        }
    });
}

/// One primary, its replicas, and three sentinels.
pub struct RedisSentinel {
    servers: Vec<RedisServer>,
    sentinels: Vec<RedisServer>,
}

impl RedisSentinel {
    /// Returns when all replicas have all there is and every sentinel knows all of it. They give a
    /// server up that is silent for so long.
    pub fn start(replicas: usize, down_after: Duration) -> Self {
        let fast = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"];
        let primary = RedisServer::start_with_extra(&fast);
        let port = primary.port().to_string();
        let follow = [&fast[..], &["--replicaof", "127.0.0.1", &port]].concat();
        let mut servers = vec![primary];
        servers.extend((0..replicas).map(|_| RedisServer::start_with_extra(&follow)));
        let complete = || {
            let says = servers[0].command(&[b"INFO", b"replication"]);
            says.matches("state=online").count() == replicas
        };
        assert!(eventually(complete), "the replicas do not come");

        let sentinels = sentinels(servers[0].port(), replicas, down_after);
        Self { servers, sentinels }
    }

    /// One with two replicas for the whole test process. Take care not to hurt it.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<RedisSentinel> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(2, Duration::from_mins(1)))
    }

    pub fn url(&self) -> String {
        sentinel_url(&self.sentinels)
    }

    /// Who was the primary at the start.
    pub fn initial_primary(&self) -> &RedisServer {
        &self.servers[0]
    }

    pub fn replicas(&self) -> &[RedisServer] {
        &self.servers[1..]
    }

    /// Whether one of the replicas is a primary by now.
    pub fn has_promoted(&self) -> bool {
        self.replicas().iter().any(is_primary)
    }
}

/// Whether it says so itself. Who is given another role ends its connections, which is no answer.
pub fn is_primary(redis: &RedisServer) -> bool {
    send_command(redis.port(), &[b"ROLE"]).is_ok_and(|said| said.contains("master"))
}

/// Three sentinels of the service `main`, which know the primary at this port, all of its replicas and
/// one another.
pub fn sentinels(primary: u16, replicas: usize, down_after: Duration) -> Vec<RedisServer> {
    let configuration = format!(
        "sentinel monitor main 127.0.0.1 {primary} 2\n\
         sentinel down-after-milliseconds main {}\n\
         sentinel failover-timeout main 1000\n",
        down_after.as_millis()
    );
    let sentinels: Vec<_> = (0..3).map(|_| RedisServer::sentinel(configuration.clone())).collect();
    let aware = |sentinel: &RedisServer| {
        let says = sentinel.command(&[b"SENTINEL", b"MASTER", b"main"]);
        let words: Vec<_> = says.lines().filter(|line| !line.starts_with(['$', '*'])).collect();
        let member = |name: &str, value: usize| {
            words.windows(2).any(|pair| pair == [name, &value.to_string()])
        };
        member("num-slaves", replicas) && member("num-other-sentinels", 2)
    };
    assert!(eventually(|| sentinels.iter().all(aware)), "the sentinels do not meet");
    sentinels
}

/// Where to ask these sentinels.
pub fn sentinel_url(sentinels: &[RedisServer]) -> String {
    let all: Vec<_> = sentinels.iter().map(|it| format!("127.0.0.1:{}", it.port())).collect();
    format!("redis-sentinel://{}/main", all.join(","))
}

/// Three primaries with a third of the slots each, and perhaps a replica of each.
pub struct RedisCluster(Vec<RedisServer>);

impl RedisCluster {
    /// Returns when all of them agree that all is well.
    pub fn start(replicas: bool) -> Self {
        // On a busy machine, who has no replica should not be given up lightly.
        let (count, patience) = if replicas { (6, "1000") } else { (3, "60000") };
        let nodes: Vec<_> = (0..count).map(|_| node(patience)).collect();
        let slots = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];
        for (number, node) in nodes.iter().enumerate() {
            let epoch = (number + 1).to_string();
            node.command(&[b"CLUSTER", b"SET-CONFIG-EPOCH", epoch.as_bytes()]);
            if let Some((first, last)) = slots.get(number) {
                node.command(&[b"CLUSTER", b"ADDSLOTSRANGE", first.as_bytes(), last.as_bytes()]);
            }
            let port = node.port().to_string();
            let bus = node.command(&[b"CONFIG", b"GET", b"cluster-port"]);
            let bus = bus.lines().last().expect("a bus");
            nodes[0].command(&[b"CLUSTER", b"MEET", b"127.0.0.1", port.as_bytes(), bus.as_bytes()]);
        }
        let known = format!("cluster_known_nodes:{}\r", nodes.len());
        let well = |node: &RedisServer| {
            let says = node.command(&[b"CLUSTER", b"INFO"]);
            says.contains("cluster_state:ok")
                && says.contains("cluster_size:3")
                && says.contains(&known)
        };
        assert!(eventually(|| nodes.iter().all(well)), "the cluster does not form");
        for (replica, primary) in nodes.iter().skip(3).zip(&nodes) {
            let (own, id) = (id(replica), id(primary));
            // It may still know the other by the name it had while shaking hands.
            let obeys =
                || replica.command(&[b"CLUSTER", b"REPLICATE", id.as_bytes()]).starts_with('+');
            assert!(eventually(obeys), "a replica does not know its primary");
            let listed = |node: &RedisServer| {
                let nodes = node.command(&[b"CLUSTER", b"NODES"]);
                let line = nodes.lines().find(|line| line.starts_with(&own));
                line.is_some_and(|line| line.contains(&format!("slave {id}")))
            };
            let follows = || {
                primary.command(&[b"INFO", b"replication"]).contains("state=online")
                    && nodes.iter().all(listed)
            };
            assert!(eventually(follows), "a replica does not come");
        }
        Self(nodes)
    }

    /// One for the whole test process. Take care not to hurt it.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<RedisCluster> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(false))
    }

    pub fn url(&self) -> String {
        // Two of three: the third is found.
        format!("redis-cluster://127.0.0.1:{},127.0.0.1:{}", self.0[0].port(), self.0[1].port())
    }

    pub fn nodes(&self) -> &[RedisServer] {
        &self.0
    }

    /// Says it to whichever node does not send elsewhere.
    pub fn command(&self, words: &[&[u8]]) -> String {
        let mut said = self.0.iter().map(|node| node.command(words));
        said.find(|reply| !reply.starts_with("-MOVED")).expect("a node that has the slot")
    }
}

fn node(patience: &str) -> RedisServer {
    let bus = free_port().to_string();
    #[rustfmt::skip]
    let args = [
        "--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", patience,
        "--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0",
    ];
    RedisServer::start_with_extra(&args)
}

/// What the others of a cluster know it by.
pub fn id(node: &RedisServer) -> String {
    node.command(&[b"CLUSTER", b"MYID"]).lines().nth(1).expect("an id").to_owned()
}
