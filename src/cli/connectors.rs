//! What is read and written beside the pipeline's log, by the names it has in `connector = '...'`.

use std::sync::Arc;

use api::{Connectors, Lines, LogError, Target, TargetError, TargetSpec, Transport};
use fault::Failpoints;
use local::{FileTransport, LinesFile};
use plan::{Options, SinkConnector, SinkDef, SourceDef};
use postgres_target::PostgresTarget;

/// The connectors of this binary.
#[derive(Debug, Clone, Default)]
pub(crate) struct Beside {
    /// Where targets are to fail.
    pub faults: Failpoints,
}

impl Connectors for Beside {
    fn transport(&self, source: &SourceDef) -> Result<Option<Arc<dyn Transport>>, LogError> {
        match source.connector.as_str() {
            "file" => Ok(Some(Arc::new(FileTransport::new(source)?))),
            _ => Ok(None),
        }
    }

    fn target(&self, spec: &TargetSpec) -> Result<Box<dyn Target>, TargetError> {
        match spec.sink.connector {
            SinkConnector::Postgres => Ok(Box::new(PostgresTarget::new(spec)?.with_faults(self.faults.clone()))),
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

    fn options(&self, options: &Options) -> Result<Options, String> {
        let read = options.0.iter().map(|(name, value)| {
            let value = match name.starts_with("kafka.") {
                true => secret(value).map_err(|why| format!("{name}: {why}"))?,
                false => value.clone(),
            };
            Ok((name.clone(), value))
        });
        read.collect::<Result<_, String>>().map(Options)
    }

    fn without_secrets(&self, options: &Options) -> Options {
        let shown = |name: &str, value| plan::hide_in_option(name, value, &mut |_| "***".to_string());
        let shown = options.0.iter().map(|(name, value)| (name.clone(), shown(name, value)));
        Options(shown.collect())
    }
}

/// A value that may be a secret: `env:NAME` and `file:PATH` are read from there.
pub(crate) fn secret(value: &str) -> Result<String, String> {
    if let Some(name) = value.strip_prefix("env:") {
        return std::env::var(name).map_err(|_| format!("the environment has no {name}; set it, or name another"));
    }
    if let Some(path) = value.strip_prefix("file:") {
        let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))?;
        return Ok(text.trim_end_matches(['\n', '\r']).to_string());
    }
    Ok(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let options = [("url", "postgres://u:geheim@h/d"), ("kafka.sasl.password", "geheim"), ("password_file", "/p")];
        let options = Options(options.map(|(name, value)| (name.to_string(), value.to_string())).into());
        let shown = Beside::default().without_secrets(&options);
        assert_eq!(shown.get("url"), Some("postgres://u:***@h/d"));
        assert_eq!(shown.get("kafka.sasl.password"), Some("***"));
        assert_eq!(shown.get("password_file"), Some("/p"));
    }
}
