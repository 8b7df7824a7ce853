//! `millstream topic`: the topics of a running process, through its HTTP. Lines are as `GET /topics/T` has them.

use std::fs;
use std::io::{self, BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio_rustls::rustls::crypto::ring;
use ureq::http::Response;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, RequestBuilder};

use super::Failure;

/// A request is sent when it has so many lines, or so many bytes.
const LINES_MAX: usize = 1000;
const BYTES_MAX: usize = 1 << 20;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where the running process listens for HTTP; https://HOST:PORT if it has a certificate.
    #[arg(long, global = true, value_name = "HOST:PORT", default_value = "127.0.0.1:9464", env = "MILLSTREAM_HTTP")]
    http: String,
    /// A PEM file with the authorities that may have signed the certificate; needed for https.
    #[arg(long, global = true, value_name = "FILE", env = "MILLSTREAM_HTTP_CA")]
    http_ca: Option<PathBuf>,
    /// A file with the password, if the process is on another machine.
    #[arg(long, global = true, value_name = "FILE", env = "MILLSTREAM_HTTP_PASSWORD_FILE")]
    http_password_file: Option<PathBuf>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// The topics, a JSON line each.
    List,
    /// Write the JSON lines of standard input: {"key": ..., "value": ...}, also partition, headers, timestamp.
    Write {
        /// The topic; made if it is missing and the log is the embedded one.
        topic: String,
        /// The partition for all lines; else each line's own, else by its key.
        #[arg(short, long, value_name = "N")]
        partition: Option<u32>,
        /// The partitions to make the topic with if it is missing.
        #[arg(long, value_name = "N")]
        partitions: Option<u32>,
    },
    /// Read what a topic holds now, as JSON lines.
    Read {
        /// The topic.
        topic: String,
        /// One partition; else all, one after another.
        #[arg(short, long, value_name = "N")]
        partition: Option<u32>,
        /// The first offset; else the oldest there is.
        #[arg(long, value_name = "O")]
        from: Option<u64>,
        /// The most records.
        #[arg(long, value_name = "N")]
        max: Option<u64>,
    },
}

/// Does it.
pub(super) fn topic(args: Args) -> Result<(), Failure> {
    let client = Client::new(&args)?;
    match args.action {
        Action::List => client.copy_out("/topics".to_string()),
        Action::Read { topic, partition, from, max } => {
            let options = [("partition", partition.map(u64::from)), ("from", from), ("max", max)];
            client.copy_out(path(&topic, &options)?)
        }
        Action::Write { topic, partition, partitions } => {
            let options = [("partition", partition.map(u64::from)), ("partitions", partitions.map(u64::from))];
            let path = path(&topic, &options)?;
            let written = client.write(&path, &mut io::stdin().lock())?;
            eprintln!("{written} records written to {topic}");
            Ok(())
        }
    }
}

fn path(topic: &str, options: &[(&str, Option<u64>)]) -> Result<String, Failure> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if topic.is_empty() || !topic.chars().all(allowed) {
        return Err(Failure::usage(format!(
            "\"{topic}\" is not a topic: names are of letters, digits, '.', '_' and '-'"
        )));
    }
    let given = options.iter().filter_map(|(name, value)| value.map(|value| format!("{name}={value}")));
    Ok(format!("/topics/{topic}?{}", given.collect::<Vec<_>>().join("&")))
}

struct Client {
    agent: Agent,
    base: String,
    /// The Authorization header.
    password: Option<String>,
}

impl Client {
    fn new(args: &Args) -> Result<Self, Failure> {
        let http = args.http.trim_end_matches('/');
        // A proxy from the environment is for the world outside, not for the process next door.
        let mut config = Agent::config_builder().http_status_as_error(false).proxy(None);
        let base = match (http.strip_prefix("https://"), &args.http_ca) {
            (Some(_), Some(path)) => {
                config = config.tls_config(trusting(path)?);
                http.to_string()
            }
            (Some(_), None) => {
                return Err(Failure::usage(
                    "https needs --http-ca FILE: the authority that has signed the certificate",
                ));
            }
            (None, _) => format!("http://{}", http.trim_start_matches("http://")),
        };
        let password = args.http_password_file.as_deref().map(basic).transpose()?;
        Ok(Self { agent: config.build().into(), base, password })
    }

