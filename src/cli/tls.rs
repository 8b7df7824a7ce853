//! The flags of encryption: one certificate for the PostgreSQL protocol and for HTTP.

use std::path::PathBuf;

use serve::Tls;

use super::Failure;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A PEM file with the certificate of both listeners, then those of its authorities. HTTP is HTTPS then, and PostgreSQL
    /// clients of other machines must use TLS.
    #[arg(long, value_name = "FILE", env = "MILLSTREAM_TLS_CERTIFICATE")]
    tls_certificate: Option<PathBuf>,
    /// A PEM file with the certificate's private key.
    #[arg(long, value_name = "FILE", env = "MILLSTREAM_TLS_KEY")]
    tls_key: Option<PathBuf>,
}

impl Args {
    /// Reads the files.
    pub fn read(&self) -> Result<Option<Tls>, Failure> {
        match (&self.tls_certificate, &self.tls_key) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => {
                Tls::read(certificate, key).map(Some).map_err(|error| Failure::usage(error.to_string()))
            }
            (Some(_), None) => Err(Failure::usage("--tls-certificate is given without --tls-key: give both")),
            (None, Some(_)) => Err(Failure::usage("--tls-key is given without --tls-certificate: give both")),
        }
    }
}
