//! `name=kill@3,other=error`: failpoints as a text.

use crate::{Action, POINTS, points};

/// The settings of a text: name, hit, action.
pub(crate) fn parse(text: &str) -> Result<Vec<(&'static str, u64, Action)>, String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(one).collect()
}

fn one(part: &str) -> Result<(&'static str, u64, Action), String> {
    let (name, what) = part.split_once('=').unwrap_or((part, ""));
    let (action, hit) = what.split_once('@').unwrap_or((what, "1"));
    let name = points::find(name.trim()).ok_or_else(|| {
        let names: Vec<&str> = POINTS.iter().map(|point| point.name).collect();
        format!("there is no failpoint \"{}\"; the failpoints are {}", name.trim(), names.join(", "))
    })?;
    let action = match action.trim() {
        "kill" => Action::Kill,
        "error" => Action::Error,
        other => {
            return Err(format!(
                "the failpoint {name} cannot do \"{other}\"; write {name}=kill, {name}=error or {name}=kill@3"
            ));
        }
    };
    let hit = hit.trim().parse().ok().filter(|hit| *hit > 0);
    let hit = hit.ok_or_else(|| format!("the hit of failpoint {name} is no number from 1 on: write {name}=kill@3"))?;
    Ok((name, hit, action))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_can_be_said() {
        assert_eq!(parse("").unwrap(), []);
        assert_eq!(
            parse("commit-after=kill@3, stop=error,").unwrap(),
            [("commit-after", 3, Action::Kill), ("stop", 1, Action::Error)]
        );
    }

    #[test]
    fn what_cannot_be_said_names_what_can() {
        let refused = |text: &str, says: &str| {
            let error = parse(text).unwrap_err();
            assert!(error.contains(says), "{says} is not in: {error}");
        };
        refused("comit=kill", "the failpoints are epoch-process, ");
        refused("stop", "stop=kill");
        refused("stop=die", "cannot do \"die\"");
        refused("stop=kill@0", "from 1 on");
        refused("stop=kill@x", "from 1 on");
    }
}
