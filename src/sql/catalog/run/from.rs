//! FROM and WHERE: a condition is applied as soon as all it looks at is there, an equality between two sides is a hash join.

use std::collections::HashMap;

use super::super::node::{Conjunct, Expr, From, JoinKind, Leaf, Node, SeriesCall, Source};
use super::super::value::{Row, Value};
use super::{Frame, Run, Tuple};
use crate::error::Result;

type Conditions<'a> = Vec<&'a Conjunct>;

/// The relations of a part of FROM, as bits.
fn slots(from: &From) -> u64 {
    match from {
        From::Leaf(leaf) => 1 << leaf.slot,
        From::Join { left, right, .. } => slots(left) | slots(right),
    }
}

fn is_lateral(from: &From) -> bool {
    match from {
        From::Leaf(leaf) => leaf.lateral,
        From::Join { left, right, .. } => is_lateral(left) || is_lateral(right),
    }
}

/// The two sides of an equality, the one that looks at `left` alone first, the other at `right` alone.
fn key(condition: &Conjunct, left: u64, right: u64) -> Option<(&Expr, &Expr)> {
    let (a, b) = condition.equality?;
    let Node::Compare(_, x, y) = &condition.expr.node else { return None };
    let within = |part: u64, whole: u64| part != 0 && part & !whole == 0;
    if within(a, left) && within(b, right) {
        Some((x, y))
    } else if within(b, left) && within(a, right) {
        Some((y, x))
    } else {
        None
    }
}

