use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use argon2::Block;

/// After so long without a hash the memory goes back to the system.
const IDLE_RELEASE: Duration = Duration::from_secs(1);

/// glibc's `malloc` only ever maps, and unmaps when freed, what is larger than 32 MiB; anything smaller
/// it may keep for ever (`M_MMAP_THRESHOLD` in mallopt(3)). What is reserved and never touched is free.
const MIN_MAPPED_BLOCKS: usize = 33 * 1024 * 1024 / Block::SIZE;

/// The memory that hashes are computed in. While people sign in one after the other it is used again,
/// for asking the system for 19 MiB page by page costs half as much as the hash. When it is quiet
/// nothing is kept.
pub(super) struct BlockPool {
    state: Mutex<PoolState>,
    /// As many blocks as a hash of today's parameters needs.
    block_count: usize,
}

#[derive(Default)]
struct PoolState {
    spare: Vec<Vec<Block>>,
    /// Counts uses, to tell whether there was one since.
    uses: u64,
}

impl BlockPool {
    pub fn new(usual: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), block_count: usual })
    }

    /// Lends `count` blocks to `work`; what they hold is of no matter to Argon2.
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
