//! The control keys of a lane, and the scripts that work on them.

use super::{Incarnation, Position, Seq};

/// What an invalidation names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScopeKind {
    /// The key.
    Key,
    /// Its tag; namespaces and tenants are the same to the protocol.
    Tag,
}

/// The header, the marks and the stream of a lane. Each method is one script, and so one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lane {
    /// The history.
    pub incarnation: Incarnation,
    /// The position of the last invalidation.
    pub clk: Seq,
    /// Entries stamped below are invalid: marks up to here were dropped.
    pub floor: Seq,
    /// Entries that outlive the mirror are invalid below: marks of keys up to here were dropped or never kept.
    pub kfloor: Seq,
    /// A persistent tier is open somewhere: marks of keys are kept.
    pub flag: bool,
    /// The mark of the tag.
    pub tag: Seq,
    /// The mark of the key, where it is kept.
    pub key: Seq,
    /// The stream begins after this position.
    pub base: Seq,
    /// Bit s: the message at position s names the tag.
    tags: u16,
}

impl Lane {
    /// Makes a lane whose history begins.
    #[must_use]
    pub const fn new(incarnation: Incarnation) -> Self {
        Self { incarnation, clk: 1, floor: 0, kfloor: 0, flag: false, tag: 0, key: 0, base: 1, tags: 0 }
    }

    /// Returns the position reached.
    #[must_use]
    pub const fn position(&self) -> Position {
        Position { incarnation: self.incarnation, seq: self.clk }
    }

    /// INVAL: orders an invalidation, marks, announces. `keep_key`: marks of keys are kept once the flag is set.
    pub fn invalidate(&mut self, scope: ScopeKind, keep_key: bool) -> Seq {
        self.clk += 1;
        match scope {
            ScopeKind::Tag => {
                self.tag = self.clk;
                self.tags |= 1 << self.clk;
            }
            ScopeKind::Key if self.flag && keep_key => self.key = self.clk,
            ScopeKind::Key => {}
        }
        self.clk
    }

    /// Returns what the message at a position of the stream names.
    #[must_use]
    pub const fn message(&self, seq: Seq) -> ScopeKind {
        if self.tags & (1 << seq) == 0 { ScopeKind::Key } else { ScopeKind::Tag }
    }

    /// Loses the stream, not the marks.
    pub fn trim(&mut self) {
        self.base = self.clk;
        self.tags = 0;
    }

    /// Drops the generation of marks that holds what there is, and raises the floors to its closing position.
    pub fn drop_generation(&mut self, raise_floor: bool, raise_kfloor: bool) {
        if raise_floor && self.tag > 0 {
            self.floor = self.clk;
        }
        if raise_kfloor {
            self.kfloor = self.clk;
        }
        (self.tag, self.key) = (0, 0);
    }

    /// Sets the flag of a persistent tier.
    pub fn set_flag(&mut self, raise_kfloor: bool) {
        if !self.flag && raise_kfloor {
            self.kfloor = self.clk;
        }
        self.flag = true;
    }

    /// Forgets messages that everybody has applied: states that differ only in them are one.
    pub fn forget(&mut self, applied: Seq) {
        self.tags &= !((1u32 << (applied + 1)) - 1) as u16;
    }
}
