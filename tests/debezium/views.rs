//! The stream tables under test: each is a query that Millstream keeps and PostgreSQL is asked at the end.

/// A stream table, its sink topic and its target table.
pub struct View {
    pub name: &'static str,
    pub query: &'static str,
    /// The envelope of its sink topic.
    pub envelope: &'static str,
    /// Whether its rows have a key without NULLs: then it also goes to a table of PostgreSQL.
    pub table: bool,
}

impl View {
    /// The statements that make it. `@` stands for the prefix of topics, `target` is the URL of the target's database.
    pub fn sql(&self, target: &str) -> String {
        let Self { name, query, envelope, table } = self;
        let mut sql = format!(
            "CREATE STREAM TABLE {name} AS {query};\nCREATE SINK {name}_topic FROM {name} WITH (connector = 'kafka', \
             topic = '@{name}', format = 'json', envelope = '{envelope}', partitions = 2);\n"
        );
        if *table {
            sql.push_str(&format!(
                "CREATE SINK {name}_table FROM {name} WITH (connector = 'postgres', url = '{target}', \
                 table = 'target.{name}');\n"
            ));
        }
        sql
    }
}

/// Those that are there from the start.
pub const VIEWS: &[View] = &[
    View {
        name: "joined",
        query: "SELECT o.id, c.id AS customer_id, c.name, c.region, o.status, o.amount, o.placed, o.note, o.doc \
                FROM orders o JOIN customers c ON o.customer_id = c.id",
        envelope: "debezium",
        table: true,
    },
    View {
        name: "revenue",
        query: "SELECT region, status, count(*) AS orders, sum(amount) AS total, avg(amount) AS average, \
                min(placed) AS first, max(placed) AS last, count(DISTINCT customer_id) AS customers \
                FROM joined GROUP BY region, status",
        envelope: "upsert",
        table: false,
    },
    View {
        name: "busy",
        query: "SELECT c.id, max(c.name) AS name, count(*) AS orders, sum(o.amount) FILTER (WHERE o.status = 'paid') AS paid \
                FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.id HAVING count(*) > 2",
        envelope: "upsert",
        table: true,
    },
    View {
        name: "papers",
        query: "SELECT d.customer_id, d.title, d.version, d.body, d.scan, d.meta, c.id, c.name \
                FROM documents d JOIN customers c ON c.id = d.customer_id",
        envelope: "debezium",
        table: true,
    },
    View { name: "precise", query: "SELECT * FROM precise_types", envelope: "upsert", table: true },
    View {
        name: "both_types",
        query: "SELECT * FROM precise_types UNION ALL SELECT * FROM text_types",
        envelope: "debezium",
        table: false,
    },
    View {
        name: "shelves",
        query: "SELECT sku, count(*) AS places, sum(quantity) AS quantity FROM stock GROUP BY sku",
        envelope: "upsert",
        table: true,
    },
    View { name: "seen", query: "SELECT page, n, seen FROM visits", envelope: "debezium", table: false },
];

/// One that is made while all this goes on, by a statement to the running process.
pub const LATE: View = View {
    name: "pages",
    query: "SELECT page, count(*) AS visits, count(DISTINCT n) AS numbers, max(seen) AS last FROM visits GROUP BY page",
    envelope: "upsert",
    table: false,
};
