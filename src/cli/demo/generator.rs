//! The generator: the shop's day, written as changes to its topics by the way that `millstream topic write` takes.

use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serve::{LogDoor, WriteOptions, write_lines};

use super::SOURCES;
use super::books::{Books, CUSTOMERS, Customer, LINES, Line, ORDERS, Order};
use super::changes::Lines;
use super::random::Random;
use crate::cli::Failure;
use crate::cli::process::now;
use crate::cli::signals::Stop;

/// How often it writes.
const EVERY: Duration = Duration::from_millis(50);
/// Records a second, about.
const RATE: u64 = 1_500;
/// The shop's size: the oldest orders go when there are more.
const ORDERS_MAX: usize = 2_000;
const CUSTOMERS_MIN: usize = 200;
const CUSTOMERS_MAX: usize = 300;

const COUNTRIES: [&str; 12] = ["AT", "BE", "CH", "DE", "DK", "ES", "FR", "GB", "IT", "NL", "PL", "SE"];
const NAMES: [&str; 10] = ["Ada", "Barbara", "Claude", "Donald", "Edsger", "Frances", "Grace", "Hedy", "Jim", "Leslie"];
const FAMILIES: [&str; 10] =
    ["Weaver", "Miller", "Potter", "Smith", "Cooper", "Fisher", "Baker", "Carter", "Mason", "Fuller"];
const PRODUCTS: [(&str, i64); 16] = [
    ("millstone", 48_900),
    ("flour sack", 390),
    ("sieve", 1_250),
    ("hopper", 7_400),
    ("spindle", 3_199),
    ("water wheel", 129_900),
    ("sail cloth", 5_600),
    ("gear", 2_075),
    ("lantern", 1_899),
    ("scale", 4_450),
    ("rope", 815),
    ("bread tin", 699),
    ("oat flakes", 245),
    ("rye", 180),
    ("spelt", 320),
    ("apron", 2_190),
];
const STATUSES: [&str; 4] = ["open", "paid", "shipped", "delivered"];

/// What was written so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub records: u64,
    pub inserts: u64,
    pub updates: u64,
    pub deletes: u64,
}

/// A running generator.
pub(super) struct Generator {
    stop: Arc<Stop>,
    counts: Arc<RwLock<Counts>>,
    thread: JoinHandle<Result<Books, Failure>>,
}

/// The shop at work.
struct Shop {
    books: Books,
    random: Random,
    /// The lines of this moment, in the order of [`SOURCES`].
    out: [Lines; 3],
    counts: Counts,
    now_ms: i64,
}

impl Generator {
    /// Starts it on books; its chances depend on `seed` only.
    pub fn start(books: Books, log: Arc<LogDoor>, seed: u64) -> Result<Self, Failure> {
        let stop = Arc::new(Stop::default());
        let counts = Arc::new(RwLock::new(Counts::default()));
        let shop =
            Shop { books, random: Random::new(seed), out: Default::default(), counts: Counts::default(), now_ms: 0 };
        let (asked, published) = (Arc::clone(&stop), Arc::clone(&counts));
        let thread = std::thread::Builder::new()
            .name("generator".to_string())
            .spawn(move || shop.run(&log, &asked, &published))
            .map_err(|error| Failure::while_doing("cannot start the generator", error))?;
        Ok(Self { stop, counts, thread })
    }

    pub fn counts(&self) -> Counts {
        *self.counts.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Stops it; answers its books and what it wrote. All of it is in the log.
    pub fn finish(self) -> Result<(Books, Counts), Failure> {
        self.stop.ask();
        let books =
            self.thread.join().map_err(|_| Failure::other("the generator panicked; its message is above"))??;
        let counts = *self.counts.read().unwrap_or_else(PoisonError::into_inner);
        Ok((books, counts))
    }
}

impl Shop {
    fn run(mut self, log: &LogDoor, stop: &Stop, counts: &RwLock<Counts>) -> Result<Books, Failure> {
        let began = Instant::now();
        // What a process that was killed between two topics has left: lines of an order that is gone.
        let orphans: Vec<_> =
            self.books.lines.keys().filter(|key| !self.books.orders.contains_key(&key.0)).copied().collect();
        orphans.into_iter().for_each(|key| self.delete_line(key));
        let mut due = 0;
        while !stop.wait(EVERY) {
            self.now_ms = now().0;
            due = (began.elapsed().as_millis() as u64 * RATE / 1000).min(due + RATE / 4);
            while self.counts.records + self.pending() < due {
                self.event();
            }
            self.flush(log)?;
            *counts.write().unwrap_or_else(PoisonError::into_inner) = self.counts;
        }
        Ok(self.books)
    }

