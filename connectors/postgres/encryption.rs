//! How the connection to a target is encrypted: `sslmode`, `sslrootcert`, `sslcert` and `sslkey` of the url, with libpq's
//! meanings. The files are read when the connection is opened.
//!
//! | sslmode | encrypted | the server's certificate |
//! |---|---|---|
//! | `disable` | no | |
//! | `prefer` (the default) | if the server can | is not looked at |
//! | `require` | yes | is not looked at; with an `sslrootcert` as `verify-ca` |
//! | `verify-ca` | yes | is signed by an authority of `sslrootcert` |
//! | `verify-full` | yes | and is made out to the host of the url |

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::error::Failure;
use crate::session::Session;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Encryption {
    mode: SslMode,
    proof: Proof,
    roots: Option<PathBuf>,
    /// Our own certificate and its key.
    own: Option<(PathBuf, PathBuf)>,
}

/// What the server must prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// Nothing.
    None,
    /// An authority we trust has signed it.
    Authority,
    /// And it is the host we mean.
    Host,
}

impl Encryption {
    /// Takes what is about encryption out of a url; answers the rest of it.
    pub fn split(url: &str) -> Result<(String, Self), String> {
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut sslmode, mut roots, mut certificate, mut key) = (None, None, None, None);
        let mut rest = Vec::new();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match name {
                "sslmode" => sslmode = Some(value),
                "sslrootcert" => roots = Some(path(name, value)?),
                "sslcert" => certificate = Some(path(name, value)?),
                "sslkey" => key = Some(path(name, value)?),
                _ => rest.push(part),
            }
        }
        let (mode, proof) = match sslmode {
            Some("disable") => (SslMode::Disable, Proof::None),
            None | Some("prefer") => (SslMode::Prefer, Proof::None),
            Some("require") if roots.is_some() => (SslMode::Require, Proof::Authority),
            Some("require") => (SslMode::Require, Proof::None),
            Some("verify-ca") => (SslMode::Require, Proof::Authority),
            Some("verify-full") => (SslMode::Require, Proof::Host),
            Some(other) => {
                return Err(format!(
                    "url has sslmode={other}: it is disable, prefer, require, verify-ca or verify-full"
                ));
            }
        };
        if proof != Proof::None && roots.is_none() {
            return Err(
                "url wants the server's certificate to be verified: say which authorities may have signed it, \
                        sslrootcert=/path/of/ca.pem"
                    .to_string(),
            );
        }
        let own = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err("url has one of sslcert and sslkey: give both".to_string()),
        };
        let rest = if rest.is_empty() { address.to_string() } else { format!("{address}?{}", rest.join("&")) };
        Ok((rest, Self { mode, proof, roots, own }))
    }

    /// Connects.
    pub fn connect(&self, config: &Config) -> Result<Session, Failure> {
        let mut config = config.clone();
        config.ssl_mode(self.mode);
        if self.mode == SslMode::Disable {
            return Session::connect(&config, NoTls);
        }
        let tls = self.client().map_err(Failure::refused)?;
        Session::connect(&config, MakeRustlsConnect::new(tls))
    }

    fn client(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = match (self.proof, &self.roots) {
            (Proof::None, _) | (_, None) => Arc::new(AnyHost { roots: None, provider: provider.clone() }),
            (Proof::Authority, Some(path)) => {
                Arc::new(AnyHost { roots: Some(read_roots(path)?), provider: provider.clone() })
            }
            (Proof::Host, Some(path)) => {
                let roots = Arc::new(read_roots(path)?);
                WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
                    .build()
                    .map_err(|error| format!("cannot use sslrootcert {}: {error}", path.display()))?
            }
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("cannot encrypt: {error}"))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let Some((certificate, key)) = &self.own else { return Ok(builder.with_no_client_auth()) };
        let private = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| format!("cannot take sslkey {}: {error}", key.display()))?;
        builder
            .with_client_auth_cert(read_certificates("sslcert", certificate)?, private)
            .map_err(|error| format!("sslcert {} and sslkey do not go together: {error}", certificate.display()))
    }
}

fn path(name: &str, value: &str) -> Result<PathBuf, String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first == b'%' {
            let byte = rest.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
            let byte = byte.and_then(|hex| u8::from_str_radix(hex, 16).ok());
            bytes.push(byte.ok_or_else(|| format!("url has {name}={value}: a % is followed by two hex digits"))?);
            rest = &rest[2..];
        } else {
            bytes.push(*first);
        }
    }
    match String::from_utf8(bytes) {
        Ok(path) if path.starts_with('/') => Ok(path.into()),
        _ => Err(format!("url has {name}={value}: it is the path of a PEM file, from / on")),
    }
}

fn read_certificates(name: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |why: String| format!("cannot take {name} {}: {why}; it is a PEM file", path.display());
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(list) if list.is_empty() => Err(wrong("there is no certificate in it".to_string())),
        Ok(list) => Ok(list),
        Err(error) => Err(wrong(error.to_string())),
    }
}

fn read_roots(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates("sslrootcert", path)? {
        roots.add(certificate).map_err(|error| format!("cannot take sslrootcert {}: {error}", path.display()))?;
    }
    Ok(roots)
}

/// What is less than all: somebody whom one of the authorities knows, whatever the host is called; without authorities,
/// anybody. The handshake's signatures are verified all the same.
#[derive(Debug)]
struct AnyHost {
    roots: Option<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyHost {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _host: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(roots) = &self.roots {
            let certificate = ParsedCertificate::try_from(certificate)?;
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&certificate, roots, others, now, algorithms)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_about_encryption_is_taken_out_of_the_url() {
        let (rest, found) =
            Encryption::split("postgres://u@h/d?sslmode=verify-full&application_name=x&sslrootcert=/a%20b.pem")
                .unwrap();
        assert_eq!(rest, "postgres://u@h/d?application_name=x");
        assert_eq!((found.proof, found.roots), (Proof::Host, Some("/a b.pem".into())));
        let (rest, found) = Encryption::split("postgres://u@h/d?sslmode=require").unwrap();
        assert_eq!((rest.as_str(), found.mode, found.proof), ("postgres://u@h/d", SslMode::Require, Proof::None));
        let proof = |query: &str| Encryption::split(&format!("postgres://u@h/d?{query}")).map(|(_, found)| found.proof);
        assert_eq!(proof("sslmode=require&sslrootcert=/ca.pem"), Ok(Proof::Authority));
        assert_eq!(proof("sslmode=verify-ca&sslrootcert=/ca.pem"), Ok(Proof::Authority));
        assert_eq!(Encryption::split("postgres://u@h/d").unwrap().1.mode, SslMode::Prefer);
        for (query, why) in [
            ("sslmode=on", "sslmode=on"),
            ("sslmode=verify-ca", "sslrootcert=/path"),
            ("sslmode=require&sslcert=/c.pem", "give both"),
            ("sslrootcert=ca.pem", "from / on"),
            ("sslrootcert=/%zz", "hex"),
        ] {
            assert!(proof(query).unwrap_err().contains(why), "{query}");
        }
    }
}
