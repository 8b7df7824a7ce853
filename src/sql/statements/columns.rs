//! The parenthesis of CREATE TABLE and CREATE SOURCE: columns, key, defaults and checks, as declared. What a kind of table
//! cannot have is refused by that kind.

use dataflow::StatementError;
use datafusion::sql::sqlparser::ast::{
    CheckConstraint, ColumnDef, ColumnOption, Expr, PrimaryKeyConstraint, Spanned, TableConstraint,
};
use datafusion::sql::sqlparser::tokenizer::Span;
use zset::{Column, ColumnType, RowType};

use super::cursor::identifier;
use super::sequence::{self, DeclaredSequence};
use super::unique::DeclaredUnique;
use crate::error::{Detail, Result, code, error, syntax, unsupported};
use crate::types::{self, Named};

/// A CHECK as declared: its name, if it has one, and its condition.
pub(super) struct DeclaredCheck {
    pub(super) name: Option<String>,
    pub(super) condition: Expr,
    pub(super) span: Span,
}

/// The columns and what is declared of them.
#[derive(Default)]
pub(super) struct Shape {
    pub(super) columns: Vec<Column>,
    pub(super) key: Vec<usize>,
    /// The default of each column.
    pub(super) defaults: Vec<Option<Expr>>,
    /// Of columns, then of the table, each in the order they were written.
    pub(super) checks: Vec<DeclaredCheck>,
    /// Of columns, then of the table.
    pub(super) uniques: Vec<DeclaredUnique>,
    /// Of SERIAL and IDENTITY columns.
    pub(super) sequences: Vec<DeclaredSequence>,
    pub(super) notices: Vec<String>,
}

impl Shape {
    /// The columns.
    pub(super) fn row_type(&self) -> RowType {
        RowType(self.columns.clone())
    }
}

/// Reads columns and table constraints.
pub(super) fn shape(columns: &[ColumnDef], constraints: &[TableConstraint]) -> Result<Shape> {
    if columns.is_empty() {
        return Err(syntax("a table needs at least one column"));
    }
    let mut shape = Shape::default();
    for column in columns {
        add_column(&mut shape, column).at(column.name.span)?;
    }
    for constraint in constraints {
        match constraint {
            TableConstraint::PrimaryKey(key) => add_key(&mut shape, key)?,
            TableConstraint::Check(check) => add_check(&mut shape, check, constraint.span())?,
            TableConstraint::Unique(unique) => {
                let unique = DeclaredUnique::of_table(unique, &shape.columns, constraint.span())?;
                shape.uniques.push(unique);
            }
            other => return Err(refused_constraint(constraint_name(other)).at(other.span())),
        }
    }
    for &at in &shape.key {
        let column = &mut shape.columns[at];
        if column.ty == ColumnType::Jsonb {
            return Err(error(
                code::INVALID_TABLE_DEFINITION,
                format!("column \"{}\" of type jsonb cannot be in the PRIMARY KEY", column.name),
            )
            .with_hint("two texts of one document would be two keys: use a text or uuid column"));
        }
        column.nullable = false;
    }
    Ok(shape)
}

fn constraint_name(constraint: &TableConstraint) -> &'static str {
    match constraint {
        TableConstraint::ForeignKey(_) => "FOREIGN KEY",
        _ => "this table constraint",
    }
}

pub(super) fn refused_constraint(name: &str) -> StatementError {
    unsupported(
        format!("{name} on a table"),
        "a table has PRIMARY KEY and NOT NULL, and one of our own also DEFAULT, CHECK and UNIQUE; look for rows that break other \
         rules with a stream table",
    )
}

fn add_check(shape: &mut Shape, check: &CheckConstraint, span: Span) -> Result<()> {
    if check.enforced == Some(false) {
        return Err(unsupported("CHECK ... NOT ENFORCED", "leave the CHECK out").at(span));
    }
    let name = check.name.as_ref().map(identifier);
    shape.checks.push(DeclaredCheck { name, condition: (*check.expr).clone(), span });
    Ok(())
}

