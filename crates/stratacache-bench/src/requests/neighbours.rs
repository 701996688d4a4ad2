//! A hundred tenants, one of whom may be noisy.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};

use super::Request;
use crate::zipf::Zipf;

/// The quiet tenants are 0 to 98.
pub(crate) const QUIET: usize = 99;
/// The tenant that makes the noise.
pub(crate) const NOISY: u8 = 99;
/// Of 100 requests the noisy tenant sends so many.
const NOISE: u8 = 40;
/// Keys of the loop.
const LOOP: u32 = 60_000;
/// Keys that are touched twice within so many requests of the noisy tenant.
const BLOCK: usize = 20;

/// What the noisy tenant does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Noise {
    /// Nothing.
    Quiet,
    /// Reads every key once.
    Scan1,
    /// Reads every key twice, within 20 of its requests.
    Scan2Touch,
    /// Reads 60,000 keys in turn, again and again.
    Loop60k,
}

impl Noise {
    pub(crate) const ALL: [Self; 4] = [Self::Quiet, Self::Scan1, Self::Scan2Touch, Self::Loop60k];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Scan1 => "scan1",
            Self::Scan2Touch => "scan2touch",
            Self::Loop60k => "loop60k",
        }
    }
}

/// Returns how many keys a tenant has.
fn footprint(tenant: usize) -> usize {
    (30_000.0 / ((tenant + 1) as f64).powf(0.9)) as usize + 50
}

/// Returns how many keys all tenants have; the noisy one, when quiet, as many as its place says.
pub(crate) fn joint_footprint() -> usize {
    (0..=QUIET).map(footprint).sum()
}

/// Returns how many of `requests` the quiet tenants send.
fn quiet_part(requests: usize) -> usize {
    requests / 100 * usize::from(100 - NOISE)
}

/// Draws the requests of the quiet tenants: tenants by a Zipf distribution of 0.8, keys by one of 0.9.
pub(crate) fn quiet(requests: usize, seed: u64) -> Vec<Request> {
    let mut rng = StdRng::seed_from_u64(seed);
    let tenants = Zipf::new(QUIET, 0.8);
    let keys: Vec<Zipf> = (0..QUIET).map(|tenant| Zipf::new(footprint(tenant), 0.9)).collect();
    let draw = |_| {
        let tenant = tenants.draw(&mut rng);
        Request { tenant: tenant as u8, key: keys[tenant].draw(&mut rng) as u32 }
    };
    (0..quiet_part(requests)).map(draw).collect()
}

/// Puts the noise between the requests of the quiet tenants, whose order stays the same.
pub(crate) fn with_noise(quiet: &[Request], noise: Noise, seed: u64) -> Vec<Request> {
    if noise == Noise::Quiet {
        return quiet.to_vec();
    }
    let mut rng = StdRng::seed_from_u64(seed);
    let mut keys = NoisyKeys { noise, next: 0, block: Vec::new() };
    let mut all = Vec::with_capacity(quiet.len() * 100 / usize::from(100 - NOISE));
    for request in quiet {
        while rng.random_range(0..100) < NOISE {
            all.push(Request { tenant: NOISY, key: keys.next(&mut rng) });
        }
        all.push(*request);
    }
    all
}

struct NoisyKeys {
    noise: Noise,
    next: u32,
    block: Vec<u32>,
}

impl NoisyKeys {
    fn next(&mut self, rng: &mut StdRng) -> u32 {
        if self.noise == Noise::Scan2Touch {
            if self.block.is_empty() {
                self.block.extend((0..BLOCK as u32).map(|i| self.next + i / 2));
                self.block.shuffle(rng);
                self.next += BLOCK as u32 / 2;
            }
            return self.block.pop().unwrap_or(self.next);
        }
        let key = self.next;
        self.next += 1;
        if self.noise == Noise::Loop60k { key % LOOP } else { key }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const REQUESTS: usize = 200_000;

    fn noisy_keys(noise: Noise) -> Vec<u32> {
        let all = with_noise(&quiet(REQUESTS, 1), noise, 2);
        all.iter().filter(|r| r.tenant == NOISY).map(|r| r.key).collect()
    }

    #[test]
    fn the_hundred_tenants_have_197_752_keys_together() {
        assert_eq!(joint_footprint(), 197_752);
    }

    #[test]
    fn the_noise_is_40_percent_of_the_requests_and_the_quiet_tenants_ask_for_the_same_in_the_same_order() {
        let quiet = quiet(REQUESTS, 1);
        assert_eq!(with_noise(&quiet, Noise::Quiet, 2), quiet);
        for noise in [Noise::Scan1, Noise::Scan2Touch, Noise::Loop60k] {
            let all = with_noise(&quiet, noise, 2);
            let others: Vec<_> = all.iter().filter(|r| r.tenant != NOISY).copied().collect();
            assert_eq!(others, quiet);
            let part = 100.0 * (all.len() - quiet.len()) as f64 / all.len() as f64;
            assert!((39.5..40.5).contains(&part), "{part}");
        }
    }

    #[test]
    fn a_scan_reads_every_key_once_and_a_loop_60_000_keys_in_turn() {
        let scan = noisy_keys(Noise::Scan1);
        assert!(scan.iter().enumerate().all(|(i, key)| *key as usize == i));
        let in_turn = noisy_keys(Noise::Loop60k);
        assert!(in_turn.len() > LOOP as usize);
        assert!(in_turn.iter().enumerate().all(|(i, key)| *key as usize == i % LOOP as usize));
    }

    #[test]
    fn a_scan_that_touches_twice_does_so_within_20_requests() {
        let mut touched: HashMap<u32, Vec<usize>> = HashMap::new();
        let keys = noisy_keys(Noise::Scan2Touch);
        let whole_blocks = keys.len() / BLOCK * BLOCK;
        keys[..whole_blocks].iter().enumerate().for_each(|(i, key)| touched.entry(*key).or_default().push(i));
        assert!(touched.values().all(|at| at.len() == 2 && at[1] - at[0] < BLOCK));
    }
}
