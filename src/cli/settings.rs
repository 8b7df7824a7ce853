//! The settings of `millstream run`: flags, then the environment (`MILLSTREAM_*`), then a TOML file, then the defaults.
//!
//! The file's names are those of the flags, so that a new flag is a new setting of the file without a line here. What the
//! file says becomes the flag's default; it is checked on its own first, so that an error names the file.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command};
use toml::{Table, Value};

use super::Failure;

/// The subcommand that has settings.
const RUN: &str = "run";
/// Arguments that are no settings of a file.
const NOT_IN_FILES: [&str; 3] = ["config", "help", "version"];

/// The command line's grammar, with the values of the settings file that the command line or the environment names.
pub(super) fn with_file(command: Command, arguments: &[OsString]) -> Result<Command, Failure> {
    let lenient = command.clone().ignore_errors(true).try_get_matches_from(arguments).ok();
    let named = lenient.as_ref().and_then(|matches| matches.subcommand_matches(RUN));
    match named.and_then(|run| run.get_one::<PathBuf>("config")) {
        Some(path) => apply(command, path),
        None => Ok(command),
    }
}

fn apply(command: Command, path: &Path) -> Result<Command, Failure> {
    let text = fs::read_to_string(path).map_err(|error| {
        Failure::usage(format!("cannot read the settings file {}: {error}; correct --config", path.display()))
    })?;
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        Failure::usage(format!("the settings file {} is not TOML: {error}", path.display()))
    })?;
    let mut command = command;
    for (name, value) in &table {
        let run = command.find_subcommand(RUN).ok_or_else(|| Failure::other("there is no command run"))?;
        let id = name.replace('-', "_");
        let Some(argument) = settings(run).find(|argument| argument.get_id().as_str() == id) else {
            let names: Vec<String> =
                settings(run).map(|argument| argument.get_id().as_str().replace('_', "-")).collect();
            return Err(Failure::usage(format!(
                "the settings file {} has an unknown setting \"{name}\"; the settings are {}",
                path.display(),
                names.join(", ")
            )));
        };
        let wrong = |why: &str| Failure::usage(format!("the settings file {}: {name}: {why}", path.display()));
        let values = texts(value, takes_several(argument)).map_err(|why| wrong(&why))?;
        check(&command, argument, &values).map_err(|why| wrong(&why))?;
        // They live as long as the process: clap keeps references to them.
        let values: Vec<&'static str> = values.into_iter().map(|value| &*value.leak()).collect();
        command = command
            .mut_subcommand(RUN, |run| run.mut_arg(id, |argument| argument.required(false).default_values(values)));
    }
    Ok(command)
}

/// The arguments that can be in a file.
fn settings(run: &Command) -> impl Iterator<Item = &Arg> {
    run.get_arguments().filter(|argument| !NOT_IN_FILES.contains(&argument.get_id().as_str()))
}

fn takes_several(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::Append) || argument.is_positional()
}

/// A value as a flag would have it. A table is a list of NAME=VALUE.
fn texts(value: &Value, several: bool) -> Result<Vec<String>, String> {
    let one = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Boolean(truth) => Ok(truth.to_string()),
        other => Err(format!("a {} cannot be a value here; write it as a text", other.type_str())),
    };
    match value {
        Value::Array(values) if several => values.iter().map(one).collect(),
        Value::Table(table) if several => {
            table.iter().map(|(name, value)| Ok(format!("{name}={}", one(value)?))).collect()
        }
        Value::Array(_) | Value::Table(_) => Err("it has one value, not several".to_string()),
        value => Ok(vec![one(value)?]),
    }
}

