//! The cache of blocks: those that were read and may be read again, up to a share of the budget.
//!
//! A block that was asked for since it last came up for being dropped gets another round (second chance). Blocks never change,
//! so one that is here is as good as what is stored; those of a batch that is gone are asked for no more, and go.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::columns::Columns;

/// A block: its batch and its place there.
type Name = (u64, usize);

/// Parts with a lock each.
const SHARDS: usize = 8;

/// It may always have a part of its capacity, one in so many.
const LEAST_SHARE: usize = 4;

/// See the module.
#[derive(Debug)]
pub(super) struct Cache {
    shards: [Mutex<Shard>; SHARDS],
    /// Bytes of each part.
    capacity: usize,
}

#[derive(Debug, Default)]
struct Shard {
    blocks: HashMap<Name, Cached>,
    /// The names of the blocks, the one first that comes up first.
    queue: VecDeque<Name>,
    bytes: usize,
}

#[derive(Debug)]
struct Cached {
    columns: Arc<Columns>,
    asked: bool,
}

impl Cache {
    /// Of so many bytes.
    pub(super) fn new(capacity: u64) -> Self {
        Self { shards: Default::default(), capacity: usize::try_from(capacity).unwrap_or(usize::MAX) / SHARDS }
    }

    pub(super) fn get(&self, name: Name) -> Option<Arc<Columns>> {
        let mut shard = self.shard(name);
        let cached = shard.blocks.get_mut(&name)?;
        cached.asked = true;
        Some(Arc::clone(&cached.columns))
    }

    /// Takes a block in. If it may not grow, in the place of others of twice its size, but for its least.
    pub(super) fn put(&self, name: Name, columns: &Arc<Columns>, grows: bool) {
        let mut shard = self.shard(name);
        let bytes = columns.bytes();
        let least = self.capacity / LEAST_SHARE;
        let capacity = if grows { self.capacity } else { shard.bytes.saturating_sub(bytes).max(least) };
        if bytes > self.capacity {
            return;
        }
        if shard.blocks.insert(name, Cached { columns: Arc::clone(columns), asked: false }).is_none() {
            shard.queue.push_back(name);
            shard.bytes += bytes;
        }
        while shard.bytes > capacity
            && let Some(name) = shard.queue.pop_front()
        {
            match shard.blocks.get_mut(&name) {
                Some(cached) if cached.asked => {
                    cached.asked = false;
                    shard.queue.push_back(name);
                }
                _ => {
                    let gone = shard.blocks.remove(&name).map_or(0, |cached| cached.columns.bytes());
                    shard.bytes -= gone;
                }
            }
        }
    }

    fn shard(&self, (batch, block): Name) -> MutexGuard<'_, Shard> {
        let at = (batch as usize ^ block) % SHARDS;
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::ColumnsBuilder;

    fn block() -> Arc<Columns> {
        let mut block = ColumnsBuilder::for_block(1, 1000);
        block.push(1, &[1; 8], &[7; 992], 1);
        Arc::new(block.finish())
    }

    /// Puts new blocks in, all of one shard. How many it has then.
    fn put(cache: &Cache, blocks: usize, grows: bool) -> usize {
        let block = block();
        let next = cache.shard((0, 0)).queue.back().map_or(0, |(_, last)| last / SHARDS + 1);
        (next..next + blocks).for_each(|at| cache.put((0, at * SHARDS), &block, grows));
        (0..next + blocks).filter(|at| cache.get((0, at * SHARDS)).is_some()).count()
    }

    #[test]
    fn it_grows_only_where_it_may_and_gives_back_but_for_its_least() {
        let of = |blocks: usize| Cache::new((blocks * block().bytes() * SHARDS) as u64);
        for (capacity, grows, expected) in [(40, true, 40), (40, false, 10), (3, true, 3), (3, false, 0)] {
            assert_eq!(put(&of(capacity), 100, grows), expected, "{capacity} {grows}");
        }
        let cache = of(40);
        assert_eq!(put(&cache, 25, true), 25);
        assert_eq!(put(&cache, 3, false), 25 - 3, "one of what it has goes for each");
        assert_eq!(put(&cache, 100, false), 10, "but for its least");
        assert_eq!(put(&cache, 100, true), 40);
    }
}
