//! SELECT: FROM and WHERE, groups, windows, functions that give rows, items, DISTINCT, order.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use super::super::functions::Call;
use super::super::node::{
    AggregateCall, Conjunct, Distinct, Expr, Order, Select, SeriesCall, WindowCall, WindowFunction,
};
use super::super::value::Value;
use super::query::{compare, sort};
use super::{Frame, Run, Tuple};
use crate::error::Result;

/// A row on its way: of FROM, or of a group.
#[derive(Clone, Default)]
struct Line {
    tuple: Tuple,
    aggregates: Vec<Value>,
    windows: Vec<Value>,
    series: Vec<Value>,
}

impl Line {
    fn frame<'a>(&'a self, up: Option<&'a Frame<'a>>) -> Frame<'a> {
        let Self { tuple, aggregates, windows, series } = self;
        Frame { tuple, aggregates, windows, series, up }
    }
}

impl Run<'_> {
    /// The items of every row, in order.
    pub(super) fn select(&self, select: &Select, order: &[Order], up: Option<&Frame>) -> Result<Vec<Vec<Value>>> {
        let base: Tuple = vec![None; select.slots];
        let conditions: Vec<&Conjunct> = select.filter.iter().collect();
        let tuples = match &select.from {
            Some(from) => self.tuples(from, conditions, &base, up)?,
            None if self.passes(&base, conditions.into_iter(), up)? => vec![base],
            None => Vec::new(),
        };
        let mut lines = if select.grouped {
            self.group(select, tuples, up)?
        } else {
            tuples.into_iter().map(|tuple| Line { tuple, ..Line::default() }).collect()
        };
        for window in &select.windows {
            self.window(window, &mut lines, up)?;
        }
        if !select.series.is_empty() {
            lines = self.expand(&select.series, lines, up)?;
        }
        let mut rows = Vec::with_capacity(lines.len());
        for line in &lines {
            self.look()?;
            let frame = line.frame(up);
            rows.push(select.items.iter().map(|item| self.eval(item, &frame)).collect::<Result<Vec<_>>>()?);
        }
        sort(&mut rows, order);
        match &select.distinct {
            Distinct::No => {}
            Distinct::Rows(width) => {
                let mut seen = HashSet::new();
                rows.retain(|row| seen.insert(row[..*width].to_vec()));
            }
            Distinct::On(places) => {
                let mut seen = HashSet::new();
                rows.retain(|row| seen.insert(places.iter().map(|at| row[*at].clone()).collect::<Vec<_>>()));
            }
        }
        Ok(rows)
    }

    fn group(&self, select: &Select, tuples: Vec<Tuple>, up: Option<&Frame>) -> Result<Vec<Line>> {
        let mut groups: Vec<Vec<Tuple>> = Vec::new();
        let mut places: HashMap<Vec<Value>, usize> = HashMap::new();
        for tuple in tuples {
            self.look()?;
            let frame = Frame { tuple: &tuple, up, ..Frame::default() };
            let key = select.group.iter().map(|by| self.eval(by, &frame)).collect::<Result<Vec<_>>>()?;
            let at = *places.entry(key).or_insert(groups.len());
            if at == groups.len() {
                groups.push(Vec::new());
            }
            groups[at].push(tuple);
        }
        if groups.is_empty() && select.group.is_empty() {
            groups.push(Vec::new());
        }
        let mut lines = Vec::new();
        for tuples in groups {
            let frames: Vec<Frame> = tuples.iter().map(|tuple| Frame { tuple, up, ..Frame::default() }).collect();
            let aggregates = select.aggregates.iter().map(|call| self.aggregate(call, &frames));
            let aggregates = aggregates.collect::<Result<Vec<_>>>()?;
            let tuple = tuples.into_iter().next().unwrap_or_else(|| vec![None; select.slots]);
            let line = Line { tuple, aggregates, ..Line::default() };
            let kept = match &select.having {
                Some(having) => self.eval(having, &line.frame(up))?.is_true(),
                None => true,
            };
            if kept {
                lines.push(line);
            }
        }
        Ok(lines)
    }

    fn aggregate(&self, call: &AggregateCall, frames: &[Frame]) -> Result<Value> {
        let mut rows: Vec<(Vec<Value>, Vec<Value>)> = Vec::new();
        let mut seen = HashSet::new();
        for frame in frames {
            if let Some(filter) = &call.filter
                && !self.eval(filter, frame)?.is_true()
            {
                continue;
            }
            let values = call.arguments.iter().map(|expr| self.eval(expr, frame)).collect::<Result<Vec<_>>>()?;
            if call.distinct && !seen.insert(values.clone()) {
                continue;
            }
            let keys = call.order.iter().map(|by| self.eval(&by.0, frame)).collect::<Result<Vec<_>>>()?;
            rows.push((keys, values));
        }
        rows.sort_by(|a, b| by_keys(&a.0, &b.0, &call.order));
        let rows: Vec<Vec<Value>> = rows.into_iter().map(|(_, values)| values).collect();
        call.aggregate.over(&rows)
    }

    fn window(&self, call: &WindowCall, lines: &mut [Line], up: Option<&Frame>) -> Result<()> {
        let mut partitions: HashMap<Vec<Value>, Vec<(Vec<Value>, usize)>> = HashMap::new();
        for (at, line) in lines.iter().enumerate() {
            let frame = line.frame(up);
            let key = call.partition.iter().map(|by| self.eval(by, &frame)).collect::<Result<Vec<_>>>()?;
            let order = call.order.iter().map(|by| self.eval(&by.0, &frame)).collect::<Result<Vec<_>>>()?;
            partitions.entry(key).or_default().push((order, at));
        }
        for mut members in partitions.into_values() {
            members.sort_by(|a, b| by_keys(&a.0, &b.0, &call.order));
            let whole = match &call.function {
                WindowFunction::Aggregate(aggregate) => {
                    let frames: Vec<Frame> = members.iter().map(|(_, at)| lines[*at].frame(up)).collect();
                    Some(self.aggregate(aggregate, &frames)?)
                }
                _ => None,
            };
            let (mut rank, mut dense) = (0, 0);
            for place in 0..members.len() {
                let fresh = place == 0 || by_keys(&members[place - 1].0, &members[place].0, &call.order).is_ne();
                if fresh {
                    (rank, dense) = (place as i64 + 1, dense + 1);
                }
                let value = match (&call.function, &whole) {
                    (_, Some(value)) => value.clone(),
                    (WindowFunction::Rank, _) => rank.into(),
                    (WindowFunction::DenseRank, _) => Value::Int(dense),
                    _ => (place as i64 + 1).into(),
                };
                lines[members[place].1].windows.push(value);
            }
        }
        Ok(())
    }

    /// Every row as often as its longest series has rows; the shorter ones end in NULL.
    fn expand(&self, calls: &[SeriesCall], lines: Vec<Line>, up: Option<&Frame>) -> Result<Vec<Line>> {
        let mut out = Vec::new();
        for line in lines {
            let frame = line.frame(up);
            let all = calls.iter().map(|call| self.series_of(call, &frame)).collect::<Result<Vec<_>>>()?;
            let count = all.iter().map(Vec::len).max().unwrap_or(0);
            for at in 0..count {
                self.look()?;
                let value = |rows: &Vec<Vec<Value>>| match rows.get(at).map(Vec::as_slice) {
                    Some([value]) => value.clone(),
                    Some(record) => Value::array(record.iter().cloned()),
                    None => Value::Null,
                };
                out.push(Line { series: all.iter().map(value).collect(), ..line.clone() });
            }
            self.hold(out.len(), line.tuple.len())?;
        }
        Ok(out)
    }

    /// The rows of a function.
    pub(super) fn series_of(&self, call: &SeriesCall, frame: &Frame) -> Result<Vec<Vec<Value>>> {
        let arguments = call.arguments.iter().map(|expr| self.eval(expr, frame)).collect::<Result<Vec<_>>>()?;
        let types: Vec<_> = call.arguments.iter().map(|expr| expr.ty).collect();
        call.series.rows(&Call { world: self.world, arguments: &arguments, types: &types })
    }
}

fn by_keys(a: &[Value], b: &[Value], order: &[(Expr, bool, bool)]) -> Ordering {
    let each = a
        .iter()
        .zip(b)
        .zip(order)
        .map(|((a, b), (_, descending, nulls_first))| compare(a, b, *descending, *nulls_first));
    each.into_iter().find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
}
