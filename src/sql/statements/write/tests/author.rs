//! Random statements: what they say follows from a seed alone.

/// Numbers that follow from a seed alone (splitmix64).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }

    pub(super) fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.roll(list.len())]
    }
}

/// A statement, its parameters, and whether it may be about several rows: then which of several errors is first is not said.
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) values: Vec<Option<String>>,
    pub(super) several: bool,
}

/// Values for a column, as literals: they can be computed and assigned. Constraints may still refuse them.
fn values_of(column: &str) -> &'static [&'static str] {
    match column {
        "id" | "x" => &["1", "2", "3", "4", "5", "6", "7", "8", "13", "14", "'9'", "2.5", "NULL", "3 + 4"],
        "a" => &["1", "7", "49", "60", "'8'", "-1", "0", "NULL", "2 * 3", "5.5"],
        "b" | "g" => &["'a'", "'ab'", "'zz'", "'abc   '", "NULL", "'x' || 'y'", "12", "''"],
        "n" | "z" => &["1", "1.005", "'2.345'", "499.99", "500", "-3.14159", "NULL", "1e1", "12.25"],
        "s" => &["1", "13", "32767", "'-5'", "2.5", "NULL", "7 % 4"],
        "f" | "v" => &["1.5", "-0.25", "'1e10'", "3", "NULL", "2.5 * 2"],
        "d" => &["'2024-02-29'", "date '2024-01-01' + 30", "NULL", "timestamp '2024-05-06 07:08:09'"],
        "flag" => &["true", "false", "'t'", "'no'", "NULL", "1 > 2"],
        "i" => &["1", "2", "3", "'4'", "9999999999", "NULL", "2.5"],
        "at" => &["'2024-01-15 10:00:00.5'", "date '2024-03-01'", "NULL", "timestamptz '2024-01-01 00:00:00Z'"],
        _ => &["'a'", "'b'", "'bad'", "'it''s'", "NULL", "'größe'", "12", "1.50", "true", "date '2024-01-01'", "''"],
    }
}

/// Values that cannot. A statement has one at most: which of two errors is told is nobody's promise.
fn bad_values_of(column: &str) -> &'static [&'static str] {
    match column {
        "a" | "id" | "x" => &["99999999999", "10 / 0", "'x'", "true", "'1.5'"],
        "b" | "g" => &["'toolong'", "'dflt!'", "123456", "'abcd' || 'e'"],
        "n" | "z" => &["99999", "'abc'", "true", "date '2024-01-01'"],
        "s" => &["32768", "'a'", "-40000", "40000.4"],
        "f" | "v" => &["'abc'", "1 / 0", "true", "'1e400'"],
        "d" => &["'2023-02-29'", "5", "'x'", "time '10:00'"],
        "flag" => &["1", "'maybe'", "'x'::text"],
        "i" => &["'99999999999999999999'", "99999999999999999999", "'a'"],
        "at" => &["'soon'", "1", "time '10:00'"],
        _ => &["1 / 0 || ''"],
    }
}

fn columns(table: &str) -> &'static [&'static str] {
    match table {
        "k" => &["id", "a", "b", "n", "s", "f", "d", "t", "flag"],
        "m" => &["x", "y", "z"],
        _ => &["g", "i", "v", "at"],
    }
}

/// What may be set, over the table's own columns.
fn expressions(column: &str) -> &'static [&'static str] {
    match column {
        "id" | "i" => &["DEFAULT"],
        "a" => &["a + 1", "a * 2", "s", "n", "a - 3", "DEFAULT", "f"],
        "b" => &["upper(b)", "b || 'x'", "t", "a", "substr(t, 1, 4)", "DEFAULT"],
        "n" => &["n * 1.5", "a", "f", "n / 3", "n + 0.005", "DEFAULT"],
        "s" => &["a", "s + 1", "n", "f"],
        "f" => &["n", "f * 2", "a", "f / 0"],
        "d" => &["d + 1", "d - 1", "DEFAULT"],
        "t" => &["t || 'x'", "b", "a", "n", "flag", "d", "upper(t)", "NULL"],
        "flag" => &["NOT flag", "a > 5", "b = 'a'", "DEFAULT"],
        "x" => &["x + 1", "z", "length(y)", "DEFAULT"],
        "y" => &["y || 'x'", "x", "z", "DEFAULT"],
        "z" => &["x", "z + 0.05", "z * 10", "DEFAULT"],
        "v" => &["v * 2", "i", "DEFAULT"],
        "at" => &["at", "date '2024-02-02'", "DEFAULT"],
        _ => &["DEFAULT"],
    }
}

