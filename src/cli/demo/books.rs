//! The generator's books: the shop as its source database has it, and what the stream tables must be over it. They are
//! computed in a way of their own, so that the comparison says something.

use std::collections::BTreeMap;
use std::fmt;

use runtime::Handle;
use serde_json::{Value, json};

use super::changes::{Fields, Source};
use super::rows::{Row, cents, money, rows, text, whole};
use crate::cli::Failure;

/// A product is in the top list above this revenue in cents, as demo.sql says.
const TOP_CENTS: i64 = 1_000_000;

pub(super) const CUSTOMERS: Source = Source { table: "customers", key: 1 };
pub(super) const ORDERS: Source = Source { table: "orders", key: 1 };
pub(super) const LINES: Source = Source { table: "order_lines", key: 2 };

#[derive(Debug, Clone)]
pub(super) struct Customer {
    pub name: String,
    pub country: String,
    pub vip: bool,
    pub since: String,
}

#[derive(Debug, Clone)]
pub(super) struct Order {
    pub customer: i64,
    pub status: String,
    pub ordered_at: String,
}

#[derive(Debug, Clone)]
pub(super) struct Line {
    pub product: String,
    pub quantity: i64,
    pub cents: i64,
}

/// The shop.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub customers: BTreeMap<i64, Customer>,
    pub orders: BTreeMap<i64, Order>,
    /// By order and line.
    pub lines: BTreeMap<(i64, i64), Line>,
}

/// What a country or a product must have.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Total {
    lines: i64,
    items: i64,
    cents: i64,
    largest: i64,
}

impl Customer {
    pub fn fields(&self, id: i64) -> Fields {
        vec![
            ("id", json!(id)),
            ("name", json!(self.name)),
            ("country", json!(self.country)),
            ("vip", json!(self.vip)),
            ("since", json!(self.since)),
        ]
    }
}

impl Order {
    pub fn fields(&self, id: i64) -> Fields {
        vec![
            ("id", json!(id)),
            ("customer_id", json!(self.customer)),
            ("status", json!(self.status)),
            ("ordered_at", json!(self.ordered_at)),
        ]
    }
}

impl Line {
    pub fn fields(&self, (order, line): (i64, i64)) -> Fields {
        vec![
            ("order_id", json!(order)),
            ("line", json!(line)),
            ("product", json!(self.product)),
            ("quantity", json!(self.quantity)),
            ("price", json!(money(self.cents))),
        ]
    }
}

impl Books {
    /// The books as the source tables have them.
    pub fn read(handle: &Handle) -> Result<Self, Failure> {
        let mut books = Self::default();
        for row in rows(handle, CUSTOMERS.table)? {
            let vip = row.get("vip").and_then(Value::as_bool).unwrap_or(false);
            let (name, country, since) = (text(&row, "name"), text(&row, "country"), text(&row, "since"));
            books.customers.insert(whole(&row, "id"), Customer { name, country, vip, since });
        }
        for row in rows(handle, ORDERS.table)? {
            let (status, ordered_at) = (text(&row, "status"), text(&row, "ordered_at"));
            books.orders.insert(whole(&row, "id"), Order { customer: whole(&row, "customer_id"), status, ordered_at });
        }
        for row in rows(handle, LINES.table)? {
            let line = Line {
                product: text(&row, "product"),
                quantity: whole(&row, "quantity"),
                cents: cents(&text(&row, "price")).unwrap_or(0),
            };
            books.lines.insert((whole(&row, "order_id"), whole(&row, "line")), line);
        }
        Ok(books)
    }

    pub fn is_empty(&self) -> bool {
        self.customers.is_empty() && self.orders.is_empty() && self.lines.is_empty()
    }

    /// The lines of an order.
    pub fn lines_of(&self, order: i64) -> Vec<(i64, i64)> {
        self.lines.range((order, i64::MIN)..=(order, i64::MAX)).map(|(key, _)| *key).collect()
    }

