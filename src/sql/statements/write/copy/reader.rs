//! COPY FROM's reader: lines become rows, a chunk at a time; each row is judged as it comes, the first that is wrong is told
//! with its line.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringBuilder};
use arrow::compute::{concat_batches, filter_record_batch};
use dataflow::{About, CopyReader, Eval, Header, Limits, StatementError, View, Write};
use datafusion::common::{Column as DfColumn, DFSchema};
use datafusion::logical_expr::Expr;
use plan::{SequenceId, SequenceMark};
use zset::{Column, ColumnType, RowType};

use super::super::super::clock::Moment;
use super::super::Run;
use super::super::numbers::Numbers;
use super::CopyFrom;
use super::copied::Copied;
use super::fields::Fields;
use super::lines::Lines;
use crate::error::{Detail, Result, error, from_datafusion, from_row};
use crate::expr::eval::{Compiled, compile};
use crate::expr::scalar::Scalar;
use crate::expr::{Op, Typed};
use crate::types::BARE_NUMERIC;

/// So many rows, or bytes of theirs, are made values of at once.
const CHUNK_ROWS: usize = 1024;
const CHUNK_BYTES: usize = 1 << 20;
/// As many bytes as PostgreSQL shows of a line or field.
const SHOWN_BYTES: usize = 100;

/// See the module.
#[derive(Debug)]
pub(super) struct Reader {
    copy: Arc<CopyFrom>,
    view: Arc<View>,
    limits: Limits,
    moment: Moment,
    /// What was taken from sequences.
    marks: BTreeMap<SequenceId, SequenceMark>,
    casts: Vec<Compiled>,
    lines: Lines,
    fields: Fields,
    header: bool,
    /// The rows that are no values yet: each column's texts, and each row's line and its number.
    texts: Vec<StringBuilder>,
    pending: Vec<(u64, String)>,
    pending_bytes: usize,
    done: Vec<RecordBatch>,
    done_bytes: usize,
}

/// How a text becomes a column's value: as that column's type reads it.
fn reading(column: &Column, text: Expr) -> Typed {
    let text = Typed::new(text, ColumnType::Text);
    match column.ty {
        ColumnType::Text => text,
        ty @ ColumnType::Varchar(_) => Scalar::call(Op::Fit, vec![text], ty),
        BARE_NUMERIC => Scalar::call(Op::CastExactly, vec![text], BARE_NUMERIC),
        ty => Scalar::call(Op::Cast, vec![text], ty),
    }
}

impl Reader {
    pub(super) fn new(copy: Arc<CopyFrom>, view: Arc<View>, limits: Limits) -> Result<Self> {
        let name = |place: usize| format!("c{place}");
        let given = copy.columns.len();
        let texts = RowType((0..given).map(|place| Column::new(name(place), ColumnType::Text, true)).collect());
        let schema = DFSchema::from_unqualified_fields(texts.schema().fields().clone(), Default::default())
            .map_err(from_datafusion)?;
        let mut casts = Vec::with_capacity(given);
        for (place, &at) in copy.columns.iter().enumerate() {
            let text = Expr::Column(DfColumn::new_unqualified(name(place)));
            casts.push(compile(&reading(&copy.target.def.columns.0[at], text).expr, &schema)?);
        }
        Ok(Self {
            lines: Lines::new(&copy.format),
            fields: Fields::default(),
            header: copy.format.header != Header::No,
            texts: (0..given).map(|_| StringBuilder::new()).collect(),
            copy,
            view,
            limits,
            moment: Moment::now(),
            marks: BTreeMap::new(),
            casts,
            pending: Vec::new(),
            pending_bytes: 0,
            done: Vec::new(),
            done_bytes: 0,
        })
    }

    /// Takes the lines that are whole; with `last`, all.
    fn take_lines(&mut self, last: bool) -> Result<()> {
        loop {
            let line = match self.lines.next(last) {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(()),
                Err(e) => {
                    // what is before it is judged first
                    self.values()?;
                    return Err(self.at_line(e, None));
                }
            };
            let bytes = self.lines.bytes(line);
            let text = match utf8(bytes) {
                Ok(text) => text.to_string(),
                Err(e) => {
                    self.values()?;
                    return Err(self.at_line(e, None));
                }
            };
            if std::mem::take(&mut self.header) {
                self.judge_header(&text)?;
                continue;
            }
            self.take_line(text)?;
            if self.pending.len() >= CHUNK_ROWS || self.pending_bytes >= CHUNK_BYTES {
                self.values()?;
            }
        }
    }

