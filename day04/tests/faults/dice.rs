//! Numbers that look random and follow from a seed alone.

/// A source of such numbers: SplitMix64, by Steele, Lea and Flood (2014).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The same seed gives the same numbers, on every machine.
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number from 0 up to `end`, which is left out.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// True once in `times`, on average.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of several.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

fn mix(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

/// Fills `bytes` with what the client of that `key` sends from its byte number `at` on. Any
/// byte that is lost, doubled, swapped or another client's shows.
pub fn content(key: u64, at: usize, bytes: &mut [u8]) {
    let mut at = at as u64;
    let mut rest = bytes;
    while !rest.is_empty() {
        let word = mix(key ^ (at / 8).wrapping_mul(0x9E37_79B9_7F4A_7C15)).to_le_bytes();
        let word = &word[at as usize % 8..];
        let length = word.len().min(rest.len());
        let (part, later) = rest.split_at_mut(length);
        part.copy_from_slice(&word[..length]);
        (at, rest) = (at + length as u64, later);
    }
}