    /// The totals by country and by product of what was sold.
    fn totals(&self) -> (BTreeMap<String, Total>, BTreeMap<String, Total>) {
        let (mut countries, mut products) = (BTreeMap::new(), BTreeMap::new());
        for ((order, _), line) in &self.lines {
            let Some(order) = self.orders.get(order).filter(|order| order.status != "cancelled") else { continue };
            let Some(customer) = self.customers.get(&order.customer) else { continue };
            let amount = line.quantity * line.cents;
            for (totals, name) in [(&mut countries, &customer.country), (&mut products, &line.product)] {
                let total: &mut Total = totals.entry(name.clone()).or_default();
                total.lines += 1;
                total.items += line.quantity;
                total.cents += amount;
                total.largest = total.largest.max(amount);
            }
        }
        (countries, products)
    }

    /// Compares the tables with the books, all of them; answers what was found equal.
    pub fn compare(&self, handle: &Handle) -> Result<String, Failure> {
        let (countries, products) = self.totals();
        let sold = Total::sum(countries.values());
        for (table, expected) in [
            (CUSTOMERS.table, self.customers.len() as i64),
            (ORDERS.table, self.orders.len() as i64),
            (LINES.table, self.lines.len() as i64),
            ("sales", sold.lines),
        ] {
            let there = rows(handle, table)?.len() as i64;
            same(&format!("the number of rows of {table}"), &there, &expected)?;
        }
        let mut found = BTreeMap::new();
        for row in rows(handle, "country_revenue")? {
            let total = Total {
                lines: whole(&row, "lines"),
                items: whole(&row, "items"),
                cents: amount(&row, "revenue")?,
                largest: amount(&row, "largest")?,
            };
            found.insert(text(&row, "country"), total);
        }
        same("country_revenue", &found, &countries)?;
        let mut top = BTreeMap::new();
        for row in rows(handle, "top_products")? {
            top.insert(text(&row, "product"), (whole(&row, "sold"), amount(&row, "revenue")?));
        }
        let best = products.into_iter().filter(|(_, total)| total.cents > TOP_CENTS);
        let best: BTreeMap<_, _> = best.map(|(product, total)| (product, (total.items, total.cents))).collect();
        same("top_products", &top, &best)?;
        Ok(format!(
            "revenue {} of {} lines in {} countries, and the top list of {} products, are exactly what the generator's own \
             books say",
            money(sold.cents),
            sold.lines,
            countries.len(),
            best.len()
        ))
    }
}

impl Total {
    fn sum<'a>(totals: impl Iterator<Item = &'a Self>) -> Self {
        totals.fold(Self::default(), |sum, total| Self {
            lines: sum.lines + total.lines,
            items: sum.items + total.items,
            cents: sum.cents + total.cents,
            largest: sum.largest.max(total.largest),
        })
    }
}

fn amount(row: &Row, column: &str) -> Result<i64, Failure> {
    let text = text(row, column);
    cents(&text).ok_or_else(|| Failure::other(format!("{column} is \"{text}\", which is no amount of money: {row:?}")))
}

fn same<T: PartialEq + fmt::Debug>(what: &str, found: &T, expected: &T) -> Result<(), Failure> {
    if found == expected {
        return Ok(());
    }
    Err(Failure::other(format!(
        "checked: {what} is WRONG: the tables have {found:?}, the generator's books {expected:?}; this is a bug of \
         millstream, please report it with the data folder"
    )))
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} customers, {} orders and {} order lines",
            self.customers.len(),
            self.orders.len(),
            self.lines.len()
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn totals_leave_out_what_was_cancelled_or_does_not_join() {
        let customer =
            |country: &str| Customer { name: "n".into(), country: country.into(), vip: false, since: "".into() };
        let order = |customer, status: &str| Order { customer, status: status.into(), ordered_at: "".into() };
        let line = |quantity, cents| Line { product: "p".into(), quantity, cents };
        let books = Books {
            customers: [(1, customer("DE")), (2, customer("FR"))].into(),
            orders: [(1, order(1, "open")), (2, order(2, "cancelled")), (3, order(9, "open"))].into(),
            lines: [
                ((1, 1), line(2, 150)),
                ((1, 2), line(1, 50)),
                ((2, 1), line(1, 1)),
                ((3, 1), line(1, 1)),
                ((4, 1), line(1, 1)),
            ]
            .into(),
        };
        let (countries, products) = books.totals();
        let total = Total { lines: 2, items: 3, cents: 350, largest: 300 };
        assert_eq!(countries, [("DE".to_string(), total)].into());
        assert_eq!(products, [("p".to_string(), total)].into());
        assert_eq!(books.lines_of(1), [(1, 1), (1, 2)]);
    }
}
