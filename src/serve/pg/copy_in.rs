//! COPY ... FROM STDIN: the client is asked for bytes, and the rows that they are are written as one statement.
//!
//! The bytes are read as they come, so that what is wrong is told at once; what the client still sends then is passed over by
//! the session. Nothing is written before the client says that it is done.

use std::sync::Arc;

use bytes::Bytes;
use dataflow::{CopyReader, Work, Write};
use pgwire::messages::copy::CopyInResponse;
use runtime::Handle;

use super::answer::Answer;
use super::error::{PgError, Result};
use super::parameter::utf8;
use super::session::{Bounds, Session};
use super::statement::Statement;

/// So many bytes are read at once.
const PIECE_BYTES: usize = 256 << 10;

impl Session {
    /// Runs it.
    pub async fn copy_in(&mut self, bounds: &Bounds, handle: &Handle, statement: Arc<Statement>) -> Result<Answer> {
        let Work::CopyIn(copy) = &statement.prepared.work else {
            return Err(PgError::internal("a COPY is none any more").into());
        };
        self.may_change(&statement)?;
        let wrong = |error| PgError::of_statement(error, &statement.source);
        let view = self.view(handle);
        let mut reader = copy.reader(&view, &self.limits(bounds)).map_err(wrong)?;
        drop(view);
        let columns = i16::try_from(copy.columns()).map_err(PgError::internal)?;
        self.conn.put(&CopyInResponse::new(0, columns, vec![0; copy.columns()]));
        self.flush().await?;
        let mut piece = Vec::new();
        loop {
            let (kind, body) = self.next_message(bounds).await?;
            match kind {
                b'd' => piece.extend_from_slice(&body),
                b'c' => break,
                // As PostgreSQL has it: these may have been sent before the client knew.
                b'H' | b'S' => {}
                _ => return Err(refused(kind, &body).into()),
            }
            if piece.len() >= PIECE_BYTES {
                let bytes = std::mem::take(&mut piece);
                let thread = tokio::task::spawn_blocking(move || reader.push(&bytes).map(|()| reader));
                let pushed = self.attend(bounds, thread).await?.map_err(PgError::internal)?;
                reader = pushed.map_err(|error| bounds.in_words(wrong(error)))?;
            }
        }
        let thread = tokio::task::spawn_blocking(move || finish(reader, &piece));
        let write = self.attend(bounds, thread).await?.map_err(PgError::internal)?.map_err(wrong)?;
        let statement = Arc::new(statement.as_write(write));
        if self.in_pipeline && self.block.is_none() && !self.syncs_next().await? {
            self.begin_implicit();
        }
        self.write(bounds, handle, statement, Vec::new(), &[]).await
    }
}

fn finish(mut reader: Box<dyn CopyReader>, rest: &[u8]) -> Result<Arc<dyn Write>, dataflow::StatementError> {
    reader.push(rest)?;
    reader.finish()
}

/// What a message ends the COPY with.
fn refused(kind: u8, body: &Bytes) -> PgError {
    match kind {
        b'f' => {
            let text = body.strip_suffix(&[0]).unwrap_or(body);
            match utf8(text) {
                Ok(why) => PgError::new("57014", format!("COPY from stdin failed: {why}")),
                Err(error) => error,
            }
        }
        b'X' => PgError::fatal("08P01", "the client left in the middle of COPY FROM STDIN"),
        _ => PgError::protocol(format!("unexpected message type 0x{kind:02X} during COPY from stdin")),
    }
}
