//! The flags of the PostgreSQL protocol: where it listens, who may come in, how much a query may take.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serve::pg::{ListenError, Password, PgLimits};

use super::{Failure, duration};

/// Where a password is found besides a file. It is never a flag: flags are seen by everybody on the machine.
const PASSWORD: &str = "MILLSTREAM_PG_PASSWORD";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where the PostgreSQL protocol listens; port 0: any free one, said in the ready line.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5433", env = "MILLSTREAM_PG_LISTEN")]
    pg_listen: String,
    /// A file with the password of the PostgreSQL protocol; or MILLSTREAM_PG_PASSWORD. Needed if other machines can connect.
    #[arg(long, value_name = "FILE", env = "MILLSTREAM_PG_PASSWORD_FILE")]
    pg_password_file: Option<PathBuf>,
    /// How many clients may be connected at the same time.
    #[arg(
        long,
        value_name = "N",
        default_value = "100",
        env = "MILLSTREAM_PG_CONNECTIONS_MAX",
        value_parser = clap::value_parser!(u32).range(1..=10_000),
    )]
    pg_connections_max: u32,
    /// How many queries of clients run at the same time; others wait. One that its client lets wait is none of them.
    #[arg(
        long,
        value_name = "N",
        default_value = "16",
        env = "MILLSTREAM_QUERIES_MAX",
        value_parser = clap::value_parser!(u32).range(1..=256),
    )]
    queries_max: u32,
    /// How much memory one query of a client may take.
    #[arg(long, value_name = "SIZE", default_value = "256MB", env = "MILLSTREAM_QUERY_MEMORY", value_parser = size)]
    query_memory: usize,
    /// How long a statement of a client may take, unless it says SET statement_timeout; 0s: as long as it takes.
    #[arg(
        long,
        value_name = "TIME",
        default_value = "60s",
        env = "MILLSTREAM_STATEMENT_TIMEOUT",
        value_parser = duration::duration,
    )]
    statement_timeout: Duration,
}

/// What the door is made from.
#[derive(Debug, Default)]
pub(super) struct PgSettings {
    /// The addresses to listen on: the first that is free.
    pub listen: Vec<String>,
    pub limits: PgLimits,
    pub password: Option<Password>,
}

impl Args {
    /// With the password read.
    pub fn settings(self) -> Result<PgSettings, Failure> {
        let password = match &self.pg_password_file {
            Some(path) => Some(password_of_file(path)?),
            None => std::env::var_os(PASSWORD).map(|value| password_of(value.to_str(), PASSWORD)).transpose()?,
        };
        let addresses: Vec<SocketAddr> = self.pg_listen.to_socket_addrs().map(Iterator::collect).map_err(|error| {
            let wrong = format!("--pg-listen {}: {error}; it is HOST:PORT, as in 127.0.0.1:5433", self.pg_listen);
            Failure::usage(wrong)
        })?;
        // Said before anything is touched; the listener looks again.
        if let (Some(open), None) = (addresses.into_iter().find(|address| !address.ip().is_loopback()), &password) {
            return Err(Failure::usage(format!("--pg-listen: {}", ListenError::NoPassword(open))));
        }
        let limits = PgLimits {
            statement_timeout: self.statement_timeout,
            query_memory_bytes: self.query_memory,
            queries_max: self.queries_max as usize,
            connections_max: self.pg_connections_max as usize,
        };
        Ok(PgSettings { listen: vec![self.pg_listen], limits, password })
    }
}

fn password_of_file(path: &Path) -> Result<Password, Failure> {
    let name = format!("--pg-password-file {}", path.display());
    let bytes = std::fs::read(path).map_err(|error| Failure::usage(format!("cannot read {name}: {error}")))?;
    let text = std::str::from_utf8(&bytes).ok().map(|text| text.trim_end_matches(['\n', '\r']));
    password_of(text, &name)
}

/// Never says what the password is.
fn password_of(text: Option<&str>, place: &str) -> Result<Password, Failure> {
    match text {
        Some("") => Err(Failure::usage(format!("{place} is empty: put the password there, or leave it out"))),
        Some(text) if text.contains(['\n', '\r', '\0']) => {
            Err(Failure::usage(format!("{place} has several lines: the password is one")))
        }
        Some(text) => Ok(Password::new(text)),
        None => Err(Failure::usage(format!("{place} is not UTF-8 text: a password is"))),
    }
}

/// `64MB`, in PostgreSQL's units.
pub(super) fn size(text: &str) -> Result<usize, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "kb" => 10,
        "mb" => 20,
        "gb" => 30,
        _ => return Err("it is a whole number with a unit: 512kB, 256MB or 1GB".to_string()),
    };
    let number: usize =
        number.parse().map_err(|_| "it is a whole number with a unit: 512kB, 256MB or 1GB".to_string())?;
    match number.checked_mul(1 << shift) {
        Some(bytes) if bytes >= 1 << 20 => Ok(bytes),
        Some(_) => Err("1MB is needed at least".to_string()),
        None => Err("it is more than there can be".to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("256MB"), Ok(256 << 20));
        assert_eq!(size("2048kb"), Ok(2 << 20));
        assert_eq!(size("1GB"), Ok(1 << 30));
        for wrong in ["", "256", "MB", "1.5GB", "10kB", "99999999999999GB", "1 GB"] {
            size(wrong).unwrap_err();
        }
    }

    #[test]
    fn passwords_are_one_line_of_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        for (bytes, good) in
            [(&b"secret\n"[..], true), (b"secret", true), (b"\n", false), (b"a\nb\n", false), (b"\xff", false)]
        {
            std::fs::write(&path, bytes).unwrap();
            let read = password_of_file(&path);
            assert_eq!(read.is_ok(), good, "{bytes:?}");
            assert!(read.err().is_none_or(|failure| failure.code == 2 && !failure.message.contains("secret")));
        }
        assert_eq!(password_of_file(&dir.path().join("none")).unwrap_err().code, 2);
    }
}
