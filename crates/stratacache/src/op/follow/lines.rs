//! What was read and not applied yet: a line for each tenant, so that none holds up another.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;
use stratacache_core::{NamespacePath, Scope, TenantId, follow::Position};

use crate::engine::Target;

/// So many things of one tenant wait; beyond that the whole tenant is invalidated in their place.
const MAX_ITEMS: usize = 1024;
/// So many bytes of keys of one tenant wait; beyond that as above.
const MAX_BYTES: usize = 1 << 20;
/// So many tenants wait; beyond that nothing more is read.
const MAX_LINES: usize = 16_384;
/// So many things wait in all; beyond that the tenants whose invalidation has failed are folded as above.
const MAX_IN_ALL: usize = 65_536;

/// Whose line; data of no tenant has one of its own.
pub(super) type Owner = TenantId;

/// One thing to invalidate.
#[derive(Debug, Clone)]
pub(super) enum Item {
    /// A key of a namespace.
    Key(NamespacePath, Vec<u8>),
    /// A tag, prefix or namespace.
    Scope(Target),
    /// A global tag, or all tenants.
    Global,
}

/// What is to be invalidated by one call.
#[derive(Debug, Default)]
pub(super) struct Segment {
    /// The last position before the first of its changes.
    before: Option<Position>,
    pub(super) changes: u64,
    pub(super) items: HashMap<Scope, Item, RandomState>,
    bytes: usize,
    /// Everything of the tenant, whatever the items are.
    pub(super) everything: bool,
}

impl Segment {
    fn add(&mut self, items: impl IntoIterator<Item = (Scope, Item)>) {
        for (scope, item) in items {
            if let Item::Key(_, bytes) = &item {
                self.bytes += bytes.len();
            }
            self.items.insert(scope, item);
        }
        if self.items.len() > MAX_ITEMS || self.bytes > MAX_BYTES {
            self.fold();
        }
    }

    /// Invalidates more than asked for, never less. What is global is not in a tenant: it stays.
    fn fold(&mut self) -> bool {
        self.items.retain(|_, item| matches!(item, Item::Global));
        self.bytes = 0;
        !std::mem::replace(&mut self.everything, true)
    }
}

#[derive(Debug, Default)]
struct Line {
    flying: Option<Segment>,
    waiting: Option<Segment>,
    failures: u32,
}

impl Line {
    fn before(&self) -> Option<Option<Position>> {
        // what flies was read before what waits
        self.flying.as_ref().or(self.waiting.as_ref()).map(|segment| segment.before)
    }
}

/// A segment that was handed out, as the one who applies it sees it.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) owner: Owner,
    pub(super) items: Vec<(Scope, Item)>,
    pub(super) everything: bool,
}

/// The lines of all tenants.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: HashMap<Owner, Line, RandomState>,
    /// Who has something that may be applied now.
    ready: VecDeque<Owner>,
    read: Option<Position>,
    flying: usize,
    /// Changes that wait, and things in them.
    changes: u64,
    folded: u64,
}

impl Lines {
    /// Returns the last position that was read.
    pub(super) fn read(&self) -> Option<Position> {
        self.read
    }

    pub(super) fn waiting(&self) -> u64 {
        self.changes
    }

    pub(super) fn flying(&self) -> usize {
        self.flying
    }

    pub(super) fn folded(&self) -> u64 {
        self.folded
    }

    /// Tells whether more may be read.
    pub(super) fn have_room(&self) -> bool {
        self.lines.len() < MAX_LINES
    }

    /// Returns the position up to which everything was applied.
    pub(super) fn applied(&self) -> Option<Position> {
        self.lines.values().filter_map(Line::before).min().unwrap_or(self.read)
    }

    /// Notes that a change was read which needs no line.
    pub(super) fn pass(&mut self, position: Position) {
        self.read = self.read.max(Some(position));
    }

