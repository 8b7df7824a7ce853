//! What there is one or a few of: schemas, the database, its user, languages, foreign servers.

use plan::TableDef;

use super::super::facts::KEYWORDS;
use super::super::value::Value;
use super::super::world::{DATABASE, DATABASE_OID, SCHEMAS, SERVERS, USER, USER_OID, WRAPPER, World};
use super::Filler;

/// Fills the relation if it is one of these.
pub(super) fn fill(out: &mut Filler, world: &World) {
    match out.relation.name {
        "pg_namespace" => namespaces(out),
        "pg_database" => databases(out),
        "pg_roles" | "pg_authid" => roles(out),
        "pg_user" | "pg_shadow" => users(out),
        "pg_am" => access_methods(out),
        "pg_language" => languages(out),
        "pg_tablespace" => tablespaces(out),
        "pg_foreign_data_wrapper" => wrappers(out),
        "pg_foreign_server" => servers(out, world),
        _ => {}
    }
}

fn namespaces(out: &mut Filler) {
    for (name, oid) in SCHEMAS {
        out.add([("oid", oid.into()), ("nspname", name.into()), ("nspowner", USER_OID.into())]);
    }
}

fn databases(out: &mut Filler) {
    out.add([
        ("oid", DATABASE_OID.into()),
        ("datname", DATABASE.into()),
        ("datdba", USER_OID.into()),
        ("encoding", Value::Int(6)),
        ("datlocprovider", "c".into()),
        ("datallowconn", true.into()),
        ("datconnlimit", Value::Int(-1)),
        ("dattablespace", Value::Int(1663)),
        ("datcollate", "C".into()),
        ("datctype", "C.UTF-8".into()),
    ]);
}

fn roles(out: &mut Filler) {
    out.add([
        ("oid", USER_OID.into()),
        ("rolname", USER.into()),
        ("rolsuper", true.into()),
        ("rolinherit", true.into()),
        ("rolcreaterole", true.into()),
        ("rolcreatedb", true.into()),
        ("rolcanlogin", true.into()),
        ("rolreplication", false.into()),
        ("rolconnlimit", Value::Int(-1)),
        ("rolbypassrls", true.into()),
    ]);
}

fn users(out: &mut Filler) {
    out.add([
        ("usename", USER.into()),
        ("usesysid", USER_OID.into()),
        ("usecreatedb", true.into()),
        ("usesuper", true.into()),
        ("userepl", false.into()),
        ("usebypassrls", true.into()),
    ]);
}

fn access_methods(out: &mut Filler) {
    for (oid, name, kind) in [(2, "heap", "t"), (403, "btree", "i")] {
        out.add([("oid", Value::Int(oid)), ("amname", name.into()), ("amtype", kind.into())]);
    }
}

fn languages(out: &mut Filler) {
    for (oid, name) in [(12, "internal"), (13, "c"), (14, "sql")] {
        out.add([("oid", Value::Int(oid)), ("lanname", name.into()), ("lanowner", USER_OID.into())]);
    }
}

fn tablespaces(out: &mut Filler) {
    for (oid, name) in [(1663, "pg_default"), (1664, "pg_global")] {
        out.add([("oid", Value::Int(oid)), ("spcname", name.into()), ("spcowner", USER_OID.into())]);
    }
}

fn wrappers(out: &mut Filler) {
    let (name, oid) = WRAPPER;
    out.add([("oid", oid.into()), ("fdwname", name.into()), ("fdwowner", USER_OID.into())]);
}

/// The connectors that a CREATE SOURCE reads by.
fn servers(out: &mut Filler, world: &World) {
    let reads = |name: &str| {
        let mut sources = world.tables().filter(|table| !table.is_stored()).filter_map(TableDef::source);
        sources.any(|source| source.connector == name)
    };
    for (name, oid) in SERVERS.into_iter().filter(|server| reads(server.0)) {
        out.add([
            ("oid", oid.into()),
            ("srvname", name.into()),
            ("srvowner", USER_OID.into()),
            ("srvfdw", WRAPPER.1.into()),
        ]);
    }
}

/// The rows of pg_get_keywords().
pub(crate) fn keywords() -> Vec<[Value; 5]> {
    let mut words: Vec<_> = KEYWORDS.iter().collect();
    words.sort_unstable();
    let row = |(word, category): (&&'static str, &&'static str)| {
        let meaning = match *category {
            "U" => "unreserved",
            "C" => "unreserved (cannot be function or type name)",
            "T" => "reserved (can be function or type name)",
            _ => "reserved",
        };
        let bare = !matches!(*category, "R");
        [(*word).into(), (*category).into(), bare.into(), meaning.into(), "can be bare label".into()]
    };
    words.into_iter().map(row).collect()
}
