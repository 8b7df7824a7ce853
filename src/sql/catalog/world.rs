//! What a catalog query sees: the tables of one catalog as PostgreSQL's objects, each with an oid that follows from the
//! table's id, so that a client's next query finds what the last one told it of.
//!
//! A table of our own or of a topic is a table, a stream table is a materialized view, a CREATE SOURCE is a foreign table on
//! the server named after its connector. A key is an index `<table>_pkey`: a primary key if none of its columns can be
//! NULL, else (a GROUP BY column may be) a unique index with NULLS NOT DISTINCT, which is what a derived key is. A UNIQUE constraint
//! is an index too, and SERIAL and IDENTITY columns have sequences. Sinks are
//! not relations.

use dataflow::{SequenceAt, View};
use plan::{Catalog, Sequence, SequenceId, TableDef, TableId, TableKind};
use zset::Column;

use super::facts;
use super::value::Value;

/// The one user, and owner of everything: any name may log in.
pub(crate) const USER: &str = "millstream";
/// The one database: a client may connect to it by any name.
pub(crate) const DATABASE: &str = "millstream";
/// The oid of the user.
pub(crate) const USER_OID: i64 = 10;
/// The oid of the database.
pub(crate) const DATABASE_OID: i64 = 5;
/// The schema of everything of the user's.
pub(crate) const PUBLIC: &str = "public";

/// The schemas.
pub(crate) const SCHEMAS: [(&str, i64); 3] = [("pg_catalog", 11), (PUBLIC, 2200), ("information_schema", 13207)];

/// The foreign servers of sources: the connectors.
pub(crate) const SERVERS: [(&str, i64); 3] = [("kafka", 15001), ("log", 15002), ("file", 15003)];
/// The foreign-data wrapper of all servers.
pub(crate) const WRAPPER: (&str, i64) = ("millstream", 15000);

const FIRST_OID: i64 = 16384;
const STRIDE: i64 = 64;
const INDEX: i64 = 1;
const ROW_TYPE: i64 = 2;
const ROW_TYPE_ARRAY: i64 = 3;
const KEY_CONSTRAINT: i64 = 4;
/// Where the oids of the indexes of UNIQUE constraints, of these and of sequences begin, four of each number.
const SLOTS: i64 = 0x2000_0000;
/// Where the oids of column defaults and CHECK constraints begin; every table has room for 2,048.
const DEFAULTS: i64 = 0x4000_0000;
const CHECKS: i64 = 0x6000_0000;

/// The oid of a table.
pub(crate) fn table_oid(id: TableId) -> i64 {
    FIRST_OID + STRIDE * i64::from(id.0)
}

/// One catalog, and the view that a run reads; a plan has none.
pub(crate) struct World<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) view: Option<&'a View>,
}

/// A table's key, or a UNIQUE constraint, as an index.
pub(crate) struct Key<'a> {
    pub(crate) oid: i64,
    pub(crate) name: String,
    pub(crate) table: &'a TableDef,
    /// The places of its columns.
    pub(crate) places: &'a [usize],
    /// Whether it is a primary key; else a unique index.
    pub(crate) primary: bool,
    pub(crate) nulls_not_distinct: bool,
    /// The oid of the constraint that it is of; 0: of none.
    pub(crate) constraint: i64,
}

/// A constraint.
pub(crate) struct Constraint<'a> {
    pub(crate) oid: i64,
    pub(crate) name: String,
    /// `p`, `u` or `c`.
    pub(crate) kind: &'static str,
    pub(crate) table: &'a TableDef,
    pub(crate) definition: String,
    /// The places of its columns; of a CHECK none.
    pub(crate) places: &'a [usize],
    /// The oid of its index; 0: it has none.
    pub(crate) index: i64,
}

/// A column's default.
pub(crate) struct Default<'a> {
    pub(crate) oid: i64,
    pub(crate) table: &'a TableDef,
    /// From 1.
    pub(crate) column: i64,
    pub(crate) sql: &'a str,
}

/// `r`, `m` or `f`.
pub(crate) fn kind(table: &TableDef) -> &'static str {
    match &table.kind {
        TableKind::Stream(_) => "m",
        TableKind::Source(source) if !source.stored => "f",
        TableKind::Source(_) => "r",
    }
}

