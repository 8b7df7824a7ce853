//! Random changes of the source, as SQL. Each statement is valid whatever is in the tables: a transaction that is meant to
//! commit does.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::literal::{self, json, large, moment, of_type, one, or_null};

const CUSTOMERS: i32 = 40;
const ORDERS: i64 = 300;
const TITLES: &[&str] = &["'a'", "'B'", "'ü'", "'it''s \"quoted\"'"];
const STATUSES: &[&str] = &["'new'", "'paid'", "'cancelled'"];

/// The statements of one transaction.
pub fn transaction(rng: &mut ChaCha8Rng, keyless: bool) -> String {
    let mut sql = "BEGIN;\n".to_string();
    let savepoint = rng.random_bool(0.15);
    for number in 0..rng.random_range(1..=6) {
        if savepoint && number == 1 {
            sql.push_str("SAVEPOINT s;\n");
        }
        sql.push_str(&statement(rng, keyless));
        sql.push_str(";\n");
    }
    if savepoint && sql.contains("SAVEPOINT") {
        sql.push_str("ROLLBACK TO SAVEPOINT s;\n");
    }
    sql + if rng.random_bool(0.1) { "ROLLBACK" } else { "COMMIT" }
}

fn statement(rng: &mut ChaCha8Rng, keyless: bool) -> String {
    match rng.random_range(0..100) {
        0..18 => customer(rng),
        18..52 => order(rng),
        52..66 => document(rng),
        66..80 => typed(rng),
        80..90 => stock(rng),
        _ if keyless => visit(rng),
        _ => order(rng),
    }
}

fn customer(rng: &mut ChaCha8Rng) -> String {
    let (a, b) = (rng.random_range(1..=CUSTOMERS), rng.random_range(1..=CUSTOMERS));
    match rng.random_range(0..10) {
        0..4 => {
            let region = or_null(rng, 0.2, |rng| one(rng, &["'north'", "'south'", "'östlich'"]).to_string());
            format!(
                "INSERT INTO customers VALUES ({a}, 'name {}', {region}, {}) ON CONFLICT (id) DO UPDATE \
                 SET name = excluded.name, region = excluded.region, tier = excluded.tier",
                rng.random_range(0..1000),
                rng.random_range(1..4)
            )
        }
        4..6 => format!("UPDATE customers SET region = NULL, tier = tier % 3 + 1 WHERE id % 10 = {}", a % 10),
        6 => format!(
            "UPDATE customers SET id = {a} WHERE id = {b} AND NOT EXISTS (SELECT FROM customers WHERE id = {a})"
        ),
        // Two rows change places; what is in between is seen by nobody but the log.
        7 | 8 => format!(
            "UPDATE customers SET id = -1 WHERE id = {a};\nUPDATE customers SET id = {a} WHERE id = {b};\n\
             UPDATE customers SET id = {b} WHERE id = -1"
        ),
        _ => format!("DELETE FROM customers WHERE id = {a}"),
    }
}

fn order(rng: &mut ChaCha8Rng) -> String {
    let (a, b) = (rng.random_range(1..=ORDERS), rng.random_range(1..=ORDERS));
    let status = one(rng, STATUSES);
    match rng.random_range(0..14) {
        0..5 => {
            let customer = or_null(rng, 0.1, |rng| rng.random_range(1..=CUSTOMERS + 3).to_string());
            let amount =
                or_null(rng, 0.1, |rng| format!("{}.{:02}", rng.random_range(-50..5000), rng.random_range(0..100)));
            let doc = or_null(rng, 0.3, |rng| json(rng, false));
            let note = note(rng);
            format!(
                "INSERT INTO orders VALUES ({a}, {customer}, {status}, {amount}, '{}+00', {note}, {doc}) \
                 ON CONFLICT (id) DO UPDATE SET customer_id = excluded.customer_id, status = excluded.status, \
                 amount = excluded.amount, placed = excluded.placed, note = excluded.note, doc = excluded.doc",
                moment(rng)
            )
        }
        // The large notes of these do not change, and are not sent.
        5..8 => format!("UPDATE orders SET status = {status} WHERE id BETWEEN {a} AND {a} + 20"),
        8 => format!("UPDATE orders SET amount = amount + 0.05, customer_id = {} WHERE id % 17 = {}", a % 43, b % 17),
        9 => format!("UPDATE orders SET note = {} WHERE id IN ({a}, {b})", note(rng)),
        // Its key changes: a note that was not sent could not be found, so it is made anew.
        10 => format!(
            "UPDATE orders SET id = {a}, note = note || '.' WHERE id = {b} AND NOT EXISTS (SELECT FROM orders WHERE id = {a})"
        ),
        11 => format!(
            "INSERT INTO orders SELECT g, g % 41, {status}, g * 1.01, '{}+02', NULL, '{{}}' \
                       FROM generate_series({a}, {a} + 15) g ON CONFLICT DO NOTHING",
            moment(rng)
        ),
        12 => format!("DELETE FROM orders WHERE id BETWEEN {a} AND {a} + 3"),
        _ => format!(
            "DELETE FROM orders WHERE id = {a};\nINSERT INTO orders VALUES ({a}, 7, 'back', 1, now(), 'again', NULL)"
        ),
    }
}

