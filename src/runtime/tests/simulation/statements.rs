//! Statements of a run: definitions, and writes of tables of our own. What each must be answered is known beforehand.

use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

use super::dice::Dice;
use super::model::{Checked, Fills, TableModel, ensure};
use super::rows::{Row, Rows, add};
use super::shapes::SHAPES;
use super::sinks::Envelope;
use super::sources::{KINDS, Kind};
use super::world::{Producer, World};
use crate::run::Event;
use crate::tests::rows::{Answer, row_changes};

/// More rows than this no table gets that joins may read.
const ROWS_MAX: i64 = 60;

/// What a statement must be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Done,
    Refused,
}

/// A write of one table.
struct Write {
    table: String,
    gone: Vec<Row>,
    come: Vec<Row>,
}

impl World {
    /// Tables first, then what reads them.
    pub fn create_something(&mut self, dice: &mut Dice, n: u64) -> Checked {
        match n {
            0 | 1 => self.create_source(dice),
            2 => self.create_stream(dice),
            _ if dice.chance(50) => self.create_sink(dice),
            _ => self.create_stream(dice),
        }
    }

    /// Something is made or dropped.
    pub fn define(&mut self, dice: &mut Dice) -> Checked {
        match dice.below(10) {
            0 => self.create_source(dice),
            1..5 => self.create_stream(dice),
            5..8 => self.create_sink(dice),
            _ => self.drop_something(dice),
        }
    }

    fn create_source(&mut self, dice: &mut Dice) -> Checked {
        if self.definitions.tables.len() > 12 {
            return Ok(());
        }
        let kind = *dice.pick(&KINDS);
        let name = format!("t{}", self.definitions.tables.len());
        if !kind.is_own() {
            let partitions = 1 + dice.below(3);
            self.make_topic(&name, partitions as u32);
            self.producers.insert(name.clone(), Producer { kind, partitions, seen: Rows::new() });
        }
        self.definitions.tables.insert(name.clone(), Fills::Source(kind));
        self.execute(&kind.sql(&name), Expected::Done)
    }

    fn create_stream(&mut self, dice: &mut Dice) -> Checked {
        if self.definitions.tables.len() > 12 || self.model.tables.is_empty() {
            return Ok(());
        }
        let shape = dice.below(SHAPES.len());
        let names: Vec<String> = self.model.tables.values().map(|table| table.name.clone()).collect();
        let inputs: Vec<String> = (0..SHAPES[shape].inputs).map(|_| dice.pick(&names).clone()).collect();
        let joins = SHAPES[shape].sql.contains("JOIN");
        if joins && inputs.iter().any(|input| self.may_be_large(input)) {
            return Ok(());
        }
        let name = format!("s{}", self.definitions.tables.len());
        let mut query = SHAPES[shape].sql.replace("{0}", &inputs[0]);
        if let Some(second) = inputs.get(1) {
            query = query.replace("{1}", second);
        }
        let sick = inputs.iter().any(|input| self.model.named(input).unwrap().1.in_error);
        let fails = sick || self.model.evaluate(shape, &inputs).is_err();
        self.definitions.tables.insert(name.clone(), Fills::Stream { shape, inputs });
        self.counts.count(if fails { "stream tables refused" } else { "stream tables made" });
        let expected = if fails { Expected::Refused } else { Expected::Done };
        self.execute(&format!("CREATE STREAM TABLE {name} AS {query}"), expected)
    }

    /// Whether a table is one of a query that multiplies, or large already.
    fn may_be_large(&self, name: &str) -> bool {
        let Some((_, table)) = self.model.named(name) else { return true };
        let grows = match &table.fills {
            Fills::Source(_) => false,
            Fills::Stream { shape, inputs } => {
                SHAPES[*shape].grows || inputs.iter().any(|input| self.may_be_large(input))
            }
        };
        grows || table.rows.values().sum::<i64>() > ROWS_MAX
    }

