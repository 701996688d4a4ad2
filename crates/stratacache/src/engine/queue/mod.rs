//! Invalidations that wait until the shared tier and its coordinator can be reached, and what is not served meanwhile.

mod apply;
mod floor;
mod line;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use stratacache_core::{Error, ErrorKind, Result, Scope, Token, clock::Millis, coordinator::Strength};
use tokio::sync::Notify;

pub(crate) use floor::Floor;
use line::{Identity, Item, Line, Ticket};

use super::{Space, Targets, Tenant};
use crate::{Queued, invalidation::lost};

/// How much may wait: keys, tags and namespaces; keys once more for each 256 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueueLimits {
    pub(crate) per_tenant: usize,
    pub(crate) in_all: usize,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { per_tenant: 10_000, in_all: 100_000 }
    }
}

/// One invalidation, owned: it is done wholly each time.
pub(crate) struct Work {
    pub(crate) what: What,
    pub(crate) strength: Strength,
}

/// What is invalidated. No handle of a namespace is kept: that would keep the cache.
pub(crate) enum What {
    Targets { tenant: Arc<Tenant>, space: Arc<Space>, targets: Targets },
    GlobalTag(Scope),
}

/// Whose they are: the number of a tenant; none for global tags.
type Owner = Option<u64>;

impl Work {
    fn tenant(&self) -> Option<&Arc<Tenant>> {
        match &self.what {
            What::Targets { tenant, .. } => Some(tenant),
            What::GlobalTag(_) => None,
        }
    }

    fn owner(&self) -> Owner {
        self.tenant().map(|tenant| tenant.number)
    }

    /// Forgets keys that were named twice, which the limits do not have to pay for.
    fn name_keys_once(&mut self) {
        if let What::Targets { targets, .. } = &mut self.what {
            targets.keys.sort_unstable();
            targets.keys.dedup();
        }
    }

    /// Returns what it takes of the limits.
    fn room(&self) -> usize {
        match &self.what {
            What::Targets { targets, .. } => {
                targets.scopes.len() + targets.keys.iter().map(|key| 1 + key.len() / 256).sum::<usize>()
            }
            What::GlobalTag(_) => 1,
        }
    }

    /// Returns how many keys, tags and namespaces it is about.
    fn scopes(&self) -> usize {
        match &self.what {
            What::Targets { targets, .. } => targets.len(),
            What::GlobalTag(_) => 1,
        }
    }
}

/// The invalidations of a cache that wait: a line for each tenant, and one for global tags.
#[derive(Default)]
pub(crate) struct Queue {
    limits: QueueLimits,
    state: Mutex<State>,
    waiting: AtomicUsize,
    /// The coordinator has answered something.
    heard: Arc<Notify>,
    /// That of global tags holds for every tenant.
    floor: Floor,
    global_tags: AtomicU64,
}

#[derive(Default)]
struct State {
    lines: HashMap<Owner, Line, RandomState>,
    last: Ticket,
    /// What they take of the limit.
    room: usize,
    /// There is a task that applies them.
    served: bool,
    closed: bool,
}

/// What became of an invalidation that is to wait.
struct Added {
    handle: Queued,
    /// Nobody applies them yet.
    to_serve: bool,
    /// It had to be added: the same did not wait already.
    new: bool,
}

/// An attempt to apply one.
struct Attempt {
    owner: Owner,
    ticket: Ticket,
    work: Arc<Work>,
}

