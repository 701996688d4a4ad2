//! Popularity: the n-th most popular thing is asked for 1/n^s as often as the first.

use rand::{Rng, RngExt};

/// Draws numbers from 0, small ones most often.
pub(super) struct Zipf {
    cumulative: Vec<f64>,
}

impl Zipf {
    /// Takes how many things there are, and how steep their popularity is: s, about 1 for most things people choose.
    pub(super) fn new(things: usize, steepness: f64) -> Self {
        let mut sum = 0.0;
        let add = |n: usize| {
            sum += (n as f64).powf(-steepness);
            sum
        };
        Self { cumulative: (1..=things).map(add).collect() }
    }

    pub(super) fn draw(&self, random: &mut impl Rng) -> usize {
        let end = self.cumulative.last().copied().unwrap_or_default();
        let at = random.random_range(0.0..end);
        self.cumulative.partition_point(|sum| *sum <= at)
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn the_first_is_drawn_about_twice_as_often_as_the_second() {
        let (zipf, mut random) = (Zipf::new(100, 1.0), StdRng::seed_from_u64(1));
        let mut drawn = [0_u32; 100];
        for _ in 0..100_000 {
            drawn[zipf.draw(&mut random)] += 1;
        }
        let ratio = f64::from(drawn[0]) / f64::from(drawn[1]);
        assert!((1.9..2.1).contains(&ratio), "{ratio}");
        assert!(drawn.iter().all(|n| *n > 0));
    }
}