    fn take_line(&mut self, text: String) -> Result<()> {
        if let Err(e) = self.fields.read(text.as_bytes(), &self.copy.format) {
            self.values()?;
            return Err(self.at_line(e, Some(&text)));
        }
        let (given, there) = (self.copy.columns.len(), self.fields.places.len());
        if there > given {
            self.values()?;
            return Err(self.at_line(error("22P04", "extra data after last expected column"), Some(&text)));
        }
        for place in 0..there {
            let column = self.copy.format.columns[place];
            let null = self.copy.format.null.as_str();
            let field = match self.fields.get(place).map(utf8).transpose() {
                Ok(field) => field,
                Err(e) => {
                    self.values()?;
                    return Err(self.at_line(e, Some(&text)));
                }
            };
            let field = match field {
                None if column.force_not_null => Some(null),
                Some(field) if column.force_null && field == null => None,
                field => field,
            };
            self.pending_bytes += field.map_or(1, str::len);
            self.texts[place].append_option(field);
        }
        if there < given {
            // the fields that are there are read before
            (there..given).for_each(|place| self.texts[place].append_null());
            self.pending_line(text.clone());
            let (rows, texts) = self.take_pending();
            self.rows_but_the_last(&rows, &texts, there)?;
            let name = &self.copy.target.def.columns.0[self.copy.columns[there]].name;
            return Err(self.at_line(error("22P04", format!("missing data for column \"{name}\"")), Some(&text)));
        }
        self.pending_line(text);
        Ok(())
    }

    fn pending_line(&mut self, text: String) {
        self.pending_bytes += text.len();
        self.pending.push((self.lines.number, text));
    }

    fn judge_header(&mut self, text: &str) -> Result<()> {
        if self.copy.format.header != Header::Match {
            return Ok(());
        }
        let result = self.fields.read(text.as_bytes(), &self.copy.format).and_then(|()| self.match_header());
        result.map_err(|e| self.at_line(e, Some(text)))
    }

    fn match_header(&self) -> Result<()> {
        let (there, given) = (self.fields.places.len(), self.copy.columns.len());
        if there != given {
            return Err(error(
                "22P04",
                format!("wrong number of fields in header line: got {there}, expected {given}"),
            ));
        }
        for (place, &at) in self.copy.columns.iter().enumerate() {
            let expected = &self.copy.target.def.columns.0[at].name;
            let got = match self.fields.get(place) {
                Some(field) if field == expected.as_bytes() => continue,
                Some(field) => format!("\"{}\"", String::from_utf8_lossy(field)),
                None => format!("null value (\"{}\")", self.copy.format.null),
            };
            let field = place + 1;
            return Err(error(
                "22P04",
                format!("column name mismatch in header line field {field}: got {got}, expected \"{expected}\""),
            ));
        }
        Ok(())
    }

    fn take_pending(&mut self) -> (Vec<(u64, String)>, RecordBatch) {
        self.pending_bytes = 0;
        let rows = std::mem::take(&mut self.pending);
        let columns: Vec<ArrayRef> = self.texts.iter_mut().map(|texts| Arc::new(texts.finish()) as ArrayRef).collect();
        let name = |place: usize| Column::new(format!("c{place}"), ColumnType::Text, true);
        let schema = RowType((0..columns.len()).map(name).collect()).schema();
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let batch = RecordBatch::try_new_with_options(schema, columns, &options).expect("columns of text");
        (rows, batch)
    }

    /// Makes values of the rows that are there, and judges them.
    fn values(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let (rows, texts) = self.take_pending();
        let batch = match self.judged(&texts) {
            Ok(batch) => batch,
            Err(e) => return Err(self.first_wrong(&rows, &texts).err().unwrap_or(e)),
        };
        self.done_bytes += batch.get_array_memory_size();
        self.done.push(batch);
        self.afford()
    }

    /// The rows of texts, those that are to be taken, judged.
    fn judged(&mut self, texts: &RecordBatch) -> Result<RecordBatch> {
        let numbers = Numbers::new(&self.view.sequences, &self.limits.session);
        let (view, limits, moment) = (&self.view, &self.limits, self.moment);
        let run = Run { texts: &[], values: Vec::new(), view, limits, moment, numbers };
        let values = self.casts.iter().map(|cast| cast.eval(texts).map_err(from_row)).collect::<Result<Vec<_>>>()?;
        let (target, rows) = (&self.copy.target, texts.num_rows());
        let mut all = Vec::with_capacity(target.def.columns.0.len());
        for at in 0..target.def.columns.0.len() {
            all.push(match self.copy.columns.iter().position(|&given| given == at) {
                Some(place) => Arc::clone(&values[place]),
                None => target.default(at, rows, &run)?,
            });
        }
        let mut batch = target.batch(all, rows)?;
        if let Some((condition, schema)) = &self.copy.condition {
            let fits = compile(condition, schema)?.eval(&batch).map_err(from_row)?;
            batch = filter_record_batch(&batch, fits.as_boolean()).map_err(|e| from_datafusion(e.into()))?;
        }
        target.constraints.judge(&batch)?;
        self.marks.extend(run.numbers.marks().into_iter().map(|mark| (mark.sequence, mark)));
        Ok(batch)
    }

