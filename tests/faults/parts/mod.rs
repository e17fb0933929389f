//! What a fault is done to: real processes on loopback, each with a port and a folder of its own, each
//! ended by its own pid when its value goes.

pub mod census;
pub mod disk;
pub mod fake_clock;
pub mod files;
pub mod hostile;
pub mod house;
pub mod lagging;
pub mod proxy;
pub mod raw;
pub mod refusal;
pub mod server;
pub mod slow;
pub mod small_disk;
pub mod wire;

#[path = "../../it/support/redis.rs"]
pub mod redis;

/// Redis behind sentinels (`Watched`) and as a cluster (`Clustered`).
#[path = "../../it/support/topologies.rs"]
pub mod topologies;
