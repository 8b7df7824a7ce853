//! Sorting byte strings by eight bytes of them at a time, beginning where they differ: nearly all comparisons are of numbers that
//! lie in the array being sorted.

use crate::RowBytes;

/// A word and the position that it is of, in one number: equal words are in the order of their positions.
type Entry = u128;

/// So few are compared whole.
const FEW: usize = 3;

/// The bytes of a word.
const WORD: usize = size_of::<u64>();

fn entry(word: u64, at: u32) -> Entry {
    u128::from(word) << 32 | u128::from(at)
}

fn word(entry: Entry) -> u64 {
    (entry >> 32) as u64
}

fn place(entry: Entry) -> usize {
    entry as u32 as usize
}

/// The positions of byte strings, sorted by them, equal ones in the order they stand.
pub fn sorted(rows: &RowBytes) -> Vec<u32> {
    let mut entries: Vec<Entry> = (0..place_count(rows.len())).map(|at| entry(0, at)).collect();
    by_bytes(&mut entries, &|at| rows.row(at), 0);
    entries.into_iter().map(|entry| place(entry) as u32).collect()
}

/// The given positions, each with the hash of its key, sorted by (hash, key, row), equal ones by position.
pub fn sorted_by_key<'a>(
    hashed: impl Iterator<Item = (u64, u32)>,
    key: impl Fn(usize) -> &'a [u8],
    row: impl Fn(usize) -> &'a [u8],
) -> Vec<u32> {
    let mut entries: Vec<Entry> = hashed.map(|(hash, at)| entry(hash, at)).collect();
    workers::sort(&mut entries, Ord::cmp);
    for run in entries.chunk_by_mut(|a, b| word(*a) == word(*b)).filter(|run| run.len() > 1) {
        let first = key(place(run[0]));
        if run[1..].iter().all(|entry| key(place(*entry)) == first) {
            by_bytes(run, &row, 0);
            continue;
        }
        // Several keys share the 64-bit hash.
        run.sort_unstable_by(|a, b| {
            let (x, y) = (place(*a), place(*b));
            key(x).cmp(key(y)).then_with(|| row(x).cmp(row(y))).then(x.cmp(&y))
        });
    }
    entries.into_iter().map(|entry| place(entry) as u32).collect()
}

fn place_count(count: usize) -> u32 {
    u32::try_from(count).expect("fewer than 2^32 rows in one delta")
}

/// Sorts entries by the byte strings of their positions, of which the first `same` bytes are equal.
fn by_bytes<'a>(entries: &mut [Entry], bytes: &impl Fn(usize) -> &'a [u8], same: usize) {
    if entries.len() <= FEW {
        return whole(entries, bytes, same);
    }
    let from = same + common(entries, bytes, same);
    for item in entries.iter_mut() {
        let at = place(*item);
        *item = entry(first_word(&bytes(at)[from..]), at as u32);
    }
    workers::sort(entries, Ord::cmp);
    for run in entries.chunk_by_mut(|a, b| word(*a) == word(*b)).filter(|run| run.len() > 1) {
        // One that ends within the word is padded there, and may look equal to a longer one.
        match run.iter().all(|entry| bytes(place(*entry)).len() >= from + WORD) {
            true => by_bytes(run, bytes, from + WORD),
            false => whole(run, bytes, from),
        }
    }
}

/// The same, by comparing all that may differ.
fn whole<'a>(entries: &mut [Entry], bytes: &impl Fn(usize) -> &'a [u8], same: usize) {
    entries.sort_unstable_by(|a, b| {
        let (x, y) = (place(*a), place(*b));
        bytes(x)[same..].cmp(&bytes(y)[same..]).then(x.cmp(&y))
    });
}

/// How many bytes from `same` on are equal too.
fn common<'a>(entries: &[Entry], bytes: &impl Fn(usize) -> &'a [u8], same: usize) -> usize {
    let mut common = &bytes(place(entries[0]))[same..];
    for entry in &entries[1..] {
        if common.is_empty() {
            break;
        }
        common = &common[..common_prefix(common, &bytes(place(*entry))[same..])];
    }
    common.len()
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let words = a.chunks_exact(WORD).zip(b.chunks_exact(WORD));
    let equal = words.take_while(|(a, b)| a == b).count() * WORD;
    equal + a[equal..].iter().zip(&b[equal..]).take_while(|(a, b)| a == b).count()
}

/// A number that is smaller for one byte string than for another only if the byte string is.
fn first_word(bytes: &[u8]) -> u64 {
    if let Some(first) = bytes.first_chunk() {
        return u64::from_be_bytes(*first);
    }
    let mut padded = [0; WORD];
    padded[..bytes.len()].copy_from_slice(bytes);
    u64::from_be_bytes(padded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(seed: u64) -> impl FnMut(u64) -> u64 {
        let mut seed = seed;
        move |below| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        }
    }

    /// Byte strings that are often equal, often begin with one another, and often differ late.
    fn strings(count: usize, seed: u64) -> Vec<Vec<u8>> {
        let mut next = random(seed);
        let shared: Vec<Vec<u8>> = (0..4).map(|_| (0..next(40)).map(|_| next(3) as u8).collect()).collect();
        let mut one = || {
            let mut bytes = if next(2) == 0 { Vec::new() } else { shared[next(4) as usize].clone() };
            let length = [0, 3, 8, 12, 24][next(5) as usize];
            bytes.extend((0..length).map(|_| [0, 0, 1, 255][next(4) as usize]));
            bytes
        };
        (0..count).map(|_| one()).collect()
    }

    #[test]
    fn bytes_are_in_their_order() {
        for (seed, count) in [(1, 3000), (2, 3000), (3, 9), (4, 8), (5, 1), (6, 0)] {
            let rows = strings(count, seed);
            let bytes: RowBytes = rows.iter().map(Vec::as_slice).collect();
            let mut wanted: Vec<u32> = (0..count as u32).collect();
            wanted.sort_by_key(|at| &rows[*at as usize]);
            assert_eq!(sorted(&bytes), wanted, "seed {seed}");
        }
    }

    #[test]
    fn rows_are_in_the_order_of_their_keys() {
        let (keys, rows) = (strings(4000, 7), strings(4000, 8));
        // Few hashes, so that many keys share one; and one each, as hashes mostly are.
        for few in [true, false] {
            let hash = |at: usize| if few { keys[at].len() as u64 % 5 } else { crate::key_hash(&keys[at]) };
            let given = (0..4000).filter(|at| at % 7 != 0);
            let mut wanted: Vec<u32> = given.clone().map(|at| at as u32).collect();
            wanted.sort_by_key(|at| (hash(*at as usize), &keys[*at as usize], &rows[*at as usize]));
            let hashed = given.map(|at| (hash(at), at as u32));
            assert_eq!(sorted_by_key(hashed, |at| &keys[at], |at| &rows[at]), wanted, "few hashes: {few}");
        }
    }
}
