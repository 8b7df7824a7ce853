//! `millstream checkpoint`: the checkpoints of a data folder. `list` reads manifests, beside a process that works in the folder;
//! `verify` and `prune` read every block, and need the folder for themselves.

use std::path::{Path, PathBuf};

use runtime::inspect::{self, CheckpointLine, Trouble};
use serde_json::json;

use super::{Failure, moment, out};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Args)]
struct Where {
    /// The data folder.
    #[arg(long, value_name = "DIR", env = "MILLSTREAM_DATA")]
    data: PathBuf,
    /// JSON lines instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// The checkpoints, by their manifests; also while a process works in the folder.
    List(Where),
    /// Read and check all of every checkpoint: manifest, files, blocks. Exit code 1 if one is damaged.
    Verify(Where),
    /// Remove the damaged ones, and all but the newest whole ones. The last whole one always stays.
    Prune {
        #[command(flatten)]
        place: Where,
        /// How many whole ones are kept.
        #[arg(long, value_name = "N", default_value = "2", value_parser = clap::value_parser!(u32).range(1..=1000))]
        keep: u32,
    },
}

/// Does it.
pub(super) fn checkpoint(args: Args) -> Result<(), Failure> {
    match args.action {
        Action::List(Where { data, json }) => {
            let lines = inspect::list(&data)?;
            print(&lines, json, "")?;
            none_at_all(&lines, &data);
            Ok(())
        }
        Action::Verify(Where { data, json }) => {
            let lines = inspect::check(&data)?;
            print(&lines, json, "")?;
            none_at_all(&lines, &data);
            let bad: Vec<String> =
                lines.iter().filter_map(|l| Some(format!("{}: {}", l.epoch, l.trouble.as_ref()?.text()))).collect();
            if bad.is_empty() {
                return Ok(());
            }
            let what = "a start takes the newest whole one, and replays from there; `millstream checkpoint prune` removes the damaged";
            Err(Failure::other(format!(
                "{} of {} checkpoints cannot be used: {}; {what}",
                bad.len(),
                lines.len(),
                bad.join("; ")
            )))
        }
        Action::Prune { place: Where { data, json }, keep } => {
            let (gone, left) = inspect::prune(&data, keep as usize)?;
            print(&gone, json, "removed ")?;
            print(&left, json, "kept ")?;
            none_at_all(&left, &data);
            Ok(())
        }
    }
}

fn none_at_all(lines: &[CheckpointLine], data: &Path) {
    if lines.is_empty() {
        eprintln!("there is no checkpoint in {}", data.display());
    }
}

fn print(lines: &[CheckpointLine], as_json: bool, verb: &str) -> Result<(), Failure> {
    out(|out| {
        for line in lines {
            if as_json {
                writeln!(out, "{}", in_json(line, verb.trim()))?;
            } else {
                writeln!(out, "{verb}{}", in_words(line))?;
            }
        }
        Ok(())
    })
}

/// `epoch 17  2026-11-22T01:07:17.709Z  1.2 MB  4210 entries  format 1.3  whole`.
fn in_words(line: &CheckpointLine) -> String {
    let mut words = format!("epoch {}", line.epoch);
    if let Some(timestamp) = line.timestamp {
        words.push_str(&format!("  {}", moment(timestamp)));
    }
    words.push_str(&format!("  {} bytes", line.bytes));
    if let Some(entries) = line.entries {
        words.push_str(&format!("  {entries} entries"));
    }
    if let Some((blocks, metadata)) = line.formats {
        words.push_str(&format!("  format {blocks}.{metadata}"));
    }
    match &line.trouble {
        None => words.push_str("  whole"),
        Some(Trouble::Damaged(why)) => words.push_str(&format!("  DAMAGED: {why}")),
        Some(Trouble::Unreadable(why)) => words.push_str(&format!("  UNREADABLE: {why}")),
    }
    words
}

fn in_json(line: &CheckpointLine, verb: &str) -> serde_json::Value {
    let state = match &line.trouble {
        None => "whole",
        Some(Trouble::Damaged(_)) => "damaged",
        Some(Trouble::Unreadable(_)) => "unreadable",
    };
    json!({
        "epoch": line.epoch.0,
        "timestamp": line.timestamp.map(|timestamp| timestamp.0),
        "record": line.hash,
        "bytes": line.bytes,
        "entries": line.entries,
        "format": line.formats.map(|(blocks, _)| blocks),
        "metadata_format": line.formats.map(|(_, metadata)| metadata),
        "state": state,
        "reason": line.trouble.as_ref().map(Trouble::text),
        "action": (!verb.is_empty()).then_some(verb),
    })
}