fn conditions(table: &str) -> &'static [&'static str] {
    match table {
        "k" => &[
            "id = 3",
            "id < 4",
            "a > 5 AND flag",
            "b LIKE 'a%' OR n IS NULL",
            "id IN (SELECT x FROM m)",
            "EXISTS (SELECT 1 FROM m WHERE m.x = k.id)",
            "n > (SELECT avg(x) FROM m)",
            "t IS NOT NULL",
            "s % 2 = 1",
            "NOT flag",
            "id NOT IN (SELECT i FROM p)",
            "true",
        ],
        "m" => &[
            "x = 3",
            "x IS NULL",
            "x > 2 AND y = 'y'",
            "x IN (SELECT id FROM k WHERE a > 5)",
            "y LIKE '%a%'",
            "z > 1",
            "x = (SELECT max(id) FROM k)",
            "true",
        ],
        _ => &["g = 'a'", "i > 2", "g = 'ab' AND i = 1", "v IS NULL", "i IN (SELECT id FROM k)", "true"],
    }
}

/// What an INSERT says of rows that are there.
fn conflicts(table: &str) -> &'static [&'static str] {
    match table {
        "k" => &[
            "DO NOTHING",
            "(id) DO NOTHING",
            "ON CONSTRAINT k_pkey DO NOTHING",
            "(s) DO NOTHING",
            "(id) DO UPDATE SET a = excluded.a",
            "(id) DO UPDATE SET a = k.a + excluded.a, b = excluded.b WHERE k.a < 30",
            "(id) DO UPDATE SET n = DEFAULT, t = k.t || excluded.t",
            "(id) DO UPDATE SET (a, t) = (excluded.a + 1, 'conflict')",
            "ON CONSTRAINT k_pkey DO UPDATE SET id = excluded.id + 10",
            "(id) DO UPDATE SET flag = NOT k.flag WHERE excluded.flag",
            "(id) DO UPDATE SET f = k.f / (k.a - excluded.a)",
            "(s) DO UPDATE SET t = 's taken', s = k.s + 1",
            "(id) DO UPDATE SET s = excluded.s",
            "(id) DO UPDATE SET d = excluded.d WHERE false",
            "(a) DO NOTHING",
            "(id) DO UPDATE SET a = a + 1",
        ],
        "m" => &["DO NOTHING", "(x) DO NOTHING", "(x) DO UPDATE SET y = 'c'"],
        _ => &[
            "DO NOTHING",
            "(i, g) DO UPDATE SET v = excluded.v, at = p.at",
            "(g, i) DO UPDATE SET i = p.i + 1 WHERE p.i < 5",
            "(g) DO NOTHING",
            "ON CONSTRAINT p_pkey DO UPDATE SET v = DEFAULT",
        ],
    }
}

