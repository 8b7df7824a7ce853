//! string_agg: texts joined by what is before each but the first, in the order of their keys; NULL texts are left out, a NULL
//! delimiter is none.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::SortOptions;
use arrow::row::{RowConverter, SortField};
use datafusion::common::{Result as DfResult, internal_err};
use datafusion::scalar::ScalarValue;
use zset::canonical;

use super::Group;

/// A text, its delimiter, its key.
#[derive(Debug)]
struct Text {
    key: Box<[u8]>,
    text: Box<str>,
    delimiter: Box<str>,
}

#[derive(Debug)]
pub(super) struct Texts {
    order: Vec<SortOptions>,
    all: Vec<Text>,
    held: usize,
}

impl Texts {
    pub(super) fn new(order: Vec<SortOptions>) -> Self {
        Self { order, all: Vec::new(), held: 0 }
    }
}

impl Group for Texts {
    fn add(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        let [texts, delimiters, keys @ ..] = values else { return internal_err!("string_agg has two arguments") };
        let (texts, delimiters) = (texts.as_string::<i32>(), delimiters.as_string::<i32>());
        let fields = keys.iter().zip(&self.order);
        let fields = fields.map(|(key, options)| SortField::new_with_options(key.data_type().clone(), *options));
        let sorted = match keys {
            [] => None,
            keys => {
                let keys: Vec<ArrayRef> = keys.iter().map(canonical).collect();
                Some(RowConverter::new(fields.collect())?.convert_columns(&keys)?)
            }
        };
        for row in (0..texts.len()).filter(|row| texts.is_valid(*row)) {
            let key: Box<[u8]> = sorted.as_ref().map_or_else(Box::default, |keys| keys.row(row).data().into());
            let delimiter = if delimiters.is_valid(row) { delimiters.value(row) } else { "" };
            let text = texts.value(row);
            self.held += key.len() + text.len() + delimiter.len() + size_of::<Text>();
            self.all.push(Text { key, text: text.into(), delimiter: delimiter.into() });
        }
        Ok(())
    }

    fn remove(&mut self, _: &[ArrayRef]) -> DfResult<()> {
        internal_err!("string_agg is over whole frames")
    }

    fn result(&self) -> DfResult<ScalarValue> {
        let mut sorted: Vec<&Text> = self.all.iter().collect();
        sorted.sort_by(|a, b| a.key.cmp(&b.key));
        let mut out: Option<String> = None;
        for text in sorted {
            match &mut out {
                None => out = Some(text.text.to_string()),
                Some(out) => {
                    out.push_str(&text.delimiter);
                    out.push_str(&text.text);
                }
            }
        }
        Ok(ScalarValue::Utf8(out))
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.held
    }
}
