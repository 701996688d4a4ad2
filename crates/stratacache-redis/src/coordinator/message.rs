//! What lane scripts are given and what they answer, as bytes.

use bytes::Bytes;
use redis::Value;
use stratacache_core::{
    Scope,
    clock::Millis,
    coordinator::{Applied, Floors, MarkRecord, Marked, ScopeKind, Strength},
    stamp::{Incarnation, Lane, Position, Seq},
};

use crate::link::{Failure, bytes, list, number};

/// Bytes of a record in a script's argument and in a message.
const RECORD: usize = 26;
/// Most messages in one answer, as in the scripts.
pub(super) const MOST: usize = 512;

/// One message of the stream.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) position: Position,
    data: Vec<u8>,
}

impl Entry {
    pub(super) fn new(id: &[u8], incarnation: &[u8], data: Vec<u8>) -> Result<Self, Failure> {
        let id = std::str::from_utf8(id).ok().and_then(|id| id.strip_suffix("-0")?.parse().ok());
        let seq = id.ok_or(Failure::Garbled("the id of a message"))?;
        if data.len() < 8 || !(data.len() - 8).is_multiple_of(RECORD) {
            return Err(Failure::Garbled("a message"));
        }
        Ok(Self { position: Position { incarnation: history(incarnation)?, seq }, data })
    }

    pub(super) fn applied(&self, lane: Lane) -> Result<Applied, Failure> {
        let scopes = self.data[8..].chunks_exact(RECORD).map(|record| {
            let (kind, strength) = said(record[0], record[1]).ok_or(Failure::Garbled("a record"))?;
            Ok(Marked::new(scope(&record[10..]), kind, strength, word(&record[2..])))
        });
        Ok(Applied::new(lane, self.position, scopes.collect::<Result<_, Failure>>()?, word(&self.data)))
    }
}

/// The answer of a lane script.
#[derive(Debug)]
pub(super) struct LaneReply {
    pub(super) position: Position,
    pub(super) floors: Floors,
    /// Marks of keys are kept.
    pub(super) keeps_keys: bool,
    pub(super) time: Millis,
    pub(super) entries: Vec<Entry>,
}

impl LaneReply {
    pub(super) fn read(reply: Value) -> Result<Self, Failure> {
        let mut values = list(reply)?.into_iter();
        let mut next = || values.next().ok_or(Failure::Garbled("the answer of a lane is too short"));
        let incarnation = history(&bytes(next()?)?)?;
        let seq = number(next()?)?;
        let floors = Floors { marks: number(next()?)?, keys: number(next()?)? };
        let keeps_keys = number(next()?)? != 0;
        let _generation = number(next()?)?;
        let time = number(next()?)?;
        let mut entries = Vec::new();
        while let Some(id) = values.next() {
            let mut next = || values.next().ok_or(Failure::Garbled("a message is cut off"));
            entries.push(Entry::new(&bytes(id)?, &bytes(next()?)?, bytes(next()?)?)?);
        }
        Ok(Self { position: Position { incarnation, seq }, floors, keeps_keys, time, entries })
    }
}

/// Names an incarnation in keys.
pub(super) fn hex(incarnation: Incarnation) -> Bytes {
    Bytes::from(format!("{:016x}", incarnation.0))
}

pub(crate) fn history(hex: &[u8]) -> Result<Incarnation, Failure> {
    let text = std::str::from_utf8(hex).ok().filter(|text| text.len() == 16);
    let number = text.and_then(|text| u64::from_str_radix(text, 16).ok());
    number.map(Incarnation).ok_or(Failure::Garbled("the name of a history"))
}

/// Writes the records of an invalidation.
pub(super) fn records(scopes: &[Marked]) -> Bytes {
    let mut out = Vec::with_capacity(scopes.len() * RECORD);
    for marked in scopes {
        out.push(match marked.kind {
            ScopeKind::Key => 0,
            ScopeKind::Tag => 1,
            ScopeKind::Namespace => 2,
        });
        out.push(match marked.strength {
            Strength::Hard => 0,
            Strength::Soft => 1,
        });
        out.extend_from_slice(&marked.tenant.to_le_bytes());
        out.extend_from_slice(&marked.scope.to_bytes());
    }
    out.into()
}

/// Reads a field of the marks' hash: a mark, or nothing where it is something else that is kept there.
pub(crate) fn mark(lane: Lane, field: &[u8], value: &[u8]) -> Result<Option<MarkRecord>, Failure> {
    if field.len() != 18 {
        return Ok(None);
    }
    let seq = value.get(16..).and_then(|text| std::str::from_utf8(text).ok()?.parse::<Seq>().ok());
    let (Some(seq), Some((kind, strength))) = (seq, said(field[16], field[17])) else {
        return Err(Failure::Garbled("a mark"));
    };
    Ok(Some(MarkRecord { lane, scope: scope(field), kind, strength, tenant: word(&value[8..]), seq, at: word(value) }))
}

const fn said(kind: u8, strength: u8) -> Option<(ScopeKind, Strength)> {
    let kind = match kind {
        0 => ScopeKind::Key,
        1 => ScopeKind::Tag,
        2 => ScopeKind::Namespace,
        _ => return None,
    };
    match strength {
        0 => Some((kind, Strength::Hard)),
        1 => Some((kind, Strength::Soft)),
        _ => None,
    }
}

fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| bytes[i]))
}

fn scope(bytes: &[u8]) -> Scope {
    Scope::from_bytes(std::array::from_fn(|i| bytes[i]))
}
