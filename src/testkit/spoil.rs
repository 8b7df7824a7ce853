//! Spoilt input for fuzzing: a good sample, changed a little by what the fuzzer's bytes say. Bytes alone would hardly ever
//! come past the first check of a format; a sample that is changed in a place or two comes everywhere.

/// The fuzzer's bytes, as a stream of choices; at their end every choice is the first.
#[derive(Debug)]
pub struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    /// Of these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether there are choices left.
    pub fn are_left(&self) -> bool {
        !self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        let mut number = usize::from(self.byte());
        if end > 256 {
            number = number << 8 | usize::from(self.byte());
        }
        if end > 1 << 16 {
            number = number << 8 | usize::from(self.byte());
        }
        number % end
    }

    /// One of some.
    pub fn of<'b, T: ?Sized>(&mut self, some: &[&'b T]) -> &'b T {
        some[self.below(some.len())]
    }
}

/// Changes a sample in up to eight places: bytes flipped, cut out, doubled, moved, replaced by others or by one of `words`.
pub fn spoil(sample: &[u8], words: &[&[u8]], choices: &mut Choices<'_>) -> Vec<u8> {
    let mut bytes = sample.to_vec();
    for _ in 0..choices.below(8) + 1 {
        if !choices.are_left() {
            break;
        }
        let at = choices.below(bytes.len() + 1);
        let length = [1, 2, 4, 8, 16, 64][choices.below(6)].min(bytes.len() - at);
        let part = bytes[at..at + length].to_vec();
        match choices.below(8) {
            0 => bytes[at..at + length].iter_mut().for_each(|byte| *byte ^= 1 << (at % 8)),
            1 => drop(bytes.drain(at..at + length)),
            2 => drop(bytes.splice(at..at, part)),
            3 => {
                let to = choices.below(bytes.len() + 1);
                drop(bytes.splice(to..to, part));
            }
            4 => {
                let new: Vec<u8> = (0..length).map(|_| choices.byte()).collect();
                drop(bytes.splice(at..at + length, new));
            }
            5 => {
                let many = choices.below(64);
                drop(bytes.splice(at..at, part.repeat(many)));
            }
            6 => bytes.truncate(at),
            _ if words.is_empty() => bytes.insert(at, choices.byte()),
            _ => drop(bytes.splice(at..at + length, choices.of(words).iter().copied())),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_choices_spoil_the_same_way_and_none_not_at_all() {
        let spoilt = |bytes: &[u8]| spoil(b"{\"a\":1}", &[b"null"], &mut Choices::new(bytes));
        assert_eq!(spoilt(&[]), b"{\"a\":1}");
        assert_eq!(spoilt(&[0, 5, 0, 7, 0]), b"{\"a\":null}");
        assert_eq!(spoilt(&[3, 5, 0, 7, 0, 2, 1]), spoilt(&[3, 5, 0, 7, 0, 2, 1]));
    }
}