/// The query of a stream table.
pub(crate) fn definition(table: &TableDef) -> Option<String> {
    match &table.kind {
        TableKind::Stream(stream) => Some(format!("{};", stream.query.trim_end().trim_end_matches(';'))),
        TableKind::Source(_) => None,
    }
}

/// The oids of a table's row type and of its array type.
pub(crate) fn row_types(table: &TableDef) -> (i64, i64) {
    (table_oid(table.id) + ROW_TYPE, table_oid(table.id) + ROW_TYPE_ARRAY)
}

/// The oid that a number of a table has for one of the things that have numbers.
fn slot_oid(table: &TableDef, slot: u32, thing: i64) -> i64 {
    SLOTS + 2048 * i64::from(table.id.0) + 4 * i64::from(slot % 512) + thing
}

/// The oid of a sequence.
pub(crate) fn sequence_oid(table: &TableDef, sequence: &Sequence) -> i64 {
    slot_oid(table, sequence.slot, 2)
}

/// The indexes of a table.
pub(crate) fn keys_of(table: &TableDef) -> impl Iterator<Item = Key<'_>> {
    let key = (!table.key.is_empty()).then(|| {
        let primary = table.key_columns().all(|column| !column.nullable);
        Key {
            oid: table_oid(table.id) + INDEX,
            name: format!("{}_pkey", table.name),
            table,
            places: &table.key,
            primary,
            nulls_not_distinct: !primary,
            constraint: if primary { table_oid(table.id) + KEY_CONSTRAINT } else { 0 },
        }
    });
    let uniques = table.uniques().iter().map(move |unique| Key {
        oid: slot_oid(table, unique.slot, 0),
        name: unique.name.clone(),
        table,
        places: &unique.columns,
        primary: false,
        nulls_not_distinct: unique.nulls_not_distinct,
        constraint: slot_oid(table, unique.slot, 1),
    });
    key.into_iter().chain(uniques)
}

impl<'a> Key<'a> {
    /// Its columns.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &Column> {
        self.places.iter().map(|&at| &self.table.columns.0[at])
    }

    /// The columns, quoted as SQL needs it.
    fn list(&self) -> String {
        self.columns().map(|column| quote_ident(&column.name)).collect::<Vec<_>>().join(", ")
    }

    /// Column numbers from 1.
    pub(crate) fn numbers(&self) -> Vec<i64> {
        numbers(self.places)
    }

    /// The constraint that it is of.
    fn of_constraint(self) -> Constraint<'a> {
        let nulls = if self.nulls_not_distinct { " NULLS NOT DISTINCT" } else { "" };
        let definition = match self.primary {
            true => format!("PRIMARY KEY ({})", self.list()),
            false => format!("UNIQUE{nulls} ({})", self.list()),
        };
        let kind = if self.primary { "p" } else { "u" };
        let Self { name, table, places, oid: index, constraint: oid, .. } = self;
        Constraint { oid, name, kind, table, definition, places, index }
    }

    /// The CREATE INDEX that would make it.
    pub(crate) fn definition(&self, qualified: bool) -> String {
        let schema = if qualified { "public." } else { "" };
        let nulls = if self.nulls_not_distinct { " NULLS NOT DISTINCT" } else { "" };
        format!(
            "CREATE UNIQUE INDEX {} ON {schema}{} USING btree ({}){nulls}",
            quote_ident(&self.name),
            quote_ident(&self.table.name),
            self.list()
        )
    }
}

/// The constraints of a table.
pub(crate) fn constraints(table: &TableDef) -> Vec<Constraint<'_>> {
    let keys = keys_of(table).filter(|key| key.constraint != 0).map(Key::of_constraint);
    let own = table.source().and_then(|source| source.own.as_ref());
    let checks = own.into_iter().flat_map(|own| own.checks.iter().enumerate()).map(|(at, check)| Constraint {
        oid: CHECKS + 2048 * i64::from(table.id.0) + at as i64,
        name: check.name.clone(),
        kind: "c",
        table,
        definition: format!("CHECK ({})", check.condition),
        places: &[],
        index: 0,
    });
    keys.chain(checks).collect()
}

