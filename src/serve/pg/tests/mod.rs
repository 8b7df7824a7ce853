//! The protocol over queries that are made up: what real ones cannot be made to do. The engine is a real one, on the embedded
//! log; the protocol over real SQL is tested with the binary, in tests/psql.
#![allow(clippy::unwrap_used)]

mod client;
mod fake;
mod fuzz;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use runtime::{DataDir, Engine, EngineConfig, EngineError, Parts, Phase, Shared};
use zset::TimestampMs;

use super::{PgDoor, PgLimits, listen};
use client::Client;
use fake::Fake;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// A pipeline behind a door.
struct World {
    dir: tempfile::TempDir,
    shared: Arc<Shared>,
    fake: Arc<Fake>,
    door: Arc<PgDoor>,
    address: std::net::SocketAddr,
    runtime: tokio::runtime::Runtime,
    engine: Option<std::thread::JoinHandle<Result<(), EngineError>>>,
}

impl World {
    /// A door; the engine does not run yet.
    fn new(limits: PgLimits) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (shared, fake) = (Arc::new(Shared::default()), Arc::new(Fake::default()));
        let door = Arc::new(PgDoor::new(Arc::clone(&shared), fake.clone(), fake.clone(), limits, None));
        let address = runtime.block_on(listen("127.0.0.1:0", Arc::clone(&door))).unwrap();
        Self { dir: tempfile::tempdir().unwrap(), shared, fake, door, address, runtime, engine: None }
    }

    fn serving(limits: PgLimits) -> Self {
        let mut world = Self::new(limits);
        world.serve();
        world
    }

    fn serve(&mut self) {
        let dir = DataDir::lock(&self.dir.path().join("data")).unwrap();
        let config = EngineConfig {
            pipeline: "p".to_string(),
            epoch_interval: Duration::from_millis(1),
            epoch_rows_max: 1024,
            checkpoint_interval: Duration::from_secs(3600),
            checkpoints_kept: 2,
            brokers: None,
        };
        let parts = Parts {
            log: Arc::new(local::LocalLog::open(&dir.log()).unwrap()),
            connectors: Arc::new(fake::NoConnectors),
            planner: self.fake.clone(),
            clock: Arc::new(|| TimestampMs(0)),
            scheduler: Arc::new(runtime::Threads),
            random_id: Arc::new(|| "id".to_string()),
            memory: Default::default(),
            workers: Default::default(),
            faults: Default::default(),
        };
        let mut engine = Engine::open(config, parts, dir, Arc::clone(&self.shared)).unwrap();
        self.door.set_engine(engine.handle());
        self.engine = Some(std::thread::spawn(move || engine.run()));
        assert!(self.shared.wait_phase(&Phase::Serving, Instant::now() + LONG));
    }

    fn client(&self) -> Client {
        let mut client = Client::dial(self.address);
        client.enter();
        client
    }

    fn stop(mut self) {
        self.shared.ask_to_stop();
        self.engine.take().unwrap().join().unwrap().unwrap();
        self.runtime.block_on(self.door.close());
        self.runtime.shutdown_timeout(LONG);
    }
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A cancel request that comes when the engine has it: what is done is told, not that it was cancelled.
#[test]
fn what_is_done_is_told_though_it_was_cancelled() {
    let world = World::serving(PgLimits::default());
    let mut client = world.client();
    for _ in 0..16 {
        world.fake.held.store(false, Ordering::SeqCst);
        world.fake.go_on.store(false, Ordering::SeqCst);
        client.query("held");
        wait_until("it is at work", || world.fake.held.load(Ordering::SeqCst));
        client.cancel();
        world.fake.go_on.store(true, Ordering::SeqCst);
        assert_eq!(client.kinds(), "TCZ");
    }
    world.stop();
}

#[test]
fn before_it_serves_it_says_so() {
    let mut world = World::new(PgLimits::default());
    let mut early = Client::dial(world.address);
    early.greet();
    assert_eq!(early.error(), ("57P03".to_string(), "the database system is starting up".to_string()));
    assert!(early.is_closed());
    world.serve();
    world.client();
    world.stop();
}

#[test]
fn a_panic_is_an_error_of_its_statement() {
    let world = World::serving(PgLimits::default());
    let mut client = world.client();
    for sql in ["panic", "panic in prepare"] {
        client.query(sql);
        assert_eq!(client.error().0, "XX000", "{sql}");
        assert_eq!(client.kinds(), "Z");
    }
    client.query("rows 3");
    assert_eq!(client.kinds(), "TDDDCZ");
    world.stop();
}

#[test]
fn rows_before_an_error_are_sent() {
    let world = World::serving(PgLimits::default());
    let mut client = world.client();
    client.query("rows 2 then fail");
    assert_eq!(client.kinds(), "TDDEZ");
    world.stop();
}

