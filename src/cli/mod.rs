//! The command line. Standard output carries results, standard error what is told besides; the exit codes are pinned:
//! 0 done or asked to stop, 2 flags and SQL files, 3 data folder locked, 4 fenced, 1 all else.

mod bench;
mod check;
mod checkpoint;
mod connectors;
mod demo;
mod duration;
mod epochs;
mod failure;
mod files;
mod memory;
mod postgres;
mod process;
mod progress;
mod properties;
mod run;
mod settings;
mod signals;
mod tls;
mod topic;
mod trim;
mod workers;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use failure::Failure;
use zset::TimestampMs;

/// A stream processor: SQL tables over topics, kept exactly equal to their queries as the data changes.
#[derive(Debug, Parser)]
#[command(name = "millstream", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a pipeline.
    Run(Box<run::Args>),
    /// Plan SQL files against an empty catalog and touch nothing.
    Check {
        /// SQL files, and folders of *.sql files, which are taken by name.
        #[arg(required = true, value_name = "FILE.sql | FOLDER")]
        files: Vec<PathBuf>,
    },
    /// List, write and read the topics of a running process, as JSON lines.
    Topic(topic::Args),
    /// List, check and remove the checkpoints of a data folder.
    Checkpoint(checkpoint::Args),
    /// Show the epoch records of a pipeline, a line each, and check that they are a whole chain.
    Epochs(epochs::Args),
    /// Run a shop on the embedded log: generated changes, three stream tables, shown live.
    Demo(demo::Args),
    /// Measure a query over generated data: rows per second and per CPU-second, memory, and a hash of the result.
    Bench(Box<bench::Args>),
}

/// Runs what the command line asks for, on a thread with a stack for the statements of files and of replay.
pub(crate) fn main() -> ExitCode {
    let thread =
        std::thread::Builder::new().name("main".to_string()).stack_size(process::STACK_BYTES).spawn(run_command);
    match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => code,
        Ok(Err(_)) => {
            Failure::other("the main thread panicked, which is a bug of millstream (its message is above)").report()
        }
        Err(error) => Failure::while_doing("cannot start a thread", error).report(),
    }
}

fn run_command() -> ExitCode {
    let cli = match command_line() {
        Ok(cli) => cli,
        Err(failure) => return failure.report(),
    };
    let quiet =
        matches!(cli.command, Command::Demo(_) | Command::Bench(_) | Command::Checkpoint(_) | Command::Epochs(_));
    start_logging(if quiet { "warn" } else { "info" });
    let done = match cli.command {
        Command::Run(args) => run::run(*args),
        Command::Check { files } => check::check(&files),
        Command::Topic(args) => topic::topic(args),
        Command::Checkpoint(args) => checkpoint::checkpoint(args),
        Command::Epochs(args) => epochs::epochs(args),
        Command::Demo(args) => demo::demo(args),
        Command::Bench(args) => bench::bench(*args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// The command line, over the environment, over the settings file. What clap refuses ends the process with code 2.
fn command_line() -> Result<Cli, Failure> {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let command = settings::with_file(Cli::command(), &arguments)?;
    Ok(Cli::from_arg_matches(&command.get_matches_from(arguments)).unwrap_or_else(|error| error.exit()))
}

/// Writes to standard output. Whoever reads it may have enough: that is no failure.
fn out(write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> Result<(), Failure> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match write(&mut out).and_then(|()| std::io::Write::flush(&mut out)) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::while_doing("cannot write to standard output", error))
        }
        _ => Ok(()),
    }
}

/// A moment as it is printed: `2026-11-22T01:07:17.709000Z`.
fn moment(timestamp: TimestampMs) -> String {
    let mut text = Vec::new();
    schemas::text::write_timestamp(timestamp.0.saturating_mul(1000), true, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Logs go to standard error; MILLSTREAM_LOG says which, as `info` or `warn,runtime=debug`.
fn start_logging(default: &str) {
    let filter = EnvFilter::try_from_env("MILLSTREAM_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let ansi = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(ansi).init();
}