/// Column numbers from 1.
pub(crate) fn numbers(places: &[usize]) -> Vec<i64> {
    places.iter().map(|&at| at as i64 + 1).collect()
}

/// The defaults of a table's columns.
pub(crate) fn defaults(table: &TableDef) -> impl Iterator<Item = Default<'_>> {
    let own = table.source().and_then(|source| source.own.as_ref());
    own.into_iter().flat_map(|own| own.defaults.iter().enumerate()).filter_map(move |(at, sql)| {
        let column = at as i64 + 1;
        let oid = DEFAULTS + 2048 * i64::from(table.id.0) + column;
        Some(Default { oid, table, column, sql: sql.as_deref()? })
    })
}

/// A name as SQL has to write it.
pub(crate) fn quote_ident(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let keyword = facts::KEYWORDS.get(name).is_some_and(|category| *category != "U");
    if plain && !keyword { name.to_string() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

impl<'a> World<'a> {
    /// A table by its oid.
    pub(crate) fn table(&self, oid: i64) -> Option<&'a TableDef> {
        let id = oid.checked_sub(FIRST_OID)? / STRIDE;
        let id = TableId(u32::try_from(id).ok()?);
        self.catalog.table(id).filter(|table| table_oid(table.id) == oid)
    }

    /// The tables.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &'a TableDef> + use<'a> {
        self.catalog.tables()
    }

    /// The keys of tables.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Key<'a>> + use<'a> {
        self.catalog.tables().flat_map(keys_of)
    }

    /// The sequences, with their tables.
    pub(crate) fn sequences(&self) -> impl Iterator<Item = (&'a TableDef, &'a Sequence)> + use<'a> {
        self.catalog.tables().flat_map(|table| table.sequences().iter().map(move |sequence| (table, sequence)))
    }

    /// Where a sequence is, where a view is read.
    pub(crate) fn sequence_at(&self, table: &TableDef, of: &Sequence) -> Option<SequenceAt> {
        Some(self.view?.sequences.at(SequenceId { table: table.id, slot: of.slot }, of))
    }

    /// The schema and name of a relation, index or sequence.
    pub(crate) fn relation(&self, oid: i64) -> Option<(&'static str, String)> {
        let table = self.table(oid).map(|table| (PUBLIC, table.name.clone()));
        let index = || self.keys().find(|key| key.oid == oid).map(|key| (PUBLIC, key.name));
        let sequence = || {
            let mut of = self.sequences();
            of.find(|(table, of)| sequence_oid(table, of) == oid).map(|(_, of)| (PUBLIC, of.name.clone()))
        };
        let system =
            || facts::RELATIONS.iter().find(|relation| relation.oid == oid).map(|r| (r.schema, r.name.to_string()));
        table.or_else(index).or_else(sequence).or_else(system)
    }

    /// The oid of a relation or index; without a schema it is looked for in pg_catalog, then in public.
    pub(crate) fn relation_oid(&self, schema: Option<&str>, name: &str) -> Option<i64> {
        let system = facts::relation_named(schema.unwrap_or("pg_catalog"), name).map(|relation| relation.oid);
        let user = || {
            let table = self.catalog.table_named(name).map(|table| table_oid(table.id));
            let sequence =
                || self.sequences().find(|(_, of)| of.name == name).map(|(table, of)| sequence_oid(table, of));
            table.or_else(|| self.keys().find(|key| key.name == name).map(|key| key.oid)).or_else(sequence)
        };
        match schema {
            None => system.or_else(user),
            Some(PUBLIC) => user(),
            Some(_) => system,
        }
    }

    /// The rows and bytes of a table that is stored, where a view is read.
    pub(crate) fn size(&self, id: TableId) -> Option<(i64, i64)> {
        let rows = self.view?.tables.get(&id)?;
        Some((rows.rows, rows.snapshot.bytes() as i64))
    }

    /// A constraint by its oid.
    pub(crate) fn constraint(&self, oid: i64) -> Option<Constraint<'a>> {
        self.tables().flat_map(constraints).find(|constraint| constraint.oid == oid)
    }

    /// The time of the epoch that is read, in microseconds since 1970.
    pub(crate) fn now(&self) -> Value {
        self.view.map(|view| view.timestamp.0 * 1000).into()
    }
}
