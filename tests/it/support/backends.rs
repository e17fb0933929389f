//! The stores a test server can run on: memory, a folder, or the Redis that the whole run shares.

use std::sync::Arc;
use std::time::{Duration, Instant};

use latchkey::infra::clock::Clock;
use latchkey::infra::secret::Secret;
use latchkey::infra::store::{FileStore, MemoryStore, OpenError, RedisOptions, RedisStore, Store};
use tempfile::TempDir;

use super::topologies::shared_url;

/// Which kind of store.
#[derive(Clone, Copy, Debug)]
pub enum Backend {
    Memory,
    File,
    Redis,
}

/// Runs every scenario, an `async fn(TestServer)`, once on each kind of store; with some variables set, if a
/// list of them comes first.
macro_rules! on_every_store {
    (@in $module:ident, $backing:ident, $variables:expr; $($scenario:ident),+) => {
        mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                use $crate::support::test_server::{Backend, TestServer};
                super::$scenario(TestServer::start_with(Backend::$backing, $variables).await).await;
            })+
        }
    };
    ($($scenario:ident),+ $(,)?) => {
        $crate::support::backends::on_every_store! { &[]; $($scenario),+ }
    };
    ($variables:expr; $($scenario:ident),+ $(,)?) => {
        $crate::support::backends::on_every_store! { @in in_memory, Memory, $variables; $($scenario),+ }
        $crate::support::backends::on_every_store! { @in in_a_file, File, $variables; $($scenario),+ }
        $crate::support::backends::on_every_store! { @in in_redis, Redis, $variables; $($scenario),+ }
    };
}
pub(crate) use on_every_store;

/// Runs every scenario, an `async fn(Backend)` that builds a server of its own, once on each kind of store.
macro_rules! on_every_backend {
    (@in $module:ident, $backing:ident; $($scenario:ident),+) => {
        mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                super::$scenario($crate::support::test_server::Backend::$backing).await;
            })+
        }
    };
    ($($scenario:ident),+ $(,)?) => {
        $crate::support::backends::on_every_backend! { @in backed_by_memory, Memory; $($scenario),+ }
        $crate::support::backends::on_every_backend! { @in backed_by_a_file, File; $($scenario),+ }
        $crate::support::backends::on_every_backend! { @in backed_by_redis, Redis; $($scenario),+ }
    };
}
pub(crate) use on_every_backend;

/// Where exactly, for the next server that is to find what is there.
#[derive(Clone)]
pub enum BackendLocation {
    /// Nowhere but in the store itself.
    Store,
    /// In this folder, which goes with the last who knows of it.
    Folder(Arc<TempDir>),
    /// In the shared redis, under this prefix.
    Redis(String),
}

impl BackendLocation {
    /// A new one, where nothing is yet.
    pub fn of(backing: Backend) -> Self {
        match backing {
            Backend::Memory => Self::Store,
            Backend::File => Self::Folder(Arc::new(tempfile::tempdir().expect("a folder"))),
            Backend::Redis => Self::Redis(format!("{}:", Secret::random().reveal())),
        }
    }

    /// A store that holds what is there.
    pub async fn open(&self, clock: &Clock) -> Arc<dyn Store> {
        match self {
            Self::Store => Arc::new(MemoryStore::new(clock.clone())),
            Self::Folder(folder) => Arc::new(free(folder, clock).await),
            Self::Redis(prefix) => {
                let options = RedisOptions {
                    prefix: prefix.clone(),
                    // The machine may be busy with sixty-four hands at once.
                    timeout: Duration::from_secs(10),
                    ..RedisOptions::new(shared_url())
                };
                Arc::new(RedisStore::connect(&options).await.expect("redis"))
            }
        }
    }
}

/// As soon as the server before has let go of it: its connections have a second to finish.
async fn free(folder: &TempDir, clock: &Clock) -> FileStore {
    let since = Instant::now();
    loop {
        match FileStore::open(folder.path(), clock.clone()).await {
            Ok(store) => return store,
            Err(OpenError::InUse { .. }) if since.elapsed() < Duration::from_secs(10) => {
                tokio::task::yield_now().await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}
