//! How much goes to a topic at once, where it takes no full batches.

use std::collections::HashMap;
use std::sync::Arc;

/// How many bytes of a topic are sent before its reports are waited for, where a topic takes no full batches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Windows(HashMap<Arc<str>, usize>);

/// Less than this no record is: each is then alone in its batch.
const ALONE: usize = 1;

impl Windows {
    /// The window of a topic, if it has one.
    pub(crate) fn of(&self, topic: &Arc<str>) -> Option<usize> {
        self.0.get(topic).copied()
    }

    /// The next smaller window; false if records go alone already.
    pub(crate) fn shrink(&mut self, topic: &Arc<str>) -> bool {
        let window = self.0.entry(topic.clone()).or_insert(4 << 20);
        let was_alone = *window == ALONE;
        *window = if *window > 16 << 10 { *window / 16 } else { ALONE };
        !was_alone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_shrink_until_records_go_alone() {
        let mut windows = Windows::default();
        let topic: Arc<str> = "t".into();
        let mut steps = Vec::new();
        while windows.shrink(&topic) {
            steps.push(windows.0[&topic]);
        }
        assert_eq!(steps, [256 << 10, 16 << 10, ALONE]);
    }
}
