//! One writer of a key at a time, where there are tiers below.
//!
//! An insert has its value before it has its fence. Two writers of a key whose removals, fences and positions interleave
//! could leave the older value below, with nothing to tell once the marks of the key are forgotten.

use std::sync::OnceLock;

use stratacache_core::EntryName;
use tokio::sync::{Mutex, MutexGuard};

const STRIPES: usize = 64;

/// The locks of one tenant's writers, by name; made on first use.
#[derive(Debug, Default)]
pub(super) struct Writers(OnceLock<Box<[Mutex<()>]>>);

impl Writers {
    /// Waits until nobody else inserts or invalidates these keys.
    ///
    /// Everybody takes the locks in the same order. Each is held for a few operations of tiers, which have deadlines.
    pub(super) async fn alone(&self, names: &[EntryName]) -> Vec<MutexGuard<'_, ()>> {
        let locks = self.0.get_or_init(|| (0..STRIPES).map(|_| Mutex::new(())).collect());
        let mut stripes: Vec<usize> = names.iter().map(|name| name.low() as usize % STRIPES).collect();
        stripes.sort_unstable();
        stripes.dedup();
        let mut held = Vec::with_capacity(stripes.len());
        for stripe in stripes {
            held.push(locks[stripe].lock().await);
        }
        held
    }
}
