//! Recent marks of keys: kept as long as a fill that began before them may still land, or for want of nothing but room.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use foldhash::fast::RandomState;
use stratacache_core::{Scope, stamp::Seq};

use super::lane::LaneMirror;

/// Beyond this many marks even those are given up that a fill under way may need; such a fill is then not kept.
const HARD_CAP: usize = 1 << 16;
/// Below this many marks nobody looks for ones to forget.
const SOFT_CAP: usize = 1 << 10;

#[derive(Debug, Clone, Copy)]
struct KeyMark {
    last: Seq,
    before: Seq,
}

/// The marks of keys in one lane, and the fills under way that may need them.
#[derive(Default)]
pub(super) struct KeyMarks {
    marks: HashMap<Scope, KeyMark, RandomState>,
    order: VecDeque<(Seq, Scope)>,
    fills: BTreeMap<Seq, u32>,
    /// Marks up to here may have been forgotten: what began below it cannot be judged by its key.
    floor: Seq,
    /// So many are kept whether or not a fill needs them.
    kept: usize,
}

impl KeyMarks {
    /// Keeps those that fills may need; with `kept`, so many besides, at most 65,536.
    pub(super) fn new(kept: Option<usize>) -> Self {
        Self { kept: kept.unwrap_or(0).min(HARD_CAP), ..Self::default() }
    }

    pub(super) fn set(&mut self, scope: Scope, seq: Seq, applied: Seq) {
        let before = self.marks.get(&scope).map_or(0, |m| m.last);
        self.marks.insert(scope, KeyMark { last: seq, before });
        self.order.push_back((seq, scope));
        if self.order.len() > SOFT_CAP.max(self.kept) {
            self.forget(applied);
        }
    }

    /// Forgets marks that no fill under way, and none to come, was stamped before.
    pub(super) fn forget(&mut self, applied: Seq) {
        let needed_above = self.fills.first_key_value().map_or(applied, |(stamp, _)| *stamp);
        while let Some(&(seq, scope)) = self.order.front() {
            if self.order.len() <= self.kept || (seq > needed_above && self.order.len() <= HARD_CAP) {
                break;
            }
            self.order.pop_front();
            self.floor = self.floor.max(seq);
            if self.marks.get(&scope).is_some_and(|m| m.last == seq) {
                self.marks.remove(&scope);
            }
        }
    }

    pub(super) fn begin(&mut self, applied: Seq) -> Seq {
        *self.fills.entry(applied).or_default() += 1;
        applied
    }

    fn end(&mut self, stamp: Seq) {
        if let Some(count) = self.fills.get_mut(&stamp) {
            *count -= 1;
            if *count == 0 {
                self.fills.remove(&stamp);
            }
        }
    }

    /// Tells whether nothing newer than an entry happened to its key.
    ///
    /// `began` is the position before the fill began, `stamp` that of the load, `own` that of the entry's own insert.
    pub(super) fn allow(&self, scope: Scope, began: Seq, stamp: Seq, own: Seq) -> bool {
        if began < self.floor {
            return false;
        }
        match self.marks.get(&scope) {
            None => true,
            // for an insert, no other mark may lie between its stamp and itself
            Some(mark) if own > 0 && mark.last == own => mark.before <= stamp,
            Some(mark) => mark.last <= stamp.max(own),
        }
    }

    /// Returns the last mark of a key that is still known.
    pub(super) fn last(&self, scope: Scope) -> Seq {
        self.marks.get(&scope).map_or(0, |m| m.last)
    }

    pub(super) fn reset(&mut self, floor: Seq) {
        *self = Self { floor, kept: self.kept, fills: std::mem::take(&mut self.fills), ..Self::default() };
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }
}

/// A fill under way: as long as it lives, the marks of keys that it may need are kept.
#[derive(Debug)]
pub(crate) struct FillGuard {
    lane: Arc<LaneMirror>,
    stamp: Seq,
}

impl FillGuard {
    pub(super) fn begin(lane: &Arc<LaneMirror>) -> Self {
        let stamp = lane.begin_fill();
        Self { lane: Arc::clone(lane), stamp }
    }

    pub(crate) fn began(&self) -> Seq {
        self.stamp
    }
}

impl Drop for FillGuard {
    fn drop(&mut self) {
        self.lane.keys.lock().end(self.stamp);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(n: u64) -> Scope {
        Scope::from_bytes(u128::from(n).to_le_bytes())
    }

    #[test]
    fn marks_that_a_fill_under_way_may_need_are_kept() {
        let mut keys = KeyMarks::default();
        let began = keys.begin(5);
        for seq in 6..5_000 {
            keys.set(scope(seq), seq, seq - 1);
        }
        assert!(!keys.allow(scope(6), began, began, 0));
        assert!(keys.allow(scope(99_999), began, began, 0));
        keys.end(began);
        keys.set(scope(5_000), 5_000, 4_999);
        assert!(keys.len() < 10, "nobody needs them any more: {}", keys.len());
        assert!(keys.allow(scope(6), 4_999, 4_999, 0));
    }

    #[test]
    fn a_fill_that_began_below_the_floor_is_never_kept() {
        let mut keys = KeyMarks::default();
        let began = keys.begin(0);
        for seq in 1..=(HARD_CAP as u64 + 10) {
            keys.set(scope(seq), seq, seq - 1);
        }
        assert!(keys.len() <= HARD_CAP);
        assert!(!keys.allow(scope(1), began, began, 0), "its mark was given up");
        assert!(!keys.allow(scope(u64::MAX), began, began, 0), "nobody knows");
    }

    #[test]
    fn an_insert_is_refused_when_another_mark_lies_between_its_stamp_and_itself() {
        let mut keys = KeyMarks::default();
        keys.begin(3);
        keys.set(scope(1), 5, 4);
        keys.set(scope(1), 7, 6);
        assert!(!keys.allow(scope(1), 3, 3, 7));
        assert!(keys.allow(scope(1), 3, 5, 7));
        keys.set(scope(1), 9, 8);
        assert!(!keys.allow(scope(1), 3, 5, 7), "a later mark beats it");
    }
}
