//! TLS of the listeners: one certificate for all of them, read once, when the process starts.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate with its key.
#[derive(Clone)]
pub struct Tls(Arc<ServerConfig>);

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate's file is not one.
    #[error(
        "cannot take the certificate of {path}: {why}; it is a PEM file, the server's certificate first, then those of \
             its authorities"
    )]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The key's file is not one.
    #[error("cannot take the key of {path}: {why}; it is a PEM file with an unencrypted private key")]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// They do not go together.
    #[error("the key of {key} does not go with the certificate of {certificate}: {why}")]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's.
        key: PathBuf,
        /// Why.
        why: String,
    },
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(...)")
    }
}

impl Tls {
    /// Reads PEM files.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let of_certificate = |why: String| TlsError::Certificate { path: certificate.to_path_buf(), why };
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| of_certificate(error.to_string()))?;
        if chain.is_empty() {
            return Err(of_certificate("there is none in it".to_string()));
        }
        let private = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| TlsError::Key { path: key.to_path_buf(), why: error.to_string() })?;
        let pair = |error: tokio_rustls::rustls::Error| TlsError::Pair {
            certificate: certificate.to_path_buf(),
            key: key.to_path_buf(),
            why: error.to_string(),
        };
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(pair)?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(pair)?;
        Ok(Self(Arc::new(config)))
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0))
    }
}
