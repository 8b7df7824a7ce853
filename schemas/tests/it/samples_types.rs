//! The sample files of all types, in all of Debezium's handling modes.
#![allow(clippy::unwrap_used)]

use plan::Envelope::Debezium;

use crate::model::{Table, assert_rows, columns};
use crate::samples::{ORDERS, assert_orders, decode, keyed};

const NUM: &[(&str, &str)] = &[
    ("id", "integer!"),
    ("s", "smallint"),
    ("i", "integer"),
    ("b", "bigint"),
    ("r", "real"),
    ("d", "double precision"),
    ("n_u", "numeric(76,9)"),
    ("n10_2", "numeric(10,2)"),
    ("n38_0", "numeric(38,0)"),
    ("n20_15", "numeric(20,15)"),
    ("m", "numeric(19,2)"),
    ("p", "integer"),
    ("bo", "boolean"),
];

const NUM_END: &[&str] = &[
    r#"{"id":1,"s":-32768,"i":-2147483648,"b":-9223372036854775808,"r":-3.4e38,"d":-1.7e308,"n_u":"-123456789012345678901234567890.123456789","n10_2":"-99999999.99","n38_0":"-99999999999999999999999999999999999999","n20_15":"-12345.123456789012345","m":"-1234.56","p":1,"bo":false}"#,
    r#"{"id":2,"s":null,"i":null,"b":null,"r":null,"d":null,"n_u":null,"n10_2":null,"n38_0":null,"n20_15":null,"m":null,"p":null,"bo":null}"#,
    r#"{"id":3,"s":32767,"i":2147483647,"b":9223372036854775807,"r":3.4e38,"d":1.7e308,"n_u":"0.1","n10_2":"0.10","n38_0":"99999999999999999999999999999999999999","n20_15":"0.000000000000001","m":"0.01","p":2147483647,"bo":true}"#,
    r#"{"id":4,"s":0,"i":0,"b":0,"r":"NaN","d":"Infinity","n_u":"1000000000000000000000000000000","n10_2":"10000000.00","n38_0":"0","n20_15":"0.000000000000000","m":"0.00","p":null,"bo":null}"#,
    r#"{"id":5,"s":null,"i":null,"b":9007199254740993,"r":0.1,"d":0.1,"n_u":"1.100001","n10_2":"1.11","n38_0":null,"n20_15":null,"m":null,"p":null,"bo":null}"#,
    r#"{"id":6,"s":null,"i":null,"b":-9007199254740993,"r":-0.0,"d":-0.0,"n_u":"1.1","n10_2":"-0.01","n38_0":null,"n20_15":null,"m":null,"p":null,"bo":null}"#,
    r#"{"id":7,"s":null,"i":null,"b":null,"r":"-Infinity","d":"-Infinity","n_u":"0","n10_2":null,"n38_0":null,"n20_15":null,"m":null,"p":null,"bo":null}"#,
    r#"{"id":8,"s":null,"i":null,"b":null,"r":16777216.0,"d":5e-324,"n_u":"0","n10_2":null,"n38_0":null,"n20_15":null,"m":null,"p":null,"bo":null}"#,
];

#[test]
fn numbers_in_every_decimal_mode() {
    let mode =
        |mode: &'static str| move || Table::new(columns(NUM), &["id"], Debezium, &[("decimal_handling_mode", mode)]);
    for (file, make) in
        [("decimal_precise", mode("precise")), ("decimal_string", mode("string")), ("main_noschema", mode("precise"))]
    {
        let table = decode(file, "shop.public.types_num", make);
        assert_rows(&table, NUM_END);
        assert_eq!(table.dead, [], "{file}");
    }
    // The schema part overrides whatever is declared.
    for declared in ["precise", "string", "double"] {
        let table = decode("types_schema", "shop.public.types_num", mode(declared));
        assert_rows(&table, NUM_END);
        assert_eq!(table.dead, [], "{declared}");
    }
    for (file, name) in [("decimal_precise", "precise"), ("decimal_string", "string"), ("decimal_double", "double")] {
        let make = || Table::new(columns(ORDERS), &["id"], Debezium, &[("decimal_handling_mode", name)]);
        assert_orders(&decode(file, "shop.public.orders", make));
    }
}

