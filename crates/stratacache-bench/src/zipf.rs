//! Popularity: few things are asked for often, many rarely.

use rand::{Rng, RngExt as _};

/// Draws ranks from 0 on: rank `r` has a share proportional to `1 / (r + 1)^exponent`.
#[derive(Debug)]
pub(crate) struct Zipf {
    /// The shares up to each rank, added up.
    sums: Vec<f64>,
}

impl Zipf {
    pub(crate) fn new(ranks: usize, exponent: f64) -> Self {
        let mut sums: Vec<f64> = Vec::with_capacity(ranks);
        for rank in 1..=ranks {
            let share = (rank as f64).powf(-exponent);
            sums.push(sums.last().copied().unwrap_or(0.0) + share);
        }
        Self { sums }
    }

    pub(crate) fn draw(&self, rng: &mut impl Rng) -> usize {
        let total = self.sums.last().copied().unwrap_or(0.0);
        let at = rng.random::<f64>() * total;
        self.sums.partition_point(|sum| *sum < at).min(self.sums.len() - 1)
    }
}

/// Deals numbers below `count` in random order.
pub(crate) fn dealt(count: usize, rng: &mut impl Rng) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..count).collect();
    for i in (1..count).rev() {
        numbers.swap(i, rng.random_range(0..=i));
    }
    numbers
}
