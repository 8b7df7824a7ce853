//! Random values as SQL literals. Few enough of the small ones that they meet again, and the ends of every range.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// One of these.
pub fn one<T: Copy>(rng: &mut ChaCha8Rng, of: &[T]) -> T {
    of[rng.random_range(0..of.len())]
}

/// NULL with this probability, otherwise what `make` gives.
pub fn or_null(rng: &mut ChaCha8Rng, null: f64, make: impl FnOnce(&mut ChaCha8Rng) -> String) -> String {
    if rng.random_bool(null) { "NULL".to_string() } else { make(rng) }
}

/// Text that PostgreSQL cannot keep in line: its column is never compressed, and a row has 2 kB.
pub fn large(rng: &mut ChaCha8Rng) -> String {
    let (words, start) = (rng.random_range(400..1200), rng.random_range(0..1000));
    format!("'{}'", (start..start + words).map(|n| format!("{n} ß'' ")).collect::<String>())
}

/// A jsonb object: large ones hold a large text.
pub fn json(rng: &mut ChaCha8Rng, large: bool) -> String {
    let n = rng.random_range(0..5);
    match (large, rng.random_range(0..5)) {
        (true, _) => {
            format!("'{{\"v\": {n}, \"pad\": \"{}\"}}'", "pad \\u00df \\\" ".repeat(rng.random_range(250..500)))
        }
        (_, 0) => "'null'".to_string(),
        (_, 1) => format!("'[1, {n}.50, \"x''y\", null, {{\"b\": true, \"a\": [{{}}]}}]'"),
        (_, 2) => format!("'{{\"big\": 12345678901234567890{n}, \"e\": 1.5e10, \"tiny\": 0.000{n}1}}'"),
        (_, 3) => format!("'\"just text {n} \\u00e9\\n\"'"),
        _ => format!("'{{\"z\": {n}, \"a\": {{\"k\": \"ü\"}}, \"zz\": [], \"z\": 1{n}}}'"),
    }
}

/// A moment, with microseconds.
pub fn moment(rng: &mut ChaCha8Rng) -> String {
    let year = one(rng, &[1905, 1969, 1970, 2024, 2024, 2024, 2199]);
    let (month, day) = (rng.random_range(1..=12), rng.random_range(1..=28));
    let (hour, minute) = (rng.random_range(0..24), rng.random_range(0..60));
    let micros = one(rng, &[0, 1, 500, 123_000, 999_999]);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{:02}.{micros:06}", rng.random_range(0..60))
}

/// A value for a column of `precise_types` and `text_types`.
pub fn of_type(rng: &mut ChaCha8Rng, column: &str) -> String {
    or_null(rng, 0.15, |rng| match column {
        "yes" => one(rng, &["true", "false"]).to_string(),
        "small" => one(rng, &["-32768", "32767", "0", "7"]).to_string(),
        "num" => one(rng, &["-2147483648", "2147483647", "0", "42"]).to_string(),
        "big" => one(rng, &["-9223372036854775808", "9223372036854775807", "9007199254740993", "0"]).to_string(),
        "single" => one(rng, &["0.1", "-1.5e30", "3.4028235e38", "1e-45", "'NaN'", "'-Infinity'", "'-0'"]).to_string(),
        "double" => {
            one(rng, &["0.1", "1e300", "5e-324", "'NaN'", "'Infinity'", "123456789.123456789", "'-0'"]).to_string()
        }
        "amount" => one(rng, &["0", "-0.0001", "9999999999999999.9999", "-9999999999999999.9999", "12.50"]).to_string(),
        "exact" => {
            one(rng, &["0", "1.10", "-1234567890123456789012345678.0123456789", "0.0000000001", "1000"]).to_string()
        }
        "txt" => match rng.random_range(0..4) {
            0 => large(rng),
            _ => one(rng, &["''", "'it''s'", "E'tab\\t \\\\ \" line\\n'", "'äöü 漢字 🦀'", "'__debezium'"]).to_string(),
        },
        "short" => one(rng, &["''", "'abc'", "'twelve chars'", "'ünïcode'"]).to_string(),
        "bin" => {
            one(rng, &["'\\x'", "'\\x00ff'", "'\\xdeadbeef00'", "decode(repeat('00ff10', 40), 'hex')"]).to_string()
        }
        "day" => one(rng, &["'1901-01-01'", "'1969-12-31'", "'2024-02-29'", "'2199-12-31'"]).to_string(),
        "clock" => one(rng, &["'00:00:00'", "'23:59:59.999999'", "'13:14:15.1'"]).to_string(),
        "at" | "at3" => format!("'{}'", moment(rng)),
        "atz" => format!("'{}{}'", moment(rng), one(rng, &["+00", "+05:30", "-11"])),
        "uid" => format!("'{}'", uuid(rng)),
        "doc" => json(rng, false),
        other => panic!("no column {other}"),
    })
}

/// The columns that [`of_type`] has values for.
pub const TYPED: &[&str] = &[
    "yes", "small", "num", "big", "single", "double", "amount", "exact", "txt", "short", "bin", "day", "clock", "at",
    "at3", "atz", "uid", "doc",
];

fn uuid(rng: &mut ChaCha8Rng) -> String {
    let (high, low) = (rng.random::<u64>(), rng.random::<u64>());
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}