    /// Adds a change of an owner.
    pub(super) fn add(&mut self, owner: Owner, position: Position, items: Vec<(Scope, Item)>, everything: bool) {
        self.put(owner, 1, items, everything);
        self.pass(position);
    }

    /// Adds everything of everybody, which no change has named: changes were lost. What comes after may begin at any position, and
    /// none counts as applied before that is.
    pub(super) fn add_all_tenants(&mut self) {
        self.read = None;
        for line in self.lines.values_mut() {
            let segments = [line.flying.as_mut(), line.waiting.as_mut()];
            segments.into_iter().flatten().for_each(|segment| segment.before = None);
        }
        self.put(TenantId::global(), 0, vec![(Scope::ALL_TENANTS, Item::Global)], false);
    }

    fn put(&mut self, owner: Owner, changes: u64, items: Vec<(Scope, Item)>, everything: bool) {
        let before = self.read;
        let line = self.lines.entry(owner.clone()).or_default();
        if line.flying.is_none() && line.waiting.is_none() {
            self.ready.push_back(owner);
        }
        let segment = line.waiting.get_or_insert_with(|| Segment { before, ..Segment::default() });
        let was = segment.everything;
        segment.changes += changes;
        segment.add(items);
        if segment.everything && !was {
            self.folded += 1;
        }
        segment.everything |= everything;
        self.changes += changes;
    }

    /// Folds what keeps failing when there is too much in all. To be called after each batch.
    pub(super) fn bound(&mut self) {
        let in_all: usize = self.lines.values().filter_map(|line| Some(line.waiting.as_ref()?.items.len())).sum();
        if in_all <= MAX_IN_ALL {
            return;
        }
        for line in self.lines.values_mut().filter(|line| line.failures > 0) {
            if let Some(waiting) = &mut line.waiting {
                self.folded += u64::from(waiting.fold());
            }
        }
    }

    /// Hands out what of the next tenant waits. Of each, one segment flies.
    pub(super) fn take(&mut self) -> Option<Work> {
        let owner = self.ready.pop_front()?;
        let line = self.lines.get_mut(&owner)?;
        let segment = line.waiting.take()?;
        let items = segment.items.iter().map(|(scope, item)| (*scope, item.clone())).collect();
        let work = Work { owner, items, everything: segment.everything };
        line.flying = Some(segment);
        self.flying += 1;
        Some(work)
    }

    /// Notes that what flew was applied; returns how many changes that were.
    pub(super) fn applied_of(&mut self, owner: &Owner) -> u64 {
        let Some(line) = self.lines.get_mut(owner) else { return 0 };
        let Some(segment) = line.flying.take() else { return 0 };
        self.flying -= 1;
        self.changes -= segment.changes;
        line.failures = 0;
        if line.waiting.is_some() {
            self.ready.push_back(owner.clone());
        } else {
            self.lines.remove(owner);
        }
        segment.changes
    }

    /// Notes that what flew was not applied, and returns how often in a row. It waits again, before what came after it, and is not
    /// handed out before [`due`](Self::due).
    pub(super) fn failed(&mut self, owner: &Owner, widen: bool) -> u32 {
        let Some(line) = self.lines.get_mut(owner) else { return 0 };
        let Some(mut segment) = line.flying.take() else { return 0 };
        self.flying -= 1;
        line.failures = line.failures.saturating_add(1);
        let was = segment.everything;
        if let Some(after) = line.waiting.take() {
            segment.changes += after.changes;
            segment.everything |= after.everything;
            segment.add(after.items);
        }
        if widen {
            segment.fold();
        }
        self.folded += u64::from(segment.everything && !was);
        line.waiting = Some(segment);
        line.failures
    }

    /// Lets an owner whose invalidation failed try again.
    pub(super) fn due(&mut self, owner: Owner) {
        if self.lines.get(&owner).is_some_and(|line| line.flying.is_none() && line.waiting.is_some()) {
            self.ready.push_back(owner);
        }
    }
}
