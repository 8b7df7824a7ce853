//! Figures of the engine, taken from its metrics as anybody reads them.

use runtime::Shared;

/// The metrics at a moment, as text.
pub(super) struct Counts(String);

impl Counts {
    pub fn of(shared: &Shared) -> Self {
        Self(shared.metrics.text(shared))
    }

    /// The sum of a metric over all its labels.
    pub fn sum(&self, name: &str) -> f64 {
        self.samples(name).map(|(_, value)| value).sum()
    }

    /// The values of a metric by one of its labels.
    pub fn by(&self, name: &str, label: &str) -> Vec<(String, f64)> {
        let labelled = |(labels, value): (&str, f64)| {
            let (_, rest) = labels.split_once(&format!("{label}=\""))?;
            Some((rest.split_once('"')?.0.to_string(), value))
        };
        let mut values: Vec<_> = self.samples(name).filter_map(labelled).collect();
        values.sort_by(|a, b| a.0.cmp(&b.0));
        values
    }

    fn samples<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.0.lines().filter_map(move |line| {
            let rest = line.strip_prefix(name)?;
            let (labels, value) = match rest.strip_prefix('{') {
                Some(labelled) => labelled.rsplit_once("} ")?,
                None => ("", rest.strip_prefix(' ')?),
            };
            Some((labels, value.parse().ok()?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_found_by_their_whole_name() {
        let counts = Counts(
            "# HELP m_rows x\nm_rows{table=\"a\",b=\"} \"} 2\nm_rows{table=\"c\"} 3.5\nm_rows_total 7\nm_x{t=\"9\"} 1\n"
                .to_string(),
        );
        assert_eq!(counts.sum("m_rows").to_bits(), 5.5f64.to_bits());
        assert_eq!(counts.sum("m_rows_total").to_bits(), 7f64.to_bits());
        assert_eq!(counts.by("m_rows", "table"), [("a".to_string(), 2.0), ("c".to_string(), 3.5)]);
    }
}