    fn create_sink(&mut self, dice: &mut Dice) -> Checked {
        let engine = self.engine.as_ref().unwrap();
        let tables: Vec<_> = engine.catalog.tables().collect();
        if tables.is_empty() || self.model.sinks.len() > 4 {
            return Ok(());
        }
        let table = *dice.pick(&tables);
        let mut envelopes = vec![Envelope::Debezium];
        if !table.key.is_empty() {
            envelopes.push(Envelope::Upsert);
        }
        if table.append_only() {
            envelopes.push(Envelope::Append);
        }
        let keyed = !table.key.is_empty() && !self.definitions.sinks.contains_key("d0");
        let (envelope, input) = (*dice.pick(&envelopes), table.name.clone());
        if keyed && dice.chance(30) {
            let sick = self.model.named(&input).is_none_or(|(_, table)| table.in_error);
            let bound = 1 + dice.below(6);
            let sql = format!(
                "CREATE SINK d0 FROM {input} WITH (connector = 'postgres', url = 'postgres://u@h/d', table = 'x', \
                 outbox_rows_max = {bound})"
            );
            self.definitions.sinks.insert("d0".to_string(), (input, Envelope::Detached));
            return self.execute(&sql, if sick { Expected::Refused } else { Expected::Done });
        }
        let name = format!("k{}", self.definitions.sinks.len());
        let sick = self.model.named(&input).is_none_or(|(_, table)| table.in_error);
        let sql = format!(
            "CREATE SINK {name} FROM {input} WITH (connector = 'log', topic = '{name}.out', format = 'json', envelope = '{}', \
             partitions = {})",
            envelope.name(),
            1 + dice.below(2)
        );
        self.definitions.sinks.insert(name, (input, envelope));
        self.counts.count("sinks made");
        self.execute(&sql, if sick { Expected::Refused } else { Expected::Done })
    }

    fn drop_something(&mut self, dice: &mut Dice) -> Checked {
        let sinks: Vec<String> = self.model.sinks.values().map(|sink| sink.name.clone()).collect();
        let tables: Vec<(String, bool)> = self
            .model
            .tables
            .values()
            .map(|table| (table.name.clone(), matches!(table.fills, Fills::Source(_))))
            .collect();
        self.counts.count("drops");
        if !sinks.is_empty() && dice.chance(40) {
            let name = dice.pick(&sinks).clone();
            return self.execute(&format!("DROP SINK {name}"), Expected::Done);
        }
        if tables.len() < 3 {
            return Ok(());
        }
        let (name, source) = dice.pick(&tables).clone();
        if source && !dice.chance(20) {
            return Ok(());
        }
        let cascade = dice.chance(40);
        let needed = !self.model.dependents(&name).is_empty();
        let what = if source { "TABLE" } else { "STREAM TABLE" };
        let sql = format!("DROP {what} {name}{}", if cascade { " CASCADE" } else { "" });
        self.execute(&sql, if needed && !cascade { Expected::Refused } else { Expected::Done })
    }

    /// Runs a statement that changes the catalog.
    fn execute(&mut self, sql: &str, expected: Expected) -> Checked {
        self.note(sql);
        let trouble = self.expects_trouble();
        let epoch = self.model.epoch();
        let (reply, answers) = channel();
        let engine = self.engine.as_ref().ok_or("there is no engine")?;
        engine.events_in.send(Event::Execute { text: sql.to_string(), reply }).unwrap();
        let starts = self.starts();
        let answer = loop {
            self.drive(|engine, gathered| engine.turn(gathered, Duration::ZERO))?;
            self.settle()?;
            if self.starts() != starts {
                // The process has ended, and the log knows.
                return Ok(());
            }
            match answers.try_recv() {
                Ok(answer) => break answer,
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return Err(format!("{sql}: no answer")),
            }
        };
        let alone = self.model.epoch() == epoch + u64::from(answer.is_ok());
        match (&answer, expected) {
            (Ok(_), Expected::Done) | (Err(_), Expected::Refused) => Ok(()),
            // What came before it may have changed what is possible.
            _ if trouble || !alone => Ok(()),
            (Err(error), _) if error.to_string().contains("failpoint") => Ok(()),
            _ => Err(format!("{sql}: {answer:?}, and {expected:?} was expected")),
        }
    }

    /// Statements write tables of our own, some together.
    pub fn write(&mut self, dice: &mut Dice) -> Checked {
        let own = |table: &&super::model::TableModel| matches!(&table.fills, Fills::Source(kind) if kind.is_own());
        let tables: Vec<(String, Rows)> =
            self.model.tables.values().filter(own).map(|table| (table.name.clone(), table.rows.clone())).collect();
        if tables.is_empty() {
            return Ok(());
        }
        let mut answers = Vec::new();
        for _ in 0..=dice.below(3) {
            // A transaction of two tables, or a statement.
            let first = dice.below(tables.len());
            let count = if dice.chance(30) { tables.len().min(2) } else { 1 };
            let of = (0..count).map(|at| &tables[(first + at) % tables.len()]);
            let writes: Vec<Write> = of.map(|(name, rows)| self.random_write(name, rows, dice)).collect();
            let told: Vec<String> =
                writes.iter().map(|of| format!("in {} {:?} go and {:?} come", of.table, of.gone, of.come)).collect();
            self.note(told.join(", and "));
            let answer = self.send(&writes)?;
            answers.push((writes, answer));
        }
        let before: Vec<(String, Rows)> = tables;
        let starts = self.starts();
        // Events of sources may come before them; nothing is answered before its epoch.
        for _ in 0..20 {
            self.drive(|engine, gathered| engine.turn(gathered, Duration::ZERO))?;
            if self.starts() != starts {
                return self.settle();
            }
        }
        self.settle()?;
        self.check_answers(before, answers)
    }

