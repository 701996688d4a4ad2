//! Who waits for an entry's lease to end. The notices come by pub/sub; they are hints, and the cap makes some of them none.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use stratacache_core::EntryName;
use tokio::sync::oneshot;

/// Most waiters of a node.
const MOST: usize = 100_000;

#[derive(Debug, Default)]
struct Table {
    names: HashMap<EntryName, Vec<(u64, oneshot::Sender<()>)>>,
    count: usize,
    next: u64,
}

#[derive(Debug, Default)]
pub(super) struct Waiters(Mutex<Table>);

impl Waiters {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to wait. Above the cap it never ends.
    pub(super) fn watch(self: &Arc<Self>, name: EntryName) -> Watch {
        let mut table = self.table();
        if table.count >= MOST {
            return Watch { waiters: Arc::clone(self), name, id: 0, ended: None };
        }
        let (sender, ended) = oneshot::channel();
        table.count += 1;
        table.next += 1;
        let id = table.next;
        table.names.entry(name).or_default().push((id, sender));
        Watch { waiters: Arc::clone(self), name, id, ended: Some(ended) }
    }

    /// Wakes who waits for an entry.
    pub(super) fn wake(&self, name: EntryName) {
        let mut table = self.table();
        let woken = table.names.remove(&name).unwrap_or_default();
        table.count -= woken.len();
        drop(table);
        // dropping the senders wakes them
    }

    /// Wakes everybody: notices may have been missed.
    pub(super) fn wake_all(&self) {
        let mut table = self.table();
        let woken = std::mem::take(&mut table.names);
        table.count = 0;
        drop(table);
        drop(woken);
    }

    fn forget(&self, name: EntryName, id: u64) {
        let mut table = self.table();
        let Some(waiting) = table.names.get_mut(&name) else { return };
        let before = waiting.len();
        waiting.retain(|(other, _)| *other != id);
        let gone = before - waiting.len();
        if waiting.is_empty() {
            table.names.remove(&name);
        }
        table.count -= gone;
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        self.table().count
    }
}

/// Ends when the lease of an entry has ended, as far as it is known.
#[derive(Debug)]
pub(super) struct Watch {
    waiters: Arc<Waiters>,
    name: EntryName,
    id: u64,
    ended: Option<oneshot::Receiver<()>>,
}

impl Future for Watch {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.ended {
            // an error says that the sender was dropped: that is the notice
            Some(ended) => Pin::new(ended).poll(cx).map(|_| ()),
            None => Poll::Pending,
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.ended.is_some() {
            self.waiters.forget(self.name, self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_notice_wakes_all_who_wait_for_the_entry_and_nobody_else() {
        let waiters = Arc::new(Waiters::default());
        let (one, two) = (EntryName::from_bytes([1; 16]), EntryName::from_bytes([2; 16]));
        let watches = [waiters.watch(one), waiters.watch(one)];
        let other = waiters.watch(two);
        waiters.wake(one);
        for watch in watches {
            watch.await;
        }
        assert_eq!(waiters.count(), 1);
        drop(other);
        assert_eq!(waiters.count(), 0, "who goes away is forgotten");
        assert!(waiters.table().names.is_empty());
    }

    #[tokio::test]
    async fn above_the_cap_waiting_is_no_error_and_costs_nothing() {
        let waiters = Arc::new(Waiters::default());
        let name = |n: usize| EntryName::from_bytes((n as u128).to_le_bytes());
        let all: Vec<Watch> = (0..MOST + 5).map(|n| waiters.watch(name(n))).collect();
        assert_eq!(waiters.count(), MOST);
        drop(all);
        assert_eq!(waiters.count(), 0);
    }
}
