//! Where an answer may differ from PostgreSQL's, and why.

use crate::support::Recorded;

/// What may differ.
pub enum Permit {
    /// The rows: only their columns are judged.
    Rows,
    /// Ours are some of theirs, and not none.
    Fewer,
    /// These columns.
    Columns(&'static [&'static str]),
}

/// Labels (or their beginnings, ending in *), a part of the SQL, what may differ.
const PERMITTED: &[(&str, &str, Permit)] = &[
    // sizes are ours, and a table has no access method
    ("\\d+", "pg_table_size", Permit::Columns(&["Access method", "Size"])),
    ("\\dt+", "pg_table_size", Permit::Columns(&["Access method", "Size"])),
    ("\\dm+", "pg_table_size", Permit::Columns(&["Access method", "Size"])),
    ("\\d*", "am.amname\nFROM pg_catalog.pg_class", Permit::Columns(&["amname"])),
    ("\\db+", "", Permit::Columns(&["Size"])),
    ("jdbc", "I_INDOPTION", Permit::Columns(&["cardinality", "pages"])),
    // a stream table has the key that its query gives it, and its columns are NOT NULL where that is known
    ("\\di*", "", Permit::Rows),
    ("\\d <TAB>", "", Permit::Rows),
    ("\\d public.<TAB>", "", Permit::Rows),
    ("jdbc", "row_number() OVER", Permit::Columns(&["attnotnull", "adsrc"])),
    ("python", "identity_options", Permit::Columns(&["not_null", "default"])),
    ("python", "AS has_constraint", Permit::Rows),
    ("python", "array_agg(CAST(attr.attname AS TEXT)", Permit::Rows),
    // definitions are shown as they were written
    ("*", "pg_get_viewdef", Permit::Columns(&["pg_get_viewdef", "pg_get_viewdef_1"])),
    ("\\d*", "pg_get_expr(d.adbin, d.adrelid, true)", Permit::Columns(&["pg_get_expr"])),
    ("\\d*", "contype = 'c'", Permit::Columns(&["pg_get_constraintdef"])),
    ("python", "CASE WHEN (pg_catalog.pg_constraint.oid IS NOT NULL)", Permit::Columns(&["anon_1"])),
    // there is one user, who owns all, and one database
    ("\\dn <TAB>", "", Permit::Fewer),
    ("\\dn*", "", Permit::Columns(&["Owner", "Access privileges", "Description"])),
    ("\\du", "", Permit::Columns(&["rolreplication"])),
    ("\\du+", "", Permit::Columns(&["rolreplication"])),
    ("\\du <TAB>", "", Permit::Rows),
    ("\\l", "", Permit::Fewer),
    ("\\l+", "", Permit::Rows),
    ("\\l <TAB>", "", Permit::Fewer),
    ("jdbc", "datallowconn = true", Permit::Fewer),
    // of what comes with PostgreSQL and not with us nothing is told, nor what its types and functions are for
    ("\\dS*", "", Permit::Rows),
    ("\\dtS", "", Permit::Rows),
    ("\\dTS", "", Permit::Columns(&["Description"])),
    ("\\dT+ integer", "", Permit::Columns(&["Description"])),
    ("\\dx*", "", Permit::Rows),
    ("\\dOS", "", Permit::Fewer),
    ("\\dF*", "", Permit::Rows),
    ("\\dC*", "", Permit::Rows),
    ("\\daS", "", Permit::Rows),
    ("\\dA", "", Permit::Fewer),
    ("\\dAc", "", Permit::Fewer),
    ("\\dA*", "", Permit::Rows),
    ("\\dL*", "", Permit::Rows),
    ("\\df <TAB>", "", Permit::Rows),
    ("\\ef <TAB>", "", Permit::Rows),
    ("\\dT <TAB>", "", Permit::Rows),
    ("python", "NOT pg_catalog.pg_opclass.opcdefault", Permit::Rows),
    ("jdbc", "'SYSTEM INDEX'   ELSE NULL   END  WHEN n.nspname = 'pg_toast'", Permit::Rows),
    ("jdbc", "t.typname,t.oid FROM", Permit::Rows),
    ("jdbc", "ORDER BY sp.r, pg_type.oid DESC", Permit::Rows),
    // settings: those that mean something here
    ("\\dconfig*", "", Permit::Rows),
    ("SET <TAB>", "", Permit::Rows),
    ("SHOW <TAB>", "", Permit::Rows),
    ("ALTER SYSTEM SET <TAB>", "", Permit::Rows),
    ("SET time<TAB>", "", Permit::Fewer),
    ("SHOW t<TAB>", "", Permit::Fewer),
    ("EXECUTE <TAB>", "", Permit::Rows),
    ("python", "version()", Permit::Rows),
];

/// What may differ in the answer to a query.
pub fn permitted(query: &Recorded) -> Option<&'static Permit> {
    let fits = |label: &str| match label.strip_suffix('*') {
        Some(start) => query.label.starts_with(start),
        None => query.label == label,
    };
    PERMITTED.iter().find(|(label, part, _)| fits(label) && query.sql.contains(part)).map(|(_, _, permit)| permit)
}

/// The type by which we tell of a column of a type of PostgreSQL's: what we have no form for is told as text.
pub fn shown_as(oid: u32) -> u32 {
    match oid {
        16 | 18..=23 | 25 | 26 | 30 | 700 | 701 | 1184 | 1186 => oid,
        1028 => 30,
        1000..=1034 | 1231 | 2277 => 1009,
        _ => 25,
    }
}