/// Whether the flag would take the values.
fn check(command: &Command, argument: &Arg, values: &[String]) -> Result<(), String> {
    let flag = argument.get_long().map(|long| format!("--{long}"));
    for value in values {
        let mut line = vec!["millstream".to_string(), RUN.to_string()];
        match &flag {
            Some(flag) => line.push(format!("{flag}={value}")),
            None => line.extend(["--".to_string(), value.clone()]),
        }
        let alone = command
            .clone()
            .mut_subcommand(RUN, |run| run.mut_args(|argument| argument.required(false).env(None::<&'static str>)));
        if let Err(error) = alone.try_get_matches_from(line) {
            let text = error.to_string();
            return Err(text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_string());
        }
    }
    Ok(())
}

/// The settings as README has them: a table made from the flags themselves.
#[cfg(test)]
fn table(run: &Command) -> String {
    let mut text = String::from("| flag, and name in the file | environment | default | |\n|---|---|---|---|\n");
    for argument in settings(run) {
        let Some(long) = argument.get_long() else { continue };
        let environment = argument.get_env().map(|name| name.to_string_lossy().to_string()).unwrap_or_default();
        let default: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
        let default = if default.is_empty() { String::new() } else { format!("`{}`", default.join(",")) };
        text.push_str(&format!("| `--{long}` | `{environment}` | {default} | {help} |\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::CommandFactory;

    use super::super::Cli;
    use super::*;

    fn parsed(file: &str, flags: &[&str]) -> Result<clap::ArgMatches, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("millstream.toml");
        fs::write(&path, file).unwrap();
        let line: Vec<OsString> = ["millstream", RUN, "--config", path.to_str().unwrap()]
            .iter()
            .chain(flags)
            .map(|part| OsString::from(*part))
            .collect();
        let command = with_file(Cli::command(), &line).map_err(|failure| {
            assert_eq!(failure.code, 2);
            failure.message
        })?;
        let matches = command.try_get_matches_from(line).map_err(|error| error.to_string())?;
        Ok(matches.subcommand_matches(RUN).unwrap().clone())
    }

    fn text(matches: &clap::ArgMatches, id: &str) -> Vec<String> {
        matches.get_raw(id).unwrap().map(|value| value.to_string_lossy().to_string()).collect()
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let file = "data = \"d\"\nepoch-interval = \"70ms\"\ncheckpoints_kept = 5\nfiles = [\"a.sql\", \"b.sql\"]\n";
        let matches = parsed(file, &["--epoch-interval", "80ms"]).unwrap();
        assert_eq!(text(&matches, "data"), ["d"]);
        assert_eq!(text(&matches, "epoch_interval"), ["80ms"]);
        assert_eq!(text(&matches, "checkpoints_kept"), ["5"]);
        assert_eq!(text(&matches, "files"), ["a.sql", "b.sql"]);
        assert_eq!(text(&matches, "pipeline"), ["millstream"]);
    }

    #[test]
    fn a_table_is_a_list_of_names_and_values() {
        let matches = parsed("data = \"d\"\n[kafka-property]\n\"linger.ms\" = 5\n\"ssl.ca.location\" = \"/ca\"\n", &[]);
        assert_eq!(text(&matches.unwrap(), "kafka_property"), ["linger.ms=5", "ssl.ca.location=/ca"]);
    }

    #[test]
    fn what_is_wrong_in_the_file_names_the_file_and_the_setting() {
        let refused = |file: &str, says: &[&str]| {
            let error = parsed(file, &[]).unwrap_err();
            assert!(error.contains("millstream.toml"), "{error}");
            says.iter().for_each(|part| assert!(error.contains(part), "{part} is not in: {error}"));
        };
        refused("data = \"d\"\nepoch_intervall = \"1s\"", &["unknown setting", "epoch_intervall", "epoch-interval"]);
        refused("epoch_interval = 50", &["epoch_interval", "50"]);
        refused("epoch_interval = [\"1s\"]", &["epoch_interval", "one value"]);
        refused("checkpoints_kept = 0", &["checkpoints_kept", "0"]);
        refused("config = \"other.toml\"", &["unknown setting", "config"]);
        refused("data = ", &["not TOML"]);
        let missing: Vec<OsString> = ["millstream", RUN, "--config", "/nowhere.toml"].map(OsString::from).into();
        assert!(with_file(Cli::command(), &missing).unwrap_err().message.contains("/nowhere.toml"));
    }

    /// Every flag has its variable, named by one rule.
    #[test]
    fn every_setting_is_in_the_environment_too() {
        let command = Cli::command();
        for argument in settings(command.find_subcommand(RUN).unwrap()) {
            let Some(long) = argument.get_long() else { continue };
            let name = format!("MILLSTREAM_{}", long.replace('-', "_").to_uppercase());
            assert_eq!(argument.get_env().map(|env| env.to_string_lossy().to_string()), Some(name), "--{long}");
        }
    }

    #[test]
    fn readme_has_the_settings_as_they_are() {
        let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
        let command = Cli::command();
        let table = table(command.find_subcommand(RUN).unwrap());
        assert!(readme.contains(&table), "README's table of settings is to be:\n{table}");
    }
}