/// Without a bound, or without rows in the way, the query would run to its end.
#[test]
fn a_query_waits_for_its_reader() {
    let world = World::serving(PgLimits::default());
    let mut lazy = world.client();
    lazy.query("rows 1000000000");
    wait_until("it has begun", || world.fake.rows.load(Ordering::SeqCst) > 0);
    // The socket and the channel fill; then it stands still, while others are served.
    let mut other = world.client();
    let made = || world.fake.rows.load(Ordering::SeqCst);
    wait_until("it stands still", || {
        let before = made();
        (0..100).for_each(|_| {
            other.query("rows 1");
            assert_eq!(other.kinds(), "TDCZ");
        });
        made() == before + 100
    });
    assert!(made() < 10_000_000, "{} rows were made for nobody", made());
    drop(lazy);
    wait_until("it ends with its client", || world.fake.running.load(Ordering::SeqCst) == 0);
    world.stop();
}

#[test]
fn time_is_up_while_nobody_reads() {
    let limits = PgLimits { statement_timeout: Duration::from_secs(2), ..PgLimits::default() };
    let world = World::serving(limits);
    let mut lazy = world.client();
    lazy.query("rows 1000000000");
    wait_until("its thread ends", || {
        world.fake.rows.load(Ordering::SeqCst) > 0 && world.fake.running.load(Ordering::SeqCst) == 0
    });
    let kinds = lazy.kinds();
    assert!(kinds.starts_with("TD") && kinds.ends_with("DEZ"), "messages are whole: ...{}", &kinds[kinds.len() - 9..]);
    world.stop();
}

#[test]
fn the_end_ends_what_runs() {
    let world = World::serving(PgLimits::default());
    let mut busy = world.client();
    busy.query("stubborn");
    wait_until("it has begun", || world.fake.running.load(Ordering::SeqCst) == 1);
    let fake = Arc::clone(&world.fake);
    world.stop();
    assert_eq!(busy.error().0, "57P01");
    assert!(busy.is_closed());
    assert_eq!(fake.running.load(Ordering::SeqCst), 0, "its thread has let go");
}

/// A portal with rows without end, of which five were read.
fn open_portal(client: &mut Client) {
    client.parse("rows 1000000000");
    client.bind();
    client.execute(5);
    client.flush();
    assert_eq!(client.until('s'), "12DDDDDs");
}

#[test]
fn a_portal_that_is_closed_lets_go() {
    let world = World::serving(PgLimits::default());
    let mut client = world.client();
    open_portal(&mut client);
    assert_eq!(world.fake.running.load(Ordering::SeqCst), 1);
    client.sync();
    assert_eq!(client.kinds(), "Z");
    wait_until("it ends with its portal", || world.fake.running.load(Ordering::SeqCst) == 0);
    world.stop();
}

/// Cursors that nobody reads on are many in some clients' pools.
#[test]
fn a_portal_that_waits_for_its_client_has_no_place() {
    let world = World::serving(PgLimits { queries_max: 1, ..PgLimits::default() });
    let mut client = world.client();
    open_portal(&mut client);
    let mut other = world.client();
    other.query("rows 1");
    assert_eq!(other.kinds(), "TDCZ");
    client.execute(5);
    client.flush();
    assert_eq!(client.until('s'), "DDDDDs");
    other.query("rows 1");
    assert_eq!(other.kinds(), "TDCZ");
    world.stop();
}

/// Each has a thread, and the server has a limit of those.
#[test]
fn those_that_wait_without_a_place_are_not_without_number() {
    let world = World::serving(PgLimits { queries_max: 2, ..PgLimits::default() });
    let mut client = world.client();
    let all = world.door.waiting.available_permits();
    for round in [0, 1] {
        // The second time there is no room among those that wait: the portal keeps its place.
        let taken = (round == 1).then(|| world.door.waiting.clone().try_acquire_many_owned(all as u32).unwrap());
        open_portal(&mut client);
        assert_eq!(world.door.running.available_permits(), 2 - round);
        client.execute(5);
        client.flush();
        assert_eq!(client.until('s'), "DDDDDs");
        client.sync();
        assert_eq!(client.kinds(), "Z");
        wait_until("it ends with its portal", || world.fake.running.load(Ordering::SeqCst) == 0);
        wait_until("its place is free", || world.door.running.available_permits() == 2);
        drop(taken);
        wait_until("nobody waits", || world.door.waiting.available_permits() == all);
    }
    world.stop();
}

#[test]
fn phases_have_their_errors() {
    use super::error::PgError;
    let state = |phase| PgError::of_phase(&phase).map(|error| error.sqlstate);
    assert_eq!(state(Phase::Serving), None);
    assert_eq!(state(Phase::Starting), Some("57P03"));
    assert_eq!(state(Phase::Stopping), Some("57P03"));
    assert_eq!(state(Phase::Fenced), Some("57P01"));
    assert_eq!(state(Phase::Failed("why".to_string())), Some("57P01"));
}
