//! The queries of a run, each as SQL and as a naive evaluation of whole tables. They share nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::rows::{Row, Rows, add};

/// A row error: the query cannot be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowFails;

type Evaluated = Result<Rows, RowFails>;

/// A query over one or two tables, `{0}` and `{1}`.
pub struct Shape {
    pub sql: &'static str,
    pub inputs: usize,
    /// Whether it can have more rows than its inputs together.
    pub grows: bool,
    pub eval: fn(&[&Rows]) -> Evaluated,
}

/// All of them.
pub static SHAPES: [Shape; 17] = [
    one("SELECT id, g, a, b FROM {0} WHERE a > 1", |t| each(t[0], |r| Ok((r.a > Some(1)).then_some(r)))),
    one("SELECT id, g, a / b AS a, b FROM {0}", |t| each(t[0], |r| Ok(Some(Row { a: quotient(r.a, r.b)?, ..r })))),
    one("SELECT id, g, a, a + b AS b FROM {0} WHERE id IS NOT NULL", |t| {
        each(t[0], |r| if r.id.is_none() { Ok(None) } else { Ok(Some(Row { b: sum_of(r.a, r.b)?, ..r })) })
    }),
    one("SELECT min(id) AS id, g, max(a) AS a, min(b) AS b FROM {0} GROUP BY g", |t| {
        groups(
            t[0],
            |r| r.g,
            |g, rows| {
                let (id, a, b) = (ints(rows, |r| r.id), ints(rows, |r| r.a), ints(rows, |r| r.b));
                Ok(Some(Row { id: least(&id), g, a: greatest(&a), b: least(&b) }))
            },
        )
    }),
    one("SELECT count(*)::INT AS id, g, sum(a)::INT AS a, count(DISTINCT b)::INT AS b FROM {0} GROUP BY g", |t| {
        groups(
            t[0],
            |r| r.g,
            |g, rows| {
                let distinct: BTreeSet<i32> = ints(rows, |r| r.b).into_iter().map(|(b, _)| b).collect();
                let id = Some(narrow(rows.iter().map(|(_, times)| times).sum())?);
                Ok(Some(Row { id, g, a: total(&ints(rows, |r| r.a))?, b: Some(distinct.len() as i32) }))
            },
        )
    }),
    one(
        "SELECT count(a)::INT AS id, g, CASE WHEN avg(a) >= 2 THEN 1 ELSE 0 END AS a, max(b) AS b FROM {0} GROUP BY g \
         HAVING count(*) > 1",
        |t| {
            groups(
                t[0],
                |r| r.g,
                |g, rows| {
                    let all: i64 = rows.iter().map(|(_, times)| times).sum();
                    let a = ints(rows, |r| r.a);
                    let count: i64 = a.iter().map(|(_, times)| times).sum();
                    let sum: i64 = a.iter().map(|(value, times)| i64::from(*value) * times).sum();
                    let b = greatest(&ints(rows, |r| r.b));
                    let row = Row { id: Some(narrow(count)?), g, a: Some(i32::from(count > 0 && sum >= 2 * count)), b };
                    Ok((all > 1).then_some(row))
                },
            )
        },
    ),
    one("SELECT count(*)::INT AS id, max(g) AS g, sum(b)::INT AS a, min(a) AS b FROM {0}", |t| {
        let rows: Vec<(Row, i64)> = t[0].iter().map(|(row, times)| (*row, *times)).collect();
        let id = Some(narrow(rows.iter().map(|(_, times)| times).sum())?);
        let g = rows.iter().filter_map(|(row, _)| row.g).max();
        let (a, b) = (total(&ints(&rows, |r| r.b))?, least(&ints(&rows, |r| r.a)));
        Ok([(Row { id, g, a, b }, 1)].into())
    }),
    one("SELECT DISTINCT a AS id, g, b AS a, b FROM {0}", |t| {
        let row = |r: &Row| Row { id: r.a, g: r.g, a: r.b, b: r.b };
        Ok(t[0].keys().map(|r| (row(r), 1)).collect())
    }),
    one(
        "SELECT a AS id, g, sum(a / b)::INT AS a, (count(*) FILTER (WHERE b > 2))::INT AS b FROM {0} GROUP BY a, g",
        |t| {
            groups(
                t[0],
                |r| (r.a, r.g),
                |(id, g), rows| {
                    let mut quotients = Vec::new();
                    for (row, times) in rows {
                        quotients.extend(quotient(row.a, row.b)?.map(|value| (value, *times)));
                    }
                    let b = rows.iter().filter(|(row, _)| row.b > Some(2)).map(|(_, times)| times).sum();
                    Ok(Some(Row { id, g, a: total(&quotients)?, b: Some(narrow(b)?) }))
                },
            )
        },
    ),
    two("SELECT id, g, a, b FROM {0} UNION ALL SELECT id, g, b, a FROM {1}", false, |t| {
        let mut all = t[0].clone();
        t[1].iter().for_each(|(r, times)| add(&mut all, Row { a: r.b, b: r.a, ..*r }, *times));
        Ok(all)
    }),
    two("SELECT id, g, a, b FROM {0} UNION SELECT id, g, a, b FROM {1}", false, |t| {
        Ok(t[0].keys().chain(t[1].keys()).map(|r| (*r, 1)).collect())
    }),
    two("SELECT x.id, y.g, x.a, y.b FROM {0} x JOIN {1} y ON x.id = y.id", true, |t| {
        join(t, |x, y| equal(x.id, y.id), |x, y| Ok(Row { g: y.g, b: y.b, ..x }))
    }),
    two("SELECT x.id, x.g, y.a / x.b AS a, x.b FROM {0} x JOIN {1} y ON x.id = y.id", true, |t| {
        join(t, |x, y| equal(x.id, y.id), |x, y| Ok(Row { a: quotient(y.a, x.b)?, ..x }))
    }),
    two("SELECT x.id, x.g, y.a, y.b FROM {0} x JOIN {1} y ON x.a = y.b AND x.b < y.a", true, |t| {
        let on = |x: &Row, y: &Row| equal(x.a, y.b) && matches!((x.b, y.a), (Some(b), Some(a)) if b < a);
        join(t, on, |x, y| Ok(Row { a: y.a, b: y.b, ..x }))
    }),
    two(
        "SELECT min(x.id) AS id, x.g, sum(y.a)::INT AS a, max(y.b) AS b FROM {0} x JOIN {1} y ON x.id = y.id GROUP BY x.g",
        false,
        |t| {
            // The row that comes of a pair: what is aggregated of x and of y.
            let pairs = join(t, |x, y| equal(x.id, y.id), |x, y| Ok(Row { a: y.a, b: y.b, ..x }))?;
            groups(
                &pairs,
                |r| r.g,
                |g, rows| {
                    let (id, b) = (least(&ints(rows, |r| r.id)), greatest(&ints(rows, |r| r.b)));
                    Ok(Some(Row { id, g, a: total(&ints(rows, |r| r.a))?, b }))
                },
            )
        },
    ),
    two("SELECT x.id, y.g, x.a, y.b FROM {0} x CROSS JOIN {1} y WHERE x.g > y.g AND x.b = 2", true, |t| {
        let on = |x: &Row, y: &Row| matches!((x.g, y.g), (Some(one), Some(other)) if one > other) && x.b == Some(2);
        join(t, on, |x, y| Ok(Row { g: y.g, b: y.b, ..x }))
    }),
    Shape {
        sql: "SELECT x.id, x.g, x.a, y.b FROM {0} x JOIN {0} y ON x.a = y.id",
        inputs: 1,
        grows: true,
        eval: |t| join(&[t[0], t[0]], |x, y| equal(x.a, y.id), |x, y| Ok(Row { b: y.b, ..x })),
    },
];

