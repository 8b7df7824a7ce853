//! What is the same in every PostgreSQL 15: its system relations and their columns, its types, the functions that read and
//! write values of types, its keywords. `facts.sql` is how the files beside it were asked of one.
//!
//! A relation that nothing fills is there all the same, with the right columns and no row: a client that asks for
//! triggers or policies is told that there are none, which is true.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::ty::Ty;

/// A system relation.
pub(crate) struct Relation {
    pub(crate) oid: i64,
    pub(crate) schema: &'static str,
    pub(crate) name: &'static str,
    /// `r` or `v`.
    pub(crate) kind: &'static str,
    pub(crate) columns: Vec<Column>,
}

/// A column of a system relation.
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) ty: Ty,
    pub(crate) not_null: bool,
}

/// A type.
pub(crate) struct Type {
    pub(crate) ty: Ty,
    pub(crate) name: &'static str,
    pub(crate) element: Ty,
    pub(crate) array: Ty,
    pub(crate) collation: i64,
    /// The name in SQL: `integer`.
    pub(crate) sql: &'static str,
    /// All columns of its row, as text, in the file's order.
    pub(crate) fields: Vec<&'static str>,
}

/// The system relations.
pub(crate) static RELATIONS: LazyLock<Vec<Relation>> =
    LazyLock::new(|| include_str!("relations.tsv").lines().filter_map(relation).collect());

/// The types.
pub(crate) static TYPES: LazyLock<Vec<Type>> =
    LazyLock::new(|| include_str!("types.tsv").lines().filter_map(type_of).collect());

/// The input and output functions of types: oid, name, result type, argument types.
pub(crate) static PROCS: LazyLock<Vec<(i64, &'static str, i64, &'static str)>> = LazyLock::new(|| {
    let proc = |line: &'static str| {
        let mut fields = line.split('\t');
        Some((fields.next()?.parse().ok()?, fields.next()?, fields.next()?.parse().ok()?, fields.next()?))
    };
    include_str!("procs.tsv").lines().filter_map(proc).collect()
});

/// The keywords, each with its category: U may be a name anywhere, C not a function's, T only a function's or type's, R none.
pub(crate) static KEYWORDS: LazyLock<HashMap<&'static str, &'static str>> =
    LazyLock::new(|| include_str!("keywords.tsv").lines().filter_map(|line| line.split_once('\t')).collect());

static BY_NAME: LazyLock<HashMap<(&'static str, &'static str), &'static Relation>> =
    LazyLock::new(|| RELATIONS.iter().map(|relation| ((relation.schema, relation.name), relation)).collect());

static TYPES_BY_OID: LazyLock<HashMap<u32, &'static Type>> =
    LazyLock::new(|| TYPES.iter().map(|ty| (ty.ty.0, ty)).collect());

static TYPES_BY_NAME: LazyLock<HashMap<&'static str, &'static Type>> = LazyLock::new(|| {
    let internal = TYPES.iter().map(|ty| (ty.name, ty));
    let mut names: HashMap<_, _> = TYPES.iter().map(|ty| (ty.sql, ty)).collect();
    names.extend(internal.filter(|(name, _)| *name != "char"));
    for (alias, ty) in [("int", Ty::INT4), ("decimal", Ty::NUMERIC), ("float", Ty::FLOAT8), ("char", Ty::BPCHAR)] {
        if let Some(ty) = TYPES_BY_OID.get(&ty.0) {
            names.insert(alias, ty);
        }
    }
    names
});

fn relation(line: &'static str) -> Option<Relation> {
    let mut fields = line.split('\t');
    Some(Relation {
        oid: fields.next()?.parse().ok()?,
        schema: fields.next()?,
        name: fields.next()?,
        kind: fields.next()?,
        columns: fields.next()?.split(' ').filter_map(column).collect(),
    })
}

fn column(text: &'static str) -> Option<Column> {
    let (name, ty) = text.split_once(':')?;
    let not_null = ty.ends_with('!');
    Some(Column { name, ty: Ty(ty.trim_end_matches('!').parse().ok()?), not_null })
}

fn type_of(line: &'static str) -> Option<Type> {
    let fields: Vec<&'static str> = line.split('\t').collect();
    let number = |at: usize| fields.get(at)?.parse::<u32>().ok();
    Some(Type {
        ty: Ty(number(0)?),
        name: fields.get(1)?,
        element: Ty(number(8)?),
        array: Ty(number(9)?),
        collation: number(14)?.into(),
        sql: fields.get(19)?,
        fields,
    })
}

/// A system relation by schema and name.
pub(crate) fn relation_named(schema: &str, name: &str) -> Option<&'static Relation> {
    BY_NAME.get(&(schema, name)).copied()
}

/// A type.
pub(crate) fn type_by_oid(ty: Ty) -> Option<&'static Type> {
    TYPES_BY_OID.get(&ty.0).copied()
}

/// A type by its internal or its SQL name.
pub(crate) fn type_named(name: &str) -> Option<&'static Type> {
    TYPES_BY_NAME.get(name).copied()
}
