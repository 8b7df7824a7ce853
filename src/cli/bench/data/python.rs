//! Chances as CPython's `random` has them from the same seed: the Mersenne Twister MT19937 and the draws that are made of it, bit
//! for bit, so that the data are those of the generator in Python.

const N: usize = 624;
const M: usize = 397;

/// See the module.
pub(super) struct Random {
    state: [u32; N],
    next: usize,
}

impl Random {
    /// `random.Random(seed)`, of a seed of at most 32 bits.
    pub fn new(seed: u32) -> Self {
        let mut random = Self { state: [0; N], next: N };
        random.seed(seed);
        random
    }

    /// `random.seed(seed)`: the initialisation by an array of one word.
    pub fn seed(&mut self, seed: u32) {
        let state = &mut self.state;
        state[0] = 19_650_218;
        for at in 1..N {
            let last = state[at - 1] ^ (state[at - 1] >> 30);
            state[at] = last.wrapping_mul(1_812_433_253).wrapping_add(at as u32);
        }
        let mut at = 1;
        for _ in 0..N {
            let last = state[at - 1] ^ (state[at - 1] >> 30);
            state[at] = (state[at] ^ last.wrapping_mul(1_664_525)).wrapping_add(seed);
            at = following(state, at);
        }
        for _ in 1..N {
            let last = state[at - 1] ^ (state[at - 1] >> 30);
            state[at] = (state[at] ^ last.wrapping_mul(1_566_083_941)).wrapping_sub(at as u32);
            at = following(state, at);
        }
        state[0] = 0x8000_0000;
        self.next = N;
    }

    /// `random.random()`: 53 bits of chance in [0, 1).
    pub fn unit(&mut self) -> f64 {
        let (high, low) = (self.word() >> 5, self.word() >> 6);
        (f64::from(high) * 67_108_864.0 + f64::from(low)) / 9_007_199_254_740_992.0
    }

    /// `int(random.random() * n)`.
    pub fn below(&mut self, n: i64) -> i64 {
        (self.unit() * n as f64) as i64
    }

    /// One of several, as `below` says.
    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as i64) as usize]
    }

    fn word(&mut self) -> u32 {
        if self.next == N {
            self.twist();
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    fn twist(&mut self) {
        for at in 0..N {
            let mixed = (self.state[at] & 0x8000_0000) | (self.state[(at + 1) % N] & 0x7fff_ffff);
            let odd = if mixed & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[at] = self.state[(at + M) % N] ^ (mixed >> 1) ^ odd;
        }
        self.next = 0;
    }
}

/// The next place of the initialisation, which goes round and carries the last word over.
fn following(state: &mut [u32; N], at: usize) -> usize {
    if at + 1 < N {
        return at + 1;
    }
    state[0] = state[N - 1];
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first draws of `random.Random(42)` and, after `seed(7)`, of `random.Random(7)`.
    #[test]
    fn the_draws_are_those_of_python() {
        let mut random = Random::new(42);
        assert_eq!([random.unit(), random.unit()], [0.639_426_798_457_883_7, 0.025_010_755_222_666_936]);
        random.seed(7);
        assert_eq!([random.unit(), random.unit()], [0.323_832_764_833_162_37, 0.150_849_173_924_501_92]);
    }
}
