//! What the demo shows: on a terminal a picture that is drawn again and again, elsewhere a line a second.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::generator::Counts;
use super::rows::{Row, cents, rows, text, whole};
use crate::cli::Failure;
use crate::cli::process::{Process, now};

/// Rows shown of each table.
const TOP: usize = 6;

/// See the module.
pub(super) struct Screen {
    terminal: bool,
    http: SocketAddr,
    /// When the rates were computed, and from what.
    last: (Instant, u64, u64),
    drawn: bool,
}

/// The figures of a moment.
struct Figures {
    epoch: u64,
    age_ms: i64,
    records: u64,
    records_rate: f64,
    epochs_rate: f64,
}

impl Screen {
    pub fn new(http: SocketAddr) -> Self {
        let terminal = std::io::stdout().is_terminal();
        Self { terminal, http, last: (Instant::now(), 0, 0), drawn: false }
    }

    /// How often it should be drawn.
    pub fn every(&self) -> Duration {
        if self.terminal { Duration::from_millis(500) } else { Duration::from_secs(1) }
    }

    /// Draws it.
    pub fn draw(&mut self, process: &Process, counts: &Counts) -> Result<(), Failure> {
        let figures = self.figures(process);
        let text =
            if self.terminal { self.picture(process, &figures, counts)? } else { line(process, &figures, counts)? };
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .map_err(|error| Failure::while_doing("cannot write to standard output", error))
    }

    fn figures(&mut self, process: &Process) -> Figures {
        let counts = process.shared.metrics.counts();
        let count = |name| counts.get(name).copied().unwrap_or(0);
        let (epochs, records) = (count("epochs"), count("records_in"));
        let (since, epochs_then, records_then) = std::mem::replace(&mut self.last, (Instant::now(), epochs, records));
        let seconds = since.elapsed().as_secs_f64().max(0.001);
        let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        let (epoch, time) = process.shared.epoch();
        Figures {
            epoch: epoch.0,
            age_ms: (now().0 - time.0).max(0),
            records,
            records_rate: rate(records, records_then),
            epochs_rate: rate(epochs, epochs_then),
        }
    }

    fn picture(&mut self, process: &Process, figures: &Figures, counts: &Counts) -> Result<String, Failure> {
        let mut lines = vec![
            format!("\x1b[1mmillstream demo\x1b[0m   http://{}   Ctrl-C ends it; it goes on where it was", self.http),
            format!(
                "epoch {}   age {} ms   {:.0} epochs/s   {:.0} records/s   {} records in   {} inserts, {} updates, {} deletes",
                figures.epoch,
                figures.age_ms,
                figures.epochs_rate,
                figures.records_rate,
                figures.records,
                counts.inserts,
                counts.updates,
                counts.deletes
            ),
        ];
        let mut sales = rows(&process.handle, "sales")?;
        sales.sort_by_key(|row| std::cmp::Reverse((whole(row, "order_id"), whole(row, "line"))));
        table(&mut lines, "sales: a join of order lines, orders and customers (the newest)", &sales, &SALES);
        let countries = by_revenue(rows(&process.handle, "country_revenue")?);
        table(&mut lines, "country_revenue: an aggregate over the join", &countries, &COUNTRIES);
        let products = by_revenue(rows(&process.handle, "top_products")?);
        table(&mut lines, "top_products: revenue above 10000", &products, &PRODUCTS);
        for (name, status) in process.shared.tables() {
            if let Some(error) = status.error {
                lines.push(format!("\x1b[31m{name} is in ERROR: {error}\x1b[0m"));
            }
        }
        // The first time the screen is wiped; after that each line over its old one, so that nothing flickers.
        let begin = if self.drawn { "\x1b[H" } else { "\x1b[2J\x1b[H" };
        self.drawn = true;
        Ok(format!("{begin}{}\x1b[K\n\x1b[J", lines.join("\x1b[K\n")))
    }
}

/// Columns of a table: name, width, whether at the right.
type Columns = [(&'static str, usize, bool)];

const SALES: [(&str, usize, bool); 7] = [
    ("order_id", 9, true),
    ("line", 4, true),
    ("customer", 16, false),
    ("country", 7, false),
    ("product", 12, false),
    ("quantity", 8, true),
    ("amount", 11, true),
];
const COUNTRIES: [(&str, usize, bool); 5] =
    [("country", 9, false), ("lines", 7, true), ("items", 7, true), ("revenue", 14, true), ("largest", 11, true)];
const PRODUCTS: [(&str, usize, bool); 4] =
    [("product", 12, false), ("sold", 7, true), ("revenue", 14, true), ("average", 14, true)];

fn table(lines: &mut Vec<String>, title: &str, rows: &[Row], columns: &Columns) {
    lines.push(String::new());
    lines.push(format!("\x1b[1m{title}\x1b[0m   {} rows", rows.len()));
    let aligned = |text: String, (_, width, right): &(&str, usize, bool)| {
        if *right { format!("{text:>width$}") } else { format!("{text:<width$}") }
    };
    let head: Vec<String> = columns.iter().map(|column| aligned(column.0.to_string(), column)).collect();
    lines.push(format!("  \x1b[2m{}\x1b[0m", head.join("  ")));
    for at in 0..TOP {
        // A table with fewer rows keeps its place.
        let cell = |column| rows.get(at).map_or(String::new(), |row| aligned(shown(row, column), column));
        lines.push(format!("  {}", columns.iter().map(cell).collect::<Vec<_>>().join("  ")));
    }
}

/// A value as people read it.
fn shown(row: &Row, (name, width, right): &(&'static str, usize, bool)) -> String {
    let text = match row.get(*name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) if *right => two_digits(text),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    text.chars().take(*width).collect()
}

/// A numeric as an amount: an average has more digits than anybody wants to see, a sum may have fewer.
fn two_digits(numeric: &str) -> String {
    let (whole, fraction) = numeric.split_once('.').unwrap_or((numeric, ""));
    format!("{whole}.{:0<2}", fraction.chars().take(2).collect::<String>())
}

fn by_revenue(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by_key(|row| std::cmp::Reverse(cents(&text(row, "revenue"))));
    rows
}

fn line(process: &Process, figures: &Figures, counts: &Counts) -> Result<String, Failure> {
    let tables = process.shared.tables();
    let count = |name: &str| tables.get(name).map_or(0, |status| status.rows);
    let best = by_revenue(rows(&process.handle, "top_products")?);
    let sample = best.first().map_or("none yet".to_string(), |row| {
        format!("{} sold {} for {}", text(row, "product"), whole(row, "sold"), text(row, "revenue"))
    });
    let errors: String = tables
        .iter()
        .filter_map(|(name, status)| status.error.as_ref().map(|error| format!("; {name} is in ERROR: {error}")))
        .collect();
    Ok(format!(
        "epoch {} age {} ms, {:.0} epochs/s, {:.0} records/s, {} written; rows: sales {}, country_revenue {}, top_products \
         {}; best: {sample}{errors}\n",
        figures.epoch,
        figures.age_ms,
        figures.epochs_rate,
        figures.records_rate,
        counts.records,
        count("sales"),
        count("country_revenue"),
        count("top_products"),
    ))
}