    fn pending(&self) -> u64 {
        self.out.iter().map(|lines| lines.records).sum()
    }

    /// Writes what has happened, as `POST /topics/T` does.
    fn flush(&mut self, log: &LogDoor) -> Result<(), Failure> {
        for ((_, topic), lines) in SOURCES.iter().zip(&mut self.out) {
            let lines = std::mem::take(lines);
            if lines.records == 0 {
                continue;
            }
            write_lines(log, topic, &WriteOptions::default(), &lines.text, now())
                .map_err(|error| Failure::while_doing(&format!("the generator cannot write to {topic}"), error))?;
            self.counts.records += lines.records;
        }
        Ok(())
    }

    /// Something happens in the shop.
    fn event(&mut self) {
        if self.books.customers.len() < CUSTOMERS_MIN {
            return self.new_customer();
        }
        match self.random.between(0, 100) {
            0..40 => self.new_order(),
            40..62 => self.order_goes_on(),
            62..64 => self.order_is_cancelled(),
            64..82 => self.line_changes(),
            82..86 => self.line_is_taken_out(),
            86..94 => self.customer_changes(),
            94..97 => self.new_customer(),
            _ => self.customer_leaves(),
        }
        if self.books.orders.len() > ORDERS_MAX
            && let Some((&oldest, _)) = self.books.orders.first_key_value()
        {
            self.delete_order(oldest);
        }
    }

    fn new_customer(&mut self) {
        if self.books.customers.len() >= CUSTOMERS_MAX {
            return self.customer_leaves();
        }
        let id = self.books.customers.last_key_value().map_or(1, |(id, _)| id + 1);
        let (first, family) = (self.one_of(&NAMES), self.one_of(&FAMILIES));
        let customer = Customer {
            name: format!("{first} {family}"),
            country: self.one_of(&COUNTRIES).to_string(),
            vip: false,
            since: self.time(),
        };
        self.out[0].create(CUSTOMERS, &customer.fields(id), self.now_ms);
        self.counts.inserts += 1;
        self.books.customers.insert(id, customer);
    }

    fn customer_changes(&mut self) {
        let Some(id) = self.any_customer() else { return };
        let moves = self.random.between(0, 3) == 0;
        let country = self.one_of(&COUNTRIES).to_string();
        let Some(customer) = self.books.customers.get_mut(&id) else { return };
        if moves {
            customer.country = country;
        } else {
            customer.vip = !customer.vip;
        }
        self.out[0].update(CUSTOMERS, &customer.fields(id), self.now_ms);
        self.counts.updates += 1;
    }

    /// A customer goes, and all orders before: the source database has a foreign key. The newest stays, so that its
    /// number is not given again.
    fn customer_leaves(&mut self) {
        let newest = self.books.customers.last_key_value().map(|(id, _)| *id);
        let Some(id) = self.any_customer().filter(|id| Some(*id) != newest) else { return };
        let orders = self.books.orders.iter().filter(|(_, order)| order.customer == id);
        let orders: Vec<i64> = orders.map(|(order, _)| *order).collect();
        let newest_order = self.books.orders.last_key_value().map(|(id, _)| *id);
        if orders.iter().any(|order| Some(*order) == newest_order) || self.books.customers.len() <= CUSTOMERS_MIN {
            return self.customer_changes();
        }
        orders.into_iter().for_each(|order| self.delete_order(order));
        if let Some(customer) = self.books.customers.remove(&id) {
            self.out[0].delete(CUSTOMERS, &customer.fields(id), self.now_ms);
            self.counts.deletes += 1;
        }
    }