/// A column's name and type, what the user is told of it, and whether its options say NOT NULL.
fn add_column(shape: &mut Shape, def: &ColumnDef) -> Result<()> {
    let name = identifier(&def.name);
    if shape.columns.iter().any(|column| column.name == name) {
        return Err(error(code::DUPLICATE_COLUMN, format!("column \"{name}\" specified more than once")));
    }
    let at = shape.columns.len();
    let serial = sequence::serial(&def.data_type);
    let named = match serial {
        Some(ty) => Named { ty, bare_numeric: false },
        None => types::named(&def.data_type)?,
    };
    if named.bare_numeric {
        shape.notices.push(format!(
            "column \"{name}\": NUMERIC without precision is NUMERIC(38,10); a value that does not fit exactly is an error"
        ));
    }
    let mut column = Column::new(name.clone(), named.ty, serial.is_none());
    let mut sequence = serial.map(|ty| DeclaredSequence::serial(at, ty)).transpose()?;
    let mut may_be_null = false;
    let mut default = None;
    let mut inline_key = false;
    for option in &def.options {
        match &option.option {
            ColumnOption::Null => may_be_null = true,
            ColumnOption::NotNull => column.nullable = false,
            ColumnOption::PrimaryKey(key) => {
                refuse_key_details(key)?;
                inline_key = true;
            }
            ColumnOption::Check(check) => {
                let mut check = check.clone();
                check.name = check.name.or_else(|| option.name.clone());
                add_check(shape, &check, def.name.span)?;
            }
            ColumnOption::Default(_) if default.is_some() => {
                return Err(syntax(format!("multiple default values specified for column \"{name}\"")));
            }
            ColumnOption::Default(expr) => default = Some(expr.clone()),
            ColumnOption::Unique(unique) => {
                let name = option.name.as_ref().map(identifier);
                shape.uniques.push(DeclaredUnique::of_column(unique, name, at, def.name.span)?);
            }
            ColumnOption::Generated {
                generated_as, sequence_options: Some(options), generation_expr: None, ..
            } => {
                if sequence.as_ref().is_some_and(|sequence| !sequence.is_serial()) {
                    return Err(syntax(format!("multiple identity specifications for column \"{name}\"")));
                }
                if sequence.is_some() {
                    return Err(twice(&name));
                }
                sequence = Some(DeclaredSequence::identity(at, named.ty, generated_as, options)?);
                column.nullable = false;
            }
            other => return Err(refused_option(other)),
        }
    }
    match &sequence {
        Some(sequence) if default.is_some() && sequence.is_serial() => {
            return Err(syntax(format!("multiple default values specified for column \"{name}\"")));
        }
        Some(_) if default.is_some() => return Err(twice(&name)),
        Some(_) if may_be_null => {
            return Err(syntax(format!("conflicting NULL/NOT NULL declarations for column \"{name}\"")));
        }
        _ => {}
    }
    shape.sequences.extend(sequence);
    shape.columns.push(column);
    shape.defaults.push(default);
    if inline_key {
        if !shape.key.is_empty() {
            return Err(several_keys());
        }
        shape.key.push(shape.columns.len() - 1);
    }
    Ok(())
}

fn twice(column: &str) -> StatementError {
    syntax(format!("both default and identity specified for column \"{column}\""))
}

fn refused_option(option: &ColumnOption) -> StatementError {
    match option {
        ColumnOption::ForeignKey(_) => refused_constraint("REFERENCES"),
        ColumnOption::Generated { .. } | ColumnOption::Identity(_) => sequence::refused_expression(),
        ColumnOption::Collation(_) => unsupported("COLLATE", "text is compared by its bytes (collation C)"),
        other => unsupported(
            format!("the column option {other}"),
            "a column has NOT NULL and PRIMARY KEY, and in a table of our own DEFAULT, CHECK, UNIQUE and GENERATED ... AS IDENTITY",
        ),
    }
}

fn several_keys() -> StatementError {
    error(code::INVALID_TABLE_DEFINITION, "multiple primary keys for one table are not allowed")
        .with_hint("a key of several columns is written PRIMARY KEY (a, b)")
}

fn refuse_key_details(key: &PrimaryKeyConstraint) -> Result<()> {
    if key.index_type.is_some() || !key.index_options.is_empty() || key.characteristics.is_some() {
        return Err(unsupported("PRIMARY KEY with index options or DEFERRABLE", "write PRIMARY KEY (a, b) alone"));
    }
    Ok(())
}

fn add_key(shape: &mut Shape, key: &PrimaryKeyConstraint) -> Result<()> {
    refuse_key_details(key)?;
    if !shape.key.is_empty() {
        return Err(several_keys());
    }
    for part in &key.columns {
        let Expr::Identifier(ident) = &part.column.expr else {
            return Err(syntax(format!("PRIMARY KEY needs column names, not {}", part.column)));
        };
        let name = identifier(ident);
        let at = shape.columns.iter().position(|column| column.name == name).ok_or_else(|| {
            error(code::UNDEFINED_COLUMN, format!("column \"{name}\" named in key does not exist")).at(ident.span)
        })?;
        if shape.key.contains(&at) {
            return Err(error(
                code::DUPLICATE_COLUMN,
                format!("column \"{name}\" appears twice in primary key constraint"),
            )
            .at(ident.span));
        }
        shape.key.push(at);
    }
    Ok(())
}
