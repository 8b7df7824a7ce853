//! The walls of the house: which crate may use what, checked against each manifest; and that there are no other rooms.
//! An operator, an encoding or a sink that needs another line here has its wall in the wrong place.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// A crate: its folder, the rooms it may use, and the third-party crates.
type Room = (&'static str, &'static [&'static str], &'static [&'static str]);

const ROOMS: &[Room] = &[
    ("src/fault", &[], &[]),
    ("src/workers", &[], &["rayon-core"]),
    ("src/zset", &["workers"], &["arrow", "arrow-row", "serde", "thiserror", "xxhash-rust"]),
    ("src/kernels", &["schemas", "zset"], &["arrow"]),
    ("src/plan", &["zset"], &["regex", "serde", "serde_json", "thiserror", "xxhash-rust"]),
    ("connectors/api", &["plan", "zset"], &["arrow", "bytes", "thiserror", "xxhash-rust"]),
    (
        "src/state",
        &["fault", "workers", "zset"],
        &["rocksdb", "serde", "serde_json", "thiserror", "tracing", "xxhash-rust"],
    ),
    ("src/dataflow", &["plan", "state", "workers", "zset"], &["arrow", "smallvec", "thiserror", "tracing"]),
    (
        "src/sql",
        &["dataflow", "kernels", "plan", "zset"],
        &["arrow", "async-trait", "chrono", "datafusion", "futures", "tokio"],
    ),
    ("schemas", &["plan", "workers", "zset"], &["arrow", "base64", "bytes", "serde", "serde_json", "thiserror"]),
    (
        "src/runtime",
        &["api", "dataflow", "fault", "plan", "schemas", "state", "workers", "zset"],
        &["arrow", "bytes", "prometheus-client", "serde", "serde_json", "thiserror", "tracing", "uuid", "xxhash-rust"],
    ),
    (
        "src/serve",
        &["api", "dataflow", "plan", "runtime", "schemas", "zset"],
        &[
            "arrow",
            "axum",
            "base64",
            "bytes",
            "http-body",
            "pgwire",
            "serde",
            "serde_json",
            "thiserror",
            "tokio",
            "tokio-rustls",
            "tracing",
        ],
    ),
    ("src/testkit", &["zset"], &["arrow", "rand", "rand_chacha"]),
    ("connectors/kafka", &["api", "fault", "plan", "zset"], &["bytes", "rdkafka", "thiserror", "tracing"]),
    (
        "connectors/local",
        &["api", "fault", "plan", "zset"],
        &["arrow", "bytes", "glob", "rocksdb", "serde", "serde_json", "thiserror", "tracing", "xxhash-rust"],
    ),
    (
        "connectors/postgres",
        &["api", "fault", "plan", "schemas", "zset"],
        &["arrow", "thiserror", "tokio", "tokio-postgres", "tokio-postgres-rustls", "tokio-rustls", "tracing"],
    ),
    (
        ".",
        &[
            "api", "dataflow", "fault", "kafka", "local", "plan", "postgres", "runtime", "schemas", "serve", "sql",
            "workers", "zset",
        ],
        &[
            "base64",
            "clap",
            "getrandom_02",
            "indicatif",
            "libc",
            "rand",
            "serde_json",
            "tokio",
            "tokio-rustls",
            "tokio-util",
            "toml",
            "tracing",
            "tracing-subscriber",
            "ureq",
            "uuid",
        ],
    ),
];

/// What only a few may touch, also in their tests.
const GUARDED: &[(&str, &[&str])] = &[
    ("datafusion", &["src/sql"]),
    ("rdkafka", &["connectors/kafka"]),
    ("rocksdb", &["src/state", "connectors/local"]),
    ("tokio", &["connectors/postgres", "src/serve", "src/sql", "."]),
    ("axum", &["src/serve"]),
];

const TOP_LEVEL: &[&str] = &[
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "benches",
    "compose",
    "connectors",
    "dashboards",
    "fuzz",
    "schemas",
    "src",
    "target",
    "tests",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn manifest(folder: &str) -> Table {
    let path = root().join(folder).join("Cargo.toml");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).parse().unwrap()
}

fn dependencies(manifest: &Table, section: &str) -> BTreeSet<String> {
    manifest.get(section).and_then(Value::as_table).map(|table| table.keys().cloned().collect()).unwrap_or_default()
}

/// What stands in the way, as sentences.
fn breaches(folder: &str, manifest: &Table, rooms: &[&str], third_party: &[&str]) -> Vec<String> {
    let allowed = |name: &str| match name.strip_prefix("millstream-") {
        Some(room) => rooms.contains(&room),
        None => third_party.contains(&name),
    };
    let used = dependencies(manifest, "dependencies");
    let mut found: Vec<String> =
        used.iter().filter(|name| !allowed(name)).map(|name| format!("{folder} must not depend on {name}")).collect();
    let all: BTreeSet<String> = ["dependencies", "dev-dependencies", "build-dependencies"]
        .into_iter()
        .flat_map(|section| dependencies(manifest, section))
        .collect();
    for (guarded, owners) in GUARDED {
        if all.contains(*guarded) && !owners.contains(&folder) {
            found.push(format!("{folder} must not touch {guarded}, which only {owners:?} may"));
        }
    }
    found
}

#[test]
fn each_crate_keeps_to_its_walls() {
    let found: Vec<String> =
        ROOMS.iter().flat_map(|(folder, rooms, third)| breaches(folder, &manifest(folder), rooms, third)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_breach_is_found() {
    let with = |text: &str| breaches("src/zset", &text.parse().unwrap(), &[], &["arrow"]);
    assert!(with("[dependencies]\narrow = \"1\"").is_empty());
    assert_eq!(with("[dependencies]\ntokio = \"1\"").len(), 2);
    assert_eq!(with("[dependencies]\nmillstream-state.workspace = true").len(), 1);
    assert_eq!(with("[dev-dependencies]\nrocksdb = \"1\"").len(), 1);
    assert!(with("[dev-dependencies]\ntempfile = \"3\"").is_empty());
}

#[test]
fn there_are_no_other_rooms() {
    let members = manifest(".")["workspace"]["members"].clone();
    let members: BTreeSet<String> = members.try_into::<Vec<String>>().unwrap().into_iter().collect();
    let known: BTreeSet<String> =
        ROOMS.iter().map(|(folder, ..)| folder.to_string()).filter(|folder| folder != ".").collect();
    assert_eq!(members, known, "the workspace's members are the rooms of DESIGN section 4");
    for parent in ["src", "connectors"] {
        for entry in folders(&root().join(parent)) {
            let name = format!("{parent}/{}", entry.file_name().unwrap().to_string_lossy());
            assert!(known.contains(&name) || name == "src/cli", "{name} is no room of the house");
        }
    }
    for (folder, ..) in ROOMS.iter().filter(|(folder, ..)| *folder != ".") {
        let lib = manifest(folder)["lib"].clone();
        assert_eq!(lib["path"].as_str(), Some("lib.rs"), "{folder}: the library is lib.rs beside Cargo.toml");
    }
}

#[test]
fn the_top_level_has_nothing_else() {
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name.starts_with('.') || TOP_LEVEL.contains(&name.as_str()), "{name} does not belong at the top level");
    }
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}
