//! Sorting: each worker sorts a run, then runs are merged in pairs.

use std::cmp::Ordering;

use crate::{cut, is_cut, map};

/// Runs are not shorter than this.
const RUN_MIN: usize = 32_768;

/// Sorts. Which of equal ones comes first is not said: where it matters, `order` must say it.
pub fn sort<T: Copy + Send + Sync>(items: &mut [T], order: impl Fn(&T, &T) -> Ordering + Sync) {
    if !is_cut(items.len(), RUN_MIN) {
        return items.sort_unstable_by(order);
    }
    let ranges = cut(items.len(), RUN_MIN, 1);
    let mut rest = &mut *items;
    let mut runs = Vec::with_capacity(ranges.len());
    for range in ranges {
        let (run, others) = rest.split_at_mut(range.len());
        runs.push(run);
        rest = others;
    }
    let runs = map(runs, |run| {
        run.sort_unstable_by(&order);
        &*run
    });
    let pairs: Vec<&[&[T]]> = runs.chunks(2).collect();
    let mut merged = map(pairs, |pair| merge(pair, &order));
    while merged.len() > 1 {
        let pairs: Vec<&[Vec<T>]> = merged.chunks(2).collect();
        merged = map(pairs, |pair| merge(pair, &order));
    }
    items.copy_from_slice(&merged[0]);
}

/// One run of one or two.
fn merge<T: Copy, S: AsRef<[T]>>(pair: &[S], order: &impl Fn(&T, &T) -> Ordering) -> Vec<T> {
    let [a, b] = pair else { return pair[0].as_ref().to_vec() };
    let (mut a, mut b) = (a.as_ref(), b.as_ref());
    let mut out = Vec::with_capacity(a.len() + b.len());
    while let (Some(first), Some(second)) = (a.first(), b.first()) {
        if order(first, second).is_le() {
            out.push(*first);
            a = &a[1..];
        } else {
            out.push(*second);
            b = &b[1..];
        }
    }
    out.extend_from_slice(a);
    out.extend_from_slice(b);
    out
}
