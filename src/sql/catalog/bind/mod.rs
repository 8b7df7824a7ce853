//! From the AST to a bound query: names to places, types by PostgreSQL's rules as far as the catalog needs them.
//!
//! A name is looked for in its query, then in the queries around it: subqueries of any kind may look outwards, in FROM too.
//! Every query remembers whether it did; one that did not is run once.

mod call;
mod coerce;
mod expr;
mod from;
mod names;
mod operator;
mod predicate;
mod query;
mod scope;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use datafusion::sql::sqlparser::ast;
use zset::ColumnType;

use super::node::Query;
use super::ty::Ty;
use super::world::World;
use crate::error::{Detail, Result, error};
use scope::Scope;

/// A bound statement.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) query: Query,
    /// The types of $1, $2, ...
    pub(crate) parameters: Vec<Ty>,
}

/// Binds a query.
pub(crate) fn bind(ast: &ast::Query, world: &World, types: &[Option<ColumnType>]) -> Result<Bound> {
    let given = types.iter().map(|ty| ty.map(|ty| Ty::of_column(ty).0)).collect();
    let binder = Binder {
        world,
        parameters: RefCell::new(given),
        queries: RefCell::default(),
        next: Cell::new(0),
        depth: Cell::new(0),
    };
    let query = binder.query(ast, None, &Ctes::default())?;
    let parameters = binder.parameters.into_inner().into_iter().map(|ty| ty.unwrap_or(Ty::TEXT)).collect();
    Ok(Bound { query, parameters })
}

struct Binder<'w> {
    world: &'w World<'w>,
    parameters: RefCell<Vec<Option<Ty>>>,
    /// The queries that are being bound: how many scopes are around each, and whether it looked at one of them.
    queries: RefCell<Vec<(usize, bool)>>,
    next: Cell<usize>,
    /// How deep what is being bound stands in the statement.
    depth: Cell<usize>,
}

/// Deeper than anybody nests; far from the end of a thread's stack.
const DEPTH_MAX: usize = 200;

/// The WITH queries in sight; each sees those before it.
#[derive(Clone, Default)]
struct Ctes(Option<Rc<Cte>>);

struct Cte {
    name: String,
    columns: Vec<String>,
    ast: ast::Query,
    before: Ctes,
}

impl Ctes {
    fn find(&self, name: &str) -> Option<&Rc<Cte>> {
        let mut at = self.0.as_ref();
        while let Some(cte) = at {
            if cte.name == name {
                return Some(cte);
            }
            at = cte.before.0.as_ref();
        }
        None
    }
}

impl Binder<'_> {
    /// Does what stands one level deeper.
    fn deeper<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let depth = self.depth.get();
        if depth == DEPTH_MAX {
            return Err(error("54001", "the query is nested too deeply").with_hint("write it with fewer levels"));
        }
        self.depth.set(depth + 1);
        let done = work();
        self.depth.set(depth);
        done
    }

    /// A number for a query.
    fn number(&self) -> usize {
        self.next.replace(self.next.get() + 1)
    }

    /// Remembers, of the queries that are being bound, which look out of themselves at a scope with so many around it.
    fn look_at(&self, depth: usize) {
        for (around, correlated) in self.queries.borrow_mut().iter_mut() {
            *correlated |= *around > depth;
        }
    }

    /// How many scopes are around what is bound inside of `parent`.
    fn around(parent: Option<&Scope>) -> usize {
        parent.map_or(0, |scope| scope.depth + 1)
    }
}