impl Queue {
    pub(crate) fn new(limits: QueueLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Returns the time up to which nothing is served to any tenant.
    pub(crate) fn floor(&self) -> Option<Millis> {
        self.floor.get()
    }

    /// Counts the invalidations that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    /// Counts those of one tenant.
    pub(crate) fn waiting_of(&self, tenant: &Tenant) -> usize {
        self.state.lock().lines.get(&Some(tenant.number)).map_or(0, Line::len)
    }

    /// Counts the invalidations of global tags that were queued.
    pub(crate) fn global_tags(&self) -> u64 {
        self.global_tags.load(Relaxed)
    }

    /// Notes that the coordinator answers.
    pub(crate) fn hear(&self) {
        if self.waiting() > 0 {
            self.heard.notify_one();
        }
    }

    fn floor_of<'a>(&'a self, work: &'a Work) -> &'a Floor {
        work.tenant().map_or(&self.floor, |tenant| &tenant.floor)
    }

    /// Lets an invalidation wait that could not be ordered because of `cause`. From then on nothing older is served here.
    fn add(&self, work: Work, identity: Identity, now: Millis, cause: Error) -> Result<Added> {
        let mut state = self.state.lock();
        let state = &mut *state;
        if state.closed {
            return Err(cause);
        }
        let owner = work.owner();
        if let Some(outcome) = state.lines.get(&owner).and_then(|line| line.join(&identity)) {
            self.floor_of(&work).raise(now);
            return Ok(Added { handle: Queued::new(outcome), to_serve: false, new: false });
        }
        let more = work.room();
        let of_owner = state.lines.get(&owner).map_or(0, |line| line.room);
        for (whose, knob, limit, waiting) in [
            ("the tenant", "queued_invalidations_per_tenant", self.limits.per_tenant, of_owner),
            ("the cache", "queued_invalidations", self.limits.in_all, state.room),
        ] {
            if waiting + more > limit {
                let message = format!(
                    "the invalidation could neither be ordered nor queued: {waiting} keys (of 256 bytes), tags and \
                     namespaces of {whose} wait already, and with {more} more they would be above {knob} ({limit}); \
                     try again later, clear a namespace instead, or raise {knob}"
                );
                return Err(Error::new(ErrorKind::Overloaded, message).with_source(cause));
            }
        }
        state.last += 1;
        state.room += more;
        self.waiting.fetch_add(1, Relaxed);
        self.floor_of(&work).raise(now);
        let line = state.lines.entry(owner).or_default();
        let handle = Queued::new(line.add(state.last, work, identity, now));
        let to_serve = !std::mem::replace(&mut state.served, true);
        Ok(Added { handle, to_serve, new: true })
    }

    /// Returns those who wait, in the order of their first invalidations.
    fn owners(&self) -> Vec<Owner> {
        let state = self.state.lock();
        let mut owners: Vec<_> = state.lines.iter().filter_map(|(owner, line)| Some((line.first()?, *owner))).collect();
        owners.sort_unstable();
        owners.into_iter().map(|(_, owner)| owner).collect()
    }

    /// Begins an attempt of an owner's first invalidation.
    fn begin(&self, owner: Owner) -> Option<Attempt> {
        let (ticket, work) = self.state.lock().lines.get_mut(&owner)?.begin()?;
        Some(Attempt { owner, ticket, work })
    }

    fn failed(&self, attempt: &Attempt) {
        let mut state = self.state.lock();
        let state = &mut *state;
        let Some(line) = state.lines.get_mut(&attempt.owner) else { return };
        let (count, room) = (line.len(), line.room);
        line.failed(attempt.ticket);
        self.waiting.fetch_sub(count - line.len(), Relaxed);
        state.room -= room - line.room;
    }

    /// Takes out what was applied, and tells those who wait for it. The last of a tenant ends its quarantine.
    fn applied(&self, attempt: &Attempt, token: Token) -> Option<Millis> {
        let item = {
            let mut state = self.state.lock();
            let state = &mut *state;
            let line = state.lines.get_mut(&attempt.owner)?;
            let item = line.take(attempt.ticket)?;
            state.room -= item.room;
            self.waiting.fetch_sub(1, Relaxed);
            if line.is_empty() {
                state.lines.remove(&attempt.owner);
                // under the lock: nothing can be added in between
                self.floor_of(&attempt.work).lift();
            }
            item
        };
        item.tell(&Ok(token));
        Some(item.since)
    }

    /// Tells whether nothing waits; the task that applies them ends then.
    fn rests(&self) -> bool {
        let mut state = self.state.lock();
        state.served = !state.lines.is_empty();
        !state.served
    }

    /// Lets nothing wait any more, and returns how many invalidations are lost.
    fn close(&self) -> usize {
        let lines = {
            let mut state = self.state.lock();
            state.closed = true;
            state.room = 0;
            std::mem::take(&mut state.lines)
        };
        self.waiting.store(0, Relaxed);
        let items = lines.into_values().flat_map(Line::into_items);
        items.map(|item| item.tell(&Err(lost()))).count()
    }
}

impl Item {
    fn tell(&self, outcome: &Result<Token>) {
        // also where nobody waits
        self.outcomes.iter().for_each(|sender| {
            sender.send_replace(Some(outcome.clone()));
        });
    }
}
