//! What is read and written beside the pipeline's log, by the names it has in `connector = '...'`.

use std::sync::Arc;

use api::{Connectors, Lines, LogError, Target, TargetError, TargetSpec, Transport};
use local::{FileTransport, LinesFile};
use plan::{Options, SinkConnector, SinkDef, SourceDef};
use postgres_target::PostgresTarget;

/// The connectors of this binary.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Beside;

impl Connectors for Beside {
    fn transport(&self, source: &SourceDef) -> Result<Option<Arc<dyn Transport>>, LogError> {
        match source.connector.as_str() {
            "file" => Ok(Some(Arc::new(FileTransport::new(source)?))),
            _ => Ok(None),
        }
    }

    fn target(&self, spec: &TargetSpec) -> Result<Box<dyn Target>, TargetError> {
        match spec.sink.connector {
            SinkConnector::Postgres => Ok(Box::new(PostgresTarget::new(spec)?)),
            other => Err(TargetError::Refused(format!("{other:?} is no target by key"))),
        }
    }

    fn lines(&self, spec: &TargetSpec) -> Result<Box<dyn Lines>, TargetError> {
        match spec.sink.connector {
            SinkConnector::File => Ok(Box::new(LinesFile::new(spec)?)),
            other => Err(TargetError::Refused(format!("{other:?} is no target of lines"))),
        }
    }

    fn check(&self, sink: &SinkDef) -> Result<(), String> {
        match sink.connector {
            SinkConnector::Postgres => postgres_target::check(&sink.options),
            SinkConnector::File => local::check_path(sink.options.get("path")).map(|_| ()),
            SinkConnector::Log | SinkConnector::Stdout | SinkConnector::Blackhole => Ok(()),
        }
    }

    fn without_secrets(&self, options: &Options) -> Options {
        let secret = |name: &str| name.ends_with("password") || name.ends_with("secret");
        let shown = options.0.iter().map(|(name, value)| {
            let value = if secret(name) { "***".to_string() } else { plan::without_passwords(value) };
            (name.clone(), value)
        });
        Options(shown.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let options = [("url", "postgres://u:geheim@h/d"), ("kafka.sasl.password", "geheim"), ("password_file", "/p")];
        let options = Options(options.map(|(name, value)| (name.to_string(), value.to_string())).into());
        let shown = Beside.without_secrets(&options);
        assert_eq!(shown.get("url"), Some("postgres://u:***@h/d"));
        assert_eq!(shown.get("kafka.sasl.password"), Some("***"));
        assert_eq!(shown.get("password_file"), Some("/p"));
    }
}
