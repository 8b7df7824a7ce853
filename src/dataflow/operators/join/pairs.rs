//! Pairs of a left and a right row with the weight by which the result changes: new x new - old x old.
//!
//! Where one side of a key changed, that is change x other. Where both did, rows are merged by their bytes so that old and
//! new weights of each are known; pairs of two unchanged rows are not looked at, pairs of weight zero not made.

use std::cmp::Ordering;
use std::ops::Range;

use state::Matches;

use super::side::Changed;
use crate::FlowError;

/// Pairs, by the rows' places in the two pools.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    pub left: Vec<u32>,
    pub right: Vec<u32>,
    pub weights: Vec<i64>,
}

/// One key: its changed rows on each side, and what state has for it where the other side changed.
pub(super) struct Group {
    pub left: Range<usize>,
    pub right: Range<usize>,
    pub left_matches: Range<usize>,
    pub right_matches: Range<usize>,
}

/// The rows that groups are ranges of.
pub(super) struct Sides<'a> {
    pub left: &'a Changed,
    pub right: &'a Changed,
    pub left_new: &'a Matches,
    pub right_old: &'a Matches,
    /// Where the pool begins among the changed rows, and how many of them it has before the matches.
    pub left_base: (usize, usize),
    pub right_base: (usize, usize),
}

/// A row of one side: its place in the pool, its weight before and after.
#[derive(Debug, Clone, Copy)]
struct Row {
    at: u32,
    old: i64,
    new: i64,
}

impl Row {
    fn changes(&self) -> bool {
        self.old != self.new
    }
}

impl Pairs {
    /// Adds the pairs of one key; calls `full` whenever there are `max` of them.
    pub fn of(
        &mut self,
        group: &Group,
        sides: &Sides<'_>,
        max: usize,
        full: &mut impl FnMut(&mut Self) -> Result<(), FlowError>,
    ) -> Result<(), FlowError> {
        let left = Found { matches: sides.left_new, range: group.left_matches.clone(), after: true };
        let left = merged(sides.left, &group.left, sides.left_base, &left, !group.right.is_empty())?;
        let right = Found { matches: sides.right_old, range: group.right_matches.clone(), after: false };
        let right = merged(sides.right, &group.right, sides.right_base, &right, !group.left.is_empty())?;
        let touched: Vec<Row> = right.iter().copied().filter(Row::changes).collect();
        for one in &left {
            for other in if one.changes() { &right } else { &touched } {
                let weight = i128::from(one.new) * i128::from(other.new) - i128::from(one.old) * i128::from(other.old);
                if weight == 0 {
                    continue;
                }
                let weight = i64::try_from(weight)
                    .map_err(|_| FlowError::invariant("the weight of a joined row: over 64 bits"))?;
                self.left.push(one.at);
                self.right.push(other.at);
                self.weights.push(weight);
                if self.weights.len() >= max {
                    full(self)?;
                }
            }
        }
        Ok(())
    }
}

/// What state has for a key of one side.
struct Found<'a> {
    matches: &'a Matches,
    range: Range<usize>,
    /// Whether state was read after the changes, or before.
    after: bool,
}

/// Merges the changed rows of a key with those in state, both in the order of their bytes.
///
/// State is probed if the other side changed too. If it did not, a row's weights here are only right in their difference;
/// that is all that matters, for the other side's rows then weigh the same before and after.
fn merged(
    changed: &Changed,
    rows: &Range<usize>,
    (start, count): (usize, usize),
    found: &Found<'_>,
    probed: bool,
) -> Result<Vec<Row>, FlowError> {
    let mut merged = Vec::with_capacity(rows.len() + found.range.len());
    let (mut a, mut b) = (rows.start, found.range.start);
    while a < rows.end || b < found.range.end {
        let order = match (a < rows.end, b < found.range.end) {
            (true, true) => changed.bytes.row(a).cmp(found.matches.rows.row(b)),
            (true, false) => Ordering::Less,
            _ => Ordering::Greater,
        };
        let change = if order.is_le() { changed.weights[a] } else { 0 };
        let kept = if order.is_ge() { found.matches.weights[b] } else { 0 };
        let at = if order.is_le() { a - start } else { count + b } as u32;
        let other = if found.after { kept.checked_sub(change) } else { kept.checked_add(change) };
        let other = other.filter(|other| !probed || (*other >= 0 && kept >= 0));
        let other = other.ok_or_else(|| {
            FlowError::invariant(format!("a join: a row of weight {kept} in state, changed by {change}"))
        })?;
        let (old, new) = if found.after { (other, kept) } else { (kept, other) };
        merged.push(Row { at, old, new });
        a += usize::from(order.is_le());
        b += usize::from(order.is_ge());
    }
    Ok(merged)
}
