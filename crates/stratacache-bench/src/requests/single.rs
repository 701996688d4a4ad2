//! Sequences of one tenant.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};

use super::Request;
use crate::zipf::{Zipf, dealt};

/// Keys of the popular part.
const KEYS: usize = 200_000;
/// Keys of a block of a scan that touches each twice.
const BLOCK: u32 = 20;

/// A sequence by what it is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    exponent: f64,
    scan: Scan,
    /// The popular keys are others so many times in a sequence.
    shifts: usize,
}

/// What a third of the requests do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scan {
    /// What the others do.
    None,
    /// Read keys that are read only once.
    Once,
    /// Read keys twice, within 40 requests of the scan, and never again.
    Twice,
}

pub(crate) const KINDS: [Kind; 6] = [
    Kind { name: "Zipf 0.8", exponent: 0.8, scan: Scan::None, shifts: 0 },
    Kind { name: "Zipf 0.99", exponent: 0.99, scan: Scan::None, shifts: 0 },
    Kind { name: "Zipf 1.1", exponent: 1.1, scan: Scan::None, shifts: 0 },
    Kind { name: "Zipf 0.99 + 33 % scan", exponent: 0.99, scan: Scan::Once, shifts: 0 },
    Kind { name: "Zipf 0.99, other keys popular after each sixth", exponent: 0.99, scan: Scan::None, shifts: 5 },
    Kind { name: "Zipf 0.99 + 33 % scan that touches twice", exponent: 0.99, scan: Scan::Twice, shifts: 0 },
];

impl Kind {
    /// Makes the sequence; the same for the same seed.
    pub(crate) fn requests(self, count: usize, seed: u64) -> Vec<Request> {
        let mut rng = StdRng::seed_from_u64(seed);
        let zipf = Zipf::new(KEYS, self.exponent);
        let mut keys = dealt(KEYS, &mut rng);
        let mut scan = Scanner { scan: self.scan, next: KEYS as u32, block: Vec::new() };
        let part = count / (self.shifts + 1);
        let mut requests = Vec::with_capacity(count);
        for i in 0..count {
            if self.shifts > 0 && i > 0 && i.is_multiple_of(part) {
                keys = dealt(KEYS, &mut rng);
            }
            let scans = self.scan != Scan::None && rng.random_range(0..3) == 0;
            let key = if scans { scan.next(&mut rng) } else { keys[zipf.draw(&mut rng)] as u32 };
            requests.push(Request { tenant: 0, key });
        }
        requests
    }
}

struct Scanner {
    scan: Scan,
    next: u32,
    block: Vec<u32>,
}

impl Scanner {
    fn next(&mut self, rng: &mut StdRng) -> u32 {
        if self.block.is_empty() {
            let touches = if self.scan == Scan::Twice { 2 } else { 1 };
            for key in self.next..self.next + BLOCK {
                self.block.extend(std::iter::repeat_n(key, touches));
            }
            self.next += BLOCK;
            self.block.shuffle(rng);
        }
        self.block.pop().unwrap_or(self.next)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn counts(kind: Kind) -> HashMap<u32, usize> {
        let mut counts = HashMap::new();
        for request in kind.requests(60_000, 3) {
            *counts.entry(request.key).or_insert(0) += 1;
        }
        counts
    }

    #[test]
    fn the_same_seed_makes_the_same_sequence() {
        for kind in KINDS {
            assert_eq!(kind.requests(1_000, 5), kind.requests(1_000, 5));
            assert_ne!(kind.requests(1_000, 5), kind.requests(1_000, 6));
        }
    }

    #[test]
    fn a_third_of_the_requests_scan_and_touch_each_key_as_often_as_they_say() {
        for (kind, touches) in [(KINDS[3], 1), (KINDS[5], 2)] {
            let scanned: Vec<_> = counts(kind).into_iter().filter(|(key, _)| *key >= KEYS as u32).collect();
            let requests: usize = scanned.iter().map(|(_, count)| count).sum();
            assert!((19_000..21_000).contains(&requests), "{}: {requests}", kind.name);
            assert!(scanned.iter().all(|(_, count)| *count <= touches));
            let whole = scanned.iter().filter(|(_, count)| *count == touches).count();
            assert!(whole + BLOCK as usize >= scanned.len(), "all but the last block");
        }
    }

    #[test]
    fn after_a_shift_other_keys_are_popular() {
        let requests = KINDS[4].requests(60_000, 3);
        let favourite = |part: &[Request]| {
            let mut counts = HashMap::new();
            part.iter().for_each(|r| *counts.entry(r.key).or_insert(0) += 1);
            counts.into_iter().max_by_key(|(_, count)| *count).map(|(key, _)| key)
        };
        let favourites: std::collections::HashSet<_> = requests.chunks(10_000).map(favourite).collect();
        assert_eq!(favourites.len(), 6);
    }
}