#[test]
fn doubles_in_place_of_decimals_fit_or_are_dead_letters() {
    let make = || Table::new(columns(NUM), &["id"], Debezium, &[("decimal_handling_mode", "double")]);
    let table = decode("decimal_double", "shop.public.types_num", make);
    let letters: Vec<_> = table.dead.iter().map(|dead| (dead.record, dead.reason.as_str())).collect();
    let too_large = "has more than 38 digits before the point";
    assert_eq!(
        letters,
        [
            (0, format!("column \"n38_0\" is numeric(38,0): -1.0E38 {too_large}").as_str()),
            (2, format!("column \"n38_0\" is numeric(38,0): 1.0E38 {too_large}").as_str()),
        ]
    );
    let others: Vec<&str> =
        NUM_END.iter().copied().filter(|row| !row.contains("\"id\":1,") && !row.contains("\"id\":3,")).collect();
    assert_rows(&table, &others);
}

#[test]
fn what_no_numeric_holds_is_a_dead_letter() {
    const SPECIAL: &[(&str, &str)] = &[
        ("id", "integer!"),
        ("n", "numeric(38,10)"),
        ("n10_2", "numeric(10,2)"),
        ("r", "real"),
        ("d", "double precision"),
    ];
    for mode in ["string", "double"] {
        let make = || Table::new(columns(SPECIAL), &["id"], Debezium, &[("decimal_handling_mode", mode)]);
        let table = decode(&format!("decimal_{mode}"), "shop.public.special_nums", make);
        assert_rows(&table, &[]);
        assert_eq!(table.dead.len(), 3);
        for letter in &table.dead {
            assert_eq!(letter.column.as_deref(), Some("n"));
            assert!(letter.reason.contains("holds no NaN and no Infinity"), "{}", letter.reason);
        }
    }
}

const TIME: &[(&str, &str)] = &[
    ("id", "integer!"),
    ("d", "date"),
    ("t", "time"),
    ("tt", "time"),
    ("ts", "timestamp(6)"),
    ("ts0", "timestamp(0)"),
    ("ts3", "timestamp(3)"),
    ("tz", "timestamptz(6)"),
    ("tz0", "timestamptz(0)"),
    ("iv", "bigint"),
];

fn times_end(micros: bool) -> Vec<String> {
    let rows = [
        r#"{"id":1,"d":"2024-02-29","t":"13:14:15.123456","tt":"11:14:15.500000","ts":"2024-02-29T13:14:15.123456","ts0":"2024-02-29T13:14:15.000000","ts3":"2024-02-29T13:14:15.123000","tz":"2024-02-29T11:14:15.123457Z","tz0":"2024-02-29T11:14:15.000000Z","iv":37091106789000}"#,
        r#"{"id":2,"d":null,"t":null,"tt":null,"ts":null,"ts0":null,"ts3":null,"tz":null,"tz0":null,"iv":null}"#,
        r#"{"id":3,"d":"0001-01-01","t":"00:00:00.000000","tt":"00:00:00.000000","ts":"0001-01-01T00:00:00.000000","ts0":"1969-12-31T23:59:59.000000","ts3":"1969-12-31T23:59:59.999000","tz":"0001-01-01T00:00:00.000000Z","tz0":"1969-12-31T23:59:59.000000Z","iv":-86400000000}"#,
        r#"{"id":4,"d":"9999-12-31","t":"24:00:00.000000","tt":"11:59:59.999999","ts":"9999-12-31T23:59:59.999999","ts0":"9999-12-31T23:59:59.000000","ts3":"9999-12-31T23:59:59.999000","tz":"9999-12-31T23:59:59.999999Z","tz0":"2038-01-19T03:14:08.000000Z","iv":3155760000000001}"#,
    ];
    // The connect mode cuts to milliseconds at the source.
    let cut = |row: &str| match micros {
        true => row.to_string(),
        false => row
            .replace("\"t\":\"13:14:15.123456\"", "\"t\":\"13:14:15.123000\"")
            .replace("\"ts\":\"2024-02-29T13:14:15.123456\"", "\"ts\":\"2024-02-29T13:14:15.123000\"")
            .replace("\"ts\":\"9999-12-31T23:59:59.999999\"", "\"ts\":\"9999-12-31T23:59:59.999000\""),
    };
    rows.into_iter().map(cut).collect()
}

