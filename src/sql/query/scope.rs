//! The columns in sight of an expression, by PostgreSQL's rules of names.

use datafusion::common::Column as DfColumn;
use datafusion::logical_expr::Expr;
use zset::ColumnType;

use crate::error::{Detail, Result, code, error};
use crate::expr::Typed;

/// A column in sight.
#[derive(Debug, Clone)]
pub(crate) struct Visible {
    /// The table's name or alias.
    pub(crate) table: String,
    /// The column's name.
    pub(crate) name: String,
    /// The plan's column.
    pub(crate) column: DfColumn,
    /// Its type.
    pub(crate) ty: ColumnType,
    /// Whether its bare name means another column: the right side of USING.
    pub(crate) merged: bool,
}

/// A table's PRIMARY KEY, which says what the table's other columns are.
#[derive(Debug, Clone)]
pub(crate) struct Keyed {
    /// The plan's columns of the key.
    pub(crate) key: Vec<DfColumn>,
    /// The other columns of the table that may be grouped by, with their types.
    pub(crate) others: Vec<(DfColumn, ColumnType)>,
}

/// The columns of a FROM clause, or of a part of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    /// All columns.
    pub(crate) columns: Vec<Visible>,
    /// What `*` stands for, by position.
    pub(crate) star: Vec<usize>,
    /// The tables' names.
    pub(crate) tables: Vec<String>,
    /// The keys of those that have one.
    pub(crate) keyed: Vec<Keyed>,
}

impl Scope {
    /// A column by name.
    pub(crate) fn column(&self, table: Option<&str>, name: &str) -> Result<Typed> {
        let visible = &self.columns[self.find(table, name)?];
        Ok(Typed::new(Expr::Column(visible.column.clone()), visible.ty))
    }

    /// Where a column is.
    pub(crate) fn find(&self, table: Option<&str>, name: &str) -> Result<usize> {
        let fits = |visible: &Visible| match table {
            Some(table) => visible.table == table && visible.name == name,
            None => !visible.merged && visible.name == name,
        };
        let mut found = self.columns.iter().enumerate().filter(|(_, visible)| fits(visible)).map(|(at, _)| at);
        match (found.next(), found.next(), table) {
            (Some(at), None, _) => Ok(at),
            (Some(_), Some(_), _) => {
                Err(error(code::AMBIGUOUS_COLUMN, format!("column reference \"{name}\" is ambiguous"))
                    .with_hint("say which table's: table.column"))
            }
            (None, _, Some(table)) if !self.tables.iter().any(|t| t == table) => {
                Err(error(code::UNDEFINED_TABLE, format!("missing FROM-clause entry for table \"{table}\""))
                    .with_hint(self.known_tables()))
            }
            (None, _, Some(table)) => {
                Err(error(code::UNDEFINED_COLUMN, format!("column {table}.{name} does not exist"))
                    .with_hint(self.known_columns()))
            }
            (None, _, None) => Err(error(code::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist"))
                .with_hint(self.known_columns())),
        }
    }

    /// Whether a bare name is a column's, once or more.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|visible| visible.name == name)
    }

    fn known_tables(&self) -> String {
        format!("the tables here are {}", self.tables.join(", "))
    }

    fn known_columns(&self) -> String {
        let names: Vec<&str> = self.star.iter().map(|&at| self.columns[at].name.as_str()).take(50).collect();
        if names.is_empty() {
            return "there is no FROM clause".into();
        }
        format!("the columns here are {}; names in upper case are quoted", names.join(", "))
    }

    /// The columns of both; a table's name is there once.
    pub(crate) fn join(mut self, right: Scope) -> Result<Scope> {
        if let Some(twice) = right.tables.iter().find(|table| self.tables.contains(table)) {
            return Err(error(code::DUPLICATE_ALIAS, format!("table name \"{twice}\" specified more than once"))
                .with_hint("give one of them an alias: FROM t AS a JOIN t AS b"));
        }
        let offset = self.columns.len();
        self.columns.extend(right.columns);
        self.star.extend(right.star.into_iter().map(|at| at + offset));
        self.tables.extend(right.tables);
        self.keyed.extend(right.keyed);
        Ok(self)
    }
}