    /// The error of the first row that has one.
    fn first_wrong(&mut self, rows: &[(u64, String)], texts: &RecordBatch) -> Result<()> {
        for (row, (number, line)) in rows.iter().enumerate() {
            let one = texts.slice(row, 1);
            self.read_fields(&one, *number, self.casts.len())?;
            let judged = self.judged(&one);
            judged.map_err(|e| self.with_context(e, *number, Some(line)))?;
        }
        Ok(())
    }

    /// All but the last are whole; of that one so many fields are there.
    fn rows_but_the_last(&mut self, rows: &[(u64, String)], texts: &RecordBatch, there: usize) -> Result<()> {
        let Some(((number, _), whole)) = rows.split_last() else { return Ok(()) };
        self.first_wrong(whole, texts)?;
        self.read_fields(&texts.slice(whole.len(), 1), *number, there)
    }

    fn read_fields(&self, one: &RecordBatch, number: u64, there: usize) -> Result<()> {
        for (place, cast) in self.casts.iter().enumerate().take(there) {
            if let Err(e) = cast.eval(one) {
                let name = &self.copy.target.def.columns.0[self.copy.columns[place]].name;
                let texts = one.column(place).as_string::<i32>();
                let shown =
                    if texts.is_null(0) { "null input".to_string() } else { format!("\"{}\"", shown(texts.value(0))) };
                let table = &self.copy.target.def.name;
                return Err(in_context(from_row(e), format!("COPY {table}, line {number}, column {name}: {shown}")));
            }
        }
        Ok(())
    }

    fn at_line(&self, e: StatementError, line: Option<&str>) -> StatementError {
        self.with_context(e, self.lines.number, line)
    }

    fn with_context(&self, e: StatementError, number: u64, line: Option<&str>) -> StatementError {
        let line = line.map(|line| format!(": \"{}\"", shown(line))).unwrap_or_default();
        in_context(e, format!("COPY {}, line {number}{line}", self.copy.target.def.name))
    }

    fn afford(&self) -> Result<()> {
        let bytes = self.done_bytes + self.pending_bytes + self.lines.kept();
        if bytes > self.limits.memory_bytes {
            return Err(error("53200", format!("the rows to copy take {bytes} bytes, more than a statement may"))
                .with_hint(
                    "split the input into several COPY statements, or give statements more with --query-memory",
                ));
        }
        Ok(())
    }
}

/// A text that is too long to be shown is cut.
fn shown(text: &str) -> String {
    if text.len() <= SHOWN_BYTES {
        return text.to_string();
    }
    let end = (0..=SHOWN_BYTES).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}...", &text[..end])
}

fn in_context(mut e: StatementError, context: String) -> StatementError {
    let about = e.about.get_or_insert_with(|| Box::new(About::default()));
    about.context.get_or_insert(context);
    e
}

/// Text is UTF-8 without zero bytes.
fn utf8(bytes: &[u8]) -> Result<&str> {
    let zero = bytes.iter().position(|byte| *byte == 0);
    let wrong = match std::str::from_utf8(bytes) {
        Ok(text) if zero.is_none() => return Ok(text),
        Ok(_) => zero.unwrap_or(0),
        Err(e) => zero.map_or(e.valid_up_to(), |zero| zero.min(e.valid_up_to())),
    };
    let length = match bytes[wrong] {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => 1,
    };
    let shown: Vec<String> = bytes[wrong..].iter().take(length).map(|byte| format!("0x{byte:02x}")).collect();
    Err(error("22021", format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" "))))
}

impl CopyReader for Reader {
    fn push(&mut self, bytes: &[u8]) -> Result<(), StatementError> {
        self.lines.push(bytes);
        self.take_lines(false)?;
        self.afford()
    }

    fn finish(mut self: Box<Self>) -> Result<Arc<dyn Write>, StatementError> {
        self.take_lines(true)?;
        self.values()?;
        let target = self.copy.target.clone();
        let rows = concat_batches(&target.def.columns.schema(), &self.done).map_err(|e| from_datafusion(e.into()))?;
        let sequences = self.marks.into_values().collect();
        Ok(Arc::new(Copied { target, rows, sequences, seen: self.view.epoch }))
    }
}