    fn new_order(&mut self) {
        let Some(customer) = self.any_customer() else { return };
        let id = self.books.orders.last_key_value().map_or(1, |(id, _)| id + 1);
        let order = Order { customer, status: STATUSES[0].to_string(), ordered_at: self.time() };
        self.out[1].create(ORDERS, &order.fields(id), self.now_ms);
        self.counts.inserts += 1;
        self.books.orders.insert(id, order);
        for line in 1..=self.random.between(1, 5) {
            let (product, list) = self.one_of(&PRODUCTS);
            // A price of the day, within a tenth of the list's.
            let cents = list + self.random.between(-list / 10, list / 10 + 1);
            let line_of = Line { product: product.to_string(), quantity: self.random.between(1, 6), cents };
            self.out[2].create(LINES, &line_of.fields((id, line)), self.now_ms);
            self.counts.inserts += 1;
            self.books.lines.insert((id, line), line_of);
        }
    }

    fn order_goes_on(&mut self) {
        let Some(id) = self.any_order() else { return };
        let status = self.books.orders.get(&id).map(|order| order.status.clone()).unwrap_or_default();
        let next = STATUSES.iter().position(|known| *known == status).and_then(|at| STATUSES.get(at + 1));
        match next {
            Some(next) => self.set_status(id, next),
            None => self.set_status(id, STATUSES[0]),
        }
    }

    fn order_is_cancelled(&mut self) {
        if let Some(id) = self.any_order() {
            self.set_status(id, "cancelled");
        }
    }

    fn set_status(&mut self, id: i64, status: &str) {
        let Some(order) = self.books.orders.get_mut(&id) else { return };
        order.status = status.to_string();
        self.out[1].update(ORDERS, &order.fields(id), self.now_ms);
        self.counts.updates += 1;
    }

    fn line_changes(&mut self) {
        let Some(key) = self.any_line() else { return };
        let quantity = self.random.between(1, 10);
        let Some(line) = self.books.lines.get_mut(&key) else { return };
        line.quantity = quantity;
        self.out[2].update(LINES, &line.fields(key), self.now_ms);
        self.counts.updates += 1;
    }

    fn line_is_taken_out(&mut self) {
        if let Some(key) = self.any_line() {
            self.delete_line(key);
        }
    }

    fn delete_line(&mut self, key: (i64, i64)) {
        if let Some(line) = self.books.lines.remove(&key) {
            self.out[2].delete(LINES, &line.fields(key), self.now_ms);
            self.counts.deletes += 1;
        }
    }

    fn delete_order(&mut self, id: i64) {
        self.books.lines_of(id).into_iter().for_each(|key| self.delete_line(key));
        if let Some(order) = self.books.orders.remove(&id) {
            self.out[1].delete(ORDERS, &order.fields(id), self.now_ms);
            self.counts.deletes += 1;
        }
    }

    /// The first at or after a number between the first and the last.
    fn any_customer(&mut self) -> Option<i64> {
        let (first, last) = (*self.books.customers.first_key_value()?.0, *self.books.customers.last_key_value()?.0);
        let from = self.random.between(first, last + 1);
        self.books.customers.range(from..).next().map(|(id, _)| *id)
    }

    fn any_order(&mut self) -> Option<i64> {
        let (first, last) = (*self.books.orders.first_key_value()?.0, *self.books.orders.last_key_value()?.0);
        let from = self.random.between(first, last + 1);
        self.books.orders.range(from..).next().map(|(id, _)| *id)
    }

    fn any_line(&mut self) -> Option<(i64, i64)> {
        let order = self.any_order()?;
        let lines = self.books.lines_of(order);
        self.random.pick(&lines).copied()
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.random.between(0, all.len() as i64) as usize]
    }

    /// This moment, as Debezium writes a timestamptz.
    fn time(&self) -> String {
        let mut text = Vec::new();
        schemas::text::write_timestamp(self.now_ms * 1000, true, &mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}
