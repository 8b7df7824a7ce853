//! The memory of one run of a statement: no more than its client's limit, and no more than all queries may have together.
//!
//! What was refused last is remembered: DataFusion's error only says that something was, and a sort's that it may not write to disk.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use dataflow::{StatementError, View};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    GreedyMemoryPool, MemoryLimit, MemoryPool, MemoryReservation, human_readable_size as size,
};

use crate::error::{Detail, code, error};

/// See the module.
#[derive(Debug)]
pub(super) struct Pool {
    own: GreedyMemoryPool,
    /// What the statement may hold.
    most: usize,
    view: Arc<View>,
    refused: Mutex<Option<Refused>>,
}

/// Memory that a statement asked for and did not get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    /// It would hold more than it may.
    Own { held: usize, needed: usize, most: usize },
    /// All statements together would.
    All { held: usize, needed: usize, others: usize, most: usize },
}

impl Refused {
    fn detail(self) -> String {
        match self {
            Self::Own { held, needed, most } => format!(
                "The statement holds {} and needs {} more; it may hold {}.",
                size(held),
                size(needed),
                size(most)
            ),
            Self::All { held, needed, others, most } => format!(
                "The statement holds {} and needs {} more; others hold {}, and all together may hold {}.",
                size(held),
                size(needed),
                size(others),
                size(most)
            ),
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Self::Own { .. } => {
                "filter earlier, read fewer columns, make a stream table of the part that is asked often, or raise \
                 --query-memory"
            }
            Self::All { held, needed, most, .. } if held.saturating_add(needed) <= most => {
                "others hold what it lacks: try again when they have ended, ask for less, or raise --memory-limit"
            }
            Self::All { .. } => {
                "filter earlier, read fewer columns, make a stream table of the part that is asked often, or raise \
                 --memory-limit"
            }
        }
    }
}

impl Pool {
    pub(super) fn new(memory_bytes: usize, view: &Arc<View>) -> Self {
        let own = GreedyMemoryPool::new(memory_bytes);
        Self { own, most: memory_bytes, view: Arc::clone(view), refused: Mutex::default() }
    }

    /// The error of a statement that got no more memory, if it was refused some.
    pub(super) fn refusal(&self) -> Option<StatementError> {
        let refused = (*self.refused.lock().unwrap_or_else(PoisonError::into_inner))?;
        let mut out = error(code::OUT_OF_MEMORY, "out of memory").with_hint(refused.hint());
        out.detail = Some(refused.detail());
        Some(out)
    }

    fn refuse(&self, refused: Refused) -> Result<()> {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(refused);
        Err(DataFusionError::ResourcesExhausted(refused.detail()))
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl MemoryPool for Pool {
    fn name(&self) -> &str {
        "statement"
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.own.grow(reservation, additional);
        self.view.memory.query_has(additional as u64);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.own.shrink(reservation, shrink);
        self.view.memory.query_gives(shrink as u64);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        // Also where more is held than may be: what is there already is not asked for.
        if additional == 0 {
            return Ok(());
        }
        let (held, needed) = (self.own.reserved(), additional);
        if self.own.try_grow(reservation, additional).is_err() {
            return self.refuse(Refused::Own { held, needed, most: self.most });
        }
        match self.view.memory.query_takes(additional as u64) {
            Ok(()) => Ok(()),
            Err(full) => {
                self.own.shrink(reservation, additional);
                let others = (full.taken as usize).saturating_sub(held);
                self.refuse(Refused::All { held, needed, others, most: full.most as usize })
            }
        }
    }

    fn reserved(&self) -> usize {
        self.own.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.own.memory_limit()
    }
}
