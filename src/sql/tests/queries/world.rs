//! The same tables here, in memory, and in PostgreSQL; a query asked of both.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow::array::{Int64Array, RecordBatch};
use arrow::compute::concat_batches;
use dataflow::{
    Action, Contents, LastChange, Limits, Planner, Queries, ResultType, StatementError, TableRows, View, Work,
    contents_id,
};
use plan::{Catalog, TableDef};
use postgres::{Client, NoTls, SimpleQueryMessage};
use sql::SqlPlanner;
use state::Arrangement;
use zset::{Column, ColumnType, Delta, Epoch, TimestampMs};

use crate::support;

/// An answer: names, types, rows in the order they came.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub columns: Vec<(String, String)>,
    pub rows: Vec<Vec<Option<String>>>,
}

/// Columns, and the rows as a query.
pub struct Table {
    pub name: &'static str,
    pub columns: &'static str,
    pub rows: &'static str,
}

pub const TABLES: &[Table] = &[
    Table {
        name: "t",
        columns: "a integer, b bigint, c text, d double precision, n numeric(10,2), f boolean, dt date, ts timestamp",
        rows: "(1, 10::bigint, 'one', 1.5::double precision, 1.50, true, date '2024-01-01', timestamp '2024-01-01 10:00:00'), \
               (2, 20, 'two', 2.5, 2.25, false, date '2024-01-02', timestamp '2024-01-02 11:30:00.5'), \
               (2, 20, 'two', 2.5, 2.25, false, date '2024-01-02', timestamp '2024-01-02 11:30:00.5'), \
               (3, NULL, 'Three', 'NaN', 0.00, true, NULL, NULL), \
               (NULL, 30, NULL, NULL, NULL, NULL, date '2023-12-31', timestamp '2023-12-31 23:59:59.999999'), \
               (NULL, NULL, '', 0, -1.75, false, date '1970-01-01', timestamp '1970-01-01 00:00:00'), \
               (4, 9223372036854775807, 'größe', 'Infinity', 99999999.99, true, date '9999-12-31', NULL), \
               (-2147483648, -9223372036854775808, 'a_b%', '-Infinity', -99999999.99, NULL, date '0001-01-01', NULL), \
               (5, 10, 'two', 0.25, 1.50, true, date '2024-01-01', timestamp '2024-01-01 10:00:00'), \
               (1, 11, 'one', -0.5, 7.00, false, date '2024-02-29', timestamp '2024-02-29 00:00:00')",
    },
    Table {
        name: "u",
        columns: "a integer, x text, y numeric(12,3), b bigint",
        rows: "(1, 'one', 1.125, 10::bigint), (2, 'zwei', -2.5, 20), (2, 'two', 0, NULL), (7, 'seven', 7.777, 10), \
               (NULL, 'two', NULL, 30), (5, NULL, 123456789.125, 11), (4, 'vier', 4, 9223372036854775807)",
    },
    Table {
        name: "k",
        columns: "id integer, grp integer, v integer, s text",
        rows: "(1, 1, 10, 'a'), (2, 1, 20, 'b'), (3, 1, 20, 'c'), (4, 2, NULL, 'a'), (5, 2, 5, 'b'), (6, 2, 7, NULL), \
               (7, NULL, 1, 'z'), (8, NULL, 2, 'y'), (9, 3, -4, 'B'), (10, 3, -4, 'A')",
    },
    Table { name: "e", columns: "a integer, c text", rows: "" },
];

pub struct World {
    pub catalog: Catalog,
    pub view: Arc<View>,
    /// What the table with a key is read from.
    pub keyed: Option<Contents>,
}

pub fn limits() -> Limits {
    Limits {
        deadline: None,
        memory_bytes: 64 << 20,
        cancelled: Arc::new(AtomicBool::new(false)),
        session: Arc::default(),
    }
}

fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    for Table { name, columns, .. } in TABLES {
        let sql = format!("CREATE TABLE {name} ({columns}) WITH (connector = 'log', topic = '{name}')");
        add(&mut catalog, &sql);
    }
    // a table with a key, whose rows are those of its query
    add(&mut catalog, "CREATE STREAM TABLE keyed AS SELECT id, grp, v, s FROM k GROUP BY id, grp, v, s");
    catalog
}

fn add(catalog: &mut Catalog, sql: &str) {
    match SqlPlanner::new().plan(sql, catalog).unwrap_or_else(|e| panic!("{sql}: {e}")).action {
        Action::CreateTable(def) | Action::CreateStream { def, .. } => catalog.add_table(def).unwrap(),
        other => panic!("{sql}: {other:?}"),
    }
}

