//! `millstream demo`: a shop on the embedded log. A generator writes Debezium changes of customers, orders and order
//! lines; three stream tables are kept over them and shown live. It goes on where it was, and at the end it compares the
//! stream tables with the generator's own books.

mod books;
mod changes;
mod folder;
mod generator;
mod random;
mod rows;
mod screen;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use runtime::{EngineConfig, Phase};

use super::files::SqlFile;
use super::postgres::PgSettings;
use super::process::{Process, Settings};
use super::signals::Stop;
use super::{Failure, memory, run, workers};
use books::Books;
use generator::{Counts, Generator};
use screen::Screen;

/// How long the tables may take to have all that was written.
const CATCH_UP_MAX: Duration = Duration::from_secs(60);
/// How long is waited at a time, before it is asked whether the engine still runs.
const GLANCE: Duration = Duration::from_millis(200);
/// How many ports are tried.
const PORTS: std::ops::Range<u16> = 9464..9564;
const PG_PORTS: std::ops::Range<u16> = 5433..5533;

const SQL: &str = include_str!("demo.sql");

/// The source tables and their topics.
const SOURCES: [(&str, &str); 3] = [
    ("customers", "shop.public.customers"),
    ("orders", "shop.public.orders"),
    ("order_lines", "shop.public.order_lines"),
];

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Ends by itself after so many seconds; otherwise Ctrl-C ends it.
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// The data folder [default: millstream/demo in the user's data folder].
    #[arg(long, value_name = "DIR", env = "MILLSTREAM_DEMO_DATA")]
    data: Option<PathBuf>,
    /// Begin anew: delete what is in the data folder.
    #[arg(long)]
    fresh: bool,
}

/// Runs the demo.
pub(super) fn demo(args: Args) -> Result<(), Failure> {
    let data = args.data.clone().map_or_else(folder::default, Ok)?;
    if args.fresh {
        folder::empty(&data)?;
    }
    let stop = Arc::new(Stop::default());
    let asked = Arc::clone(&stop);
    let sql = SqlFile { name: "demo.sql (in the binary)".to_string(), text: SQL.to_string() };
    let process = Process::start(settings(data.clone()), &[sql], move |_| asked.ask()).map_err(|failure| {
        let hint = if failure.code == 2 { "; this version has another demo: begin anew with --fresh" } else { "" };
        Failure { message: failure.message + hint, ..failure }
    })?;
    if !process.announce() {
        return process.join();
    }
    let shown = show(&process, &stop, args.seconds.map(Duration::from_secs));
    let epoch = process.shared.epoch().0;
    process.shared.ask_to_stop();
    process.join()?;
    let counts = shown?;
    println!(
        "demo: {} records written: {} inserts, {} updates, {} deletes; it is at epoch {epoch}",
        counts.records, counts.inserts, counts.updates, counts.deletes
    );
    println!("go on where it was: millstream demo --data {}   (begin anew: --fresh)", data.display());
    Ok(())
}

fn settings(data: PathBuf) -> Settings {
    let engine = EngineConfig {
        pipeline: "demo".to_string(),
        epoch_interval: Duration::from_millis(50),
        epoch_rows_max: run::EPOCH_ROWS_MAX,
        checkpoint_interval: Duration::from_secs(10),
        checkpoints_kept: 2,
        brokers: None,
    };
    let on = |ports: std::ops::Range<u16>| ports.map(|port| format!("127.0.0.1:{port}")).collect();
    let http_listen = on(PORTS);
    let pg = PgSettings { listen: on(PG_PORTS), ..PgSettings::default() };
    Settings {
        data,
        kafka: None,
        kafka_properties: Default::default(),
        http_listen,
        pg,
        tls: None,
        engine,
        memory: memory::by_default(),
        workers: workers::by_default(),
        faults: Default::default(),
    }
}

/// Lets the generator write and shows what becomes of it, until it is to stop; then compares.
fn show(process: &Process, stop: &Stop, seconds: Option<Duration>) -> Result<Counts, Failure> {
    let began = Instant::now();
    catch_up(process)?;
    let books = Books::read(&process.handle)?;
    if !books.is_empty() {
        println!("demo: goes on with {books}");
    }
    println!("demo: its topics: millstream topic --http {} list, or read demo.country_revenue", process.http);
    println!("demo: its tables: psql -h 127.0.0.1 -p {} -U demo", process.pg.port());
    let mut screen = Screen::new(process.http);
    let generator = Generator::start(books, Arc::clone(&process.log), seed(process)?)?;
    let left = || seconds.map_or(Duration::MAX, |seconds| seconds.saturating_sub(began.elapsed()));
    while !left().is_zero() && !stop.wait(screen.every().min(left())) {
        if process.has_ended() || generator.has_ended() {
            break;
        }
        screen.draw(process, &generator.counts())?;
    }
    let (books, counts) = generator.finish()?;
    catch_up(process)?;
    println!("checked: {}", books.compare(&process.handle)?);
    Ok(counts)
}

/// Waits until the tables have all that is in their topics.
fn catch_up(process: &Process) -> Result<(), Failure> {
    let deadline = Instant::now() + CATCH_UP_MAX;
    for (table, topic) in SOURCES {
        for (partition, end) in process.log.ends(topic)? {
            while !process.shared.wait_position(table, partition, end, Instant::now() + GLANCE) {
                let phase = process.shared.phase();
                if process.has_ended() || phase != Phase::Serving {
                    return Err(Failure::other(format!("the engine has stopped: {phase:?}")));
                }
                if Instant::now() > deadline {
                    return Err(Failure::other(format!(
                        "table {table} did not reach offset {end} of topic {topic}, partition {partition}, within {} s; the \
                         log says why (MILLSTREAM_LOG=info)",
                        CATCH_UP_MAX.as_secs()
                    )));
                }
            }
        }
    }
    Ok(())
}

/// The generator's chances depend on nothing but how far it has come.
fn seed(process: &Process) -> Result<u64, Failure> {
    let mut seed = 0;
    for (_, topic) in SOURCES {
        seed += process.log.ends(topic)?.iter().map(|(_, end)| end.0 as u64).sum::<u64>();
    }
    Ok(seed)
}
