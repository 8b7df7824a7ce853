//! Whether a statement's rows may be written: what is to go is there as it was seen, and no key comes twice.

use std::collections::{HashMap, HashSet};

use dataflow::{About, Looked, StatementError};
use plan::TableDef;
use zset::{Delta, RowBytes};

use super::key_text;
use crate::{EngineError, WriteError};

/// What a statement comes to: one change per key; copies that go and come again are left out.
pub(crate) struct Net {
    /// Rows that go (-1, or as often as they go) and come, as they are encoded.
    pub delta: Delta,
    /// What the records must say of each row: its bytes; of one that is deleted by its key, those of the key.
    meant: RowBytes,
    weights: Vec<i64>,
}

impl Net {
    /// The weight and the bytes of every change.
    pub fn meant(&self) -> Vec<(i64, &[u8])> {
        self.weights.iter().copied().zip(self.meant.iter()).collect()
    }
}

/// Checks rows that go and rows that come. `violated` is the first of those that come that breaks a UNIQUE constraint, and
/// which. What another statement took of an arbiter's is a conflict, no duplicate.
pub(crate) fn check(
    def: &TableDef,
    gone: Looked,
    come: Looked,
    violated: Option<(usize, usize)>,
    arbiters: &[String],
) -> Result<Net, WriteError> {
    let checked = if def.key.is_empty() { keyless(gone, &come) } else { keyed(gone, &come) };
    let key = match &checked {
        Err(Broken::Conflict) => return Err(WriteError::Conflict),
        Err(Broken::Key(row)) => Some(*row),
        Ok(_) => None,
    };
    match taken(def, &come, key, violated, arbiters) {
        Some(refused) => Err(refused),
        None => checked.map_err(|_| WriteError::Conflict),
    }
}

/// What is told of rows that come: the first whose key is there, and the first that breaks a UNIQUE constraint, and which.
pub(crate) fn taken(
    def: &TableDef,
    come: &Looked,
    key: Option<usize>,
    violated: Option<(usize, usize)>,
    arbiters: &[String],
) -> Option<WriteError> {
    if key.is_none() && violated.is_none() {
        return None;
    }
    let of_key = format!("{}_pkey", def.name);
    let asked = |constraint: &String| arbiters.contains(constraint);
    match (key, violated.map(|(row, at)| (row, &def.uniques()[at]))) {
        // What ON CONFLICT asked is asked again, whatever else the row that came first has.
        (_, Some((_, unique))) if asked(&unique.name) => Some(WriteError::Conflict),
        (Some(_), _) if asked(&of_key) => Some(WriteError::Conflict),
        // Of one row the key is asked first.
        (Some(row), other) if other.is_none_or(|(other, _)| row <= other) => {
            Some(duplicate(def, come, row, &of_key, &def.key))
        }
        (_, Some((row, unique))) => Some(duplicate(def, come, row, &unique.name, &unique.columns)),
        (_, None) => None,
    }
}

/// Why rows are not written.
enum Broken {
    Conflict,
    /// The key of a row that comes is there.
    Key(usize),
}

fn keyed(gone: Looked, come: &Looked) -> Result<Net, Broken> {
    let mut leaving: HashMap<&[u8], usize> = HashMap::with_capacity(gone.rows.len());
    for row in 0..gone.rows.len() {
        if gone.copies[row] != 1 || leaving.insert(gone.keys.row(row), row).is_some() {
            return Err(Broken::Conflict);
        }
    }
    let mut coming: HashSet<&[u8]> = HashSet::with_capacity(come.rows.len());
    let mut net = Builder::new(gone.batch.num_rows());
    for row in 0..come.rows.len() {
        let key = come.keys.row(row);
        let before = leaving.get(key).copied();
        if !coming.insert(key) || (come.taken[row] && before.is_none()) {
            return Err(Broken::Key(row));
        }
        if before.is_some_and(|before| gone.rows.row(before) == come.rows.row(row)) {
            continue;
        }
        before.into_iter().for_each(|before| net.gone(before));
        net.come(row, come.rows.row(row));
    }
    for row in (0..gone.rows.len()).filter(|row| !coming.contains(gone.keys.row(*row))) {
        net.gone(row);
        net.means(-1, gone.keys.row(row));
    }
    Ok(net.finish(&gone, come))
}

fn keyless(gone: Looked, come: &Looked) -> Result<Net, Broken> {
    let mut leaving: HashMap<&[u8], i64> = HashMap::with_capacity(gone.rows.len());
    for row in 0..gone.rows.len() {
        let times = leaving.entry(gone.rows.row(row)).or_default();
        *times += 1;
        if *times > gone.copies[row] {
            return Err(Broken::Conflict);
        }
    }
    let mut net = Builder::new(gone.batch.num_rows());
    let mut coming = Vec::with_capacity(come.rows.len());
    for row in 0..come.rows.len() {
        match leaving.get_mut(come.rows.row(row)).filter(|times| **times > 0) {
            Some(times) => *times -= 1,
            None => coming.push(row),
        }
    }
    for row in 0..gone.rows.len() {
        if let Some(times) = leaving.get_mut(gone.rows.row(row)).filter(|times| **times > 0) {
            *times -= 1;
            net.gone(row);
            net.means(-1, gone.rows.row(row));
        }
    }
    coming.into_iter().for_each(|row| net.come(row, come.rows.row(row)));
    Ok(net.finish(&gone, come))
}

/// Collects changes, as places in the rows that go followed by those that come.
struct Builder {
    gone_rows: usize,
    at: Vec<u32>,
    weights: Vec<i64>,
    meant: RowBytes,
    meant_weights: Vec<i64>,
}

impl Builder {
    fn new(gone_rows: usize) -> Self {
        Self { gone_rows, at: Vec::new(), weights: Vec::new(), meant: RowBytes::default(), meant_weights: Vec::new() }
    }

    fn gone(&mut self, row: usize) {
        self.at.push(row as u32);
        self.weights.push(-1);
    }

    fn come(&mut self, row: usize, bytes: &[u8]) {
        self.at.push((self.gone_rows + row) as u32);
        self.weights.push(1);
        self.means(1, bytes);
    }

    fn means(&mut self, weight: i64, bytes: &[u8]) {
        self.meant.push(bytes);
        self.meant_weights.push(weight);
    }

    fn finish(self, gone: &Looked, come: &Looked) -> Net {
        let parts = [Delta::inserts(gone.batch.clone()), Delta::inserts(come.batch.clone())];
        let delta = Delta::sum(gone.batch.schema(), &parts).gather(self.at, self.weights);
        Net { delta, meant: self.meant, weights: self.meant_weights }
    }
}

/// The error of a row that comes whose values in the columns of a constraint are there already.
fn duplicate(def: &TableDef, come: &Looked, row: usize, constraint: &str, columns: &[usize]) -> WriteError {
    EngineError::Statement(StatementError {
        sqlstate: "23505",
        message: format!("duplicate key value violates unique constraint \"{constraint}\""),
        hint: None,
        detail: Some(format!("{} already exists.", key_text::key(def, columns, &come.batch, row))),
        position: None,
        about: About::constraint(&def.name, constraint),
    })
    .into()
}
