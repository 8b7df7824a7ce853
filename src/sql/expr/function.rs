//! The functions there are, with PostgreSQL's argument and result types. What is not in the table is refused by name.

use zset::ColumnType;
use zset::ColumnType as T;

use super::cast::{self, as_numeric, integer_digits, is_integer, is_text, number_rank, numeric_of};
use super::scalar::Scalar;
use super::{DateField, Op, Typed, absent, condition, literal, operator};
use crate::error::{Detail, Result, code, error, unsupported};

/// Whether a name is an aggregate's, ours or not.
pub(crate) fn is_aggregate(name: &str) -> bool {
    matches!(name, "count" | "sum" | "avg" | "min" | "max")
}

fn no_function(name: &str, arguments: &[Typed]) -> dataflow::StatementError {
    let types: Vec<&str> = arguments.iter().map(Typed::type_name).collect();
    error(code::UNDEFINED_FUNCTION, format!("function {name}({}) does not exist", types.join(", ")))
        .with_hint("no function of this name takes arguments of these types: cast them, as in x::text")
}

/// The arguments, by position, as the function's parameters want them.
struct Arguments<'a> {
    name: &'a str,
    all: Vec<Typed>,
}

impl Arguments<'_> {
    fn wrong(&self) -> dataflow::StatementError {
        no_function(self.name, &self.all)
    }

    fn count(&self, least: usize, most: usize) -> Result<()> {
        if (least..=most).contains(&self.all.len()) { Ok(()) } else { Err(self.wrong()) }
    }

    fn text(&self, at: usize) -> Result<Typed> {
        let typed = self.all[at].clone();
        match typed.ty {
            None => cast::of_unknown(typed, T::Text),
            Some(ty) if is_text(ty) => Ok(typed),
            Some(_) => Err(self.wrong()),
        }
    }

    fn int(&self, at: usize) -> Result<Typed> {
        let typed = self.all[at].clone();
        match typed.ty {
            None => cast::of_unknown(typed, T::Int),
            Some(T::Int | T::SmallInt) => cast::convert(typed, T::Int),
            Some(_) => Err(self.wrong()),
        }
    }

    fn double(&self, at: usize) -> Result<Typed> {
        let typed = self.all[at].clone();
        match typed.ty {
            Some(ty) if number_rank(ty).is_none() => Err(self.wrong()),
            _ => cast::convert(typed, T::Double),
        }
    }

    fn type_of(&self, at: usize) -> Option<ColumnType> {
        self.all[at].ty
    }

    fn texts(&self, count: usize) -> Result<Vec<Typed>> {
        (0..count).map(|at| self.text(at)).collect()
    }
}

/// A call by name.
pub(crate) fn call(name: &str, arguments: Vec<Typed>) -> Result<Typed> {
    let args = Arguments { name, all: arguments };
    match name {
        "coalesce" => condition::coalesce(args.all),
        "greatest" => condition::extreme(args.all, true),
        "least" => condition::extreme(args.all, false),
        "nullif" => {
            args.count(2, 2)?;
            let [a, b] = <[Typed; 2]>::try_from(args.all).expect("two arguments");
            condition::null_if(a, b)
        }
        "abs" | "ceil" | "ceiling" | "floor" | "round" | "trunc" | "sign" | "mod" | "sqrt" | "power" | "pow"
        | "exp" | "ln" => number(&args),
        "date_part" | "date_trunc" => moment(&args),
        _ => text(&args),
    }
}

