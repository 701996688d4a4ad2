//! What was evicted lately: fingerprints without entries.

const WAYS: usize = 4;

#[derive(Debug, Clone, Copy, Default)]
struct Ghost {
    hash: u32,
    /// How many ghosts had come before this one; 0 is an empty place.
    came: u32,
}

/// Remembers the hashes of the last evicted entries, about as many as it is told to, 8 bytes each.
///
/// A table of small buckets without a queue: a ghost is too old when more have come since than are to be remembered, and
/// the oldest of a full bucket makes room. Two hashes that are alike pass for one another, which costs a wrong guess.
#[derive(Debug, Default)]
pub(super) struct Ghosts {
    buckets: Box<[[Ghost; WAYS]]>,
    came: u32,
}

impl Ghosts {
    fn bucket(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.buckets.len() as u64) >> 32) as usize
    }

    /// Remembers an evicted entry among the last `remembered`.
    pub(super) fn add(&mut self, hash: u32, remembered: usize) {
        if self.buckets.len() * WAYS < remembered {
            self.grow(remembered);
        }
        if self.buckets.is_empty() {
            return;
        }
        self.came = self.came.wrapping_add(1).max(1);
        let (bucket, came) = (self.bucket(hash), self.came);
        let age = |ghost: &Ghost| if ghost.came == 0 { u32::MAX } else { came.wrapping_sub(ghost.came) };
        if let Some(oldest) = self.buckets[bucket].iter_mut().max_by_key(|g| age(g)) {
            *oldest = Ghost { hash, came };
        }
    }

    /// Takes a hash out, and tells whether it was among the last `remembered`.
    pub(super) fn take(&mut self, hash: u32, remembered: usize) -> bool {
        if self.buckets.is_empty() {
            return false;
        }
        let (bucket, came) = (self.bucket(hash), self.came);
        let found = self.buckets[bucket].iter_mut().find(|g| g.came != 0 && g.hash == hash);
        found.is_some_and(|ghost| {
            let age = came.wrapping_sub(std::mem::take(ghost).came);
            (age as usize) < remembered
        })
    }

    fn grow(&mut self, remembered: usize) {
        let wanted = remembered.div_ceil(WAYS).next_power_of_two();
        let old = std::mem::replace(&mut self.buckets, vec![[Ghost::default(); WAYS]; wanted].into());
        // a power of two times as many: each old bucket fits into the first of those it is spread over
        for ghost in old.iter().flatten().filter(|g| g.came != 0) {
            let bucket = self.bucket(ghost.hash);
            if let Some(place) = self.buckets[bucket].iter_mut().find(|g| g.came == 0) {
                *place = *ghost;
            }
        }
    }

    /// Forgets all, and gives the block back.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns the bytes of its block.
    pub(super) fn structure(&self) -> u64 {
        size_of_val(&*self.buckets) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(n: u32) -> u32 {
        n.wrapping_mul(0x9e37_79b1)
    }

    #[test]
    fn most_of_the_last_are_remembered_and_none_that_is_older() {
        let mut ghosts = Ghosts::default();
        for n in 0..10_000 {
            ghosts.add(hash(n), 1_000);
        }
        let found = (9_000..10_000).filter(|n| ghosts.take(hash(*n), 1_000)).count();
        assert!(found > 900, "{found}");
        assert_eq!((0..10_000).filter(|n| ghosts.take(hash(*n), 1_000)).count(), 0, "taken out, or too old");
        assert_eq!(ghosts.structure(), 1_024 * 8);
    }

    #[test]
    fn growing_keeps_them_and_clearing_gives_the_block_back() {
        let mut ghosts = Ghosts::default();
        for n in 0..1_000 {
            ghosts.add(hash(n), 1 + n as usize);
        }
        let found = (0..1_000).filter(|n| ghosts.take(hash(*n), 1_000)).count();
        assert!(found > 850, "{found}");
        ghosts.clear();
        assert_eq!(ghosts.structure(), 0);
        ghosts.add(hash(1), 0);
        assert!(!ghosts.take(hash(1), 0), "nothing is remembered where nothing is to be");
    }
}
