//! A limit on how often something may happen, with bursts of a second's worth.

use stratacache_core::clock::Millis;

/// What may happen now, in thousandths.
#[derive(Debug)]
pub(super) struct Bucket {
    thousandths: u64,
    filled_at: Millis,
}

impl Bucket {
    /// Makes one that is full.
    pub(super) fn full() -> Self {
        Self { thousandths: u64::MAX, filled_at: 0 }
    }

    /// Takes the permission for one, where `rate` are allowed in a second.
    pub(super) fn take(&mut self, rate: u32, now: Millis) -> bool {
        let earned = now.saturating_sub(self.filled_at).saturating_mul(u64::from(rate));
        self.thousandths = self.thousandths.saturating_add(earned).min(u64::from(rate) * 1000);
        self.filled_at = now;
        if self.thousandths < 1000 {
            return false;
        }
        self.thousandths -= 1000;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_a_burst_and_then_so_many_in_a_second() {
        let mut bucket = Bucket::full();
        let mut taken = |now| (0..100).filter(|_| bucket.take(10, now)).count();
        assert_eq!(taken(5_000), 10);
        assert_eq!(taken(5_000), 0);
        assert_eq!(taken(5_350), 3);
        assert_eq!(taken(60_000), 10);
    }
}
