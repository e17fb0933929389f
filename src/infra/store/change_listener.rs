use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Who is told of changes. It is called where answers of the store are read, so it must not block.
pub trait ChangeListener: Send + Sync + 'static {
    /// What it wants to hear of: keys that begin with one of these, none of which begins with another.
    fn key_prefixes(&self) -> &'static [&'static str];

    /// What is filed under this key has become something else, or nothing.
    fn invalidate(&self, key: &str);

    /// Until then, whatever anybody was told is filed is so, or was told here: every change that had been
    /// answered a fixed time before then has been told.
    fn valid_until(&self, then: Instant);

    /// Anything may have changed unheard, and nothing more is told until
    /// [`heard_until`](Self::heard_until) is called again.
    fn invalidate_all(&self);
}

/// Somebody is being told. It ends with this value.
#[derive(Debug)]
pub struct Subscription(JoinHandle<()>);

impl Subscription {
    pub(super) fn by(task: JoinHandle<()>) -> Self {
        Self(task)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.0.abort();
    }
}
