//! What only the moment of a statement can say: `now()` and its like, `gen_random_uuid()`. They are replaced by their values,
//! as literals, before a statement is planned: all of a statement sees one moment, and what is written is rows, not clocks.

use std::io::Read as _;
use std::ops::ControlFlow;
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::DateTime;
use datafusion::sql::sqlparser::ast::{
    self, CastKind, DataType, Expr, FunctionArguments, TimezoneInfo, Value, Visit, VisitMut, visit_expressions,
    visit_expressions_mut,
};

use super::cursor::identifier;
use crate::error::{Detail, Result, error, unsupported};

/// The moment of a statement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// Microseconds since 1970.
    micros: i64,
}

impl Moment {
    /// Now.
    pub(crate) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { micros: i64::try_from(since.as_micros()).unwrap_or(i64::MAX) }
    }

    fn text(self, format: &str) -> String {
        DateTime::from_timestamp_micros(self.micros).unwrap_or_default().format(format).to_string()
    }

    /// The text and the type of a call, if it is one of a clock.
    fn of(self, call: &ast::Function) -> Option<(String, DataType)> {
        let name = bare_call(call)?;
        let zoned = |zone| DataType::Timestamp(None, zone);
        Some(match name.as_str() {
            "now" | "current_timestamp" | "transaction_timestamp" | "statement_timestamp" | "clock_timestamp" => {
                (self.text("%Y-%m-%d %H:%M:%S%.6f+00"), zoned(TimezoneInfo::Tz))
            }
            "localtimestamp" => (self.text("%Y-%m-%d %H:%M:%S%.6f"), zoned(TimezoneInfo::None)),
            "current_date" => (self.text("%Y-%m-%d"), DataType::Date),
            "localtime" => (self.text("%H:%M:%S%.6f"), DataType::Time(None, TimezoneInfo::None)),
            _ => return None,
        })
    }
}

/// The name of a call without arguments.
fn bare_call(call: &ast::Function) -> Option<String> {
    let plain = match &call.args {
        FunctionArguments::None => true,
        FunctionArguments::List(list) => list.args.is_empty() && list.clauses.is_empty(),
        FunctionArguments::Subquery(_) => false,
    };
    let names: Option<Vec<String>> = call.name.0.iter().map(|part| part.as_ident().map(identifier)).collect();
    match names.as_deref() {
        Some([name]) if plain => Some(name.clone()),
        Some([schema, name]) if plain && schema == "pg_catalog" => Some(name.clone()),
        _ => None,
    }
}

fn is_random(expr: &Expr) -> bool {
    matches!(expr, Expr::Function(call) if bare_call(call).as_deref() == Some("gen_random_uuid"))
}

/// Whether `gen_random_uuid()` stands in it: then it has another value for each row.
pub(crate) fn has_random<T: Visit>(what: &T) -> bool {
    let look = |expr: &Expr| if is_random(expr) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    visit_expressions(what, look).is_break()
}

fn typed(text: String, data_type: DataType) -> Expr {
    let text = Expr::Value(Value::SingleQuotedString(text).into());
    Expr::Cast { kind: CastKind::DoubleColon, expr: Box::new(text), data_type, array: false, format: None }
}

/// Puts the values of a moment in the place of clocks and, with `random`, a new uuid in the place of every
/// `gen_random_uuid()`: right only where an expression is of one row. Whether there were any.
pub(crate) fn settle<T: VisitMut>(what: &mut T, moment: Moment, random: bool) -> Result<bool> {
    let mut found = false;
    let flow = visit_expressions_mut(what, |expr| {
        let value = match expr {
            Expr::Function(call) => moment.of(call),
            _ => None,
        };
        let value = match value {
            None if random && is_random(expr) => match uuid() {
                Ok(text) => Some((text, DataType::Uuid)),
                Err(e) => return ControlFlow::Break(e),
            },
            value => value,
        };
        if let Some((text, data_type)) = value {
            *expr = typed(text, data_type);
            found = true;
        }
        ControlFlow::Continue(())
    });
    match flow {
        ControlFlow::Break(e) => Err(e),
        ControlFlow::Continue(()) => Ok(found),
    }
}

/// Refuses clocks and randomness where the same row must give the same answer at any time.
pub(crate) fn refuse(expr: &Expr, place: &str) -> Result<()> {
    if settle(&mut expr.clone(), Moment { micros: 0 }, true)? {
        return Err(error("42P17", format!("functions in {place} must be immutable: {expr}")).with_hint(
            "now() and its like, and gen_random_uuid(), give another answer each time: use them in DEFAULT",
        ));
    }
    Ok(())
}

/// A random uuid (version 4).
pub(crate) fn uuid() -> Result<String> {
    let mut bytes = [0u8; 16];
    std::fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes)).map_err(|e| {
        unsupported(format!("gen_random_uuid() here: /dev/urandom: {e}"), "give the uuid in the statement")
    })?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = |range: std::ops::Range<usize>| bytes[range].iter().map(|b| format!("{b:02x}")).collect::<String>();
    Ok(format!("{}-{}-{}-{}-{}", hex(0..4), hex(4..6), hex(6..8), hex(8..10), hex(10..16)))
}
