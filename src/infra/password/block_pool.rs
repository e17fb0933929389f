use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use argon2::Block;

/// After this time without a hash the memory is freed.
const IDLE_RELEASE: Duration = Duration::from_secs(1);

/// Reserve this many blocks at least: glibc's `malloc` maps, and unmaps when freed, only what is larger than 32 MiB; anything
/// smaller it may keep for ever (`M_MMAP_THRESHOLD` in mallopt(3)). Reserved memory that is never touched costs nothing.
const MIN_MAPPED_BLOCKS: usize = 33 * 1024 * 1024 / Block::SIZE;

/// Reuses the memory of hashes: getting 19 MiB from the system page by page costs half as much as the hash. Without hashes
/// nothing is kept.
pub(super) struct BlockPool {
    state: Mutex<PoolState>,
    /// The blocks of a hash with today's parameters. Only buffers of this size are kept.
    block_count: usize,
}

#[derive(Default)]
struct PoolState {
    spare: Vec<Vec<Block>>,
    /// Counts uses, so that a timer sees whether there was one since it started.
    uses: u64,
}

impl BlockPool {
    pub fn new(usual: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), block_count: usual })
    }

    /// Lends `count` blocks to `work`. Argon2 overwrites whatever they hold.
    pub fn lend<T>(self: &Arc<Self>, count: usize, work: impl FnOnce(&mut [Block]) -> T) -> T {
        let spare = if count == self.block_count { self.lock().spare.pop() } else { None };
        let mut blocks = spare.unwrap_or_else(|| {
            let mut blocks = Vec::with_capacity(count.max(MIN_MAPPED_BLOCKS));
            blocks.resize(count, Block::default());
            blocks
        });
        let answer = work(&mut blocks);
        if count == self.block_count {
            self.put_back(blocks);
        }
        answer
    }

    fn put_back(self: &Arc<Self>, blocks: Vec<Block>) {
        let use_of_it = {
            let mut held = self.lock();
            held.spare.push(blocks);
            held.uses += 1;
            held.uses
        };
        let memory = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(IDLE_RELEASE).await;
            let mut held = memory.lock();
            if held.uses == use_of_it {
                held.spare = Vec::new();
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn memory_is_used_again_and_given_back_when_it_is_quiet() {
        let memory = BlockPool::new(8);
        let spare = || memory.lock().spare.len();
        let place = memory.lend(8, |blocks| blocks.as_ptr().addr());
        tokio::time::sleep(IDLE_RELEASE / 2).await;
        assert_eq!(memory.lend(8, |blocks| blocks.as_ptr().addr()), place);
        tokio::time::sleep(IDLE_RELEASE / 2 + IDLE_RELEASE / 4).await;
        assert_eq!(spare(), 1, "it was used since");
        tokio::time::sleep(IDLE_RELEASE).await;
        assert_eq!(spare(), 0);
        assert_eq!(memory.lend(16, |blocks| blocks.len()), 16);
        assert_eq!(spare(), 0, "a size that is not the usual one is not kept");
    }
}
