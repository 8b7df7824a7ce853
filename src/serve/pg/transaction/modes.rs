//! The modes of a transaction: settings that each begins with anew, from those whose names begin with `default_`.

use dataflow::{Isolation, Modes};

use super::Block;
use crate::pg::error::{PgError, Result};
use crate::pg::session::Session;
use crate::pg::settings::Settings;

const ISOLATION: &str = "transaction_isolation";
const READ_ONLY: &str = "transaction_read_only";
const DEFERRABLE: &str = "transaction_deferrable";

/// Whether a setting is one of the transaction at hand.
pub(crate) fn is_mode(name: &str) -> bool {
    let name = name.replace(' ', "_");
    [ISOLATION, READ_ONLY, DEFERRABLE, "transaction_isolation_level"].contains(&name.as_str())
}

/// A transaction that begins has the modes that are the default.
pub(crate) fn begin_anew(settings: &mut Settings) {
    for name in [ISOLATION, READ_ONLY, DEFERRABLE] {
        let default = settings.show(&format!("default_{name}")).map(|(_, value)| value);
        // Each is known, and takes what its default takes.
        let _ = default.and_then(|value| settings.set(name, Some(&value)));
    }
}

/// Modes as settings.
fn pairs(modes: Modes) -> impl Iterator<Item = (&'static str, &'static str)> {
    let on = |flag: bool| if flag { "on" } else { "off" };
    let isolation = modes.isolation.map(|level| (ISOLATION, level.name()));
    let read_only = modes.read_only.map(|flag| (READ_ONLY, on(flag)));
    isolation.into_iter().chain(read_only).chain(modes.deferrable.map(|flag| (DEFERRABLE, on(flag))))
}

impl Session {
    /// The modes of the transactions to come.
    pub fn set_characteristics(&mut self, modes: Modes) -> Result<()> {
        for (name, value) in pairs(modes) {
            self.set_setting(&format!("default_{name}"), Some(value), false)?;
        }
        Ok(())
    }

    /// The modes of the transaction at hand.
    pub fn set_modes(&mut self, modes: Modes) -> Result<()> {
        pairs(modes).try_for_each(|(name, value)| self.set_mode(name, Some(value)))
    }

    fn set_mode(&mut self, name: &str, value: Option<&str>) -> Result<()> {
        let before = self.settings.show(name)?.1;
        let default = self.settings.show(&format!("default_{name}")).map(|(_, value)| value).ok();
        let value = value.or(default.as_deref());
        let mut settings = self.settings.clone();
        settings.set(name, value)?;
        let after = settings.show(name)?.1;
        let Some(block) = &self.block else {
            // Each statement is a transaction of its own: it is over before it has begun.
            return Ok(());
        };
        if before != after && (block.asked || block.has_savepoints()) {
            let late = match name {
                ISOLATION => "SET TRANSACTION ISOLATION LEVEL must be called before any query",
                READ_ONLY if after == "off" => "transaction read-write mode must be set before any query",
                DEFERRABLE => "SET TRANSACTION [NOT] DEFERRABLE must be called before any query",
                _ => "",
            };
            if !late.is_empty() {
                return Err(PgError::new("25001", late).into());
            }
        }
        self.settings = settings;
        if name == ISOLATION && before != after {
            self.warn_of_isolation(&after);
        }
        Ok(())
    }

    /// Says what SERIALIZABLE is.
    fn warn_of_isolation(&mut self, level: &str) {
        if level.eq_ignore_ascii_case(Isolation::Serializable.name()) {
            let text = "SERIALIZABLE is REPEATABLE READ here: two transactions may each read what the other one writes";
            self.warning("01000", text.to_string());
        }
    }

    /// SET, RESET.
    pub fn set_setting(&mut self, name: &str, value: Option<&str>, local: bool) -> Result<()> {
        if local && self.block.is_none() {
            self.warning("25P01", "SET LOCAL can only be used in transaction blocks".to_string());
            return Ok(());
        }
        if is_mode(name) {
            let name = if name.contains("isolation") { ISOLATION } else { name };
            return self.set_mode(name, value);
        }
        let apply = |settings: &mut Settings| match (name, value) {
            ("all", None) => Ok(settings.reset()),
            (name, value) => settings.set(name, value),
        };
        let modes = Kept::of(&self.settings);
        let changed = apply(&mut self.settings)?;
        match &mut self.block {
            Some(block) => {
                if !local {
                    apply(&mut block.kept)?;
                }
                modes.put(&mut self.settings);
            }
            None => begin_anew(&mut self.settings),
        }
        self.report(changed);
        if name == "default_transaction_isolation" {
            self.warn_of_isolation(value.unwrap_or_default());
        }
        Ok(())
    }
}

impl Block {
    pub(super) fn has_savepoints(&self) -> bool {
        !self.savepoints.is_empty()
    }
}

/// The modes that settings say, to put them back after a RESET ALL.
pub(super) struct Kept([(&'static str, String); 3]);

impl Kept {
    pub fn of(settings: &Settings) -> Self {
        let value = |name: &str| settings.show(name).map(|(_, value)| value).unwrap_or_default();
        Self([ISOLATION, READ_ONLY, DEFERRABLE].map(|name| (name, value(name))))
    }

    pub fn put(self, settings: &mut Settings) {
        for (name, value) in self.0 {
            // It was taken before.
            let _ = settings.set(name, Some(&value));
        }
    }
}