impl Run<'_> {
    /// The tuples of FROM that pass the conditions. They begin as `base`, which lateral relations look at.
    pub(super) fn tuples(
        &self,
        from: &From,
        conditions: Conditions,
        base: &Tuple,
        up: Option<&Frame>,
    ) -> Result<Vec<Tuple>> {
        match from {
            From::Leaf(leaf) => self.scan(leaf, &conditions, base, up),
            From::Join { kind: JoinKind::Inner, left, right, on } => {
                let all = conditions.into_iter().chain(on);
                self.inner(left, right, all.collect(), base, up)
            }
            From::Join { kind: JoinKind::Left, left, right, on } => self.outer(left, right, on, conditions, base, up),
            From::Join { kind: JoinKind::Right, left, right, on } => self.outer(right, left, on, conditions, base, up),
            From::Join { kind: JoinKind::Full, left, right, on } => {
                let joined = self.full(left, right, on, base, up)?;
                self.keep(joined, &conditions, up)
            }
        }
    }

    fn inner(
        &self,
        left: &From,
        right: &From,
        all: Conditions,
        base: &Tuple,
        up: Option<&Frame>,
    ) -> Result<Vec<Tuple>> {
        let (a, b) = (slots(left), slots(right));
        let (of_left, all): (Conditions, Conditions) = all.into_iter().partition(|c| c.slots & b == 0);
        let (of_right, between): (Conditions, Conditions) =
            all.into_iter().partition(|c| c.slots & a == 0 && !is_lateral(right));
        if is_lateral(right) {
            let mut out = Vec::new();
            for tuple in self.tuples(left, of_left, base, up)? {
                out.extend(self.tuples(right, between.clone(), &tuple, up)?);
                self.hold(out.len(), base.len())?;
            }
            return Ok(out);
        }
        let right_tuples = self.tuples(right, of_right, base, up)?;
        if right_tuples.is_empty() {
            return Ok(Vec::new());
        }
        let left_tuples = self.tuples(left, of_left, base, up)?;
        let joined = self.matching(&left_tuples, &right_tuples, (a, b), &between, up)?;
        Ok(joined.into_iter().map(|(tuple, _, _)| tuple).collect())
    }

    /// LEFT JOIN: every left tuple, with what matches it on the right, or with nothing.
    fn outer(
        &self,
        left: &From,
        right: &From,
        on: &[Conjunct],
        conditions: Conditions,
        base: &Tuple,
        up: Option<&Frame>,
    ) -> Result<Vec<Tuple>> {
        let (a, b) = (slots(left), slots(right));
        let (of_left, after): (Conditions, Conditions) = conditions.into_iter().partition(|c| c.slots & b == 0);
        let left_tuples = self.tuples(left, of_left, base, up)?;
        let mut out = Vec::new();
        if is_lateral(right) {
            for tuple in left_tuples {
                let found = self.tuples(right, on.iter().collect(), &tuple, up)?;
                if found.is_empty() {
                    out.push(tuple)
                } else {
                    out.extend(found)
                }
                self.hold(out.len(), base.len())?;
            }
            return self.keep(out, &after, up);
        }
        let (of_right, between): (Conditions, Conditions) = on.iter().partition(|c| c.slots & a == 0 && c.slots != 0);
        let right_tuples = self.tuples(right, of_right, base, up)?;
        let joined = self.matching(&left_tuples, &right_tuples, (a, b), &between, up)?;
        let mut joined = joined.into_iter().peekable();
        for (at, tuple) in left_tuples.into_iter().enumerate() {
            if joined.peek().is_none_or(|(_, left, _)| *left != at) {
                out.push(tuple);
                continue;
            }
            while let Some((tuple, _, _)) = joined.next_if(|(_, left, _)| *left == at) {
                out.push(tuple);
            }
        }
        self.keep(out, &after, up)
    }

    fn full(&self, left: &From, right: &From, on: &[Conjunct], base: &Tuple, up: Option<&Frame>) -> Result<Vec<Tuple>> {
        let sides = (slots(left), slots(right));
        let left_tuples = self.tuples(left, Vec::new(), base, up)?;
        let right_tuples = self.tuples(right, Vec::new(), base, up)?;
        let between: Conditions = on.iter().collect();
        let joined = self.matching(&left_tuples, &right_tuples, sides, &between, up)?;
        let lefts: std::collections::HashSet<usize> = joined.iter().map(|found| found.1).collect();
        let rights: std::collections::HashSet<usize> = joined.iter().map(|found| found.2).collect();
        let mut out: Vec<Tuple> = joined.into_iter().map(|found| found.0).collect();
        let alone = |(at, tuple): (usize, Tuple), matched: &std::collections::HashSet<usize>| {
            (!matched.contains(&at)).then_some(tuple)
        };
        out.extend(left_tuples.into_iter().enumerate().filter_map(|one| alone(one, &lefts)));
        out.extend(right_tuples.into_iter().enumerate().filter_map(|one| alone(one, &rights)));
        Ok(out)
    }

    /// The pairs that pass the conditions, in the order of the left tuples: merged, and the places of both.
    fn matching(
        &self,
        left: &[Tuple],
        right: &[Tuple],
        (a, b): (u64, u64),
        conditions: &[&Conjunct],
        up: Option<&Frame>,
    ) -> Result<Vec<(Tuple, usize, usize)>> {
        let hashed = conditions.iter().enumerate().find_map(|(at, condition)| Some((at, key(condition, a, b)?)));
        let everything: Vec<usize> = (0..right.len()).collect();
        let mut by_key: HashMap<Value, Vec<usize>> = HashMap::new();
        if let Some((_, (_, of_right))) = hashed {
            for (at, tuple) in right.iter().enumerate() {
                let value = self.eval(of_right, &Frame { tuple, up, ..Frame::default() })?;
                by_key.entry(value).or_default().push(at);
            }
        }
        let mut out = Vec::new();
        for (at, tuple) in left.iter().enumerate() {
            let candidates = match hashed {
                None => &everything,
                Some((_, (of_left, _))) => {
                    let value = self.eval(of_left, &Frame { tuple, up, ..Frame::default() })?;
                    match by_key.get(&value) {
                        Some(found) if !value.is_null() => found,
                        _ => continue,
                    }
                }
            };
            for &candidate in candidates {
                self.look()?;
                let merged = merge(tuple, &right[candidate], b);
                let rest = conditions.iter().enumerate().filter(|(at, _)| hashed.is_none_or(|(by, _)| by != *at));
                if self.passes(&merged, rest.map(|(_, condition)| *condition), up)? {
                    out.push((merged, at, candidate));
                }
            }
            self.hold(out.len(), tuple.len())?;
        }
        Ok(out)
    }

    fn keep(&self, tuples: Vec<Tuple>, conditions: &[&Conjunct], up: Option<&Frame>) -> Result<Vec<Tuple>> {
        let mut out = Vec::with_capacity(tuples.len());
        for tuple in tuples {
            if self.passes(&tuple, conditions.iter().copied(), up)? {
                out.push(tuple);
            }
        }
        Ok(out)
    }

    /// Whether all conditions are true.
    pub(super) fn passes<'c>(
        &self,
        tuple: &[Option<Row>],
        conditions: impl Iterator<Item = &'c Conjunct>,
        up: Option<&Frame>,
    ) -> Result<bool> {
        let frame = Frame { tuple, up, ..Frame::default() };
        for condition in conditions {
            if !self.eval(&condition.expr, &frame)?.is_true() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The rows of one relation that pass the conditions.
    fn scan(&self, leaf: &Leaf, conditions: &[&Conjunct], base: &Tuple, up: Option<&Frame>) -> Result<Vec<Tuple>> {
        let rows = match &leaf.source {
            Source::Relation(relation) => {
                let rows = self.relation(relation);
                match self.places(leaf, conditions, base, up)? {
                    Some(places) => places.into_iter().map(|at| rows[at].clone()).collect(),
                    None => rows.to_vec(),
                }
            }
            Source::Query(query) => self.answer(query, Some(&Frame { tuple: base, up, ..Frame::default() }))?.to_vec(),
            Source::Series { calls, ordinality } => self.series_rows(calls, *ordinality, base, up)?,
        };
        let mut tuple = base.clone();
        let mut out = Vec::new();
        for row in rows {
            self.look()?;
            tuple[leaf.slot] = Some(row);
            if self.passes(&tuple, conditions.iter().copied(), up)? {
                out.push(tuple.clone());
            }
        }
        Ok(out)
    }

    /// Where the rows are that an equality with a column of the relation asks for.
    fn places(
        &self,
        leaf: &Leaf,
        conditions: &[&Conjunct],
        base: &Tuple,
        up: Option<&Frame>,
    ) -> Result<Option<Vec<usize>>> {
        let Source::Relation(relation) = &leaf.source else { return Ok(None) };
        let own = 1_u64 << leaf.slot;
        for condition in conditions {
            let (Some((a, b)), Node::Compare(_, x, y)) = (condition.equality, &condition.expr.node) else { continue };
            for (column, other, seen) in [(x, y, b), (y, x, a)] {
                if let Node::Column { up: 0, slot, at } = column.node
                    && slot == leaf.slot
                    && seen & own == 0
                {
                    let value = self.eval(other, &Frame { tuple: base, up, ..Frame::default() })?;
                    let found = self.index(relation, at).get(&value).cloned().unwrap_or_default();
                    return Ok(Some(if value.is_null() { Vec::new() } else { found }));
                }
            }
        }
        Ok(None)
    }

    /// The rows of functions side by side, the shorter ones filled up with NULL.
    fn series_rows(
        &self,
        calls: &[SeriesCall],
        ordinality: bool,
        base: &Tuple,
        up: Option<&Frame>,
    ) -> Result<Vec<Row>> {
        let frame = Frame { tuple: base, up, ..Frame::default() };
        let all = calls.iter().map(|call| self.series_of(call, &frame)).collect::<Result<Vec<_>>>()?;
        let count = all.iter().map(Vec::len).max().unwrap_or(0);
        let mut out = Vec::with_capacity(count);
        for at in 0..count {
            let mut row = Vec::new();
            for (call, rows) in calls.iter().zip(&all) {
                let types: Vec<_> = call.arguments.iter().map(|argument| argument.ty).collect();
                let width = call.series.columns(&types).len();
                match rows.get(at) {
                    Some(values) => row.extend(values.iter().cloned()),
                    None => row.extend(std::iter::repeat_n(Value::Null, width)),
                }
            }
            if ordinality {
                row.push((at as i64 + 1).into());
            }
            out.push(row.into());
        }
        Ok(out)
    }
}

fn merge(left: &Tuple, right: &Tuple, of_right: u64) -> Tuple {
    let side = |(slot, (a, b)): (usize, (&Option<Row>, &Option<Row>))| {
        if of_right >> slot & 1 == 1 { b.clone() } else { a.clone() }
    };
    left.iter().zip(right).enumerate().map(side).collect()
}
