//! Failpoints: named moments at which the process dies, or a step fails, because somebody who tests it says so.
//!
//! They are a parameter of what reaches them, so that several engines of one process each have their own. None is set by
//! default: reaching one then costs a branch. [`POINTS`] lists them all; no other name can be set.

mod parse;
mod points;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use points::{POINTS, Point};

/// What happens at a failpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The process dies at once, as by a signal: nothing is flushed, no destructor runs.
    Kill,
    /// The step fails.
    Error,
}

/// A step failed because its failpoint is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The failpoint.
    pub name: &'static str,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the failpoint {} is set to fail here", self.name)
    }
}

impl std::error::Error for Fault {}

/// The failpoints of one process, or of one engine of a test. A clone is the same failpoints.
#[derive(Debug, Clone, Default)]
pub struct Failpoints(Option<Arc<Mutex<Set>>>);

#[derive(Debug, Default)]
struct Set {
    hits: BTreeMap<&'static str, u64>,
    /// What happens at which hit.
    armed: Vec<(&'static str, u64, Action)>,
}

impl Failpoints {
    /// Failpoints that can be set and count their hits; none is set yet.
    pub fn counting() -> Self {
        Self(Some(Arc::default()))
    }

    /// From `name=kill@3,other=error`: the action happens at the N-th hit, the first if it is not said. The error lists
    /// what can be said.
    pub fn parse(text: &str) -> Result<Self, String> {
        let points = Self::counting();
        for (name, hit, action) in parse::parse(text)? {
            points.set(name, action, hit);
        }
        Ok(points)
    }

    /// Has `action` happen at the `hit`-th hit from now on.
    ///
    /// # Panics
    /// If there is no such failpoint, or these are failpoints that cannot be set.
    pub fn set(&self, name: &str, action: Action, hit: u64) {
        let name = points::find(name).expect("the failpoint is in the list");
        let mut set = self.lock().expect("failpoints that can be set are made by counting() or parse()");
        let reached = set.hits.get(name).copied().unwrap_or(0);
        set.armed.push((name, reached + hit, action));
    }

    /// Says that the failpoint is reached: dies, fails, or goes on. It is called by those who also do what fails.
    ///
    /// # Panics
    /// If there is no such failpoint.
    pub fn reach(&self, name: &'static str) -> Result<(), Fault> {
        let Some(mut set) = self.lock() else { return Ok(()) };
        assert!(points::find(name).is_some(), "the failpoint {name} is not in the list");
        let hits = set.hits.entry(name).or_default();
        *hits += 1;
        let hits = *hits;
        let armed = set.armed.iter().find(|(of, hit, _)| *of == name && *hit == hits);
        match armed.map(|(_, _, action)| *action) {
            None => Ok(()),
            Some(Action::Kill) => {
                eprintln!("millstream failpoint {name} hit {hits}: kill");
                std::process::abort()
            }
            Some(Action::Error) => {
                eprintln!("millstream failpoint {name} hit {hits}: error");
                Err(Fault { name })
            }
        }
    }

    /// How often each was reached that was reached at all.
    pub fn hits(&self) -> BTreeMap<&'static str, u64> {
        self.lock().map(|set| set.hits.clone()).unwrap_or_default()
    }

    /// Whether they count.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    fn lock(&self) -> Option<MutexGuard<'_, Set>> {
        Some(self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_error_comes_at_its_hit_and_only_there() {
        let points = Failpoints::parse("epoch-staged=error@3, commit-after=error").unwrap();
        let reached: Vec<bool> = (0..5).map(|_| points.clone().reach("epoch-staged").is_ok()).collect();
        assert_eq!(reached, [true, true, false, true, true]);
        assert_eq!(points.reach("commit-after").unwrap_err().name, "commit-after");
        assert_eq!(points.hits(), [("commit-after", 1), ("epoch-staged", 5)].into());
        points.set("epoch-staged", Action::Error, 2);
        assert!(points.reach("epoch-staged").is_ok());
        assert!(points.reach("epoch-staged").is_err());
    }

    #[test]
    fn without_any_nothing_is_counted() {
        let points = Failpoints::default();
        assert_eq!((points.reach("epoch-staged"), points.hits().len(), points.is_on()), (Ok(()), 0, false));
    }

    #[test]
    fn names_are_unique_and_of_one_form() {
        let names: std::collections::BTreeSet<&str> = POINTS.iter().map(|point| point.name).collect();
        assert_eq!(names.len(), POINTS.len());
        assert!(names.iter().all(|name| name.chars().all(|c| c == '-' || c.is_ascii_lowercase())));
        assert!(POINTS.iter().all(|point| (1..=25).contains(&point.row)));
    }
}
