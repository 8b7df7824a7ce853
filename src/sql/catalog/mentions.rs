//! Which queries are about the catalog: those that name one of its relations, functions or types.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, ObjectName, Query, TableFactor, Visit, Visitor};

use super::facts::relation_named;
use super::functions::{Series, is_about_the_catalog};
use super::ty::Ty;
use crate::statements::identifier;

/// Whether a query is about the catalog.
pub(crate) fn mentions(query: &Query) -> bool {
    query.visit(&mut Search).is_break()
}

struct Search;

fn found(yes: bool) -> ControlFlow<()> {
    if yes { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

fn parts(name: &ObjectName) -> Vec<String> {
    name.0.iter().filter_map(|part| part.as_ident()).map(identifier).collect()
}

fn is_system(schema: &str) -> bool {
    schema == "pg_catalog" || schema == "information_schema"
}

fn is_relation(name: &ObjectName) -> bool {
    match parts(name).as_slice() {
        [name] => relation_named("pg_catalog", name).is_some(),
        [.., schema, _] => is_system(schema),
        [] => false,
    }
}

fn is_function(name: &ObjectName) -> bool {
    match parts(name).as_slice() {
        [name] => is_about_the_catalog(name) || Series::named(name).is_some_and(Series::is_about_the_catalog),
        [.., schema, _] => is_system(schema),
        [] => false,
    }
}

impl Visitor for Search {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, args: None, .. } => found(is_relation(name)),
            TableFactor::Table { name, .. } | TableFactor::Function { name, .. } => found(is_function(name)),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) => found(is_function(&function.name)),
            Expr::Cast { data_type, .. } => {
                let ty = Ty::named(data_type);
                found(ty.is_ok_and(|ty| {
                    let catalog = [Ty::OID, Ty::NAME, Ty::CHAR, Ty::INT2VECTOR, Ty::OIDVECTOR, Ty::XID];
                    ty.is_reg() || catalog.contains(&ty)
                }))
            }
            _ => ControlFlow::Continue(()),
        }
    }
}
