//! How a connection begins: encryption, a cancel request or a session; the password; what the server tells of itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pgwire::messages::response::{GssEncResponse, SslResponse};
use pgwire::messages::startup::{Authentication, BackendKeyData, NegotiateProtocolVersion, ParameterStatus, SecretKey};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::conn::Conn;
use super::error::{Failure, PgError, Result, notice};
use super::frame::Fields;
use super::session::Session;
use super::settings::Settings;
use super::{PgDoor, auth};
use crate::stream::Stream;

/// How long a client may take until it is in.
const GREETING_MAX: Duration = Duration::from_secs(60);
/// How long a client may take to hear why it is sent away.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
const CANCEL: u32 = 80_877_102;
/// Version 3.0, the only one spoken.
const VERSION: u32 = 3 << 16;

/// Serves a connection to its end.
pub(crate) async fn serve(stream: TcpStream, peer: SocketAddr, door: Arc<PgDoor>, mut leaving: watch::Receiver<bool>) {
    let mut conn = Conn::new(Stream::Plain(stream));
    let greeted = tokio::select! {
        greeted = tokio::time::timeout(GREETING_MAX, greet(&mut conn, peer, &door)) => greeted.unwrap_or(Err(Failure::Gone)),
        _ = leaving.wait_for(|leaving| *leaving) => Err(PgError::leaving().into()),
    };
    match greeted {
        Ok(Some(Greeted { settings, place })) => {
            let session = Session::enter(conn, Arc::clone(&door), settings, leaving);
            session.run().await;
            drop(place);
        }
        Ok(None) | Err(Failure::Gone) => {}
        Err(Failure::Error(error)) => say_goodbye(&mut conn, *error).await,
    }
}

/// Tells a client why it is sent away.
pub(crate) async fn say_goodbye(conn: &mut Conn, error: PgError) {
    conn.put(&PgError { fatal: true, ..error }.response());
    let goodbye = async {
        if conn.flush().await.is_ok() {
            conn.close().await;
        }
    };
    let _ = tokio::time::timeout(GOODBYE_MAX, goodbye).await;
}

/// A client that is in.
struct Greeted {
    settings: Settings,
    /// Its place among the connections.
    place: OwnedSemaphorePermit,
}

/// `None`: it did not want to come in.
async fn greet(conn: &mut Conn, peer: SocketAddr, door: &Arc<PgDoor>) -> Result<Option<Greeted>> {
    loop {
        let Some(message) = conn.greeting().await? else { return Ok(None) };
        let mut fields = Fields(message);
        match fields.u32()? {
            SSL => match &door.tls {
                Some(tls) => {
                    conn.put(&SslResponse::Accept);
                    conn.flush().await?;
                    let encrypted = conn.encrypt(tls).await;
                    encrypted.inspect_err(|error| tracing::debug!(%peer, "no TLS handshake: {error}"))?;
                }
                None => conn.put(&SslResponse::Refuse),
            },
            GSS => conn.put(&GssEncResponse::Refuse),
            CANCEL => {
                if let (Ok(number), Ok(secret)) = (fields.u32(), fields.u32()) {
                    door.sessions.cancel(number as i32, secret as i32);
                }
                return Ok(None);
            }
            version => {
                if must_encrypt(peer, door.tls.is_some(), conn.is_encrypted()) {
                    let error = PgError::fatal("28000", format!("a connection from {} must be encrypted", peer.ip()));
                    return Err(error.hint("set sslmode=require (or verify-full) in the client").into());
                }
                return start(conn, door, version, fields.0).await.map(Some);
            }
        }
        conn.flush().await?;
    }
}

async fn start(conn: &mut Conn, door: &Arc<PgDoor>, version: u32, body: Bytes) -> Result<Greeted> {
    if version >> 16 != 3 {
        let (major, minor) = (version >> 16, version & 0xffff);
        let message = format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.0");
        return Err(PgError::fatal("0A000", message).into());
    }
    let parameters = parameters(body)?;
    let unknown: Vec<String> = parameters.keys().filter(|name| name.starts_with("_pq_.")).cloned().collect();
    if version != VERSION || !unknown.is_empty() {
        conn.put(&NegotiateProtocolVersion::new(VERSION as i32, unknown));
    }
    let Some(user) = parameters.get("user").filter(|user| !user.is_empty()).cloned() else {
        return Err(PgError::fatal("28000", "no PostgreSQL user name specified in startup packet").into());
    };
    if parameters.get("replication").is_some_and(|value| !matches!(value.as_str(), "false" | "off" | "no" | "0")) {
        let error = PgError::fatal("0A000", "replication connections are not supported");
        return Err(error.hint("changes are published by CREATE SINK").into());
    }
    door.engine()?;
    let place = Arc::clone(&door.connections)
        .try_acquire_owned()
        .map_err(|_| PgError::fatal("53300", "sorry, too many clients already").hint("raise --pg-connections-max"))?;
    if let Some(password) = &door.password {
        auth::check(conn, password, &user).await?;
    }
    let (settings, warnings) = Settings::new(&user, door.limits.statement_timeout, &parameters)
        .map_err(|error| PgError { fatal: true, ..error })?;
    conn.put(&Authentication::Ok);
    for warning in warnings {
        conn.put(&notice("WARNING", "01000", warning));
    }
    Ok(Greeted { settings, place })
}

/// Who has a certificate wants nobody to read along; on this machine nobody is in between.
fn must_encrypt(peer: SocketAddr, has_certificate: bool, is_encrypted: bool) -> bool {
    has_certificate && !is_encrypted && !peer.ip().to_canonical().is_loopback()
}

/// The names and values of a start-up message.
fn parameters(body: Bytes) -> Result<BTreeMap<String, String>> {
    let wrong = |_| PgError::fatal("08P01", "invalid startup packet layout: expected terminator as last byte");
    let mut fields = Fields(body);
    let mut parameters = BTreeMap::new();
    loop {
        let name = fields.text().map_err(wrong)?;
        if name.is_empty() {
            return Ok(parameters);
        }
        parameters.insert(name, fields.text().map_err(wrong)?);
    }
}

/// What a session hears first.
pub(crate) fn introduce(conn: &mut Conn, settings: &Settings, number: i32, secret: i32) {
    for (name, value) in settings.reported() {
        conn.put(&ParameterStatus::new(name.to_string(), value.to_string()));
    }
    conn.put(&BackendKeyData::new(number, SecretKey::I32(secret)));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::must_encrypt;

    #[test]
    fn other_machines_encrypt_where_there_is_a_certificate() {
        for (peer, has_certificate, is_encrypted, must) in [
            ("192.0.2.1:1", true, false, true),
            ("[2001:db8::1]:1", true, false, true),
            ("[::ffff:192.0.2.1]:1", true, false, true),
            ("192.0.2.1:1", true, true, false),
            ("192.0.2.1:1", false, false, false),
            ("127.0.0.1:1", true, false, false),
            ("[::1]:1", true, false, false),
            ("[::ffff:127.0.0.1]:1", true, false, false),
        ] {
            assert_eq!(must_encrypt(peer.parse().unwrap(), has_certificate, is_encrypted), must, "{peer}");
        }
    }
}
