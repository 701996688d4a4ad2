//! Keys of 24 bytes and the order in which they are asked for.

use rand::{RngExt as _, SeedableRng, rngs::StdRng};

use crate::zipf::{Zipf, dealt};

/// Bytes of a key.
pub(crate) const KEY: usize = 24;
/// Bytes of a value.
pub(crate) const VALUE: usize = 100;

/// Writes the key of a number.
pub(crate) fn key(number: usize) -> String {
    format!("customer:{number:015}")
}

/// Returns the first byte of a key's value, so that a reader can tell it from most others.
#[inline]
pub(crate) fn mark(key: &str) -> u8 {
    // the last digit; the others are 0 in most keys
    key.as_bytes()[key.len() - 1]
}

/// Keys in the order of their use, written one after the other, so that reading them misses no processor cache.
#[derive(Debug)]
pub(crate) struct Lookups {
    text: String,
    /// For each key a number from 0 to 99, to choose what is done with it.
    dice: Vec<u8>,
}

impl Lookups {
    fn new(numbers: impl Iterator<Item = usize>, rng: &mut StdRng) -> Self {
        let text: String = numbers.map(key).collect();
        let dice = (0..text.len() / KEY).map(|_| rng.random_range(0..100)).collect();
        Self { text, dice }
    }

    /// Draws keys from a Zipf distribution: rank `r` has a share proportional to `1 / r^exponent`.
    pub(crate) fn zipf(keys: usize, exponent: f64, count: usize, seed: u64) -> Self {
        let zipf = Zipf::new(keys, exponent);
        let mut rng = StdRng::seed_from_u64(seed);
        // neighbours in rank are not neighbours in memory: the ranks are dealt to the keys at random, the same each time
        let dealt = dealt(keys, &mut StdRng::seed_from_u64(1));
        let mut draw = StdRng::seed_from_u64(seed ^ 0x5eed);
        let numbers = (0..count).map(|_| dealt[zipf.draw(&mut draw)]);
        Self::new(numbers, &mut rng)
    }

    /// Draws keys that are all as likely.
    pub(crate) fn uniform(keys: usize, count: usize, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut draw = StdRng::seed_from_u64(seed ^ 0x5eed);
        Self::new((0..count).map(|_| draw.random_range(0..keys)), &mut rng)
    }

    pub(crate) fn len(&self) -> usize {
        self.dice.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|i| &self.text[i * KEY..(i + 1) * KEY])
    }

    pub(crate) fn with_dice(&self) -> impl Iterator<Item = (&str, u8)> {
        self.iter().zip(self.dice.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_24_bytes() {
        assert_eq!(key(0).len(), KEY);
        assert_eq!(key(999_999).len(), KEY);
    }

    #[test]
    fn the_first_of_100_000_zipf_keys_is_asked_for_about_one_time_in_twelve() {
        let lookups = Lookups::zipf(100_000, 0.99, 100_000, 7);
        let mut counts = std::collections::HashMap::new();
        for key in lookups.iter() {
            *counts.entry(key).or_insert(0) += 1;
        }
        let most = counts.values().max().copied().unwrap_or(0);
        assert!((6_500..9_500).contains(&most), "{most}");
    }
}
