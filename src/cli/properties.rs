//! NAME=VALUE properties of a client library. A value `env:NAME` or `file:PATH` is a secret that is read from there, when it
//! is needed; it is never printed.

use std::collections::BTreeMap;

use super::Failure;
use super::connectors::secret;

/// Which log, and how it is spoken to.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Kafka {
    /// Kafka's brokers, host:port[,host:port...]. Without it: the embedded log in the data folder.
    #[arg(long, value_name = "BROKERS", env = "MILLSTREAM_KAFKA")]
    pub kafka: Option<String>,
    /// A property of the Kafka client, by librdkafka's name; also several times. A value env:NAME or file:PATH is read from
    /// there: passwords belong there.
    #[arg(
        long,
        value_name = "NAME=VALUE",
        env = "MILLSTREAM_KAFKA_PROPERTY",
        value_delimiter = ';',
        value_parser = property,
    )]
    pub kafka_property: Vec<(String, String)>,
}

/// A flag's NAME=VALUE.
pub(super) fn property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_string(), value.to_string())),
        _ => Err("write NAME=VALUE, as in linger.ms=5".to_string()),
    }
}

/// The properties with their secrets.
pub(super) fn resolve(properties: &[(String, String)]) -> Result<BTreeMap<String, String>, Failure> {
    let mut resolved = BTreeMap::new();
    for (name, value) in properties {
        let value = secret(value).map_err(|why| Failure::usage(format!("--kafka-property {name}: {why}")))?;
        if resolved.insert(name.clone(), value).is_some() {
            return Err(Failure::usage(format!("--kafka-property {name} is given twice; leave one out")));
        }
    }
    Ok(resolved)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn secrets_come_from_files_and_the_environment() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "s3cret\n").unwrap();
        let list = [
            property("sasl.username=u=v").unwrap(),
            property(&format!("sasl.password=file:{}", path.display())).unwrap(),
            property("client.rack=env:PATH").unwrap(),
        ];
        let resolved = resolve(&list).unwrap();
        assert_eq!(resolved["sasl.username"], "u=v");
        assert_eq!(resolved["sasl.password"], "s3cret");
        assert_eq!(resolved["client.rack"], std::env::var("PATH").unwrap());
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(property("linger.ms").unwrap_err().contains("NAME=VALUE"));
        let message = |list: &[(&str, &str)]| {
            let list: Vec<_> = list.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
            resolve(&list).unwrap_err().message
        };
        assert!(message(&[("a", "1"), ("a", "2")]).contains("twice"));
        assert!(message(&[("a", "env:MILLSTREAM_NOT_SET")]).contains("MILLSTREAM_NOT_SET"));
        assert!(message(&[("a", "file:/nowhere")]).contains("/nowhere"));
    }
}