    /// With the password, if there is one.
    fn request<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.password {
            Some(password) => request.header("authorization", password),
            None => request,
        }
    }

    fn unreachable(&self, error: &ureq::Error) -> Failure {
        Failure::other(format!(
            "cannot reach a running millstream at {}: {error}; start one (millstream run), or say --http with the address \
             of its ready line",
            self.base
        ))
    }

    /// Copies an answer to standard output as it comes.
    fn copy_out(&self, path: String) -> Result<(), Failure> {
        let response =
            self.request(self.agent.get(format!("{}{path}", self.base))).call().map_err(|e| self.unreachable(&e))?;
        let mut body = good(response)?.into_body().into_reader();
        let mut chunk = vec![0; 64 << 10];
        loop {
            let read = body.read(&mut chunk).map_err(|error| {
                Failure::while_doing("the answer was cut off (the log of the process says why)", error)
            })?;
            let mut out = io::stdout().lock();
            match out.write_all(&chunk[..read]).and_then(|()| if read == 0 { out.flush() } else { Ok(()) }) {
                Ok(()) if read == 0 => return Ok(()),
                Ok(()) => {}
                // The reader of a pipe has had enough.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                Err(error) => return Err(Failure::while_doing("cannot write to standard output", error)),
            }
        }
    }

    /// Sends lines in batches, each of which is written whole or not at all; answers how many records there were.
    fn write(&self, path: &str, input: &mut dyn BufRead) -> Result<u64, Failure> {
        let (mut before, mut written) = (0, 0);
        loop {
            let mut batch = Vec::new();
            let lines = read_batch(input, &mut batch)
                .map_err(|error| Failure::while_doing("cannot read standard input", error))?;
            if lines == 0 && before > 0 {
                return Ok(written);
            }
            let url = format!("{}{path}", self.base);
            let response = self.request(self.agent.post(url)).content_type("application/x-ndjson").send(&batch[..]);
            let answer = good(response.map_err(|e| self.unreachable(&e))?)
                .map_err(|failure| at_line(failure, before, written))?
                .into_body()
                .into_with_config()
                .limit(u64::MAX)
                .read_to_vec()
                .map_err(|e| self.unreachable(&e))?;
            let answer: Value = serde_json::from_slice(&answer)
                .map_err(|error| Failure::while_doing("cannot understand the answer", error))?;
            written += answer["records"].as_u64().unwrap_or(0);
            before += lines;
            if lines == 0 {
                return Ok(written);
            }
        }
    }
}

/// TLS that trusts the authorities of a file and no others.
fn trusting(path: &Path) -> Result<TlsConfig, Failure> {
    let wrong =
        |why: String| Failure::usage(format!("cannot take --http-ca {}: {why}; it is a PEM file", path.display()));
    let pem = fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let roots = parse_pem(&pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
        Ok(_) => None,
        Err(error) => Some(Err(wrong(error.to_string()))),
    });
    let roots: Vec<_> = roots.collect::<Result<_, _>>()?;
    if roots.is_empty() {
        return Err(wrong("there is no certificate in it".to_string()));
    }
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .build())
}

/// The password of a file, as Basic authentication has it.
fn basic(path: &Path) -> Result<String, Failure> {
    let read = fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("cannot read --http-password-file {}: {error}", path.display())))?;
    Ok(format!("Basic {}", STANDARD.encode(format!("millstream:{}", read.trim_end_matches(['\r', '\n'])))))
}

/// Reads lines until there are enough for a request; answers how many.
fn read_batch(input: &mut dyn BufRead, batch: &mut Vec<u8>) -> io::Result<u64> {
    let mut lines = 0;
    while lines < LINES_MAX && batch.len() < BYTES_MAX && input.read_until(b'\n', batch)? > 0 {
        lines += 1;
    }
    Ok(lines as u64)
}

/// The answer if it is one, else the error that it says.
fn good(response: Response<Body>) -> Result<Response<Body>, Refused> {
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status();
    let text = response.into_body().read_to_string().unwrap_or_default();
    Err(Refused { status: status.as_u16(), body: serde_json::from_str(&text).unwrap_or(Value::String(text)) })
}

struct Refused {
    status: u16,
    body: Value,
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused.body["error"].as_str() {
            Some(error) => Self::other(error),
            None => Self::other(format!("the process answered {}: {}", refused.status, refused.body)),
        }
    }
}

/// A refusal of a batch, with the line counted from the beginning of the input.
fn at_line(refused: Refused, before: u64, written: u64) -> Failure {
    match (refused.body["line"].as_u64(), refused.body["reason"].as_str()) {
        (Some(line), Some(reason)) => Failure::other(format!(
            "line {}: {reason}; {written} records before it were written, nothing from line {} on",
            before + line,
            before + 1
        )),
        _ => refused.into(),
    }
}
