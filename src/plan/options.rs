//! The options of a WITH clause: names in lower case, values as text, checked by whoever takes them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Options by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Options(pub BTreeMap<String, String>);

impl Options {
    /// The value of an option.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}
