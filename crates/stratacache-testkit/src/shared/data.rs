//! The data keys of entries, and the scripts that work on them.

use std::collections::BTreeMap;

use bytes::Bytes;
use stratacache_core::{
    EntryName,
    clock::Millis,
    coordinator::LeaseRequest,
    stamp::{Incarnation, Position},
    tier::PutItem,
};

/// Where an envelope has its id.
const ID: std::ops::Range<usize> = 24..32;

/// A stored envelope.
#[derive(Debug, Clone)]
struct Entry {
    envelope: Bytes,
    expires_at: Millis,
    /// The history of the store when the permission to write was given.
    store: Incarnation,
}

/// The right to write an entry.
#[derive(Debug, Clone, Copy)]
struct Held {
    token: u128,
    /// Where the load began; none for a fence, which nobody takes over.
    stamp: Option<Position>,
    ends_at: Millis,
    store: Incarnation,
}

/// The answer of LEASE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Granted,
    Busy,
    Filled,
}

/// Entries and leases, each name in a slot of its own. Each method is one script.
#[derive(Debug, Clone)]
pub(super) struct DataKeys {
    /// The history of the store, as it says itself.
    pub(super) incarnation: Incarnation,
    entries: BTreeMap<EntryName, Entry>,
    leases: BTreeMap<EntryName, Held>,
    /// Nothing expires before.
    due: Millis,
}

impl DataKeys {
    pub(super) fn new(incarnation: Incarnation) -> Self {
        Self { incarnation, entries: BTreeMap::new(), leases: BTreeMap::new(), due: Millis::MAX }
    }

    /// Lets go of what has expired, as a store does by itself.
    pub(super) fn expire(&mut self, now: Millis) {
        if now < self.due {
            return;
        }
        self.entries.retain(|_, entry| entry.expires_at > now);
        self.leases.retain(|_, lease| lease.ends_at > now);
        let entries = self.entries.values().map(|entry| entry.expires_at);
        self.due = entries.chain(self.leases.values().map(|lease| lease.ends_at)).min().unwrap_or(Millis::MAX);
    }

    /// Returns what is stored, whatever history it is of.
    pub(super) fn stored(&self, name: EntryName) -> Option<Bytes> {
        self.entries.get(&name).map(|entry| entry.envelope.clone())
    }

    pub(super) fn names(&self) -> Vec<EntryName> {
        self.entries.keys().copied().collect()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.entries.values().map(|entry| entry.envelope.len() as u64).sum()
    }

    pub(super) fn is_leased(&self, name: EntryName) -> bool {
        self.leases.contains_key(&name)
    }

    pub(super) fn get(&self, name: EntryName) -> Option<Bytes> {
        self.entries.get(&name).filter(|entry| entry.store == self.incarnation).map(|entry| entry.envelope.clone())
    }

    pub(super) fn put(&mut self, item: PutItem) {
        let entry = Entry { envelope: item.envelope, expires_at: item.expires_at, store: self.incarnation };
        self.due = self.due.min(item.expires_at);
        self.entries.insert(item.name, entry);
    }

    /// Puts bytes back; an expiry that is there stays.
    pub(super) fn restore(&mut self, name: EntryName, envelope: Bytes) {
        let expires_at = self.entries.get(&name).map_or(Millis::MAX, |entry| entry.expires_at);
        self.entries.insert(name, Entry { envelope, expires_at, store: self.incarnation });
    }

    /// LEASE. An entry without an id is damaged, and as good as absent.
    pub(super) fn lease(&mut self, request: &LeaseRequest, token: u128, now: Millis) -> Answer {
        let id =
            self.get(request.name).and_then(|envelope| Some(u64::from_le_bytes(envelope.get(ID)?.try_into().ok()?)));
        if id.is_some() && id != request.seen {
            return Answer::Filled;
        }
        let useless = |held: &Held| {
            let foreign = |at: Position| at.incarnation != request.stamp.incarnation || at.seq < request.newest;
            held.stamp.is_some_and(foreign)
        };
        if self.leases.get(&request.name).is_some_and(|held| !useless(held)) {
            return Answer::Busy;
        }
        let ends_at = now + request.life.as_millis() as Millis;
        let held = Held { token, stamp: Some(request.stamp), ends_at, store: self.incarnation };
        self.due = self.due.min(ends_at);
        self.leases.insert(request.name, held);
        Answer::Granted
    }

    pub(super) fn renew(&mut self, name: EntryName, token: u128, ends_at: Millis) -> bool {
        let own = self.leases.get_mut(&name).filter(|held| held.token == token);
        own.map(|held| held.ends_at = ends_at).is_some()
    }

    pub(super) fn release(&mut self, name: EntryName, token: u128) -> bool {
        let own = self.leases.get(&name).is_some_and(|held| held.token == token);
        own && self.leases.remove(&name).is_some()
    }

    /// FILL: the entry is of the history in which its permission was given.
    pub(super) fn fill(&mut self, item: PutItem, token: u128) -> bool {
        let Some(held) = self.leases.get(&item.name).filter(|held| held.token == token) else { return false };
        let entry = Entry { envelope: item.envelope, expires_at: item.expires_at, store: held.store };
        self.due = self.due.min(item.expires_at);
        self.leases.remove(&item.name);
        self.entries.insert(item.name, entry);
        true
    }

    /// TAKE: overwrites the lease. The entry stays: who writes by hand has removed it, and who refreshes it has not.
    pub(super) fn take(&mut self, name: EntryName, token: u128, ends_at: Millis) {
        self.due = self.due.min(ends_at);
        self.leases.insert(name, Held { token, stamp: None, ends_at, store: self.incarnation });
    }

    /// DEL_FENCE: removes the entry and voids the lease.
    pub(super) fn del_fence(&mut self, name: EntryName) {
        self.entries.remove(&name);
        self.leases.remove(&name);
    }
}