fn number(args: &Arguments) -> Result<Typed> {
    match args.name {
        "mod" => {
            args.count(2, 2)?;
            let [a, b] = [args.all[0].clone(), args.all[1].clone()];
            let fits = |t: &Typed| t.ty.is_none_or(|ty| is_integer(ty) || matches!(ty, T::Numeric { .. }));
            if !fits(&a) || !fits(&b) || (a.ty.is_none() && b.ty.is_none()) {
                return Err(args.wrong());
            }
            operator::binary(&datafusion::sql::sqlparser::ast::BinaryOperator::Modulo, a, b)
        }
        "power" | "pow" => {
            args.count(2, 2)?;
            refuse_numeric(args)?;
            Ok(Scalar::call(Op::Power, vec![args.double(0)?, args.double(1)?], T::Double))
        }
        "sqrt" | "exp" | "ln" => {
            args.count(1, 1)?;
            refuse_numeric(args)?;
            let op = match args.name {
                "sqrt" => Op::Sqrt,
                "exp" => Op::Exp,
                _ => Op::Ln,
            };
            Ok(Scalar::call(op, vec![args.double(0)?], T::Double))
        }
        "abs" => {
            args.count(1, 1)?;
            match args.type_of(0) {
                Some(ty) if number_rank(ty).is_some() => Ok(Scalar::call(Op::Abs, vec![args.all[0].clone()], ty)),
                None => Ok(Scalar::call(Op::Abs, vec![args.double(0)?], T::Double)),
                Some(_) => Err(args.wrong()),
            }
        }
        _ => rounding(args),
    }
}

fn refuse_numeric(args: &Arguments) -> Result<()> {
    if args.all.iter().any(|t| matches!(t.ty, Some(T::Numeric { .. }))) {
        return Err(unsupported(format!("{} of numeric", args.name), "cast the argument: x::double precision"));
    }
    Ok(())
}

/// ceil, floor, round, trunc, sign: of numeric exact, of every other number as double precision.
fn rounding(args: &Arguments) -> Result<Typed> {
    let digits = match args.name {
        "round" | "trunc" if args.all.len() == 2 => Some(rounding_digits(args)?),
        _ => {
            args.count(1, 1)?;
            None
        }
    };
    let op = match args.name {
        "ceil" | "ceiling" => Op::Ceil,
        "floor" => Op::Floor,
        "round" => Op::Round(digits.unwrap_or(0)),
        "trunc" => Op::Trunc(digits.unwrap_or(0)),
        _ => Op::Sign,
    };
    let typed = args.all[0].clone();
    let numeric = match typed.ty {
        Some(T::Numeric { precision, scale }) => Some((precision, scale)),
        Some(ty) if digits.is_some() && is_integer(ty) => as_numeric(ty),
        Some(T::Real | T::Double) | None if digits.is_some() => return Err(args.wrong()),
        _ => None,
    };
    let Some((precision, scale)) = numeric else {
        return Ok(Scalar::call(op, vec![args.double(0)?], T::Double));
    };
    let typed = cast::convert(typed, T::Numeric { precision, scale })?;
    let whole = integer_digits(precision, scale) + 1;
    let output = match op {
        Op::Round(n) | Op::Trunc(n) => numeric_of(whole, n.max(0) as i8),
        Op::Sign => numeric_of(1, 0),
        _ => numeric_of(whole, 0),
    };
    Ok(Scalar::call(op, vec![typed], output))
}

fn rounding_digits(args: &Arguments) -> Result<i32> {
    args.int(1)?;
    let typed = &args.all[1];
    let n = match (literal::integer_of(typed), literal::text_of(typed)) {
        (Some(n), _) => n,
        (None, Some(_)) => literal::integer_of(&args.int(1)?).unwrap_or(0),
        _ => {
            return Err(unsupported(
                format!("{} to a number of digits that is not a literal", args.name),
                "write the number of digits, as in round(x, 2)",
            ));
        }
    };
    if (-37..=37).contains(&n) {
        return Ok(n as i32);
    }
    Err(unsupported(format!("{} to {n} digits", args.name), "the digits are from -37 to 37"))
}

