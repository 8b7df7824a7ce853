//! HTTP under TLS: handshakes run beside each other, so that a client that is slow at its own holds up nobody.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::Tls;

/// How long a handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How many connections may wait to be served.
const WAITING_MAX: usize = 128;

/// Hands out connections whose handshake is done.
pub(crate) struct TlsListener {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    bound: SocketAddr,
}

impl TlsListener {
    /// Takes connections from now on, on the runtime it is called in, until it is dropped.
    pub fn new(listener: TcpListener, tls: &Tls) -> io::Result<Self> {
        let bound = listener.local_addr()?;
        let (sender, ready) = mpsc::channel(WAITING_MAX);
        tokio::spawn(take(listener, tls.acceptor(), sender));
        Ok(Self { ready, bound })
    }
}

async fn take(listener: TcpListener, acceptor: TlsAcceptor, ready: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>) {
    loop {
        let taken = tokio::select! {
            taken = listener.accept() => taken,
            () = ready.closed() => return,
        };
        let (stream, peer) = match taken {
            Ok(taken) => taken,
            Err(error) => {
                // Out of files, most likely: some will be given back.
                tracing::warn!("cannot take an HTTPS connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (acceptor, ready) = (acceptor.clone(), ready.clone());
        tokio::spawn(async move {
            match tokio::time::timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => drop(ready.send((stream, peer)).await),
                Ok(Err(error)) => tracing::debug!(%peer, "no TLS handshake: {error}"),
                Err(_) => tracing::debug!(%peer, "no TLS handshake in time"),
            }
        });
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(ready) => ready,
            // The runtime is being shut down.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.bound)
    }
}
