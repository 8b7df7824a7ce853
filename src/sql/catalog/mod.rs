//! pg_catalog and information_schema: what psql and drivers ask of a PostgreSQL, answered from our own catalog.
//!
//! A query that names them is bound ([`bind`]) and run ([`run`]) by an evaluator of its own, over rows ([`tables`]) that are
//! made for the one query. It is neither the planner of users' queries nor DataFusion's, for three reasons: the
//! correlated subqueries that stand in psql's `\d` and in SQLAlchemy's reflection cannot be made joins; the types are others
//! (`oid`, `name`, `"char"`, arrays, `regclass`); and a user's data must never be computed by rules that are this lenient.
//! So a query that reads both the catalog and a user's table is refused.

mod answer;
mod bind;
mod cast;
mod facts;
mod functions;
mod mentions;
mod node;
mod run;
mod tables;
mod ty;
mod value;
mod world;

use std::sync::Arc;

use dataflow::{Prepared, ResultColumn, Work};
use datafusion::sql::sqlparser::ast;
use plan::Catalog;
use zset::ColumnType;

use crate::error::Result;

pub(crate) use mentions::mentions;
pub(crate) use world::quote_ident;

/// Prepares a query that [`mentions`] the catalog. `types` are those given for $1, $2, ...
pub(crate) fn prepare(ast: &ast::Query, catalog: &Catalog, types: &[Option<ColumnType>]) -> Result<Prepared> {
    let world = world::World { catalog, view: None };
    let bound = bind::bind(ast, &world, types)?;
    let column = |column: &node::Output| ResultColumn { name: column.name.clone(), ty: column.ty.result() };
    Ok(Prepared {
        parameters: bound.parameters.iter().map(|ty| ty.parameter()).collect(),
        columns: bound.query.columns.iter().map(column).collect(),
        notices: Vec::new(),
        work: Work::Read(Arc::new(answer::Answer::new(bound))),
    })
}