/// The contents of a table: some rows, each as often as it is there.
fn contents(def: &TableDef, rows: &RecordBatch) -> Contents {
    let law = Contents::law(def);
    let mut contents = Contents::new(def, Arrangement::new(contents_id(def.id), law)).unwrap();
    let rows = RecordBatch::try_new(def.columns.schema(), rows.columns().to_vec()).unwrap();
    let weights: Int64Array = vec![1i64; rows.num_rows()].into();
    contents.apply_delta(&Delta::new(rows, weights)).unwrap();
    contents.commit();
    contents
}

fn rows_of(contents: &Contents) -> TableRows {
    TableRows {
        reader: contents.reader(),
        snapshot: contents.snapshot(),
        rows: contents.rows(),
        uniques: contents.uniques(),
        last: LastChange::default(),
        trouble: None,
    }
}

impl World {
    pub fn new() -> Self {
        let catalog = catalog();
        let mut world = Self { view: view(&catalog, BTreeMap::new()), catalog, keyed: None };
        let mut tables = BTreeMap::new();
        for table in TABLES {
            let def = world.catalog.table_named(table.name).unwrap().clone();
            let names = def.columns.0.iter().map(|c| c.name.clone()).collect::<Vec<_>>().join(", ");
            let cast = |c: &Column| format!("{}::{}", c.name, c.ty);
            let casts = def.columns.0.iter().map(cast).collect::<Vec<_>>().join(", ");
            let batch = match table.rows {
                "" => RecordBatch::new_empty(def.columns.schema()),
                rows => world.batch(&format!("SELECT {casts} FROM (VALUES {rows}) AS v({names})")).unwrap(),
            };
            tables.insert(def.id, rows_of(&contents(&def, &batch)));
            if table.name == "k" {
                let def = world.catalog.table_named("keyed").unwrap();
                let keyed = contents(def, &batch);
                tables.insert(def.id, rows_of(&keyed));
                world.keyed = Some(keyed);
            }
        }
        world.view = view(&world.catalog, tables);
        world
    }

    /// The rows of a query, in one batch.
    pub fn batch(&self, query: &str) -> Result<RecordBatch, StatementError> {
        self.batch_with(query, &[], &limits())
    }

    pub fn batch_with(
        &self,
        query: &str,
        values: &[Option<String>],
        limits: &Limits,
    ) -> Result<RecordBatch, StatementError> {
        let prepared = SqlPlanner::new().prepare(query, &self.catalog, &[])?;
        let Work::Read(read) = prepared.work else { panic!("{query} is no read") };
        let batches = read.run(values, &self.view, limits)?.collect::<Result<Vec<_>, _>>()?;
        let columns = prepared.columns.iter().map(|c| match c.ty {
            ResultType::Column(ty) => Column::new(c.name.clone(), ty, true),
            ResultType::Name => Column::new(c.name.clone(), ColumnType::Text, true),
            other => panic!("{other:?}"),
        });
        Ok(concat_batches(&zset::RowType(columns.collect()).schema(), &batches).unwrap())
    }

    /// The answer to a query here.
    pub fn ask(&self, query: &str) -> Result<Answer, StatementError> {
        self.ask_with(query, &[])
    }

    pub fn ask_with(&self, query: &str, values: &[Option<String>]) -> Result<Answer, StatementError> {
        let batch = self.batch_with(query, values, &limits())?;
        let schema = batch.schema();
        let columns: Vec<Column> = schema
            .fields()
            .iter()
            .map(|field| Column::new(field.name().clone(), ColumnType::of_field(field).unwrap(), true))
            .collect();
        let cell = |row: usize| columns.iter().zip(batch.columns()).map(|(c, a)| support::text(c, a, row)).collect();
        Ok(Answer {
            columns: columns.iter().map(|c| (c.name.clone(), type_name(c.ty).to_string())).collect(),
            rows: (0..batch.num_rows()).map(cell).collect(),
        })
    }
}

fn view(catalog: &Catalog, tables: BTreeMap<plan::TableId, TableRows>) -> Arc<View> {
    let timestamp = TimestampMs(1_705_312_800_123);
    Arc::new(View {
        epoch: Epoch(7),
        timestamp,
        catalog: Arc::new(catalog.clone()),
        tables: Arc::new(tables),
        sequences: Arc::default(),
        memory: Arc::default(),
    })
}

/// PostgreSQL's internal name of a type.
fn type_name(ty: ColumnType) -> &'static str {
    match ty {
        ColumnType::Boolean => "bool",
        ColumnType::SmallInt => "int2",
        ColumnType::Int => "int4",
        ColumnType::BigInt => "int8",
        ColumnType::Real => "float4",
        ColumnType::Double => "float8",
        ColumnType::Numeric { .. } => "numeric",
        ColumnType::Text => "text",
        ColumnType::Varchar(_) => "varchar",
        ColumnType::Bytea => "bytea",
        ColumnType::Date => "date",
        ColumnType::Time => "time",
        ColumnType::Timestamp(_) => "timestamp",
        ColumnType::TimestampTz(_) => "timestamptz",
        ColumnType::Uuid => "uuid",
        ColumnType::Jsonb => "jsonb",
    }
}

