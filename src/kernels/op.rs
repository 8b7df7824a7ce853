//! What there is to compute, by name.

use std::fmt;

/// A field of a date or time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DateField {
    /// Seconds and their parts, in microseconds.
    Microseconds,
    /// The same, in milliseconds.
    Milliseconds,
    /// With its parts.
    Second,
    /// Of the hour.
    Minute,
    /// Of the day.
    Hour,
    /// Of the month.
    Day,
    /// Of the ISO year.
    Week,
    /// Of the year.
    Month,
    /// Of the year.
    Quarter,
    /// The year.
    Year,
    /// The year by ten.
    Decade,
    /// Its first year ends in 01.
    Century,
    /// Its first year ends in 001.
    Millennium,
    /// Day of the week; Sunday is 0.
    Dow,
    /// Day of the week; Monday is 1, Sunday 7.
    IsoDow,
    /// Day of the year.
    Doy,
    /// The year of the ISO week.
    IsoYear,
    /// Seconds since 1970.
    Epoch,
}

/// What a function computes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Op {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Rem,
    /// `-` of one.
    Neg,
    /// `abs`
    Abs,
    /// `sign`
    Sign,
    /// `ceil`
    Ceil,
    /// `floor`
    Floor,
    /// To so many digits; for floats 0 only.
    Round(i32),
    /// To so many digits; for floats 0 only.
    Trunc(i32),
    /// `sqrt`
    Sqrt,
    /// `power`
    Power,
    /// `exp`
    Exp,
    /// `ln`
    Ln,
    /// A float as a key: one NaN, one zero.
    Canonical,
    /// The same bytes as another type.
    Relabel,
    /// To another type.
    Cast,
    /// To NUMERIC without precision: digits that do not fit are an error.
    CastExactly,
    /// Text into a varchar(n) column: what is too long is an error.
    Fit,
    /// `||`: NULL if an argument is.
    Concat,
    /// `concat`: NULLs are left out.
    ConcatSkippingNulls,
    /// `upper`
    Upper,
    /// `lower`
    Lower,
    /// Characters of a text.
    Length,
    /// Bytes of a text.
    OctetLength,
    /// `substring`
    Substr,
    /// `left`
    Left,
    /// `right`
    Right,
    /// `btrim`
    TrimBoth,
    /// `ltrim`
    TrimLeft,
    /// `rtrim`
    TrimRight,
    /// `replace`
    Replace,
    /// `strpos`
    Strpos,
    /// `repeat`
    Repeat,
    /// `reverse`
    Reverse,
    /// `lpad`
    LeftPad,
    /// `rpad`
    RightPad,
    /// `starts_with`
    StartsWith,
    /// `split_part`
    SplitPart,
    /// `translate`
    Translate,
    /// `LIKE`
    Like {
        /// `ILIKE`.
        insensitive: bool,
        /// What makes the next character mean itself.
        escape: Option<char>,
    },
    /// `greatest`
    Greatest,
    /// `least`
    Least,
    /// As numeric.
    Extract(DateField),
    /// As double precision.
    DatePart(DateField),
    /// `date_trunc`
    DateTrunc(DateField),
}

impl Op {
    /// Whether no value of the right types makes it fail.
    pub fn is_total(&self) -> bool {
        matches!(
            self,
            Self::Canonical
                | Self::Relabel
                | Self::Sign
                | Self::Concat
                | Self::ConcatSkippingNulls
                | Self::Upper
                | Self::Lower
                | Self::Length
                | Self::OctetLength
                | Self::Left
                | Self::Right
                | Self::TrimBoth
                | Self::TrimLeft
                | Self::TrimRight
                | Self::Strpos
                | Self::Reverse
                | Self::StartsWith
                | Self::Translate
                | Self::Greatest
                | Self::Least
        )
    }

    /// What it is called in plans.
    pub fn name(&self) -> String {
        match self {
            Self::Round(n) => format!("round_{n}"),
            Self::Trunc(n) => format!("trunc_{n}"),
            Self::Like { insensitive, escape } => {
                let name = if *insensitive { "ilike" } else { "like" };
                match escape {
                    Some('\\') => name.into(),
                    Some(c) => format!("{name}_escape_{c}"),
                    None => format!("{name}_plain"),
                }
            }
            Self::Extract(field) => format!("extract_{field}"),
            Self::DatePart(field) => format!("date_part_{field}"),
            Self::DateTrunc(field) => format!("date_trunc_{field}"),
            other => {
                let mut name = String::new();
                for c in format!("{other:?}").chars() {
                    if c.is_uppercase() && !name.is_empty() {
                        name.push('_');
                    }
                    name.push(c.to_ascii_lowercase());
                }
                name
            }
        }
    }
}

impl fmt::Display for DateField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}