fn text(args: &Arguments) -> Result<Typed> {
    let fixed = |op, count: usize, output| -> Result<Typed> {
        args.count(count, count)?;
        Ok(Scalar::call(op, args.texts(count)?, output))
    };
    match args.name {
        "upper" => fixed(Op::Upper, 1, T::Text),
        "lower" => fixed(Op::Lower, 1, T::Text),
        "reverse" => fixed(Op::Reverse, 1, T::Text),
        "replace" => fixed(Op::Replace, 3, T::Text),
        "translate" => fixed(Op::Translate, 3, T::Text),
        "strpos" | "position" => fixed(Op::Strpos, 2, T::Int),
        "starts_with" => fixed(Op::StartsWith, 2, T::Boolean),
        "char_length" | "character_length" => fixed(Op::Length, 1, T::Int),
        "length" | "octet_length" => {
            args.count(1, 1)?;
            if args.type_of(0) == Some(T::Bytea) {
                return Ok(Scalar::call(Op::OctetLength, vec![args.all[0].clone()], T::Int));
            }
            let op = if args.name == "length" { Op::Length } else { Op::OctetLength };
            Ok(Scalar::call(op, args.texts(1)?, T::Int))
        }
        "btrim" | "ltrim" | "rtrim" => {
            args.count(1, 2)?;
            let op = match args.name {
                "btrim" => Op::TrimBoth,
                "ltrim" => Op::TrimLeft,
                _ => Op::TrimRight,
            };
            Ok(Scalar::call(op, args.texts(args.all.len())?, T::Text))
        }
        "left" | "right" | "repeat" => {
            args.count(2, 2)?;
            let op = match args.name {
                "left" => Op::Left,
                "right" => Op::Right,
                _ => Op::Repeat,
            };
            Ok(Scalar::call(op, vec![args.text(0)?, args.int(1)?], T::Text))
        }
        "substring" | "substr" => substring(args),
        "lpad" | "rpad" => {
            args.count(2, 3)?;
            let op = if args.name == "lpad" { Op::LeftPad } else { Op::RightPad };
            let mut all = vec![args.text(0)?, args.int(1)?];
            if args.all.len() == 3 {
                all.push(args.text(2)?);
            }
            Ok(Scalar::call(op, all, T::Text))
        }
        "split_part" => {
            args.count(3, 3)?;
            Ok(Scalar::call(Op::SplitPart, vec![args.text(0)?, args.text(1)?, args.int(2)?], T::Text))
        }
        "concat" => concat(args),
        name => Err(absent::refused(name)),
    }
}

fn substring(args: &Arguments) -> Result<Typed> {
    args.count(2, 3)?;
    if args.type_of(1).is_some_and(is_text) || (args.type_of(1).is_none() && literal::text_of(&args.all[1]).is_some()) {
        return Err(unsupported("substring by a pattern", "use substring(x FROM n FOR m), split_part or strpos"));
    }
    let mut all = vec![args.text(0)?, args.int(1)?];
    if args.all.len() == 3 {
        all.push(args.int(2)?);
    }
    Ok(Scalar::call(Op::Substr, all, T::Text))
}

fn concat(args: &Arguments) -> Result<Typed> {
    args.count(1, 100)?;
    let mut all = Vec::with_capacity(args.all.len());
    for typed in &args.all {
        if matches!(typed.ty, Some(T::Boolean)) {
            return Err(unsupported("concat of boolean", "say which text you mean: x::text, or CASE WHEN x THEN ..."));
        }
        all.push(operator::as_text(typed.clone())?);
    }
    Ok(Scalar::call(Op::ConcatSkippingNulls, all, T::Text))
}

/// A field by its name.
pub(crate) fn date_field(name: &str) -> Option<DateField> {
    use DateField as F;
    Some(match name.to_lowercase().as_str() {
        "microseconds" | "microsecond" => F::Microseconds,
        "milliseconds" | "millisecond" => F::Milliseconds,
        "second" | "seconds" => F::Second,
        "minute" | "minutes" => F::Minute,
        "hour" | "hours" => F::Hour,
        "day" | "days" => F::Day,
        "week" | "weeks" => F::Week,
        "month" | "months" => F::Month,
        "quarter" => F::Quarter,
        "year" | "years" => F::Year,
        "decade" | "decades" => F::Decade,
        "century" | "centuries" => F::Century,
        "millennium" | "millenniums" | "millennia" => F::Millennium,
        "dow" => F::Dow,
        "isodow" => F::IsoDow,
        "doy" => F::Doy,
        "isoyear" => F::IsoYear,
        "epoch" => F::Epoch,
        _ => return None,
    })
}

