//! The invalidations of one tenant that wait, in order.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use foldhash::fast::RandomState;
use smallvec::{SmallVec, smallvec};
use stratacache_core::{Scope, clock::Millis, coordinator::Strength};
use tokio::sync::watch;

use super::Work;
use crate::invalidation::Outcome;

/// The place of an invalidation among all that waited.
pub(super) type Ticket = u64;

/// What makes two invalidations of a tenant the same: their strength, and their scopes in the order of these.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub(super) hard: bool,
    pub(super) scopes: Box<[Scope]>,
}

impl Identity {
    pub(super) fn new(strength: Strength, scopes: impl Iterator<Item = Scope>) -> Self {
        let mut scopes: Vec<Scope> = scopes.collect();
        scopes.sort_unstable();
        scopes.dedup();
        Self { hard: strength == Strength::Hard, scopes: scopes.into() }
    }
}

/// An invalidation that waits.
pub(super) struct Item {
    pub(super) work: Arc<Work>,
    pub(super) identity: Identity,
    pub(super) since: Millis,
    /// What it takes of the limits.
    pub(super) room: usize,
    /// Mostly one; more where the same was asked for again during an attempt that failed.
    pub(super) outcomes: SmallVec<[watch::Sender<Outcome>; 1]>,
}

/// The invalidations of one tenant, or of the global tags.
#[derive(Default)]
pub(super) struct Line {
    items: BTreeMap<Ticket, Item>,
    /// Those that are not being attempted: an attempt under way may be too early for who asks now.
    open: HashMap<Identity, Ticket, RandomState>,
    /// What all take of the limits.
    pub(super) room: usize,
}

impl Line {
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn first(&self) -> Option<Ticket> {
        self.items.keys().next().copied()
    }

    /// Returns a handle of the same invalidation if it waits already.
    pub(super) fn join(&self, identity: &Identity) -> Option<watch::Receiver<Outcome>> {
        let item = self.items.get(self.open.get(identity)?)?;
        item.outcomes.first().map(watch::Sender::subscribe)
    }

    pub(super) fn add(
        &mut self,
        ticket: Ticket,
        work: Work,
        identity: Identity,
        since: Millis,
    ) -> watch::Receiver<Outcome> {
        let (outcome, handle) = watch::channel(None);
        let room = work.room();
        self.room += room;
        self.open.insert(identity.clone(), ticket);
        self.items.insert(ticket, Item { work: Arc::new(work), identity, since, room, outcomes: smallvec![outcome] });
        handle
    }

    /// Begins an attempt of the first.
    pub(super) fn begin(&mut self) -> Option<(Ticket, Arc<Work>)> {
        let (ticket, item) = self.items.first_key_value()?;
        if self.open.get(&item.identity) == Some(ticket) {
            self.open.remove(&item.identity);
        }
        Some((*ticket, Arc::clone(&item.work)))
    }

    /// Ends an attempt that failed. What was asked for meanwhile in the same words waits with it.
    pub(super) fn failed(&mut self, ticket: Ticket) {
        let Some(identity) = self.items.get(&ticket).map(|item| item.identity.clone()) else { return };
        let again = self.open.insert(identity, ticket).filter(|again| *again != ticket);
        let again = again.and_then(|again| self.take(again));
        if let (Some(again), Some(item)) = (again, self.items.get_mut(&ticket)) {
            // those nobody waits for would gather in a long outage
            item.outcomes.extend(again.outcomes.into_iter().filter(|outcome| outcome.receiver_count() > 0));
        }
    }

    /// Takes one out: it was applied.
    pub(super) fn take(&mut self, ticket: Ticket) -> Option<Item> {
        let item = self.items.remove(&ticket)?;
        self.room -= item.room;
        Some(item)
    }

    /// Takes all out.
    pub(super) fn into_items(self) -> impl Iterator<Item = Item> {
        self.items.into_values()
    }
}
