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
    /// Of a key of which both sides changed: kept for the next one.
    merged: [Vec<Row>; 3],
}

/// One key: its changed rows on each side, and what state has for it where the other side changed.
pub(super) struct Group {
    pub left: Range<usize>,
    pub right: Range<usize>,
    pub left_matches: Range<usize>,
    pub right_matches: Range<usize>,
}

/// The rows that groups are ranges of. In a side's pool the matches are behind all rows of its delta.
pub(super) struct Sides<'a> {
    pub left: &'a Changed<'a>,
    pub right: &'a Changed<'a>,
    pub left_new: &'a Matches,
    pub right_old: &'a Matches,
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
        if group.right.is_empty() {
            let (others, base) = (sides.right_old, sides.right.delta.len());
            for row in group.left.clone() {
                for found in group.right_matches.clone() {
                    let weight = i128::from(sides.left.weights[row]) * i128::from(others.weights[found]);
                    self.add(sides.left.places[row], (base + found) as u32, weight, max, full)?;
                }
            }
            return Ok(());
        }
        if group.left.is_empty() {
            let (others, base) = (sides.left_new, sides.left.delta.len());
            for found in group.left_matches.clone() {
                for row in group.right.clone() {
                    let weight = i128::from(others.weights[found]) * i128::from(sides.right.weights[row]);
                    self.add((base + found) as u32, sides.right.places[row], weight, max, full)?;
                }
            }
            return Ok(());
        }
        let [mut left, mut right, mut touched] = std::mem::take(&mut self.merged);
        [&mut left, &mut right, &mut touched].into_iter().for_each(Vec::clear);
        merge(sides.left, &group.left, sides.left_new, &group.left_matches, true, &mut left)?;
        merge(sides.right, &group.right, sides.right_old, &group.right_matches, false, &mut right)?;
        touched.extend(right.iter().copied().filter(Row::changes));
        for one in &left {
            for other in if one.changes() { &right } else { &touched } {
                let weight = i128::from(one.new) * i128::from(other.new) - i128::from(one.old) * i128::from(other.old);
                if weight != 0 {
                    self.add(one.at, other.at, weight, max, full)?;
                }
            }
        }
        self.merged = [left, right, touched];
        Ok(())
    }

    #[inline]
    fn add(
        &mut self,
        left: u32,
        right: u32,
        weight: i128,
        max: usize,
        full: &mut impl FnMut(&mut Self) -> Result<(), FlowError>,
    ) -> Result<(), FlowError> {
        let weight = i64::try_from(weight).map_err(|_| FlowError::too_often("how often a joined row is there"))?;
        self.left.push(left);
        self.right.push(right);
        self.weights.push(weight);
        if self.weights.len() >= max { full(self) } else { Ok(()) }
    }
}

/// Merges the changed rows of a key with those in state, both in the order of their bytes. `after`: state was read after the
/// changes.
fn merge(
    changed: &Changed<'_>,
    rows: &Range<usize>,
    found: &Matches,
    range: &Range<usize>,
    after: bool,
    merged: &mut Vec<Row>,
) -> Result<(), FlowError> {
    let (mut a, mut b) = (rows.start, range.start);
    while a < rows.end || b < range.end {
        let order = match (a < rows.end, b < range.end) {
            (true, true) => changed.bytes(a).cmp(found.rows.row(b)),
            (true, false) => Ordering::Less,
            _ => Ordering::Greater,
        };
        let change = if order.is_le() { changed.weights[a] } else { 0 };
        let kept = if order.is_ge() { found.weights[b] } else { 0 };
        let at = if order.is_le() { changed.places[a] } else { (changed.delta.len() + b) as u32 };
        let other = if after { kept.checked_sub(change) } else { kept.checked_add(change) };
        let other = other.filter(|other| *other >= 0 && kept >= 0).ok_or_else(|| {
            FlowError::invariant(format!("a join: a row of weight {kept} in state, changed by {change}"))
        })?;
        let (old, new) = if after { (other, kept) } else { (kept, other) };
        merged.push(Row { at, old, new });
        a += usize::from(order.is_le());
        b += usize::from(order.is_ge());
    }
    Ok(())
}