fn known_field(name: &str, of: &Typed) -> Result<DateField> {
    date_field(name).ok_or_else(|| {
        error(code::INVALID_PARAMETER, format!("unit \"{name}\" not recognized for type {}", of.type_name())).with_hint(
            "the units are microseconds, milliseconds, second, minute, hour, day, week, month, quarter, year, decade, \
             century, millennium, dow, isodow, doy, isoyear, epoch",
        )
    })
}

/// `EXTRACT(field FROM x)`: numeric, with the digits PostgreSQL shows.
pub(crate) fn extract(field: &str, x: Typed) -> Result<Typed> {
    use DateField as F;
    let field = known_field(field, &x)?;
    let clock = matches!(field, F::Microseconds | F::Milliseconds | F::Second | F::Minute | F::Hour);
    let allowed = match x.ty {
        Some(T::Date) => !clock,
        Some(T::Timestamp(_) | T::TimestampTz(_)) => true,
        Some(T::Time) => clock || field == F::Epoch,
        _ => return Err(no_function("pg_catalog.extract", &[x])),
    };
    if !allowed {
        return Err(error(code::NOT_SUPPORTED, format!("unit \"{field}\" not supported for type {}", x.type_name()))
            .with_hint("cast the value to timestamp, or take another unit"));
    }
    let of_date = x.ty == Some(T::Date);
    let output = match field {
        F::Second => numeric_of(2, 6),
        F::Milliseconds => numeric_of(5, 3),
        F::Epoch if of_date => numeric_of(20, 0),
        F::Epoch => numeric_of(14, 6),
        _ => numeric_of(10, 0),
    };
    Ok(Scalar::call(Op::Extract(field), vec![x], output))
}

fn moment(args: &Arguments) -> Result<Typed> {
    args.count(2, 2)?;
    let name = literal::demand_text(&args.all[0], "a date unit")?;
    let x = args.all[1].clone();
    if x.ty.is_none() {
        return Err(error(code::AMBIGUOUS_FUNCTION, format!("function {}(unknown, unknown) is not unique", args.name))
            .with_hint("cast the value, as in '2024-01-15'::timestamp"));
    }
    let field = known_field(name, &x)?;
    if args.name == "date_part" {
        let x = match x.ty {
            Some(T::Date) => cast::convert(x, T::Timestamp(6))?,
            Some(T::Timestamp(_) | T::TimestampTz(_)) => x,
            _ => return Err(args.wrong()),
        };
        return Ok(Scalar::call(Op::DatePart(field), vec![x], T::Double));
    }
    use DateField as F;
    if matches!(field, F::Dow | F::IsoDow | F::Doy | F::IsoYear | F::Epoch) {
        return Err(error(code::NOT_SUPPORTED, format!("unit \"{field}\" not supported for type {}", x.type_name()))
            .with_hint(
                "truncate to microseconds, milliseconds, second, minute, hour, day, week, month, quarter, year",
            ));
    }
    if matches!(field, F::Decade | F::Century | F::Millennium) {
        return Err(unsupported(format!("date_trunc to {field}"), "truncate to year, and divide extract(year FROM x)"));
    }
    let (x, output) = match x.ty {
        Some(T::Date) => (cast::convert(x, T::TimestampTz(6))?, T::TimestampTz(6)),
        Some(T::Timestamp(_)) => (x, T::Timestamp(6)),
        Some(T::TimestampTz(_)) => (x, T::TimestampTz(6)),
        _ => return Err(args.wrong()),
    };
    Ok(Scalar::call(Op::DateTrunc(field), vec![x], output))
}