    fn send(&self, writes: &[Write]) -> Checked<Receiver<Answer>> {
        let engine = self.engine.as_ref().ok_or("there is no engine")?;
        let mut changes = Vec::new();
        for Write { table, gone, come } in writes {
            let def = engine.catalog.table_named(table).ok_or("a table of the model")?;
            let json = |rows: &[Row]| rows.iter().map(Row::json).collect::<Vec<_>>();
            let (gone, come) = (json(gone), json(come));
            let gone: Vec<&str> = gone.iter().map(String::as_str).collect();
            let come: Vec<&str> = come.iter().map(String::as_str).collect();
            changes.push(row_changes(def, &gone, &come));
        }
        let (reply, answer) = channel();
        engine.events_in.send(Event::Write { changes, reply }).unwrap();
        Ok(answer)
    }

    fn random_write(&self, name: &str, rows: &Rows, dice: &mut Dice) -> Write {
        let known: Vec<Row> = rows.keys().copied().collect();
        let (mut gone, mut come) = (Vec::new(), Vec::new());
        for _ in 0..=dice.below(2) {
            let id = dice.below(8) as i32;
            let new = Row::random(dice, Some(id));
            let old = (!known.is_empty()).then(|| *dice.pick(&known));
            match (dice.below(10), old) {
                (0..5, _) | (_, None) => come.push(new),
                (5..7, Some(old)) => gone.push(old),
                (7..9, Some(old)) => {
                    gone.push(old);
                    come.push(Row { id: old.id, ..new });
                }
                // A row that is not there as it was seen.
                _ => gone.push(new),
            }
        }
        Write { table: name.to_string(), gone, come }
    }

    /// Each statement is done or not, as a whole, in the order they came.
    fn check_answers(
        &mut self,
        mut tables: Vec<(String, Rows)>,
        answers: Vec<(Vec<Write>, Receiver<Answer>)>,
    ) -> Checked {
        for (writes, answer) in &answers {
            let answer = answer.try_recv().map_err(|_| "a statement was not answered".to_string())?;
            let mut after = Some(tables.clone());
            for write in writes {
                let Some((_, TableModel { fills: Fills::Source(kind), .. })) = self.model.named(&write.table) else {
                    return Err(format!("table {} is gone", write.table));
                };
                after = after.and_then(|mut tables| {
                    let rows = &mut tables.iter_mut().find(|(name, _)| *name == write.table)?.1;
                    *rows = apply(*kind, rows, write)?;
                    Some(tables)
                });
            }
            match (answer, after) {
                (Ok(_), Some(after)) => {
                    tables = after;
                    self.counts.count("statements done");
                }
                (Ok(_), None) => return Err(format!("a statement was done that cannot be, of {}", writes[0].table)),
                (Err(_), None) => self.counts.count("statements refused"),
                (Err(error), Some(_)) => {
                    // Only a stream table that cannot take it, or a topic that refuses it.
                    let text = error.to_string();
                    let fine = text.contains("in stream table") || text.contains("refused a record");
                    ensure(fine, || format!("a statement that is fine was refused: {text}"))?;
                    self.counts.count("statements that a stream table cannot take");
                }
            }
        }
        for (name, rows) in &tables {
            if let Some((_, table)) = self.model.named(name) {
                ensure(table.rows == *rows, || {
                    format!("{name} holds {:?}, and statements made it {rows:?}", table.rows)
                })?;
            }
        }
        Ok(())
    }
}

/// The rows after a write; `None`: it is refused.
fn apply(kind: Kind, rows: &Rows, write: &Write) -> Option<Rows> {
    let mut after = rows.clone();
    for row in &write.gone {
        if !after.contains_key(row) {
            return None;
        }
        add(&mut after, *row, -1);
    }
    for row in &write.come {
        if kind.is_keyed() && (row.id.is_none() || after.keys().any(|known| known.id == row.id)) {
            return None;
        }
        add(&mut after, *row, 1);
    }
    Some(after)
}