/// PostgreSQL, with the tables in a schema of this connection's own.
pub struct Judge {
    client: Client,
}

impl Judge {
    pub fn new() -> Self {
        let url = std::env::var("MILLSTREAM_TEST_POSTGRES").expect(
            "MILLSTREAM_TEST_POSTGRES is not set: run tests/run, which starts a PostgreSQL 15, or set it to the URL of \
             one, as in postgres://postgres@127.0.0.1:5432/postgres",
        );
        let mut client = Client::connect(&url, NoTls).expect("connect to MILLSTREAM_TEST_POSTGRES");
        client.batch_execute("SET TimeZone = 'UTC'; SET extra_float_digits = 1; SET bytea_output = 'hex'").unwrap();
        for Table { name, columns, rows } in TABLES {
            client.batch_execute(&format!("CREATE TEMP TABLE {name} ({columns})")).unwrap();
            if !rows.is_empty() {
                client.batch_execute(&format!("INSERT INTO {name} VALUES {rows}")).unwrap();
            }
        }
        client.batch_execute("CREATE TEMP TABLE keyed AS SELECT * FROM k").unwrap();
        client.batch_execute("SET statement_timeout = '20s'").unwrap();
        Self { client }
    }

    /// The answer to a query there, or its SQLSTATE.
    pub fn ask(&mut self, query: &str) -> Result<Answer, String> {
        let code = |e: postgres::Error| e.code().map_or_else(|| e.to_string(), |c| c.code().to_string());
        let prepared = self.client.prepare(query).map_err(code)?;
        let columns: Vec<(String, String)> =
            prepared.columns().iter().map(|c| (c.name().to_string(), c.type_().name().to_string())).collect();
        let mut rows = Vec::new();
        for message in self.client.simple_query(query).map_err(code)? {
            if let SimpleQueryMessage::Row(row) = message {
                let cell = |(at, (_, ty)): (usize, &(String, String))| row.get(at).map(|text| canonical(ty, text));
                rows.push(columns.iter().enumerate().map(cell).collect());
            }
        }
        Ok(Answer { columns, rows })
    }
}

/// A value of PostgreSQL's as the harness prints ours.
fn canonical(ty: &str, text: &str) -> String {
    let padded = |text: &str| {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        format!("{whole}.{fraction:0<6}")
    };
    match ty {
        "bool" => if text == "t" { "true" } else { "false" }.to_string(),
        "numeric" => support::canonical_numeric(text),
        "float8" => format!("{:?}", text.replace("Infinity", "inf").parse::<f64>().unwrap()),
        "float4" => format!("{:?}", text.replace("Infinity", "inf").parse::<f32>().unwrap()),
        "timestamp" | "timestamptz" => {
            let (text, bc) = text.strip_suffix(" BC").map_or((text, ""), |text| (text, " BC"));
            format!("{}{bc}", padded(text.strip_suffix("+00").unwrap_or(text)))
        }
        "time" => padded(text),
        _ => text.to_string(),
    }
}

/// How two answers differ; `None`: not at all. Unordered ones are compared as multisets.
pub fn difference(
    here: &Result<Answer, StatementError>,
    there: &Result<Answer, String>,
    ordered: bool,
) -> Option<String> {
    match (here, there) {
        (Err(e), Err(code)) if e.sqlstate == code => None,
        (Err(e), Err(code)) => Some(format!("SQLSTATE {code} there, here {e}")),
        (Err(e), Ok(there)) => Some(format!("{} rows there, here {e}", there.rows.len())),
        (Ok(here), Err(code)) => Some(format!("SQLSTATE {code} there, {:?} here", here.rows)),
        (Ok(here), Ok(there)) => {
            // varchar without length is text here; name is text here
            let same = |a: &(String, String), b: &(String, String)| {
                a.0 == b.0 && (a.1 == b.1 || (a.1 == "text" && ["varchar", "name", "unknown"].contains(&b.1.as_str())))
            };
            let columns = here.columns.len() == there.columns.len()
                && here.columns.iter().zip(&there.columns).all(|(a, b)| same(a, b));
            if !columns {
                return Some(format!("columns {:?} here, {:?} there", here.columns, there.columns));
            }
            let (mut a, mut b) = (here.rows.clone(), there.rows.clone());
            if !ordered {
                a.sort();
                b.sort();
            }
            (a != b).then(|| format!("{a:?} here,\n   {b:?} there"))
        }
    }
}
