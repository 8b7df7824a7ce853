//! A shop's changes as Debezium writes them: of the changes of orders half are new ones, four in ten updates, one in ten deletes;
//! after every fifty of them a customer moves.

use super::python::Random;
use super::{Identity, Take, Topic};
use crate::cli::Failure;

const SEED: u32 = 7;
const BEGIN_MS: i64 = 1_700_000_000_000;
const REGIONS: i64 = 20;
const STATUSES: [&str; 4] = ["new", "paid", "shipped", "closed"];
/// So many changes of orders to one customer, and to one change of a customer.
const ORDERS_PER_CUSTOMER: u64 = 50;
const CUSTOMERS_MIN: u64 = 10;

struct Order {
    customer: i64,
    amount: i64,
    status: &'static str,
}

/// The shop as its source database has it.
struct Shop<'a, 'b> {
    random: Random,
    /// The region of each.
    customers: Vec<i64>,
    /// By id; those that are gone too.
    orders: Vec<Order>,
    /// The ids of those that are there.
    live: Vec<usize>,
    identity: Identity,
    now_ms: i64,
    take: &'a mut (dyn FnMut(Topic, i64, &str) -> Result<(), Failure> + 'b),
}

/// Generates so many changes of customers and orders together, about: 25 of 26 are of orders.
pub(super) fn generate(changes: u64, identity: Identity, take: Take) -> Result<(), Failure> {
    let of_orders = changes * 25 / 26;
    let customers = (of_orders / ORDERS_PER_CUSTOMER).max(CUSTOMERS_MIN) as i64;
    let random = Random::new(SEED);
    let (customers_there, orders, live) = (Vec::new(), Vec::new(), Vec::new());
    let mut shop = Shop { random, customers: customers_there, orders, live, identity, now_ms: BEGIN_MS, take };
    for id in 0..customers {
        let region = shop.random.below(REGIONS);
        shop.customers.push(region);
        let after = shop.customer(id);
        shop.tell(Topic::Customers, id, "c", None, Some(after))?;
    }
    for change in 0..of_orders {
        shop.now_ms += 1;
        shop.order_changes()?;
        if change % ORDERS_PER_CUSTOMER == ORDERS_PER_CUSTOMER - 1 {
            shop.customer_moves()?;
        }
    }
    Ok(())
}

impl Shop<'_, '_> {
    fn order_changes(&mut self) -> Result<(), Failure> {
        let chance = self.random.unit();
        if chance < 0.5 || self.live.is_empty() {
            self.new_order()
        } else if chance < 0.9 {
            self.update()
        } else {
            self.delete()
        }
    }

    fn new_order(&mut self) -> Result<(), Failure> {
        let customer = self.random.below(self.customers.len() as i64);
        let amount = 1 + self.random.below(10_000);
        let id = self.orders.len();
        self.orders.push(Order { customer, amount, status: STATUSES[0] });
        self.live.push(id);
        let after = self.order(id);
        self.tell(Topic::Orders, id as i64, "c", None, Some(after))
    }

    fn update(&mut self) -> Result<(), Failure> {
        let id = self.live[self.random.below(self.live.len() as i64) as usize];
        let before = self.order(id);
        let chance = self.random.unit();
        if chance < 0.1 {
            self.orders[id].customer = self.random.below(self.customers.len() as i64);
        } else if chance < 0.5 {
            self.orders[id].amount = 1 + self.random.below(10_000);
        } else {
            self.orders[id].status = self.random.one_of(&STATUSES);
        }
        let after = self.order(id);
        self.tell(Topic::Orders, id as i64, "u", Some(before), Some(after))
    }

    fn delete(&mut self) -> Result<(), Failure> {
        let at = self.random.below(self.live.len() as i64) as usize;
        let id = self.live.swap_remove(at);
        let before = match self.identity {
            Identity::Full => self.order(id),
            Identity::Default => format!("{{\"id\":{id},\"customer_id\":null,\"amount\":null,\"status\":null}}"),
        };
        self.tell(Topic::Orders, id as i64, "d", Some(before), None)
    }

    fn customer_moves(&mut self) -> Result<(), Failure> {
        let id = self.random.below(self.customers.len() as i64);
        let before = self.customer(id);
        self.customers[id as usize] = self.random.below(REGIONS);
        let after = self.customer(id);
        self.tell(Topic::Customers, id, "u", Some(before), Some(after))
    }

    fn customer(&self, id: i64) -> String {
        format!("{{\"id\":{id},\"name\":\"customer {id}\",\"region\":\"region-{}\"}}", self.customers[id as usize])
    }

    fn order(&self, id: usize) -> String {
        let Order { customer, amount, status } = &self.orders[id];
        format!("{{\"id\":{id},\"customer_id\":{customer},\"amount\":{amount},\"status\":\"{status}\"}}")
    }

    fn tell(
        &mut self,
        topic: Topic,
        key: i64,
        op: &str,
        before: Option<String>,
        after: Option<String>,
    ) -> Result<(), Failure> {
        let before = before.filter(|_| op != "u" || self.identity == Identity::Full);
        let [before, after] = [before, after].map(|row| row.unwrap_or_else(|| "null".to_string()));
        let now = self.now_ms;
        let line = format!("{{\"before\":{before},\"after\":{after},\"op\":\"{op}\",\"ts_ms\":{now}}}");
        (self.take)(topic, key, &line)
    }
}
