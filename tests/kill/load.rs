//! The load: customers and orders that are made, changed and deleted, and events, without pause. A write that fails because the
//! process was just killed may be in the topic or not: the topic alone says what was written.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::{Log, OutRecord, TopicPartition};
use bytes::Bytes;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use schemas::{murmur2, partition};
use zset::{Partition, TimestampMs};

/// How records get into their topics.
pub enum Door {
    /// Through the process's HTTP listener.
    Http(String),
    /// Beside the process.
    Log(Arc<dyn Log>),
}

/// Before it ends it has written so many records, or failed so often.
const WRITTEN_MIN: u64 = 300;
const FAILURES_MAX: u32 = 300;

/// Whether the writer may write now.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

/// A writer on a thread of its own.
pub struct Load {
    doors: Sender<Door>,
    gate: Arc<Gate>,
    thread: JoinHandle<u64>,
}

type Line = (String, Option<String>);

impl Load {
    pub fn start(seed: u64) -> Self {
        let (doors, new_doors) = channel();
        let gate = Arc::new(Gate::default());
        let mine = Arc::clone(&gate);
        let thread = std::thread::spawn(move || Writer::new(seed).run(&new_doors, &mine));
        Self { doors, gate, thread }
    }

    /// Goes on, through a door.
    pub fn go_on(&self, door: Door) {
        self.doors.send(door).expect("the writer is there");
        *self.gate.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.gate.opened.notify_all();
    }

    /// Waits until the process is there again. A writer that writes beside it is not held up.
    pub fn pause(&self) {
        *self.gate.open.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }

    /// Ends; the number of records written.
    pub fn finish(self) -> u64 {
        drop(self.doors);
        *self.gate.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.gate.opened.notify_all();
        self.thread.join().expect("the writer does not panic")
    }
}

struct Writer {
    rng: ChaCha8Rng,
    orders: BTreeMap<i32, (i32, i64)>,
    next_order: i32,
    next_event: i64,
    written: u64,
    /// Writes that failed since the last that did not.
    failures: u32,
}

impl Writer {
    fn new(seed: u64) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed ^ 1);
        Self { rng, orders: BTreeMap::new(), next_order: 1, next_event: 1, written: 0, failures: 0 }
    }

    fn run(mut self, doors: &Receiver<Door>, gate: &Gate) -> u64 {
        let mut door = doors.recv().expect("a door comes first");
        loop {
            loop {
                match doors.try_recv() {
                    Ok(newer) => door = newer,
                    Err(std::sync::mpsc::TryRecvError::Empty) => break,
                    Err(std::sync::mpsc::TryRecvError::Disconnected) if self.is_enough() => return self.written,
                    Err(std::sync::mpsc::TryRecvError::Disconnected) => break,
                }
            }
            if matches!(door, Door::Http(_)) {
                let open = gate.open.lock().unwrap_or_else(PoisonError::into_inner);
                let wait = gate.opened.wait_timeout_while(open, Duration::from_millis(50), |open| !*open);
                if !*wait.unwrap_or_else(PoisonError::into_inner).0 {
                    continue;
                }
            }
            let (customers, orders, events) = (self.customers(), self.orders(), self.events());
            for (topic, lines) in [("customers", customers), ("orders", orders), ("events", events)] {
                if write(&door, topic, &lines) {
                    self.written += lines.len() as u64;
                    self.failures = 0;
                } else {
                    self.failures += 1;
                }
            }
        }
    }

    /// Whether there is something to judge, or nobody who takes more.
    fn is_enough(&self) -> bool {
        self.written >= WRITTEN_MIN || self.failures >= FAILURES_MAX
    }

    fn customers(&mut self) -> Vec<Line> {
        (0..2)
            .map(|_| {
                let id = self.rng.random_range(1..60);
                let region = ["north", "south", "east", "west"][self.rng.random_range(0..4)];
                let gone = self.rng.random_range(0..10) == 0;
                (format!("{{\"id\":{id}}}"), (!gone).then(|| format!("{{\"id\":{id},\"region\":\"{region}\"}}")))
            })
            .collect()
    }

    fn events(&mut self) -> Vec<Line> {
        let first = self.next_event;
        self.next_event += 10;
        let kinds = ["seen", "heard", "felt"];
        let event = |n| format!("{{\"n\":{n},\"kind\":\"{}\"}}", kinds[n as usize / 7 % 3]);
        (first..self.next_event).map(|n| (format!("{{\"n\":{n}}}"), Some(event(n)))).collect()
    }

    fn orders(&mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        for _ in 0..20 {
            let known: Vec<i32> = self.orders.keys().copied().collect();
            let kind = self.rng.random_range(0..10);
            if known.len() < 200 && kind < 6 || known.is_empty() {
                let (id, order) = (self.next_order, (self.rng.random_range(1..60), self.rng.random_range(-9..100)));
                self.next_order += 1;
                self.orders.insert(id, order);
                lines.push((key(id), Some(event("c", id, Some(order)))));
                continue;
            }
            let id = known[self.rng.random_range(0..known.len())];
            if kind < 8 {
                let order = (self.rng.random_range(1..60), self.rng.random_range(-9..100));
                self.orders.insert(id, order);
                lines.push((key(id), Some(event("u", id, Some(order)))));
            } else {
                self.orders.remove(&id);
                lines.push((key(id), Some(event("d", id, None))));
                lines.push((key(id), None));
            }
        }
        lines
    }
}

fn key(id: i32) -> String {
    format!("{{\"id\":{id}}}")
}

fn event(op: &str, id: i32, order: Option<(i32, i64)>) -> String {
    let after = order.map_or("null".to_string(), |(customer, amount)| {
        format!("{{\"id\":{id},\"customer_id\":{customer},\"amount\":{amount}}}")
    });
    let before = match order {
        None => format!("{{\"id\":{id},\"customer_id\":null,\"amount\":null}}"),
        Some(_) => "null".to_string(),
    };
    format!("{{\"before\":{before},\"after\":{after},\"op\":\"{op}\",\"ts_ms\":1}}")
}

/// Kafka deletes what is older than its topic keeps, by these.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    since.as_millis() as i64
}

/// Writes; whether it is known to be written.
fn write(door: &Door, topic: &str, lines: &[Line]) -> bool {
    match door {
        Door::Http(address) => {
            let body: Vec<String> = lines
                .iter()
                .map(|(key, value)| serde_json::json!({ "key": key, "value": value }).to_string())
                .collect();
            ureq::post(format!("http://{address}/topics/{topic}")).send(body.join("\n")).is_ok()
        }
        Door::Log(log) => {
            let Ok(Some(info)) = log.topic(topic) else { return false };
            let records: Vec<OutRecord> = lines
                .iter()
                .map(|(key, value)| OutRecord {
                    to: TopicPartition {
                        topic: topic.into(),
                        partition: Partition(partition(murmur2(key.as_bytes()) as u32, info.partitions) as i32),
                    },
                    // Now: a broker expires records of long ago.
                    timestamp: TimestampMs(now_ms()),
                    key: Some(Bytes::from(key.clone())),
                    value: value.clone().map(Bytes::from),
                    headers: Vec::new(),
                })
                .collect();
            log.append(&records).is_ok()
        }
    }
}