fn note(rng: &mut ChaCha8Rng) -> String {
    match rng.random_range(0..3) {
        0 => "NULL".to_string(),
        1 => format!("'short {}'", rng.random_range(0..100)),
        _ => large(rng),
    }
}

fn document(rng: &mut ChaCha8Rng) -> String {
    let customer = rng.random_range(1..=CUSTOMERS / 2);
    let title = one(rng, TITLES);
    match rng.random_range(0..9) {
        0..3 => {
            let body = or_null(rng, 0.2, large);
            let scan =
                or_null(rng, 0.2, |rng| format!("decode(repeat('00ff{:02x}', 1500), 'hex')", rng.random_range(0..256)));
            let meta = or_null(rng, 0.2, |rng| json(rng, true));
            format!(
                "INSERT INTO documents VALUES ({customer}, {title}, 1, {body}, {scan}, {meta}) \
                 ON CONFLICT (customer_id, title) DO UPDATE SET version = documents.version + 1, body = excluded.body, \
                 scan = excluded.scan"
            )
        }
        3..5 => format!("UPDATE documents SET version = version + 1 WHERE customer_id = {customer}"),
        5 => format!("UPDATE documents SET scan = NULL WHERE title = {title}"),
        // The identity is full: what is large and did not change is in the old row.
        6 | 7 => format!(
            "UPDATE documents SET customer_id = {} WHERE customer_id = {customer} AND title = {title} AND NOT EXISTS \
             (SELECT FROM documents WHERE customer_id = {} AND title = {title})",
            customer + 1,
            customer + 1
        ),
        _ => format!("DELETE FROM documents WHERE customer_id = {customer}"),
    }
}

fn typed(rng: &mut ChaCha8Rng) -> String {
    let table = one(rng, &["precise_types", "text_types"]);
    let id = rng.random_range(1..=30);
    match rng.random_range(0..6) {
        0..3 => {
            let values: Vec<String> = literal::TYPED.iter().map(|column| of_type(rng, column)).collect();
            let set: Vec<String> =
                literal::TYPED.iter().map(|column| format!("\"{column}\" = excluded.\"{column}\"")).collect();
            format!(
                "INSERT INTO {table} VALUES ({id}, {}) ON CONFLICT (id) DO UPDATE SET {}",
                values.join(", "),
                set.join(", ")
            )
        }
        3 | 4 => {
            let column = one(rng, literal::TYPED);
            format!("UPDATE {table} SET \"{column}\" = {} WHERE id % 5 = {}", of_type(rng, column), id % 5)
        }
        _ => format!("DELETE FROM {table} WHERE id = {id}"),
    }
}

fn stock(rng: &mut ChaCha8Rng) -> String {
    let sku = rng.random_range(0..8);
    let place = one(rng, &["'here'", "'there'", "''"]);
    match rng.random_range(0..10) {
        0..5 => format!(
            "INSERT INTO stock VALUES ('sku{sku}', {place}, {}) ON CONFLICT (sku, place) DO UPDATE SET quantity = \
             stock.quantity + 1",
            rng.random_range(0..100)
        ),
        5..7 => format!("UPDATE stock SET quantity = quantity - 1 WHERE place = {place}"),
        7 => format!("UPDATE stock SET place = place || '{:x}' WHERE sku = 'sku{sku}'", rng.random::<u32>()),
        8 => format!("DELETE FROM stock WHERE sku = 'sku{sku}'"),
        _ => format!(
            "INSERT INTO stock VALUES ('gone', '', 1) ON CONFLICT DO NOTHING;\nTRUNCATE stock;\n\
                      INSERT INTO stock VALUES ('sku{sku}', 'new', 1), ('sku{sku}', 'old', 2)"
        ),
    }
}

fn visit(rng: &mut ChaCha8Rng) -> String {
    let page = or_null(rng, 0.1, |rng| one(rng, &["'/'", "'/shop'", "'/help'"]).to_string());
    let n = rng.random_range(0..4);
    match rng.random_range(0..20) {
        0..12 => format!(
            "INSERT INTO visits SELECT {page}, {n}, '2024-01-01 00:00:00.123' FROM generate_series(1, {})",
            rng.random_range(1..5)
        ),
        12..15 => {
            format!("UPDATE visits SET n = n + 1, seen = NULL WHERE page IS NOT DISTINCT FROM {page} AND n = {n}")
        }
        15..18 => format!("DELETE FROM visits WHERE ctid IN (SELECT ctid FROM visits WHERE n = {n} LIMIT 3)"),
        18 => "DELETE FROM visits WHERE page IS NULL".to_string(),
        _ => "TRUNCATE visits, stock".to_string(),
    }
}
