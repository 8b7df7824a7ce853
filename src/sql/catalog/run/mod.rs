//! Runs a bound query: rows in memory, joined by hashing where there is an equality, subqueries run where they stand and
//! once if nothing around them matters to them. The catalog is small; what is large is refused by the limits.

mod eval;
mod from;
mod pattern;
mod query;
mod select;
mod truth;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use dataflow::Limits;

use super::facts::Relation;
use super::node::Query;
use super::tables;
use super::value::{Row, Value};
use super::world::World;
use crate::error::{Result, error};

/// How many rows are looked at between looks at the limits.
const STRIDE: u64 = 1024;

/// The rows of FROM's relations that belong together; `None`: NULL-extended, or not joined yet.
type Tuple = Vec<Option<Row>>;

/// The rows of an index by their value.
type Index = HashMap<Value, Vec<usize>>;

/// One run.
pub(crate) struct Run<'a> {
    world: &'a World<'a>,
    parameters: &'a [Value],
    limits: &'a Limits,
    looked: Cell<u64>,
    relations: RefCell<HashMap<i64, Rc<Vec<Row>>>>,
    indexes: RefCell<HashMap<(i64, usize), Rc<Index>>>,
    answers: RefCell<HashMap<usize, Rc<Vec<Row>>>>,
}

/// What an expression is computed over: a row, and those of the queries around.
#[derive(Clone, Copy, Default)]
struct Frame<'a> {
    tuple: &'a [Option<Row>],
    aggregates: &'a [Value],
    windows: &'a [Value],
    series: &'a [Value],
    up: Option<&'a Frame<'a>>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(world: &'a World<'a>, parameters: &'a [Value], limits: &'a Limits) -> Self {
        let (relations, indexes, answers) = (RefCell::default(), RefCell::default(), RefCell::default());
        Self { world, parameters, limits, looked: Cell::new(0), relations, indexes, answers }
    }

    /// The rows of a query.
    pub(crate) fn rows(&self, query: &Query) -> Result<Rc<Vec<Row>>> {
        self.answer(query, None)
    }

    /// One more row was looked at: stops where the limits say so.
    fn look(&self) -> Result<()> {
        let looked = self.looked.replace(self.looked.get() + 1);
        if !looked.is_multiple_of(STRIDE) {
            return Ok(());
        }
        if self.limits.cancelled.load(Ordering::Relaxed) {
            return Err(error("57014", "canceling statement due to user request"));
        }
        if self.limits.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(error("57014", "canceling statement due to statement timeout"));
        }
        Ok(())
    }

    /// So many tuples of so many relations are held.
    fn hold(&self, tuples: usize, slots: usize) -> Result<()> {
        let bytes = tuples * (slots * size_of::<Option<Row>>() + size_of::<Tuple>());
        if bytes > self.limits.memory_bytes {
            let message = format!("a catalog query needs more than its {} bytes of memory", self.limits.memory_bytes);
            return Err(error("53200", message));
        }
        Ok(())
    }

    /// The rows of a system relation.
    fn relation(&self, relation: &'static Relation) -> Rc<Vec<Row>> {
        let mut relations = self.relations.borrow_mut();
        let rows = relations.entry(relation.oid).or_insert_with(|| Rc::new(tables::rows(relation, self.world)));
        Rc::clone(rows)
    }

    /// The rows of a system relation by a column's value.
    fn index(&self, relation: &'static Relation, at: usize) -> Rc<Index> {
        let key = (relation.oid, at);
        if let Some(index) = self.indexes.borrow().get(&key) {
            return Rc::clone(index);
        }
        let mut index = Index::new();
        for (place, row) in self.relation(relation).iter().enumerate() {
            index.entry(row[at].clone()).or_default().push(place);
        }
        let index = Rc::new(index);
        self.indexes.borrow_mut().insert(key, Rc::clone(&index));
        index
    }
}
