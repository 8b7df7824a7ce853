//! The listener: a task for each connection, and an end for all of them when the process leaves.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::PgDoor;
use super::start;

/// How often it is looked whether the process is leaving; every statement looks as well.
const GLANCE: Duration = Duration::from_millis(200);

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address is not to be had.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Other machines could come in without a password.
    #[error(
        "{0} is open to other machines, and there is no password: set one with --pg-password-file FILE or \
         MILLSTREAM_PG_PASSWORD, or listen on 127.0.0.1"
    )]
    NoPassword(SocketAddr),
}

/// Listens on `address` (host:port, port 0 for any free one) and answers from then on, on the runtime it is called in.
/// Returns the address that was bound.
pub async fn listen(address: &str, door: Arc<PgDoor>) -> Result<SocketAddr, ListenError> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    if !bound.ip().is_loopback() && door.password.is_none() {
        return Err(ListenError::NoPassword(bound));
    }
    let leaving = door.leaving.subscribe();
    tokio::spawn(watch_phase(Arc::clone(&door)));
    tokio::spawn(accept(listener, door, leaving));
    Ok(bound)
}

/// Tells every connection when the process leaves.
async fn watch_phase(door: Arc<PgDoor>) {
    while !door.is_leaving() {
        tokio::time::sleep(GLANCE).await;
    }
    door.leaving.send_replace(true);
}

/// Takes connections until the process leaves.
async fn accept(listener: TcpListener, door: Arc<PgDoor>, mut leaving: watch::Receiver<bool>) {
    loop {
        let taken = tokio::select! {
            taken = listener.accept() => taken,
            _ = leaving.wait_for(|leaving| *leaving) => return,
        };
        match taken {
            Ok((stream, peer)) => {
                tokio::spawn(connection(stream, peer, Arc::clone(&door), leaving.clone()));
            }
            Err(error) => {
                // Out of files, most likely: some will be given back.
                tracing::warn!("cannot take a connection of the PostgreSQL protocol: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, door: Arc<PgDoor>, leaving: watch::Receiver<bool>) {
    // Answers are whole already when they are sent.
    let _ = stream.set_nodelay(true);
    start::serve(stream, peer, door, leaving).await;
}
