//! What names mean inside of one SELECT: the relations of its FROM; and the calls that its rows are prepared for.

use std::cell::{Cell, RefCell};

use super::super::node::{AggregateCall, Expr, Node, Output, SeriesCall, WindowCall};
use super::super::ty::Ty;
use super::Binder;
use crate::error::{Result, code, error};

/// A relation of FROM.
pub(super) struct Relation {
    pub(super) alias: String,
    /// The schema, where the relation may be named with it.
    pub(super) schema: Option<&'static str>,
    pub(super) columns: Vec<Output>,
    /// Columns that USING has merged into one before them.
    pub(super) merged: Vec<usize>,
    /// The oid of a system relation: its `tableoid`.
    pub(super) oid: Option<i64>,
}

/// A SELECT's names.
#[derive(Default)]
pub(super) struct Scope<'a> {
    pub(super) parent: Option<&'a Scope<'a>>,
    pub(super) depth: usize,
    pub(super) relations: RefCell<Vec<Relation>>,
    /// The relations that were looked at, as bits.
    pub(super) used: Cell<u64>,
    pub(super) aggregates: RefCell<Vec<AggregateCall>>,
    pub(super) windows: RefCell<Vec<WindowCall>>,
    pub(super) series: RefCell<Vec<SeriesCall>>,
}

impl<'a> Scope<'a> {
    pub(super) fn inside(parent: Option<&'a Scope<'a>>) -> Self {
        Self { parent, depth: Binder::around(parent), ..Self::default() }
    }

    /// What is done, and the relations it looked at.
    pub(super) fn watch<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<(T, u64)> {
        let before = self.used.replace(0);
        let done = work()?;
        let seen = self.used.get();
        self.used.set(before | seen);
        Ok((done, seen))
    }
}

/// Where a column is.
enum Found {
    Column(usize, usize, Ty),
    /// `tableoid`.
    Oid(i64),
}

fn find_in(relation: &Relation, slot: usize, name: &str) -> Option<Found> {
    let visible = relation.columns.iter().enumerate().find(|(_, column)| column.name == name);
    match visible {
        Some((at, column)) => Some(Found::Column(slot, at, column.ty)),
        None if name == "tableoid" => relation.oid.map(Found::Oid),
        None => None,
    }
}

impl Binder<'_> {
    /// A column by `name`, `relation.name` or `schema.relation.name`.
    pub(super) fn column(&self, parts: &[String], scope: &Scope) -> Result<Expr> {
        let (name, qualifier) = match parts {
            [.., schema, relation, name] => (name, Some((Some(schema.as_str()), relation.as_str()))),
            [relation, name] => (name, Some((None, relation.as_str()))),
            [name] => (name, None),
            [] => return Err(error(code::SYNTAX, "a column needs a name")),
        };
        let (mut at, mut up) = (Some(scope), 0);
        while let Some(scope) = at {
            if let Some((slot, found)) = find(scope, qualifier, name)? {
                scope.used.set(scope.used.get() | 1 << slot);
                self.look_at(scope.depth);
                return Ok(match found {
                    Found::Column(slot, at, ty) => Expr::new(Node::Column { up, slot, at }, ty),
                    Found::Oid(oid) => Expr::constant(oid, Ty::OID),
                });
            }
            (at, up) = (scope.parent, up + 1);
        }
        Err(error(code::UNDEFINED_COLUMN, format!("column {} does not exist", parts.join("."))))
    }
}

fn find(scope: &Scope, qualifier: Option<(Option<&str>, &str)>, name: &str) -> Result<Option<(usize, Found)>> {
    let relations = scope.relations.borrow();
    let mut found = None;
    for (slot, relation) in relations.iter().enumerate() {
        let named = qualifier
            .is_none_or(|(schema, alias)| relation.alias == alias && (schema.is_none() || schema == relation.schema));
        let here = if named { find_in(relation, slot, name) } else { None };
        let Some(here) = here else { continue };
        let merged = matches!(here, Found::Column(_, at, _) if relation.merged.contains(&at));
        match found {
            Some(_) if qualifier.is_none() && merged => {}
            Some(_) => {
                return Err(error(code::AMBIGUOUS_COLUMN, format!("column reference \"{name}\" is ambiguous")));
            }
            None => found = Some((slot, here)),
        }
    }
    Ok(found)
}
