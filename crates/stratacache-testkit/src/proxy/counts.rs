//! What went through.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::watch;

use super::Command;

#[derive(Debug, Default)]
pub(super) struct Counts {
    table: Mutex<Table>,
    trips: watch::Sender<u64>,
    pub(super) dropped_requests: AtomicU64,
    pub(super) dropped_replies: AtomicU64,
    pub(super) dropped_messages: AtomicU64,
    pub(super) unparsed: AtomicU64,
    pub(super) failed_connects: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    excluded: Vec<Command>,
    forwarded: BTreeMap<String, u64>,
}

impl Counts {
    pub(super) fn exclude(&self, command: Command) {
        self.table().excluded.push(command);
    }

    pub(super) fn is_excluded(&self, args: &[Bytes]) -> bool {
        self.table().excluded.iter().any(|command| command.means(args))
    }

    pub(super) fn forwarded(&self, name: &[u8]) {
        let name = String::from_utf8_lossy(name).to_ascii_uppercase();
        *self.table().forwarded.entry(name).or_default() += 1;
    }

    pub(super) fn table_of_forwarded(&self) -> BTreeMap<String, u64> {
        self.table().forwarded.clone()
    }

    pub(super) fn round_trip(&self) {
        self.trips.send_modify(|trips| *trips += 1);
    }

    pub(super) fn round_trips(&self) -> watch::Receiver<u64> {
        self.trips.subscribe()
    }

    pub(super) fn reset(&self) {
        self.table().forwarded.clear();
        self.trips.send_replace(0);
        let dropped = [&self.dropped_requests, &self.dropped_replies, &self.dropped_messages];
        for count in dropped.into_iter().chain([&self.unparsed, &self.failed_connects]) {
            count.store(0, Ordering::SeqCst);
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::SeqCst);
}
