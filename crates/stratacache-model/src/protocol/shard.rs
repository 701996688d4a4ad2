//! The data keys of an entry, and the scripts that work on them.

use super::{Entry, Incarnation, Position, Token};

/// The right to load, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// What proves it.
    pub token: Token,
    /// The position it was taken at.
    pub stamp: Position,
}

/// The answer of LEASE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeaseReply {
    /// The caller loads.
    Granted,
    /// Somebody else loads.
    Busy,
    /// An entry has come that the caller has not seen.
    Hit(Entry),
}

/// The entry and its lease. Each method is one script, and so one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shard {
    /// The entry.
    pub entry: Option<Entry>,
    /// The lease.
    pub lease: Option<Lease>,
    /// The history of the shard, as it says itself.
    pub replid: Incarnation,
}

impl Shard {
    /// Makes an empty shard.
    #[must_use]
    pub const fn new() -> Self {
        Self { entry: None, lease: None, replid: 1 }
    }

    /// LEASE, without changing anything: what the answer would be. `newest` is the newest mark the caller would take a
    /// lease over for, and the history it is of.
    #[must_use]
    pub fn ask_lease(&self, seen: Token, newest: Option<Position>) -> LeaseReply {
        match (self.entry, self.lease) {
            (Some(entry), _) if entry.id != seen => LeaseReply::Hit(entry),
            (_, None) => LeaseReply::Granted,
            (_, Some(lease)) => match newest {
                Some(mark) if mark.incarnation != lease.stamp.incarnation || mark.seq > lease.stamp.seq => {
                    LeaseReply::Granted
                }
                _ => LeaseReply::Busy,
            },
        }
    }

    /// RENEW: makes the lease live longer; `again`: also where it is gone.
    pub fn renew(&mut self, lease: Lease, again: bool) {
        if again && self.lease.is_none() {
            self.lease = Some(lease);
        }
    }

    /// FILL: stores the entry and ends the lease, if it is the caller's.
    pub fn fill(&mut self, token: Token, entry: Entry) -> bool {
        let own = self.lease.is_some_and(|lease| lease.token == token);
        if own {
            (self.entry, self.lease) = (Some(entry), None);
        }
        own
    }

    /// DEL_FENCE: removes the entry and voids the lease.
    pub fn del_fence(&mut self) {
        (self.entry, self.lease) = (None, None);
    }
}

impl Default for Shard {
    fn default() -> Self {
        Self::new()
    }
}
