//! COPY ... TO STDOUT: rows as lines of text or CSV, each a CopyData message.

use bytes::{BufMut, BytesMut};
use dataflow::{CopyFormat, CopyOut, Header};
use pgwire::messages::copy::CopyOutResponse;

use super::binary::Cells;
use super::error::PgError;
use super::session::Session;

impl Session {
    /// Says that lines follow, and sends the first, if it has the names.
    pub fn begin_copy_out(&mut self, copy: &CopyOut) -> Result<(), PgError> {
        let columns = i16::try_from(copy.columns.len()).map_err(PgError::internal)?;
        self.conn.put(&CopyOutResponse::new(0, columns, vec![0; copy.columns.len()]));
        if copy.format.header != Header::No {
            let mut line = BytesMut::new();
            let names = copy.columns.iter().map(|column| Some(column.name.as_str()));
            let plain = CopyFormat { columns: Vec::new(), ..(*copy.format).clone() };
            write_line(names, &plain, &mut line)?;
            self.conn.put_bytes(&line);
        }
        Ok(())
    }
}

/// Writes a row.
pub(crate) fn write_row(cells: &[Cells], row: usize, format: &CopyFormat, out: &mut BytesMut) -> Result<(), PgError> {
    write_line(cells.iter().map(|cells| cells.text(row)), format, out)
}

fn write_line<'a>(
    fields: impl ExactSizeIterator<Item = Option<&'a str>>,
    format: &CopyFormat,
    out: &mut BytesMut,
) -> Result<(), PgError> {
    out.put_u8(b'd');
    let start = out.len();
    out.put_i32(0);
    let alone = fields.len() == 1;
    for (at, field) in fields.enumerate() {
        if at > 0 {
            out.put_u8(format.delimiter);
        }
        match field {
            None => out.put_slice(format.null.as_bytes()),
            Some(field) if format.csv => {
                let forced = format.columns.get(at).is_some_and(|column| column.force_quote);
                let quoted = forced || field == format.null || needs_quotes(field, format, alone);
                write_csv(field, format, quoted, out);
            }
            Some(field) => write_text(field, format, out),
        }
    }
    out.put_u8(b'\n');
    let length = i32::try_from(out.len() - start)
        .map_err(|_| PgError::new("54000", "a row is larger than the 2 GiB that a message can have"))?;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

fn write_text(field: &str, format: &CopyFormat, out: &mut BytesMut) {
    for byte in field.bytes() {
        let letter = match byte {
            8 => b'b',
            12 => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            11 => b'v',
            b'\\' => b'\\',
            byte if byte == format.delimiter => byte,
            byte => {
                out.put_u8(byte);
                continue;
            }
        };
        out.put_slice(&[b'\\', letter]);
    }
}

fn needs_quotes(field: &str, format: &CopyFormat, alone: bool) -> bool {
    let special = |byte: u8| byte == format.delimiter || byte == format.quote || byte == b'\n' || byte == b'\r';
    // alone on a line it would be the end
    (alone && field == "\\.") || field.bytes().any(special)
}

fn write_csv(field: &str, format: &CopyFormat, quoted: bool, out: &mut BytesMut) {
    if !quoted {
        out.put_slice(field.as_bytes());
        return;
    }
    out.put_u8(format.quote);
    for byte in field.bytes() {
        if byte == format.quote || byte == format.escape {
            out.put_u8(format.escape);
        }
        out.put_u8(byte);
    }
    out.put_u8(format.quote);
}
