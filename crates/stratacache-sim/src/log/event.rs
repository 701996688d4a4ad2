//! One thing that happened, and its 64 bytes.

use serde::{Deserialize, Serialize};
use stratacache::{Token, clock::Millis};
use stratacache_core::stamp::{Incarnation, Lane, Position};

use crate::{
    time::Nanos,
    world::{Key, Scope},
};

/// The size of a record. A divisor of a page, so that the system writes a record as a whole or not at all.
pub(crate) const RECORD: usize = 64;

/// How a read was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Behind nothing that returned before it began.
    Latest,
    /// Not behind a token.
    Since(Token),
    /// At most so many milliseconds behind.
    Within(Millis),
}

/// What a read returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A value of this version.
    Version(u64),
    /// That there is nothing.
    Absent,
    /// Nothing is known.
    Miss,
    /// An error.
    Failed,
    /// A value of another tenant or key: the number of that key.
    Foreign(u32),
    /// Nothing at all: the workload gave up waiting.
    Hung,
}

/// The operation that read or loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Op {
    /// `get` or `lookup`.
    Get = 1,
    /// `get_or_load`, `get_or_load_with`, `get_or_load_optional`.
    Load,
    /// `get_or_load_many`.
    Bulk,
    /// `refresh`.
    Refresh,
}

/// What invalidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum What {
    /// An invalidation.
    Invalidate = 1,
    /// An insert, which invalidates its key.
    Insert,
    /// An expiry, which stale windows may outlive.
    Expire,
}

/// What a node's cache has counted since it was last asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Reads that used only what was loaded since, for want of news.
    pub(crate) bypasses: u64,
    /// Probes.
    pub(crate) probes: u64,
    /// Of these, those that nobody answered.
    pub(crate) unanswered: u64,
    /// Nodes that would have served what was invalidated.
    pub(crate) incoherent: u64,
}

/// What a node's tiers below memory have counted since they were last asked, where there is an object store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct BelowCounted {
    /// Reads that the object store answered.
    pub(crate) hits: u64,
    /// Its operations that failed.
    pub(crate) failures: u64,
    /// Writes and removals of the disks that failed.
    pub(crate) disk_failures: u64,
    /// Writes behind that waited at the moment.
    pub(crate) waited: u64,
    /// Writes behind that were lost, but for those that died with their node.
    pub(crate) lost: u64,
}

impl BelowCounted {
    const fn words(self) -> [u64; 5] {
        [self.hits, self.failures, self.disk_failures, self.waited, self.lost]
    }

    const fn from_words([hits, failures, disk_failures, waited, lost]: [u64; 5]) -> Self {
        Self { hits, failures, disk_failures, waited, lost }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let (a, b) = (self.words(), other.words());
        *self = Self::from_words(std::array::from_fn(|at| a[at] + b[at]));
    }

    /// Returns what was added since; what waited at a moment stays as it is.
    pub(crate) const fn since(self, before: &Self) -> Self {
        Self {
            hits: self.hits - before.hits,
            failures: self.failures - before.failures,
            disk_failures: self.disk_failures - before.disk_failures,
            waited: self.waited,
            lost: self.lost - before.lost,
        }
    }
}

/// What became of a lease of a plain key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Leased {
    /// The node has it, or has it for longer.
    Held = 1,
    /// It was filled or given back, or its fill was refused.
    Ended,
}

/// One thing that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A version is about to be written to the source.
    Begun { key: Key, version: u64, at: Nanos },
    /// A version is in the source.
    Committed { key: Key, version: u64, at: Nanos },
    /// A scope is about to be invalidated.
    Called { what: What, scope: Scope, at: Nanos },
    /// That returned; with a token if it was `Ok`.
    Returned { what: What, scope: Scope, called: Nanos, at: Nanos, token: Option<Token> },
    /// A loader ran; it read the source in between.
    Loaded { op: Op, key: Key, version: u64, began: Nanos, ended: Nanos },
    /// A read. It is a hit if no loader ran for it.
    Read { op: Op, key: Key, asked: Asked, seen: Seen, hit: bool, began: Nanos, ended: Nanos },
    /// A life of the node begins.
    Started { at: Nanos },
    /// An invalidation waits: it holds for this node, as long as it lives. Once it was applied, it has also returned.
    Queued { scope: Scope, called: Nanos, at: Nanos },
    /// The counters of the cache moved.
    Counted { counted: Counted, at: Nanos },
    /// A probe of this node was told by another that it would serve what was invalidated.
    Incoherent { scope: u64, peer: u64, seq: u64, stamp: u64, at: Nanos },
    /// A lease was granted, renewed or ended; it lives so long from `at` on.
    Lease { what: Leased, key: Key, life: Nanos, at: Nanos },
    /// The counters of the tiers below memory moved.
    Below { below: BelowCounted, at: Nanos },
}