const fn one(sql: &'static str, eval: fn(&[&Rows]) -> Evaluated) -> Shape {
    Shape { sql, inputs: 1, grows: false, eval }
}

const fn two(sql: &'static str, grows: bool, eval: fn(&[&Rows]) -> Evaluated) -> Shape {
    Shape { sql, inputs: 2, grows, eval }
}

fn each(rows: &Rows, row: impl Fn(Row) -> Result<Option<Row>, RowFails>) -> Evaluated {
    let mut out = Rows::new();
    for (of, times) in rows {
        if let Some(made) = row(*of)? {
            add(&mut out, made, *times);
        }
    }
    Ok(out)
}

fn groups<K: Ord>(
    rows: &Rows,
    key: impl Fn(&Row) -> K,
    row: impl Fn(K, &[(Row, i64)]) -> Result<Option<Row>, RowFails>,
) -> Evaluated {
    let mut groups: BTreeMap<K, Vec<(Row, i64)>> = BTreeMap::new();
    rows.iter().for_each(|(of, times)| groups.entry(key(of)).or_default().push((*of, *times)));
    let mut out = Rows::new();
    for (key, rows) in groups {
        if let Some(made) = row(key, &rows)? {
            add(&mut out, made, 1);
        }
    }
    Ok(out)
}

fn join(t: &[&Rows], on: impl Fn(&Row, &Row) -> bool, row: impl Fn(Row, Row) -> Result<Row, RowFails>) -> Evaluated {
    let mut out = Rows::new();
    for (x, times) in t[0] {
        for (y, copies) in t[1].iter().filter(|(y, _)| on(x, y)) {
            add(&mut out, row(*x, *y)?, times * copies);
        }
    }
    Ok(out)
}

/// NULL is equal to nothing.
fn equal(a: Option<i32>, b: Option<i32>) -> bool {
    a.is_some() && a == b
}

fn ints(rows: &[(Row, i64)], value: impl Fn(&Row) -> Option<i32>) -> Vec<(i32, i64)> {
    rows.iter().filter_map(|(row, times)| Some((value(row)?, *times))).collect()
}

fn least(values: &[(i32, i64)]) -> Option<i32> {
    values.iter().map(|(value, _)| *value).min()
}

fn greatest(values: &[(i32, i64)]) -> Option<i32> {
    values.iter().map(|(value, _)| *value).max()
}

/// The sum, NULL of nothing, as an INT.
fn total(values: &[(i32, i64)]) -> Result<Option<i32>, RowFails> {
    let sum: i64 = values.iter().map(|(value, times)| i64::from(*value) * times).sum();
    if values.is_empty() { Ok(None) } else { Ok(Some(narrow(sum)?)) }
}

fn narrow(value: i64) -> Result<i32, RowFails> {
    i32::try_from(value).map_err(|_| RowFails)
}

fn quotient(a: Option<i32>, b: Option<i32>) -> Result<Option<i32>, RowFails> {
    let (Some(a), Some(b)) = (a, b) else { return Ok(None) };
    a.checked_div(b).map(Some).ok_or(RowFails)
}

fn sum_of(a: Option<i32>, b: Option<i32>) -> Result<Option<i32>, RowFails> {
    let (Some(a), Some(b)) = (a, b) else { return Ok(None) };
    a.checked_add(b).map(Some).ok_or(RowFails)
}
