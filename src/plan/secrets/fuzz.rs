//! Fuzzed: whatever an option's value is, and however it is written, its passwords come back as they were.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use testkit::Choices;

use super::statement::options;
use super::{hide_in_option, replace_passwords, reveal_in_option};

/// What values are made of.
const WORDS: &[&str] = &[
    "u",
    "p",
    "'",
    "''",
    "\"",
    "@",
    ":",
    "/",
    "://",
    "postgres://",
    "?",
    "&",
    "#",
    "%40",
    "%",
    " ",
    "\n",
    "\\",
    "$",
    "$$",
    ",",
    ")",
    "(",
    "=",
    "password=",
    "Secret = ",
    "password='",
    "ü",
    "ß=",
    "日",
    "***",
    "millstream-secret-1",
    "-- ",
    "/*",
];

#[derive(Default)]
struct Vault(BTreeMap<String, String>);

impl Vault {
    fn hide(&mut self, secret: &str) -> String {
        assert!(!secret.is_empty());
        let name = format!("millstream-secret-{}", self.0.len() + 7);
        self.0.insert(name.clone(), secret.to_string());
        name
    }

    fn reveal(&self, shown: &str) -> String {
        self.0.get(shown).unwrap_or_else(|| panic!("{shown:?} is not what was hidden")).clone()
    }
}

#[test]
fn fuzz_passwords_come_back() {
    bolero::check!().with_iterations(20_000).for_each(|bytes| {
        let mut choices = Choices::new(bytes);
        let name = choices.of(&["url", "x", "kafka.sasl.PASSWORD", "client_secret"]);
        let way = choices.below(3);
        let mut value = String::new();
        while choices.are_left() && value.len() < 60 {
            value.push_str(choices.of(WORDS));
        }
        let mut vault = Vault::default();
        let hidden = hide_in_option(name, &value, &mut |secret| vault.hide(secret));
        assert_eq!(reveal_in_option(name, &hidden, &mut |shown| vault.reveal(shown)), value, "{hidden}");

        let written = match way {
            0 if !value.contains('$') => format!("$a${value}$a$"),
            1 => format!("E'{}'", value.replace('\\', "\\\\").replace('\'', "\\'")),
            _ => format!("'{}'", value.replace('\'', "''")),
        };
        let mut vault = Vault::default();
        let statement = format!("CREATE SINK s FROM t WITH (a = 'b', \"{name}\" = {written}, c = 1)");
        let hidden = replace_passwords(&statement, &mut |secret| vault.hide(secret));
        let options = options(&hidden);
        assert_eq!(options.len(), 3, "{hidden}");
        let (name, shown, _) = &options[1];
        assert_eq!(reveal_in_option(name, shown, &mut |shown| vault.reveal(shown)), value, "{hidden}");
    });
}
