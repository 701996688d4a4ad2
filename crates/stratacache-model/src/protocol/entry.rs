//! Entries and their stamps.

/// A place in the order of a lane.
pub type Seq = u8;
/// Names one unbroken history of a lane or of a data shard.
pub type Incarnation = u8;
/// What the source said: it counts the writes of the source.
pub type Version = u8;
/// What proves the right to fill, and the id of the entry that was filled by it; 0 is none.
pub type Token = u8;

/// A place in one history of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// The history.
    pub incarnation: Incarnation,
    /// The place in it.
    pub seq: Seq,
}

/// What a node knew when a load, a GET or a write began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stamp {
    /// The position it had applied.
    pub position: Position,
    /// How many discontinuities it had seen.
    pub mep: u8,
}

/// A stored thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The token it was filled by; 0 when it is only in memory.
    pub id: Token,
    /// The value.
    pub version: Version,
    /// The position before its load began.
    pub stamp: Position,
    /// The position of its key in the insert that made it; 0 for loads.
    pub own: Seq,
    /// The history of the data shard it was made for.
    pub dinc: Incarnation,
    /// Its value is older than its token: inserted or promoted.
    pub carried: bool,
}

impl Entry {
    /// Returns the position its key is judged by.
    #[must_use]
    pub const fn key_seq(&self) -> Seq {
        if self.own > self.stamp.seq { self.own } else { self.stamp.seq }
    }
}
