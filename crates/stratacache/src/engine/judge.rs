//! Judging entries of memory: before they are served, after they were put, and when their key is invalidated.
//!
//! Apart from the rest of the engine, so that the schedule explorer of the tests runs exactly this.

use std::sync::{
    Arc,
    atomic::Ordering::{Acquire, Relaxed, Release},
};

use stratacache_core::{Scope, stamp::Seq};

use crate::{
    coherence::{Depends, Mirror, TenantMarks, Verdict},
    memory::{Head, LookupKey, Partition, Slot, SlotRef},
};

pub(crate) fn depends(slot: &dyn Slot) -> Depends<'_> {
    let meta = slot.meta();
    Depends {
        path: meta.scopes.path(),
        tags: meta.scopes.tags(),
        global_tags: meta.scopes.global_tags(),
        lane_seq: meta.lane_seq,
        global_seq: meta.global_seq,
        own: meta.own,
    }
}

/// What judges the entries of one tenant.
pub(crate) struct Judge<'a> {
    pub(crate) mirror: &'a Mirror,
    pub(crate) marks: &'a TenantMarks,
}

impl Judge<'_> {
    /// Tells whether an entry was found valid after everything that happened to its tenant: no need to look closer.
    #[inline]
    pub(crate) fn already_seen(&self, head: &Head) -> bool {
        head.seen_lane.load(Relaxed) >= self.marks.changes()
            && head.seen_global.load(Relaxed) >= self.mirror.global_changes()
            && head.mep == self.marks.mep() as u32
    }

    /// Tells whether nothing that an entry of memory depends on was invalidated, and notes up to where.
    pub(crate) fn admissible(&self, slot: &dyn Slot, key: impl FnOnce() -> Scope) -> bool {
        let head = slot.head();
        let (mirror, marks) = (self.mirror, self.marks);
        if head.mep != marks.mep() as u32 {
            return false;
        }
        let depends = depends(slot);
        let settled = head.settled.load(Acquire);
        let Verdict::Valid { lane, global, expired_at } = mirror.judge(marks, &depends) else { return false };
        let key = (!settled || mirror.has_soft_marks(marks, &depends)).then(key);
        if let Some(key) = key {
            if !settled && !mirror.key_allows(marks, key, slot.meta().lane_seq, &depends) {
                return false;
            }
            let key_expired = mirror.key_expired_at(marks, key, &depends);
            if let Some(at) = [expired_at, key_expired].into_iter().flatten().min() {
                head.expire_at(at);
            }
        }
        if settled {
            head.seen_lane.fetch_max(lane, Relaxed);
            head.seen_global.fetch_max(global, Release);
        }
        true
    }

    /// Judges by the history, by the marks, and then by the key: an entry, or a load that will make one.
    ///
    /// `mep` is that of its stamp, `began` the position before its fill began.
    pub(crate) fn allows(&self, mep: u32, depends: &Depends<'_>, key: Scope, began: Seq) -> bool {
        mep == self.marks.mep() as u32
            && self.mirror.judge(self.marks, depends) != Verdict::Invalid
            && self.mirror.key_allows(self.marks, key, began, depends)
    }

    /// Judges an entry by everything, its key included. `began` is the position before its fill began.
    pub(crate) fn good(&self, slot: &dyn Slot, key: Scope, began: Seq) -> bool {
        self.allows(slot.head().mep, &depends(slot), key, began)
    }

    /// Tells whether an entry may take the place of what memory holds of its key: it is valid, and not older.
    pub(crate) fn may_enter(
        &self,
        partition: &Partition,
        lookup: &LookupKey<'_>,
        slot: &dyn Slot,
        key: Scope,
        began: Seq,
    ) -> bool {
        self.good(slot, key, began)
            && !partition
                .peek(lookup)
                .is_some_and(|there| there.head().mep == slot.head().mep && there.meta().place() > slot.meta().place())
    }

    /// Judges an entry that has just entered the map once more, and takes it out again if it was overtaken.
    pub(crate) fn settle(
        &self,
        partition: &Partition,
        lookup: &LookupKey<'_>,
        slot: &SlotRef,
        key: Scope,
        began: Seq,
    ) -> bool {
        let head = slot.head();
        let good = self.good(&**slot, key, began);
        if good {
            head.settled.store(true, Release);
        } else {
            partition.remove_if(lookup, |there| Arc::ptr_eq(there, slot));
        }
        good
    }

    /// Removes what memory holds of a key that is older than a position.
    pub(crate) fn drop_older(&self, partition: &Partition, lookup: &LookupKey<'_>, seq: Seq) {
        let mep = self.marks.mep() as u32;
        partition.remove_if(lookup, |slot| slot.meta().place() < seq || slot.head().mep != mep);
    }
}
