//! Homes: the partition that each key of a source was last read of. Nothing orders the records of two partitions, so that the row of a
//! key that is in both may be the older one: it is counted, and nothing else depends on it.
//!
//! Within an epoch every such key is seen. From epoch to epoch the keys are remembered that came last, one in each of [`SLOTS`] places:
//! a key that comes back after others have taken its place is not seen to have moved. One that did not move is never counted.

use std::collections::BTreeMap;

use zset::{Op, Partition};

use crate::rows::Interned;

/// So many keys are remembered, at 8 bytes each: few enough to stay in the processor's cache.
const SLOTS: usize = 1 << 14;

/// The low bits of a slot are the number of a partition; the others are those of a key's hash.
const HOME_BITS: u32 = 16;

/// See the module.
#[derive(Debug)]
pub(super) struct Homes {
    slots: Vec<u64>,
    /// The partitions by their numbers, from 1. Those that there is no number left for are not watched.
    partitions: Vec<Partition>,
    numbers: BTreeMap<Partition, u16>,
    /// What the staged changes make of them: the hashes of keys, and the numbers of their homes.
    staged: (Vec<u64>, Vec<u16>),
}

/// Keys that came from another partition than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moves {
    /// How often one did.
    pub times: u64,
    /// The row of the first that did.
    pub row: usize,
    pub from: Partition,
    pub to: Partition,
}

impl Homes {
    pub fn new() -> Self {
        let (partitions, numbers, staged) = (Vec::new(), BTreeMap::new(), Default::default());
        Self { slots: vec![0; SLOTS], partitions, numbers, staged }
    }

    /// Follows changes in their order. `origin` says which record each is from; `runs` where the records of each partition end.
    pub fn follow(&mut self, ops: &[Op], origin: &[u32], keys: &Interned, runs: &[(u32, Partition)]) -> Option<Moves> {
        let hashes = keys.hashes.as_slice();
        let mut homes = vec![0u16; hashes.len()];
        let mut moves: Option<Moves> = None;
        let mut runs = runs.iter();
        let (mut end, mut to) = (0, 0);
        for (row, (op, (id, origin))) in ops.iter().zip(keys.ids.iter().zip(origin)).enumerate() {
            while end <= *origin {
                let (next, partition) = runs.next().expect("every record is of a partition");
                (end, to) = (*next, self.number(*partition));
            }
            if to == 0 || *op == Op::Truncate {
                continue;
            }
            let home = &mut homes[*id as usize];
            let from = if *home == 0 { known(&self.slots, hashes[*id as usize]) } else { *home };
            *home = to;
            if from != 0 && from != to {
                let [from, to] = [from, to].map(|number| self.partitions[usize::from(number) - 1]);
                moves.get_or_insert(Moves { times: 0, row, from, to }).times += 1;
            }
        }
        self.staged.0.extend_from_slice(hashes);
        self.staged.1.append(&mut homes);
        moves
    }

    pub fn commit(&mut self) {
        let (hashes, homes) = std::mem::take(&mut self.staged);
        for (hash, home) in hashes.into_iter().zip(homes).filter(|(_, home)| *home != 0) {
            self.slots[place(hash)] = (hash >> HOME_BITS << HOME_BITS) | u64::from(home);
        }
    }

    pub fn discard(&mut self) {
        self.staged = Default::default();
    }

    /// The number of a partition; 0: there is none left.
    fn number(&mut self, partition: Partition) -> u16 {
        let next = u16::try_from(self.partitions.len() + 1).unwrap_or(0);
        let number = *self.numbers.entry(partition).or_insert(next);
        if number == next && next != 0 {
            self.partitions.push(partition);
        }
        number
    }
}

/// The number of the home that a key is known to have; 0: none is known.
fn known(slots: &[u64], hash: u64) -> u16 {
    let slot = slots[place(hash)];
    if (slot ^ hash) >> HOME_BITS == 0 { slot as u16 } else { 0 }
}

fn place(hash: u64) -> usize {
    hash as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use zset::RowBytes;

    use super::*;

    /// Batches of (key, partition), each a commit; how often a key moved in each.
    fn moves(homes: &mut Homes, batches: &[&[(u32, i32)]]) -> Vec<u64> {
        let follow = |batch: &&[(u32, i32)]| {
            let keys: Vec<[u8; 4]> = batch.iter().map(|(key, _)| key.to_be_bytes()).collect();
            let keys: RowBytes = keys.iter().map(<[u8; 4]>::as_slice).collect();
            let ops = vec![Op::Upsert; batch.len()];
            let origin: Vec<u32> = (0..batch.len() as u32).collect();
            let runs: Vec<_> =
                batch.iter().enumerate().map(|(at, (_, partition))| (at as u32 + 1, Partition(*partition))).collect();
            let moves = homes.follow(&ops, &origin, &Interned::new(&keys), &runs).map_or(0, |moves| moves.times);
            homes.commit();
            moves
        };
        batches.iter().map(follow).collect()
    }

    #[test]
    fn a_key_that_comes_from_another_partition_is_counted() {
        let mut homes = Homes::new();
        assert_eq!(moves(&mut homes, &[&[(1, 0), (2, 1), (1, 0)], &[(1, 0), (2, 1)]]), [0, 0]);
        assert_eq!(moves(&mut homes, &[&[(1, 0), (1, 1), (2, 1)], &[(1, 1)], &[(1, 0)]]), [1, 0, 1]);
    }

    #[test]
    fn what_is_discarded_has_not_moved() {
        let mut homes = Homes::new();
        moves(&mut homes, &[&[(1, 0)]]);
        let keys = || Interned::new(&[1u32.to_be_bytes().as_slice()].into_iter().collect());
        for _ in 0..2 {
            let found = homes.follow(&[Op::Delete], &[0], &keys(), &[(1, Partition(1))]).expect("it moved");
            assert_eq!(found, Moves { times: 1, row: 0, from: Partition(0), to: Partition(1) });
            homes.discard();
        }
        assert_eq!(homes.follow(&[Op::Truncate], &[0], &keys(), &[(1, Partition(1))]), None);
        assert_eq!(moves(&mut homes, &[&[(1, 0)]]), [0]);
    }

    /// Many more keys than places, each in its own partition, in any order: none is counted.
    #[test]
    fn keys_that_stay_are_never_counted() {
        let mut homes = Homes::new();
        let mut seed = 7u64;
        let mut next = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 40) as u32 % (4 * SLOTS as u32)
        };
        for _ in 0..20 {
            let mut batch: Vec<(u32, i32)> = (0..50_000).map(|_| next()).map(|key| (key, (key % 7) as i32)).collect();
            batch.sort_by_key(|(_, partition)| *partition);
            assert_eq!(moves(&mut homes, &[&batch]), [0]);
        }
    }

    /// Of the partitions of thousands of topics, those that there are too many of are not watched, and nobody is wronged.
    #[test]
    fn there_may_be_more_partitions_than_numbers() {
        let mut homes = Homes::new();
        let last = i32::from(u16::MAX);
        for partition in 0..=last {
            assert_eq!(moves(&mut homes, &[&[(7, partition)]]), [u64::from(partition != 0 && partition != last)]);
        }
        assert_eq!(moves(&mut homes, &[&[(7, last - 1)], &[(7, 0)]]), [0, 1]);
    }
}
