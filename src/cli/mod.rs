//! The command line. Standard output carries results, standard error what is told besides; the exit codes are pinned:
//! 0 done or asked to stop, 2 flags and SQL files, 3 data folder locked, 4 fenced, 1 all else.

mod check;
mod demo;
mod duration;
mod failure;
mod files;
mod process;
mod run;
mod signals;
mod topic;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use failure::Failure;

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
    Run(run::Args),
    /// Plan SQL files against an empty catalog and touch nothing.
    Check {
        /// SQL files, and folders of *.sql files, which are taken by name.
        #[arg(required = true, value_name = "FILE.sql | FOLDER")]
        files: Vec<PathBuf>,
    },
    /// List, write and read the topics of a running process, as JSON lines.
    Topic(topic::Args),
    /// Run a shop on the embedded log: generated changes, three stream tables, shown live.
    Demo(demo::Args),
}

/// Runs what the command line asks for.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logging(if matches!(cli.command, Command::Demo(_)) { "warn" } else { "info" });
    let done = match cli.command {
        Command::Run(args) => run::run(args),
        Command::Check { files } => check::check(&files),
        Command::Topic(args) => topic::topic(args),
        Command::Demo(args) => demo::demo(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, message }) => {
            eprintln!("millstream: {message}");
            ExitCode::from(code)
        }
    }
}

/// Logs go to standard error; MILLSTREAM_LOG says which, as `info` or `warn,runtime=debug`.
fn start_logging(default: &str) {
    let filter = EnvFilter::try_from_env("MILLSTREAM_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let ansi = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(ansi).init();
}
