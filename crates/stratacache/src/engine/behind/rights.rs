//! Rights to write of writes that are not made: given back behind, so that neither who writes nor the queue waits for that.

use std::collections::VecDeque;

use parking_lot::Mutex;
use stratacache_core::coordinator::Lease;

/// Those beyond end by themselves.
const MOST: usize = 1 << 10;

#[derive(Default)]
pub(super) struct Rights(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: VecDeque<Lease>,
    served: bool,
}

impl Rights {
    /// Adds some that are to be given back, and tells whether nobody does that yet.
    pub(super) fn add(&self, leases: impl Iterator<Item = Lease>) -> bool {
        let mut state = self.0.lock();
        let room = MOST.saturating_sub(state.waiting.len());
        state.waiting.extend(leases.take(room));
        !state.waiting.is_empty() && !std::mem::replace(&mut state.served, true)
    }

    /// Takes the next one out; `None` when there is none, and then the task that asked is to end.
    pub(super) fn next(&self) -> Option<Lease> {
        let mut state = self.0.lock();
        let next = state.waiting.pop_front();
        state.served = next.is_some();
        next
    }

    /// Notes that the task is gone that gave them back.
    pub(super) fn unserved(&self) {
        self.0.lock().served = false;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use stratacache_core::{EntryName, TenantId, stamp::Lane};

    use super::*;

    fn leases(tokens: std::ops::Range<u128>) -> impl Iterator<Item = Lease> {
        let (lane, name) = (Lane::of(&TenantId::from(1)), EntryName::from_bytes([1; 16]));
        tokens.map(move |token| Lease { lane, name, token, life: Duration::ZERO })
    }

    #[test]
    fn they_are_bounded_and_one_task_gives_them_back_in_order() {
        let rights = Rights::default();
        assert!(!rights.add(leases(0..0)), "nothing to do");
        assert!(rights.add(leases(0..3)));
        assert!(!rights.add(leases(3..5_000)), "there is a task");
        let given: Vec<u128> = std::iter::from_fn(|| rights.next()).map(|lease| lease.token).collect();
        assert_eq!(given, (0..MOST as u128).collect::<Vec<_>>());
        assert!(rights.add(leases(0..2)), "the task has ended");
        rights.unserved();
        assert!(rights.add(leases(2..3)), "it was dropped");
    }
}
