use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Receives invalidations of cached keys. It is called from the read loop of a connection, so it must not
/// block.
pub trait ChangeListener: Send + Sync + 'static {
    /// The key prefixes to subscribe to. None may be a prefix of another.
    fn key_prefixes(&self) -> &'static [&'static str];

    /// The value under `key` was changed or removed.
    fn invalidate(&self, key: &str);

    /// Cached values may be served until `at`. Every change acknowledged before the last heartbeat was sent has
    /// been delivered.
    fn valid_until(&self, at: Instant);

    /// Changes may have been missed: drop everything, and serve nothing until the next
    /// [`valid_until`](Self::valid_until).
    fn invalidate_all(&self);
}

/// Keeps a [`ChangeListener`] subscribed until it is dropped.
#[derive(Debug)]
pub struct Subscription(JoinHandle<()>);

impl Subscription {
    pub(super) fn new(task: JoinHandle<()>) -> Self {
        Self(task)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.0.abort();
    }
}
