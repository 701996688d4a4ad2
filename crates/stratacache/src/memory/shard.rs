//! One shard of a partition: a table of entries, and which of them leaves first.
//!
//! The order is S3-FIFO (Yang et al., SOSP 2023) with weights: what is new enters a small queue, a tenth of the bytes,
//! and moves to the main queue only if it is read more than once before its turn comes, or if it was evicted not long
//! ago. In the main queue whoever was read gets another turn. A read writes nothing but two bits of the entry.

use std::sync::atomic::Ordering::Relaxed;

use hashbrown::HashTable;
use smallvec::SmallVec;

use super::{
    Hashed, Slot, SlotRef,
    fifo::{Fifo, Ticket},
    ghosts::Ghosts,
};

/// What left a shard. It is dropped when no lock is held: a value's `drop` may call back into the cache.
pub(crate) type Left = SmallVec<[SlotRef; 2]>;

/// Reads that are told apart.
const MOST_VISITS: u8 = 3;
/// An entry moves from the small to the main queue when it was read more often than this.
const FEW_VISITS: u8 = 1;
/// The small queue holds one of so many bytes.
const SMALL_PART: u64 = 10;
/// Below so many slots a table is not worth making smaller.
const FEW_SLOTS: usize = 64;

/// Which queue an entry stands in.
const SMALL: u8 = 0;
const MAIN: u8 = 1;

/// How many degrees of [`heat`] there are.
pub(crate) const HEATS: usize = 2 * (MOST_VISITS as usize + 1);

/// Returns how much was read of an entry, as far as its queue and its bits tell: 0 for nothing, below [`HEATS`].
pub(crate) fn heat(slot: &dyn Slot) -> u8 {
    let visits = slot.head().visits.load(Relaxed).min(MOST_VISITS);
    let main = slot.meta().queue.load(Relaxed) == MAIN;
    if main { MOST_VISITS + 1 + visits } else { visits }
}

/// What a shard holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Account {
    pub(super) entries: u64,
    /// What the entries weigh.
    weight: u64,
    /// Bytes of the shard's own blocks.
    pub(super) structure: u64,
}

impl Account {
    pub(super) fn bytes(&self) -> u64 {
        self.weight + self.structure
    }
}

impl std::iter::Sum for Account {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            entries: sum.entries + one.entries,
            weight: sum.weight + one.weight,
            structure: sum.structure + one.structure,
        })
    }
}

/// Entries and their order.
#[derive(Default)]
pub(super) struct Shard {
    table: HashTable<SlotRef>,
    queues: [Fifo; 2],
    ghosts: Ghosts,
    next_ticket: u32,
}

/// Spreads the half of a hash that tickets carry over the bits that the table looks at.
#[inline]
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Returns the half of a hash that tickets carry; the shard was chosen by bits of the other half.
#[inline]
fn half(hash: u64) -> u32 {
    hash as u32
}

fn rehash(slot: &SlotRef) -> u64 {
    spread(half(slot.head().key.hash_value()))
}

/// Returns what an entry counts.
pub(super) fn weight(slot: &SlotRef) -> u64 {
    u64::from(slot.meta().weight).max(1)
}

impl Shard {
    /// Returns the entry of a key, and notes that it was read.
    #[inline]
    pub(super) fn get(&self, key: &Hashed<'_>) -> Option<SlotRef> {
        let slot = self.find(key)?;
        let visits = &slot.head().visits;
        let before = visits.load(Relaxed);
        if before < MOST_VISITS {
            visits.store(before + 1, Relaxed);
        }
        Some(SlotRef::clone(slot))
    }

    /// Returns the entry of a key without counting as a read.
    pub(super) fn peek(&self, key: &Hashed<'_>) -> Option<SlotRef> {
        self.find(key).cloned()
    }

    #[inline]
    fn find(&self, key: &Hashed<'_>) -> Option<&SlotRef> {
        self.table.find(spread(half(key.hash())), |slot| key.is(&slot.head().key))
    }