/// Where several rows fit, what is set does not depend on which it is: that is nobody's promise.
const JOINED: &[&str] = &[
    "UPDATE k SET a = m.x FROM m WHERE m.x = k.id",
    "UPDATE k SET t = p.g, n = p.v FROM p WHERE p.i = k.id AND p.g = 'a' RETURNING k.*, p.g, p.i + 1",
    "UPDATE k SET t = s.y FROM (SELECT x, max(y) AS y FROM m GROUP BY x) AS s WHERE s.x = k.id RETURNING k.id, s.y",
    "UPDATE k SET a = o.a + 1 FROM k AS o WHERE o.id = k.id + 1 RETURNING k.id, o.id, k.a, o.a",
    "UPDATE k AS q SET (t, a) = (o.t || q.t, 5) FROM k AS o WHERE o.id = q.a",
    "UPDATE m SET z = k.a FROM k WHERE k.id = m.x RETURNING m.*, k.id, k.b",
    "UPDATE m SET y = 'j' FROM p WHERE p.i = m.x RETURNING m.x",
    "UPDATE m AS t SET z = o.z FROM k JOIN p AS o ON o.i = k.id AND o.g = 'ab' WHERE k.id = t.x",
    "UPDATE p SET v = k.a FROM k, m WHERE k.id = p.i AND m.x = k.id RETURNING g, p.i, id",
    "UPDATE p SET i = p.i + 100 FROM k WHERE k.id = p.i AND k.flag RETURNING *",
    "UPDATE k SET (a, t) = (SELECT max(x), max('sub' || x) FROM m WHERE m.x >= k.id) WHERE id < 4",
    "UPDATE k SET (a, b) = (SELECT x FROM m) WHERE id < 4",
    "UPDATE k SET (a, t) = (SELECT o.a + 1, o.t || k.t FROM k AS o WHERE o.id = k.id + 1) WHERE id < 6",
    "UPDATE k SET t = 'x' FROM k WHERE true",
    "UPDATE k SET a = x FROM m WHERE q.x = 1",
    "DELETE FROM m USING k WHERE k.id = m.x RETURNING m.x, k.a",
    "DELETE FROM k USING m WHERE m.x = k.id AND m.y = 'y' RETURNING k.id",
    "DELETE FROM p AS d USING p AS o WHERE o.i = d.i + 1 AND o.g = d.g RETURNING d.*, o.v",
    "DELETE FROM m USING m AS o WHERE o.x = m.x AND o.y < m.y RETURNING m.*",
    "DELETE FROM k USING k WHERE true",
    "WITH s AS (SELECT id, a FROM k WHERE a > 5) UPDATE m SET z = s.a FROM s WHERE s.id = m.x RETURNING m.*, s.*",
    "WITH s AS (SELECT max(id) AS hi FROM k) DELETE FROM k USING s WHERE k.id = s.hi RETURNING k.id, hi",
    "WITH s AS (SELECT max(id) AS hi FROM k) DELETE FROM k WHERE id = (SELECT hi FROM s)",
    "WITH s AS (SELECT id, t FROM k WHERE flag) INSERT INTO m SELECT id, t FROM s",
    "WITH s AS (SELECT 7 AS a) INSERT INTO k (id, a) WITH q AS (SELECT a FROM s) SELECT x + 40, q.a FROM m, q WHERE x > 0",
    "WITH s AS (SELECT max(id) + 1 AS hi FROM k) INSERT INTO k (id, a) VALUES ((SELECT hi FROM s), 3) RETURNING id",
    "WITH k AS (SELECT 5 AS a) UPDATE k SET a = o.a FROM k AS o WHERE k.id = 2",
    "WITH k AS (SELECT 5 AS a) UPDATE k SET a = 9 WHERE id = (SELECT a FROM k)",
];

/// Generates one statement after another.
pub(super) struct Author {
    dice: Dice,
    values: Vec<Option<String>>,
    /// Whether the statement has a value that cannot be.
    bad: bool,
}

