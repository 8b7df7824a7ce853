//! A connection's bytes: messages in, messages out.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use pgwire::messages::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use super::error::PgError;
use crate::stream::Stream;

/// The longest message that is taken.
pub(crate) const MESSAGE_BYTES_MAX: usize = 256 << 20;
/// The longest before the client is known.
pub(crate) const GREETING_BYTES_MAX: usize = 10_000;
/// Output is sent once it has so many bytes.
const OUT_BYTES: usize = 32 << 10;
/// How much is read ahead of the statement at work.
const AHEAD_BYTES: usize = 1 << 20;

/// A client, as bytes.
#[derive(Debug)]
pub(crate) struct Conn {
    stream: Stream,
    input: BytesMut,
    out: BytesMut,
}

impl Conn {
    pub fn new(stream: Stream) -> Self {
        Self { stream, input: BytesMut::new(), out: BytesMut::new() }
    }

    /// Reads until there are so many bytes; false if the client is gone before.
    async fn fill(&mut self, length: usize) -> io::Result<bool> {
        while self.input.len() < length {
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The next message without a kind: those before the client is known. `None`: the client is gone.
    pub async fn greeting(&mut self) -> io::Result<Option<Bytes>> {
        if !self.fill(4).await? {
            return Ok(None);
        }
        let length = (&self.input[..4]).get_u32() as usize;
        // Also what speaks another protocol: TLS, HTTP.
        if !(8..=GREETING_BYTES_MAX).contains(&length) || !self.fill(length).await? {
            return Ok(None);
        }
        let mut message = self.input.split_to(length).freeze();
        message.advance(4);
        Ok(Some(message))
    }

    /// The next message: its kind and body. `None`: the client is gone. May be dropped while it waits.
    pub async fn message(&mut self, bytes_max: usize) -> io::Result<Option<Result<(u8, Bytes), PgError>>> {
        if !self.fill(5).await? {
            return Ok(None);
        }
        let length = (&self.input[1..5]).get_u32() as usize;
        if length < 4 {
            return Ok(Some(Err(PgError::fatal("08P01", "invalid message length"))));
        }
        if length > bytes_max {
            let message = format!("a message of {length} bytes is too large: {bytes_max} at most");
            return Ok(Some(Err(PgError::fatal("54000", message))));
        }
        if !self.fill(length + 1).await? {
            return Ok(None);
        }
        let mut message = self.input.split_to(length + 1).freeze();
        let kind = message.get_u8();
        message.advance(4);
        Ok(Some(Ok((kind, message))))
    }

    /// Whether what the client sends next is Sync, behind messages that only close something. It is waited for: whoever wants an
    /// answer before sends Flush. May be dropped while it waits.
    pub async fn syncs_next(&mut self) -> io::Result<bool> {
        let mut at = 0;
        loop {
            if !self.fill(at + 5).await? {
                return Ok(false);
            }
            let length = (&self.input[at + 1..at + 5]).get_u32() as usize;
            match self.input[at] {
                b'C' if length <= GREETING_BYTES_MAX => at += 1 + length,
                kind => return Ok(kind == b'S'),
            }
        }
    }

    /// Returns when the client is gone; what it sends meanwhile is kept. May be dropped at any time.
    pub async fn gone(&mut self) {
        while self.input.len() < AHEAD_BYTES {
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        // Somebody who sends that much is there.
        std::future::pending().await
    }

    /// Adds a message to the output.
    pub fn put(&mut self, message: &impl Message) {
        // The only error is a message over 2 GiB: ours are descriptions and errors.
        if let Err(error) = message.encode(&mut self.out) {
            tracing::error!("a message could not be written: {error}");
        }
    }

    /// Adds whole messages to the output.
    pub fn put_bytes(&mut self, messages: &[u8]) {
        self.out.extend_from_slice(messages);
    }

    /// Whether the output should be sent.
    pub fn is_full(&self) -> bool {
        self.out.len() >= OUT_BYTES
    }

    /// Sends the output. What was not sent when it is dropped stays, to be sent by the next.
    pub async fn flush(&mut self) -> io::Result<()> {
        while self.out.has_remaining() {
            self.stream.write_buf(&mut self.out).await?;
        }
        self.stream.flush().await
    }

    /// From here on the client is encrypted; it has been told so. What it sent before it could know that was not, and may be
    /// of somebody in between: it is refused.
    pub async fn encrypt(&mut self, acceptor: &TlsAcceptor) -> io::Result<()> {
        let wrong = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidData, why.to_string()));
        if !self.input.is_empty() {
            return wrong("received unencrypted data after SSL request");
        }
        match std::mem::replace(&mut self.stream, Stream::Gone) {
            Stream::Plain(stream) => {
                self.stream = Stream::Tls(Box::new(acceptor.accept(stream).await?));
                Ok(())
            }
            Stream::Tls(_) | Stream::Gone => wrong("received SSL request twice"),
        }
    }

    /// Whether nobody in between can read along.
    pub fn is_encrypted(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// Says that nothing more will come.
    pub async fn close(&mut self) {
        let _ = self.stream.shutdown().await;
    }
}
