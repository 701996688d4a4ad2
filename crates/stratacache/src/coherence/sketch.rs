//! Where tag marks go when there are too many: a sketch that can only err towards invalid.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use stratacache_core::{Scope, stamp::Seq};

const ROWS: usize = 2;
const COLUMNS: usize = 8192;

/// A max-sketch: each scope raises one cell in each row to its mark, and reads the smaller of its two cells.
///
/// The answer is never below the mark of the scope, so an invalid entry is never taken for valid.
pub(super) struct MaxSketch(Box<[AtomicU64]>);

impl MaxSketch {
    pub(super) fn new() -> Self {
        Self((0..ROWS * COLUMNS).map(|_| AtomicU64::new(0)).collect())
    }

    fn cells(&self, scope: Scope) -> [&AtomicU64; ROWS] {
        let bytes = scope.to_bytes();
        std::array::from_fn(|row| {
            let column = u32::from_le_bytes(std::array::from_fn(|i| bytes[row * 4 + i])) as usize % COLUMNS;
            &self.0[row * COLUMNS + column]
        })
    }

    pub(super) fn raise(&self, scope: Scope, seq: Seq) {
        for cell in self.cells(scope) {
            cell.fetch_max(seq, Relaxed);
        }
    }

    pub(super) fn mark(&self, scope: Scope) -> Seq {
        self.cells(scope).map(|c| c.load(Relaxed)).into_iter().min().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folded_mark_is_never_forgotten() {
        let sketch = MaxSketch::new();
        let scope = |n: u64| {
            Scope::from_bytes(u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_le_bytes())
        };
        for n in 0..50_000 {
            sketch.raise(scope(n), n + 1);
        }
        assert!((0..50_000).all(|n| sketch.mark(scope(n)) > n));
        assert_eq!(MaxSketch::new().mark(scope(1)), 0);
    }
}
