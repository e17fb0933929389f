//! What a fault is done to: real processes on loopback, each with a port and a folder of its own, each
//! ended by its own pid when its value goes.

pub mod disk;
pub mod fake_clock;
pub mod fd_limit;
pub mod hostile_hosts;
pub mod http;
pub mod installation;
pub mod lagging_replicas;
pub mod proxy;
pub mod raw_http;
pub mod redis_keys;
pub mod server;
pub mod slow_clients;
pub mod small_disk;
pub mod startup_failure;

#[path = "../../it/support/redis.rs"]
pub mod redis;

/// Redis behind sentinels (`Watched`) and as a cluster (`Clustered`).
#[path = "../../it/support/topologies.rs"]
pub mod topologies;
