//! Which cluster a connector means: a pipeline runs on one log, and reads and writes the topics of that log alone.

use dataflow::StatementError;
use plan::Options;

/// Checks that the connector and `brokers` of a source or sink mean the pipeline's log. `brokers_of_log` are those of
/// `--kafka`; `None`: the embedded log.
pub(crate) fn check(
    name: &str,
    connector: &str,
    options: &Options,
    brokers_of_log: Option<&str>,
) -> Result<(), StatementError> {
    let refuse = |message: String, hint: &str| {
        Err(StatementError {
            sqlstate: "0A000",
            message,
            hint: Some(hint.to_string()),
            detail: None,
            position: None,
            about: None,
        })
    };
    match (connector, options.get("brokers"), brokers_of_log) {
        ("kafka", _, None) => refuse(
            format!("\"{name}\" has connector 'kafka', but this pipeline runs on the embedded log"),
            "start with --kafka HOST:PORT, or say connector = 'log' for topics of the embedded log",
        ),
        ("kafka", Some(brokers), Some(of_log)) if !same(brokers, of_log) => refuse(
            format!(
                "\"{name}\" has brokers '{brokers}', but this pipeline runs on {of_log}: other clusters cannot be used yet"
            ),
            "leave brokers out, or run a pipeline of its own with --kafka for that cluster",
        ),
        _ => Ok(()),
    }
}

/// Whether two lists of brokers are the same, in whatever order.
fn same(a: &str, b: &str) -> bool {
    let sorted = |list: &str| {
        let mut brokers: Vec<String> = list.split(',').map(|broker| broker.trim().to_lowercase()).collect();
        brokers.sort_unstable();
        brokers
    };
    sorted(a) == sorted(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brokers(list: &str) -> Options {
        Options([("brokers".to_string(), list.to_string())].into())
    }

    #[test]
    fn another_cluster_is_refused() {
        let none = Options::default();
        let message =
            |result: Result<(), StatementError>| result.map_err(|error| error.message).err().unwrap_or_default();
        assert!(message(check("t", "kafka", &none, None)).contains("embedded log"));
        assert!(message(check("t", "kafka", &brokers("c:1"), Some("a:1,b:1"))).contains("c:1"));
        assert_eq!(check("t", "kafka", &brokers("b:1, A:1"), Some("a:1,b:1")), Ok(()));
        assert_eq!(check("t", "kafka", &none, Some("a:1")), Ok(()));
        assert_eq!(check("t", "log", &none, None), Ok(()));
        assert_eq!(check("t", "log", &none, Some("a:1")), Ok(()));
    }
}
