//! A node's copy of the marks.

use super::{Entry, Incarnation, Lane, Position, ScopeKind, Seq, Stamp};
use crate::{Rule, Rules};

/// What a node knows of a lane, and what it holds in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mirror {
    /// The history.
    pub incarnation: Incarnation,
    /// Everything up to here is applied.
    pub applied: Seq,
    /// The mark of the tag.
    pub tag: Seq,
    /// Bit s: the key has a mark at s.
    keys: u16,
    /// As in the lane's header.
    pub floor: Seq,
    /// Marks of keys up to here may be unknown.
    pub kfloor: Seq,
    /// The header's flag is known to be set.
    pub flag: bool,
    /// Count of discontinuities.
    pub mep: u8,
    /// The memory tier.
    pub memory: Option<Entry>,
}

impl Mirror {
    /// Takes the first snapshot.
    #[must_use]
    pub fn new(rules: Rules, lane: &Lane) -> Self {
        let nothing = Position::default();
        let mut mirror = Self {
            incarnation: nothing.incarnation,
            applied: nothing.seq,
            tag: 0,
            keys: 0,
            floor: 0,
            kfloor: 0,
            flag: false,
            mep: 0,
            memory: None,
        };
        mirror.snapshot(rules, lane);
        mirror
    }

    /// Returns what is known now, for a load or a write that begins.
    #[must_use]
    pub const fn stamp(&self) -> Stamp {
        Stamp { position: Position { incarnation: self.incarnation, seq: self.applied }, mep: self.mep }
    }

    /// Returns the newest known mark of the key.
    #[must_use]
    pub const fn key(&self) -> Seq {
        if self.keys == 0 { 0 } else { self.keys.ilog2() as Seq }
    }

    /// Tells whether the key has a mark strictly between two positions.
    #[must_use]
    pub fn key_marked_between(&self, after: Seq, before: Seq) -> bool {
        (after + 1..before).any(|seq| self.keys & 1 << seq != 0)
    }

    /// Tells whether an entry is valid.
    #[must_use]
    pub fn judge(&self, rules: Rules, entry: &Entry) -> bool {
        self.judge_but_for_key(rules, entry) && self.judge_key(rules, entry)
    }

    /// Tells whether an entry is valid as far as it is not a matter of its key.
    #[must_use]
    pub fn judge_but_for_key(&self, rules: Rules, entry: &Entry) -> bool {
        let stamp = entry.stamp;
        let tags = if rules.has(Rule::TagsByStamp) { stamp.seq } else { entry.key_seq() };
        (stamp.incarnation == self.incarnation || !rules.has(Rule::Incarnation))
            && stamp.seq >= self.floor
            && self.tag <= tags
    }

    /// Tells whether an entry is valid by the marks of its key.
    #[must_use]
    pub fn judge_key(&self, rules: Rules, entry: &Entry) -> bool {
        let key = if rules.has(Rule::KeyByOwn) { entry.key_seq() } else { entry.stamp.seq };
        let carried = entry.carried && rules.has(Rule::CarriedFlag);
        self.key() <= key && !(carried && key < self.kfloor)
    }

    /// Tells whether what began at a stamp, and is valid, may be put into memory.
    #[must_use]
    pub fn may_put(&self, rules: Rules, began: Stamp) -> bool {
        (began.mep == self.mep || !rules.has(Rule::PutAfterSameMep))
            && (began.position.seq >= self.kfloor || !rules.has(Rule::PutAboveKfloor))
    }

    /// Takes over the marks as a whole, and drops what is in memory.
    pub fn snapshot(&mut self, rules: Rules, lane: &Lane) {
        let kept = lane.flag && rules.has(Rule::KeyMarksBelow);
        *self = Self {
            incarnation: lane.incarnation,
            applied: lane.clk,
            tag: lane.tag,
            keys: if kept && lane.key > 0 { 1 << lane.key } else { 0 },
            floor: lane.floor,
            kfloor: if lane.flag { lane.kfloor } else { lane.clk },
            flag: lane.flag,
            mep: self.mep + 1,
            memory: None,
        };
    }

    /// Applies the next message of the stream, if there is one.
    pub fn tail(&mut self, rules: Rules, lane: &Lane) {
        if rules.has(Rule::Incarnation) && self.incarnation != lane.incarnation {
            return self.snapshot(rules, lane);
        }
        if lane.base > self.applied {
            if rules.has(Rule::NoticeGap) {
                return self.snapshot(rules, lane);
            }
            self.applied = lane.base;
        }
        if self.applied < lane.clk {
            self.applied += 1;
            self.apply(rules, self.applied, lane.message(self.applied));
        }
    }

    /// SYNC: applies all there is. The floors of the header are for those who have not heard everything since: they come with a
    /// snapshot.
    pub fn sync(&mut self, rules: Rules, lane: &Lane) {
        self.tail(rules, lane);
        while self.applied < lane.clk {
            self.tail(rules, lane);
        }
        self.flag |= lane.flag;
    }

    /// Tells whether there is something to apply.
    #[must_use]
    pub const fn is_behind(&self, rules: Rules, lane: &Lane) -> bool {
        self.applied < lane.clk || (rules.has(Rule::Incarnation) && self.incarnation != lane.incarnation)
    }

    /// Forgets the marks of the key for want of room.
    pub fn evict_key_marks(&mut self, rules: Rules) {
        if rules.has(Rule::EvictRaisesKfloor) {
            self.kfloor = self.kfloor.max(self.key());
        }
        self.keys = 0;
    }

    fn apply(&mut self, rules: Rules, seq: Seq, scope: ScopeKind) {
        match scope {
            ScopeKind::Tag => self.tag = seq,
            ScopeKind::Key => {
                if rules.has(Rule::KeyMarks) {
                    self.keys |= 1 << seq;
                }
                self.memory = self.memory.filter(|entry| entry.key_seq() >= seq);
            }
        }
    }
}
