//! Which topics a source reads: one, several by name, or those whose names match a pattern.

use regex::Regex;
use zset::Partition;

use crate::SourceDef;

impl SourceDef {
    /// The topics that it reads, each at its place. None of a source with a pattern that was not looked for yet.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        let first = Some(self.topic.as_str()).filter(|topic| !topic.is_empty());
        first.into_iter().chain(self.more_topics.iter().map(String::as_str))
    }

    /// The topic of one of its partitions.
    pub fn topic_of(&self, partition: Partition) -> &str {
        let more = partition.place().checked_sub(1).and_then(|place| self.more_topics.get(place));
        more.unwrap_or(&self.topic)
    }

    /// What the names of the topics match that it reads; `None` if they were named.
    pub fn topic_pattern(&self) -> Option<&str> {
        self.options.get("topic_pattern")
    }

    /// The topic that it writes: that of its rows if they are our own, else that of its dead letters.
    pub fn written_topic(&self) -> &str {
        if self.is_own() { &self.topic } else { &self.dlq_topic }
    }

    /// Puts topics behind those that there are.
    pub fn add_topics(&mut self, topics: &[String]) {
        let mut topics = topics.iter().cloned();
        if self.topic.is_empty() {
            self.topic = topics.next().unwrap_or_default();
        }
        self.more_topics.extend(topics);
    }
}

/// What the names of topics match: a regular expression, of the whole name.
#[derive(Debug, Clone)]
pub struct TopicPattern(Regex);

impl TopicPattern {
    /// Of a text; else what is wrong with it.
    pub fn new(pattern: &str) -> Result<Self, String> {
        // By itself first: what is put around it must not mend it.
        let whole = Regex::new(pattern).and_then(|_| Regex::new(&format!("^(?:{pattern})$")));
        whole.map(Self).map_err(|error| last_line(&error.to_string()))
    }

    /// Whether it matches a whole name.
    pub fn matches(&self, topic: &str) -> bool {
        self.0.is_match(topic)
    }
}

/// The parser draws the pattern above what is wrong.
fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_the_whole_name() {
        let pattern = TopicPattern::new("shop\\.(a|b).*|c").expect("a pattern");
        for (name, matches) in [
            ("shop.a", true),
            ("shop.b2", true),
            ("c", true),
            ("shop_a", false),
            ("my.shop.a", false),
            ("cc", false),
            ("shop.", false),
        ] {
            assert_eq!(pattern.matches(name), matches, "{name}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_said() {
        for bad in ["a(", "a)(b", "[", "*", "(?<name", "a{2,1}"] {
            let error = TopicPattern::new(bad).expect_err(bad);
            assert!(!error.is_empty() && !error.contains('\n'), "{bad}: {error}");
        }
    }
}