impl Author {
    /// A value: sometimes a parameter with its text.
    fn value(&mut self, column: &str) -> String {
        let bad = !self.bad && self.dice.roll(12) == 0;
        self.bad |= bad;
        let literal = self.dice.of(if bad { bad_values_of(column) } else { values_of(column) }).to_string();
        let constant = literal == "NULL" || literal.starts_with('\'') && !literal.contains("||");
        if !constant || self.dice.roll(4) > 0 {
            return literal;
        }
        let text =
            literal.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).map(|text| text.replace("''", "'"));
        self.values.push(text);
        format!("${}", self.values.len())
    }

    fn returning(&mut self, table: &str) -> String {
        match self.dice.roll(4) {
            0 => " RETURNING *".to_string(),
            1 => match table {
                "k" => " RETURNING id, a + 1 AS next, b || 'r', k.n, flag",
                "m" => " RETURNING m.*, x * 2",
                _ => " RETURNING upper(g), i",
            }
            .to_string(),
            _ => String::new(),
        }
    }

    fn given(&mut self, table: &str) -> Vec<&'static str> {
        let all = columns(table);
        let least = if self.dice.roll(3) == 0 { 0 } else { 1 + self.dice.roll(2) };
        let mut given: Vec<&str> = all.iter().copied().filter(|_| self.dice.roll(3) > 0).collect();
        for column in &all[..least.min(all.len())] {
            if !given.contains(column) {
                given.insert(0, column);
            }
        }
        if given.is_empty() { vec![all[0]] } else { given }
    }

    fn insert(&mut self, table: &str) -> (String, bool) {
        let given = self.given(table);
        let rows = 1 + self.dice.roll(4) / 2;
        let mut lists = Vec::new();
        for _ in 0..rows {
            let cells: Vec<String> = given
                .iter()
                .map(|column| match self.dice.roll(12) {
                    0 => "DEFAULT".to_string(),
                    1 if matches!(*column, "id" | "a" | "x") => "(SELECT max(id) + 1 FROM k)".to_string(),
                    _ => self.value(column),
                })
                .collect();
            lists.push(format!("({})", cells.join(", ")));
        }
        let on_conflict = self.on_conflict(table);
        let returning = self.returning(table);
        let sql =
            format!("INSERT INTO {table} ({}) VALUES {}{on_conflict}{returning}", given.join(", "), lists.join(", "));
        (sql, rows > 1 || !on_conflict.is_empty())
    }

    fn insert_query(&mut self, table: &str) -> (String, bool) {
        let sql = match (table, self.dice.roll(3)) {
            ("k", 0) => "INSERT INTO k (id, a, t) SELECT x + 20, x, y FROM m WHERE x > 0",
            ("k", _) => "INSERT INTO k (id, b, n) SELECT DISTINCT i + 30, 'sel', v FROM p",
            ("m", 0) => "INSERT INTO m SELECT id, t, n FROM k",
            ("m", 1) => "INSERT INTO m (y, x) SELECT NULL, '5' FROM k WHERE id < 3",
            ("m", _) => "INSERT INTO m SELECT x, y || 'c', z FROM m WHERE x < 3",
            (_, 0) => "INSERT INTO p (g, i) SELECT b, id FROM k WHERE b IS NOT NULL",
            (_, _) => "INSERT INTO p (g, i, v) SELECT 'new', count(*), sum(x) FROM m",
        };
        (format!("{sql}{}{}", self.on_conflict(table), self.returning(table)), true)
    }

    fn on_conflict(&mut self, table: &str) -> String {
        if self.dice.roll(2) == 0 { String::new() } else { format!(" ON CONFLICT {}", self.dice.of(conflicts(table))) }
    }

    /// UPDATE ... FROM, DELETE ... USING, and the WITH before them.
    fn joined(&mut self) -> (String, bool) {
        (self.dice.of(JOINED).to_string(), true)
    }

    fn update(&mut self, table: &str) -> (String, bool) {
        let mut set = Vec::new();
        let all = columns(table);
        for _ in 0..1 + self.dice.roll(2) {
            let column = all[self.dice.roll(all.len())];
            if set.iter().any(|(before, _): &(&str, String)| *before == column) {
                continue;
            }
            // the key of one row only: the other way round PostgreSQL depends on its rows' order
            let value = match (matches!(column, "id" | "g" | "i"), self.dice.roll(2)) {
                (false, 0) => self.dice.of(expressions(column)).to_string(),
                _ => self.value(column),
            };
            set.push((column, value));
        }
        let keys = set.iter().any(|(column, _)| matches!(*column, "id" | "g" | "i"));
        let condition = match (keys, table) {
            (true, "k") => format!("id = {}", 1 + self.dice.roll(8)),
            (true, _) if table == "p" => format!("g = 'a' AND i = {}", 1 + self.dice.roll(4)),
            _ => self.dice.of(conditions(table)).to_string(),
        };
        let set = match set.as_slice() {
            [(a, x), (b, y)] if self.dice.roll(2) == 0 => format!("({a}, {b}) = ({x}, {y})"),
            list => list.iter().map(|(column, value)| format!("{column} = {value}")).collect::<Vec<_>>().join(", "),
        };
        let alias = if table == "m" && self.dice.roll(2) == 0 { " AS m" } else { "" };
        (format!("UPDATE {table}{alias} SET {set} WHERE {condition}{}", self.returning(table)), !keys)
    }

    pub(super) fn new(seed: u64) -> Self {
        Self { dice: Dice(seed), values: Vec::new(), bad: false }
    }

    pub(super) fn statement(&mut self) -> Statement {
        self.values.clear();
        self.bad = false;
        let table = self.dice.of(&["k", "k", "m", "p"]);
        let (sql, several) = match self.dice.roll(24) {
            20.. => self.joined(),
            0..9 => self.insert(table),
            9 | 10 => self.insert_query(table),
            11..16 => self.update(table),
            16..=18 => {
                let condition = self.dice.of(conditions(table));
                (format!("DELETE FROM {table} WHERE {condition}{}", self.returning(table)), true)
            }
            _ if self.dice.roll(5) == 0 => (format!("TRUNCATE TABLE {table}"), true),
            _ => (format!("INSERT INTO {table} DEFAULT VALUES"), false),
        };
        Statement { sql, values: std::mem::take(&mut self.values), several }
    }
}