impl Event {
    /// Returns when it was over, which is about when it was written down.
    pub(crate) const fn at(&self) -> Nanos {
        match *self {
            Self::Begun { at, .. }
            | Self::Committed { at, .. }
            | Self::Called { at, .. }
            | Self::Returned { at, .. }
            | Self::Started { at }
            | Self::Queued { at, .. }
            | Self::Counted { at, .. }
            | Self::Incoherent { at, .. }
            | Self::Lease { at, .. }
            | Self::Below { at, .. } => at,
            Self::Loaded { ended, .. } | Self::Read { ended, .. } => ended,
        }
    }

    pub(crate) fn encode(&self) -> [u8; RECORD] {
        let mut raw = Raw::default();
        match *self {
            Self::Begun { key, version, at } => raw.set(1, 0, key.0, at, at, version),
            Self::Committed { key, version, at } => raw.set(2, 0, key.0, at, at, version),
            Self::Called { what, scope, at } => raw.set(3, what as u8, scope.number(), at, at, 0),
            Self::Returned { what, scope, called, at, token } => {
                raw.set(4, what as u8, scope.number(), called, at, 0);
                raw.token(token);
            }
            Self::Loaded { op, key, version, began, ended } => raw.set(5, op as u8, key.0, began, ended, version),
            Self::Read { op, key, asked, seen, hit, began, ended } => {
                let (code, version) = match seen {
                    Seen::Version(version) => (0, version),
                    Seen::Absent => (1, 0),
                    Seen::Miss => (2, 0),
                    Seen::Failed => (3, 0),
                    Seen::Foreign(other) => (4, other.into()),
                    Seen::Hung => (5, 0),
                };
                raw.set(6, op as u8, key.0, began, ended, version);
                raw.0[2] = code | u8::from(hit) << 7;
                match asked {
                    Asked::Latest => raw.0[3] = 1,
                    Asked::Since(token) => {
                        raw.0[3] = 2;
                        raw.token(Some(token));
                    }
                    Asked::Within(bound) => {
                        raw.0[3] = 3;
                        raw.put(32, bound);
                    }
                }
            }
            Self::Started { at } => raw.set(7, 0, 0, at, at, 0),
            Self::Queued { scope, called, at } => raw.set(8, 0, scope.number(), called, at, 0),
            Self::Counted { counted: Counted { bypasses, probes, unanswered, incoherent }, at } => {
                raw.set(9, 0, 0, at, at, bypasses);
                raw.rest([probes, unanswered, incoherent]);
            }
            Self::Incoherent { scope, peer, seq, stamp, at } => {
                raw.set(10, 0, 0, at, at, scope);
                raw.rest([peer, seq, stamp]);
            }
            Self::Lease { what, key, life, at } => raw.set(11, what as u8, key.0, at, at, life),
            Self::Below { below, at } => {
                let [first, rest @ ..] = below.words();
                raw.set(12, 0, 0, at, at, first);
                rest.into_iter().zip(REST).for_each(|(word, place)| raw.put(place, word));
            }
        }
        raw.0
    }

    /// Returns what a record says; none if it is no record.
    pub(crate) fn decode(bytes: &[u8; RECORD]) -> Option<Self> {
        let raw = Raw(*bytes);
        let number = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        let (began, ended, version) = (raw.get(8), raw.get(16), raw.get(24));
        let key = Key(number);
        let what = match bytes[1] {
            1 => What::Invalidate,
            2 => What::Insert,
            _ => What::Expire,
        };
        let op = match bytes[1] {
            1 => Op::Get,
            2 => Op::Load,
            3 => Op::Bulk,
            _ => Op::Refresh,
        };
        Some(match bytes[0] {
            1 => Self::Begun { key, version, at: ended },
            2 => Self::Committed { key, version, at: ended },
            3 => Self::Called { what, scope: Scope::from_number(number)?, at: ended },
            4 => {
                let scope = Scope::from_number(number)?;
                Self::Returned { what, scope, called: began, at: ended, token: raw.read_token() }
            }
            5 => Self::Loaded { op, key, version, began, ended },
            6 => {
                let seen = match bytes[2] & 0x7f {
                    0 => Seen::Version(version),
                    1 => Seen::Absent,
                    2 => Seen::Miss,
                    3 => Seen::Failed,
                    4 => Seen::Foreign(version as u32),
                    5 => Seen::Hung,
                    _ => return None,
                };
                let asked = match bytes[3] {
                    1 => Asked::Latest,
                    2 => Asked::Since(raw.read_token()?),
                    3 => Asked::Within(raw.get(32)),
                    _ => return None,
                };
                Self::Read { op, key, asked, seen, hit: bytes[2] >> 7 == 1, began, ended }
            }
            7 => Self::Started { at: ended },
            8 => Self::Queued { scope: Scope::from_number(number)?, called: began, at: ended },
            9 => {
                let [probes, unanswered, incoherent] = [32, 40, 48].map(|at| raw.get(at));
                Self::Counted { counted: Counted { bypasses: version, probes, unanswered, incoherent }, at: ended }
            }
            10 => {
                let [peer, seq, stamp] = [32, 40, 48].map(|at| raw.get(at));
                Self::Incoherent { scope: version, peer, seq, stamp, at: ended }
            }
            11 => {
                let what = if bytes[1] == 1 { Leased::Held } else { Leased::Ended };
                Self::Lease { what, key, life: version, at: ended }
            }
            12 => {
                let [a, b, c, d] = REST.map(|at| raw.get(at));
                Self::Below { below: BelowCounted::from_words([version, a, b, c, d]), at: ended }
            }
            _ => return None,
        })
    }
}

