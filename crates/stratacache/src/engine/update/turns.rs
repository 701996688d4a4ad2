//! Who of a tenant may write a key that only this process orders: inserts any time but while its value is being changed.

use smallvec::SmallVec;
use stratacache_core::EntryName;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The keys of a tenant share these; no other tenant waits for them.
const TURNS: usize = 8;

/// Turns by name, in the order in which they were asked for. Nobody who has one waits for another of those that write.
pub(crate) struct Turns([RwLock<()>; TURNS]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| RwLock::new(())))
    }
}

impl Turns {
    fn place(name: EntryName) -> usize {
        name.low() as usize % TURNS
    }

    /// Waits until the values of these names are not being changed, and keeps them from it.
    pub(in crate::engine) async fn of_inserts(&self, names: &[EntryName]) -> SmallVec<[RwLockReadGuard<'_, ()>; 1]> {
        let mut places: SmallVec<[usize; 1]> = names.iter().map(|name| Self::place(*name)).collect();
        places.sort_unstable();
        places.dedup(); // to ask twice would be to wait for oneself
        let mut turns = SmallVec::new();
        for place in places {
            turns.push(self.0[place].read().await);
        }
        turns
    }

    /// Waits until nobody else writes a name.
    pub(super) async fn of_change(&self, name: EntryName) -> RwLockWriteGuard<'_, ()> {
        self.0[Self::place(name)].write().await
    }
}
