//! SQL: statements, queries, expressions. What PostgreSQL answers, or a refusal that says why; never another answer.
//!
//! The way of a query: sqlparser reads it; `query` and `expr` resolve names and types by PostgreSQL's rules into a
//! DataFusion logical plan, in which every operator is of exact types and every function is our own; named optimizer
//! rules of DataFusion rewrite it; `lower` makes the operator graph, whose expressions are DataFusion's physical ones.
//!
//! What is not on a list of things accepted is refused: there is no way by which a clause is silently ignored.

mod aggregates;
mod catalog;
mod chain;
mod dialect;
mod effort;
mod error;
mod expr;
#[cfg(test)]
mod fuzz;
mod key;
mod lower;
mod planner;
mod queries;
mod query;
mod run;
mod statements;
#[cfg(test)]
mod testing;
mod text;
mod types;

pub use planner::SqlPlanner;
pub use statements::{own_options, sink_options, source_options, stream_options};
