//! UPDATE ... FROM and DELETE ... USING: the query that joins the target with other tables, and of its rows one for each row
//! of the target. Which one, where several fit, is nobody's promise, as in PostgreSQL: here it is the first that the join
//! gives.

use std::collections::HashMap;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use datafusion::sql::sqlparser::ast::{
    Expr as Ast, Ident, ObjectName, Query, SelectItem, TableAlias, TableFactor, TableWithJoins, With,
};
use plan::Catalog;
use zset::{Column, RowBytes, RowCodec};

use super::rows::{RowQuery, select};
use super::target::Target;
use super::{Returning, Run, unreadable};
use crate::error::{Result, code, error, from_datafusion};
use crate::expr::parameter::Parameters;
use crate::query::scope::Visible;
use crate::query::{self, Scope};

/// The tables beside the target of a statement.
#[derive(Debug)]
pub(super) struct Others<'a> {
    with: Option<&'a With>,
    tables: &'a [TableWithJoins],
    pub(super) scope: Scope,
}

impl<'a> Others<'a> {
    pub(super) fn new(
        tables: &'a [TableWithJoins],
        with: Option<&'a With>,
        catalog: &Catalog,
        parameters: &mut Parameters,
    ) -> Result<Self> {
        // without tables there is no scope, but what is wrong in the WITH is wrong
        let scope = query::client_scope(with, tables, catalog, parameters)?;
        Ok(Self { with, tables, scope })
    }

    /// The query of some items over the target and these tables, and behind the items what RETURNING names of them.
    /// `columns` are those that the items go to.
    pub(super) fn query(
        &self,
        (table, target): (&TableWithJoins, &Target),
        mut items: Vec<SelectItem>,
        mut columns: Vec<Column>,
        condition: Option<&Ast>,
        returning: Option<&Returning>,
        (catalog, parameters): (&Catalog, &mut Parameters),
    ) -> Result<JoinQuery> {
        let beside = columns.len();
        for visible in returning.map(Returning::beside).unwrap_or_default() {
            items.push(SelectItem::UnnamedExpr(named(visible)));
            columns.push(Column::new(visible.name.clone(), visible.ty, true));
        }
        let mut from = vec![qualified(table, target)];
        from.extend_from_slice(self.tables);
        let query = Query { with: self.with.cloned(), ..select(items, from, condition.cloned())? };
        let targets: Vec<&Column> = columns.iter().collect();
        let rows = RowQuery::new(&query, &targets, catalog, parameters)?;
        Ok(JoinQuery { rows, beside, several: !self.tables.is_empty() })
    }
}

/// The target as FROM names it: a WITH query of its name is another.
fn qualified(table: &TableWithJoins, target: &Target) -> TableWithJoins {
    let mut table = table.clone();
    if let TableFactor::Table { name, alias, .. } = &mut table.relation {
        let quoted = |name: &str| Ident::with_quote('"', name);
        *name = ObjectName::from(vec![quoted("public"), quoted(&target.def.name)]);
        let named = TableAlias { explicit: true, name: quoted(&target.name), columns: Vec::new(), at: None };
        alias.get_or_insert(named);
    }
    table
}

/// A column of a table as an expression.
fn named(visible: &Visible) -> Ast {
    let quoted = |name: &str| Ident::with_quote('"', name);
    match visible.table.as_str() {
        // what USING made of two
        "" => Ast::Identifier(quoted(&visible.name)),
        table => Ast::CompoundIdentifier(vec![quoted(table), quoted(&visible.name)]),
    }
}

/// See [`Others::query`].
#[derive(Debug)]
pub(super) struct JoinQuery {
    rows: RowQuery,
    /// Where the columns for RETURNING begin.
    beside: usize,
    /// Whether a row of the target may come more than once.
    several: bool,
}

/// Rows of the query: the columns of its items, those for RETURNING, how many.
pub(super) type Joined = (Vec<ArrayRef>, Vec<ArrayRef>, usize);

impl JoinQuery {
    /// Runs it. The target's columns are the first.
    pub(super) fn run(&self, target: &Target, run: &Run<'_>) -> Result<Joined> {
        let (mut columns, mut rows) = self.rows.run(run)?;
        if self.several {
            let first = firsts(&columns[..target.def.columns.0.len()], target, run)?;
            for column in &mut columns {
                *column = take(column, &first, None).map_err(|e| from_datafusion(e.into()))?;
            }
            rows = first.len();
        }
        let beside = columns.split_off(self.beside);
        Ok((columns, beside, rows))
    }
}

/// The places of the first row of each row of the target: of one that is there several times, as many.
fn firsts(columns: &[ArrayRef], target: &Target, run: &Run<'_>) -> Result<UInt32Array> {
    let def = &target.def;
    let codec = RowCodec::new(def.columns.schema());
    let rows = codec.encode(columns);
    let mut left: HashMap<&[u8], i64> = rows.iter().map(|row| (row, 1)).collect();
    if def.key.is_empty() {
        let asked: RowBytes = left.keys().copied().collect();
        let found = run.stored(target)?.find(&asked).map_err(|e| unreadable(&def.name, &e))?;
        for (row, weight) in codec.encode_batch(found.batch()).iter().zip(found.weights().values()) {
            if let Some(times) = left.get_mut(row) {
                *times = *weight;
            }
        }
    }
    let mut places = Vec::with_capacity(left.len());
    for (at, row) in (0u32..).zip(rows.iter()) {
        let times = left.get_mut(row).ok_or_else(|| error(code::INTERNAL, "a row is not among its own"))?;
        if *times > 0 {
            *times -= 1;
            places.push(at);
        }
    }
    Ok(UInt32Array::from(places))
}