/// Where the words after the version are.
const REST: [usize; 4] = [32, 40, 48, 56];

/// 64 bytes: kind, operation, result, consistency, subject (4), began, ended, version (8 each), then the token, bound or counters.
#[derive(Debug)]
struct Raw([u8; RECORD]);

impl Default for Raw {
    fn default() -> Self {
        Self([0; RECORD])
    }
}

impl Raw {
    fn set(&mut self, kind: u8, op: u8, subject: u32, began: Nanos, ended: Nanos, version: u64) {
        self.0[0] = kind;
        self.0[1] = op;
        self.0[4..8].copy_from_slice(&subject.to_le_bytes());
        self.put(8, began);
        self.put(16, ended);
        self.put(24, version);
    }

    fn rest(&mut self, values: [u64; 3]) {
        [32, 40, 48].into_iter().zip(values).for_each(|(at, value)| self.put(at, value));
    }

    fn put(&mut self, at: usize, value: u64) {
        self.0[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }

    fn get(&self, at: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.0[at..at + 8]);
        u64::from_le_bytes(bytes)
    }

    fn token(&mut self, token: Option<Token>) {
        let Some(token) = token else { return };
        self.put(32, token.position().incarnation.0);
        self.put(40, token.position().seq);
        self.put(48, token.lane().index() as u64);
        self.put(56, 1);
    }

    fn read_token(&self) -> Option<Token> {
        let lane = Lane::from_index(self.get(48) as usize).filter(|_| self.get(56) == 1)?;
        Some(Token::new(lane, Position { incarnation: Incarnation(self.get(32)), seq: self.get(40) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Form;

    #[test]
    fn every_event_is_read_as_it_was_written() {
        let lane = Lane::from_index(7).unwrap();
        let token = Token::new(lane, Position { incarnation: Incarnation(u64::MAX - 3), seq: 99 });
        let (key, began, ended) = (Key(301), 1 << 40, (1 << 40) + 5);
        let mut events = vec![
            Event::Begun { key, version: 4, at: 9 },
            Event::Committed { key, version: 4, at: 10 },
            Event::Called { what: What::Expire, scope: Scope::Space(3, Form::Bulk), at: 11 },
            Event::Loaded { op: Op::Bulk, key, version: 4, began, ended },
            Event::Started { at: 1 },
            Event::Queued { scope: Scope::Tag(1, 2), called: 11, at: 12 },
            Event::Counted { counted: Counted { bypasses: 1, probes: 2, unanswered: 3, incoherent: 4 }, at: 13 },
            Event::Incoherent { scope: u64::MAX - 1, peer: 2, seq: 3, stamp: 4, at: 14 },
            Event::Lease { what: Leased::Held, key, life: 500, at: 15 },
            Event::Lease { what: Leased::Ended, key, life: 0, at: 16 },
            Event::Below { below: BelowCounted { hits: 1, failures: 2, disk_failures: 3, waited: 4, lost: 5 }, at: 17 },
        ];
        for token in [None, Some(token)] {
            events.push(Event::Returned { what: What::Insert, scope: Scope::Key(key), called: 11, at: 12, token });
        }
        for asked in [Asked::Latest, Asked::Since(token), Asked::Within(3000)] {
            for seen in [Seen::Version(1), Seen::Absent, Seen::Miss, Seen::Failed, Seen::Foreign(2), Seen::Hung] {
                for hit in [true, false] {
                    events.push(Event::Read { op: Op::Get, key, asked, seen, hit, began, ended });
                }
            }
        }
        for event in events {
            assert_eq!(Event::decode(&event.encode()), Some(event));
        }
        assert_eq!(Event::decode(&[0; RECORD]), None);
    }
}