    /// Returns an entry whose key has this hash and that `wanted` picks, without counting as a read.
    pub(super) fn find_by_hash(&self, hash: u64, wanted: impl Fn(&SlotRef) -> bool) -> Option<SlotRef> {
        let is = |slot: &SlotRef| slot.head().key.hash_value() == hash && wanted(slot);
        self.table.find(spread(half(hash)), is).cloned()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &SlotRef> {
        self.table.iter()
    }

    pub(super) fn account(&self) -> Account {
        let weight = self.queues.iter().map(|q| q.bytes).sum();
        Account { entries: self.table.len() as u64, weight, structure: self.structure() }
    }

    /// Returns the bytes of its own blocks.
    fn structure(&self) -> u64 {
        let queues = self.queues.iter().map(Fifo::structure).sum::<u64>();
        self.table.allocation_size() as u64 + queues + self.ghosts.structure()
    }

    /// Puts an entry in whose key has this hash, and returns the one it took the place of.
    pub(super) fn insert(&mut self, hash: u64, slot: SlotRef) -> Option<SlotRef> {
        let hash = half(hash);
        if let Some(there) = self.table.find_mut(spread(hash), |there| there.head().key == slot.head().key) {
            // it takes over the place in the queue, and the reads
            let (old, new) = (there.meta(), slot.meta());
            new.ticket.store(old.ticket.load(Relaxed), Relaxed);
            new.queue.store(old.queue.load(Relaxed), Relaxed);
            slot.head().visits.store(there.head().visits.load(Relaxed), Relaxed);
            let queue = &mut self.queues[usize::from(old.queue.load(Relaxed))];
            queue.bytes = queue.bytes - weight(there) + weight(&slot);
            return Some(std::mem::replace(there, slot));
        }
        let queue = if self.ghosts.take(hash, self.table.len()) { MAIN } else { SMALL };
        self.add(hash, queue, slot);
        None
    }

    fn add(&mut self, hash: u32, queue: u8, slot: SlotRef) {
        self.next_ticket = self.next_ticket.wrapping_add(1);
        let meta = slot.meta();
        meta.ticket.store(self.next_ticket, Relaxed);
        meta.queue.store(queue, Relaxed);
        self.queues[usize::from(queue)].push(Ticket { hash, number: self.next_ticket }, weight(&slot));
        self.table.insert_unique(spread(hash), slot, rehash);
    }

    /// Removes an entry if `condition` holds for it.
    pub(super) fn remove_if(&mut self, key: &Hashed<'_>, condition: impl FnOnce(&SlotRef) -> bool) -> Option<SlotRef> {
        let hash = spread(half(key.hash()));
        let found = self.table.find_entry(hash, |slot| key.is(&slot.head().key)).ok()?;
        if !condition(found.get()) {
            return None;
        }
        let (slot, _) = found.remove();
        Some(self.removed(slot))
    }

    /// Removes the entries whose keys have this hash, if `condition` holds.
    pub(super) fn remove_by_hash(&mut self, hash: u64, condition: impl Fn(&SlotRef) -> bool) -> Left {
        let mut left = Left::new();
        let is = |slot: &SlotRef| slot.head().key.hash_value() == hash && condition(slot);
        while let Ok(found) = self.table.find_entry(spread(half(hash)), is) {
            let (slot, _) = found.remove();
            left.push(self.removed(slot));
        }
        left
    }

    /// Keeps the books of an entry that was taken out of the table.
    fn removed(&mut self, slot: SlotRef) -> SlotRef {
        if slot.meta().queue.load(Relaxed) == MAIN {
            // loaded again, it is as welcome as it was
            self.ghosts.add(half(slot.head().key.hash_value()), self.table.len());
        }
        self.forget(&slot);
        slot
    }

    fn forget(&mut self, slot: &SlotRef) {
        let table = &self.table;
        let alive = |ticket: Ticket| answers(table, ticket).is_some();
        self.queues[usize::from(slot.meta().queue.load(Relaxed))].forget(weight(slot), alive);
    }

    /// Evicts the entry whose turn it is; `None` when there is none left.
    pub(super) fn evict(&mut self) -> Option<SlotRef> {
        loop {
            let [small, main] = &mut self.queues;
            let from_small = main.entries == 0 || small.bytes * SMALL_PART > small.bytes + main.bytes;
            let from = usize::from(if from_small { SMALL } else { MAIN });
            let Some(ticket) = self.queues[from].pop() else {
                debug_assert_eq!(self.table.len(), 0, "every entry has a ticket");
                return None;
            };
            let Some(slot) = answers(&self.table, ticket) else { continue };
            let visits = slot.head().visits.load(Relaxed);
            let stays = if from_small { visits > FEW_VISITS } else { visits > 0 };
            if stays {
                let weight = weight(slot);
                slot.head().visits.store(if from_small { 0 } else { visits - 1 }, Relaxed);
                slot.meta().queue.store(MAIN, Relaxed);
                self.queues[from].entries -= 1;
                self.queues[from].bytes -= weight;
                self.queues[usize::from(MAIN)].push(ticket, weight);
                continue;
            }
            let remembered = self.table.len();
            let evicted = self.table.find_entry(spread(ticket.hash), |slot| is_of(slot, ticket)).ok()?.remove().0;
            self.forget(&evicted);
            if from_small {
                self.ghosts.add(ticket.hash, remembered);
            }
            return Some(evicted);
        }
    }

    /// Takes everything out, the oldest of each queue first, and gives the blocks back.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = SlotRef> {
        let Self { mut table, queues, .. } = std::mem::take(self);
        queues.into_iter().flat_map(|mut queue| std::iter::from_fn(move || queue.pop())).filter_map(move |ticket| {
            let found = table.find_entry(spread(ticket.hash), |slot| is_of(slot, ticket)).ok()?;
            Some(found.remove().0)
        })
    }

    /// Takes an entry over from another shard, into the queue it stood in.
    pub(super) fn adopt(&mut self, slot: SlotRef) {
        let (hash, queue) = (half(slot.head().key.hash_value()), slot.meta().queue.load(Relaxed));
        self.add(hash, queue, slot);
    }

    /// Gives blocks back that the entries have no use for; most of the slots must be empty for it.
    pub(super) fn tidy(&mut self) {
        if self.table.is_empty() {
            *self = Self { next_ticket: self.next_ticket, ..Self::default() };
        } else if self.table.capacity() > FEW_SLOTS && self.table.len() * 4 < self.table.capacity() {
            self.table.shrink_to(self.table.len() * 5 / 4, rehash);
            self.ghosts.clear();
        }
        self.queues.iter_mut().for_each(Fifo::tidy);
    }
}

/// Returns the entry that holds a ticket.
fn answers(table: &HashTable<SlotRef>, ticket: Ticket) -> Option<&SlotRef> {
    table.find(spread(ticket.hash), |slot| is_of(slot, ticket))
}

fn is_of(slot: &SlotRef, ticket: Ticket) -> bool {
    slot.meta().ticket.load(Relaxed) == ticket.number
}

#[cfg(test)]
mod tests;
