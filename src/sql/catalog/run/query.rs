//! A query: its body, in order, cut to LIMIT.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::super::node::{Body, Expr, Order, Query, SetOperator};
use super::super::value::{Row, Value};
use super::{Frame, Run};
use crate::error::{Result, error};

impl Run<'_> {
    /// The rows of a query; of one that looks at nothing around it, from the first time on, those of the first time.
    pub(super) fn answer(&self, query: &Query, up: Option<&Frame>) -> Result<Rc<Vec<Row>>> {
        if !query.correlated
            && let Some(rows) = self.answers.borrow().get(&query.id)
        {
            return Ok(Rc::clone(rows));
        }
        let rows = Rc::new(self.compute(query, up)?);
        if !query.correlated {
            self.answers.borrow_mut().insert(query.id, Rc::clone(&rows));
        }
        Ok(rows)
    }

    fn compute(&self, query: &Query, up: Option<&Frame>) -> Result<Vec<Row>> {
        let width = query.columns.len();
        let mut rows = match &query.body {
            Body::Select(select) => self.select(select, &query.order, up)?,
            Body::Values(rows) => {
                let frame = Frame { up, ..Frame::default() };
                let row = |row: &Vec<Expr>| row.iter().map(|expr| self.eval(expr, &frame)).collect::<Result<Vec<_>>>();
                let mut rows = rows.iter().map(row).collect::<Result<Vec<_>>>()?;
                sort(&mut rows, &query.order);
                rows
            }
            Body::Set { operator, all, parts } => {
                let parts = parts.iter().map(|part| self.answer(part, up)).collect::<Result<Vec<_>>>()?;
                let mut rows = set(*operator, *all, &parts);
                sort(&mut rows, &query.order);
                rows
            }
        };
        let count = |expr: &Option<Expr>| -> Result<Option<usize>> {
            let Some(expr) = expr else { return Ok(None) };
            let value = self.eval(expr, &Frame { up, ..Frame::default() })?;
            match value.as_int() {
                None => Ok(None),
                Some(count) => match usize::try_from(count) {
                    Ok(count) => Ok(Some(count)),
                    Err(_) => Err(error("2201W", "LIMIT and OFFSET must not be negative")),
                },
            }
        };
        let (limit, offset) = (count(&query.limit)?, count(&query.offset)?);
        rows.drain(..offset.unwrap_or(0).min(rows.len()));
        rows.truncate(limit.unwrap_or(usize::MAX));
        Ok(rows
            .into_iter()
            .map(|mut row| {
                row.truncate(width);
                row.into()
            })
            .collect())
    }
}

/// Puts rows in order; equal ones stay as they are.
pub(super) fn sort(rows: &mut [Vec<Value>], order: &[Order]) {
    if order.is_empty() {
        return;
    }
    rows.sort_by(|a, b| {
        let unequal = order.iter().map(|by| compare(&a[by.at], &b[by.at], by.descending, by.nulls_first));
        unequal.into_iter().find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
    });
}

/// Which of two values comes first.
pub(super) fn compare(a: &Value, b: &Value, descending: bool, nulls_first: bool) -> Ordering {
    match (a.is_null(), b.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) => {
            if nulls_first {
                Ordering::Less
            } else {
                Ordering::Greater
            }
        }
        (false, true) => {
            if nulls_first {
                Ordering::Greater
            } else {
                Ordering::Less
            }
        }
        (false, false) if descending => b.cmp(a),
        (false, false) => a.cmp(b),
    }
}

fn set(operator: SetOperator, all: bool, parts: &[Rc<Vec<Row>>]) -> Vec<Vec<Value>> {
    let mut out: Vec<&Row> = Vec::new();
    if operator == SetOperator::Union {
        out.extend(parts.iter().flat_map(|part| part.iter()));
    } else if let [left, right] = parts {
        let mut counts: HashMap<&Row, usize> = HashMap::new();
        for row in right.iter() {
            *counts.entry(row).or_default() += 1;
        }
        for row in left.iter() {
            let there = counts.get_mut(row).filter(|count| **count > 0);
            let matched = there.is_some();
            if let (Some(count), true) = (there, all) {
                *count -= 1;
            }
            if matched == (operator == SetOperator::Intersect) {
                out.push(row);
            }
        }
    }
    let mut seen = HashSet::new();
    out.into_iter().filter(|row| all || seen.insert(*row)).map(|row| row.to_vec()).collect()
}