#[test]
fn times_in_every_precision_mode() {
    let mode = |given: &'static [(&str, &str)]| move || Table::new(columns(TIME), &["id"], Debezium, given);
    // All of these have a schema part except the last, so that what is declared does not matter.
    for (file, given, micros) in [
        ("time_adaptive", &[][..], true),
        ("time_adaptive", &[("time_precision_mode", "connect")], true),
        ("types_schema", &[], true),
        ("time_connect", &[], false),
        ("time_connect", &[("time_precision_mode", "nanoseconds")], false),
        ("main_noschema", &[], true),
    ] {
        let table = decode(file, "shop.public.types_time", mode(given));
        let expected = times_end(micros);
        assert_rows(&table, &expected.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(table.dead, [], "{file}");
    }
    // time(3) counts milliseconds in the adaptive mode; the schema part says so.
    const T3: &[(&str, &str)] = &[("id", "integer!"), ("t3", "time")];
    for file in ["time_adaptive", "time_connect"] {
        let table = decode(file, "shop.public.types_time", keyed(T3, &["id"]));
        assert!(table.rows().contains(&r#"{"id":1,"t3":"13:14:15.123000"}"#.to_string()));
    }
}

#[test]
fn times_that_cannot_be_kept_are_dead_letters() {
    const SPECIAL: &[(&str, &str)] =
        &[("id", "integer!"), ("d", "date"), ("ts", "timestamp(6)"), ("tz", "timestamptz(6)")];
    for file in ["time_adaptive", "time_connect"] {
        let table = decode(file, "shop.public.special_times", keyed(SPECIAL, &["id"]));
        assert_rows(
            &table,
            &[
                r#"{"id":3,"d":"0044-03-15 BC","ts":"0044-03-15T12:00:00.000000 BC","tz":"0044-03-15T12:00:00.000000Z BC"}"#,
            ],
        );
        let dead: Vec<_> = table.dead.iter().map(|dead| (dead.record, dead.column.as_deref().unwrap())).collect();
        assert_eq!(dead, [(0, "d"), (1, "d"), (3, "ts")], "{file}");
    }
    const ZONED: &[(&str, &str)] = &[("id", "integer!"), ("tz", "timestamptz(6)")];
    let table = decode("time_adaptive", "shop.public.special_times", keyed(ZONED, &["id"]));
    assert_eq!(table.dead.len(), 3);
    assert_eq!(table.rows().len(), 1);
}

#[test]
fn all_other_types() {
    const MISC: &[(&str, &str)] = &[
        ("id", "integer!"),
        ("u", "uuid"),
        ("j", "jsonb"),
        ("jb", "jsonb"),
        ("x", "text"),
        ("by", "bytea"),
        ("c", "text"),
        ("vc", "varchar(20)"),
        ("ci", "text"),
        ("mo", "text"),
        ("b1", "boolean"),
        ("b8", "bytea"),
        ("hs", "jsonb"),
        ("pt", "jsonb"),
        ("ai", "jsonb"),
        ("tv", "text"),
    ];
    for file in ["types_schema", "main_noschema"] {
        let table = decode(file, "shop.public.types_misc", keyed(MISC, &["id"]));
        assert_rows(
            &table,
            &[
                r#"{"id":1,"u":null,"j":null,"jb":null,"x":null,"by":null,"c":null,"vc":null,"ci":null,"mo":null,"b1":null,"b8":null,"hs":null,"pt":null,"ai":null,"tv":null}"#,
                r#"{"id":2,"u":"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11","j":"{\"a\": [1.0, 2], \"b\": 1}","jb":"{\"a\": [1.0, 2], \"b\": 1, \"u\": \"é\"}","x":"<a b=\"1\">t</a>","by":"AP8Q","c":"abc  ","vc":"varchar","ci":"CaseInsensitive","mo":"happy","b1":true,"b8":"qg==","hs":"{\"a\": \"1\", \"b\": null, \"c d\": \"e\"}","pt":"{\"x\": 1.5, \"y\": -2.5, \"wkb\": \"AQEAAAAAAAAAAAD4PwAAAAAAAATA\", \"srid\": null}","ai":"[1, null, -3]","tv":"'a' 'cat' 'fat'"}"#,
            ],
        );
        assert_eq!(table.dead, [], "{file}");
    }
}
