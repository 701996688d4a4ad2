//! The form of the journal: a magic, then framed notes.
//!
//! A note is its length, a check of the length, its body, and XXH3-64 of the body; integers are little-endian. The
//! length has a check of its own so that a write that was cut off can be told from damage.

use std::{io, path::Path};

use stratacache_core::{
    Scope,
    clock::Millis,
    coordinator::{MarkRecord, ScopeKind, Strength},
    stamp::{Incarnation, Lane, Seq},
};
use xxhash_rust::xxh3::xxh3_64;

use super::State;
use crate::store::record::{u32_at, u64_at};

pub(super) const MAGIC: [u8; 8] = *b"STRMRK\x00\x01";

const FRAME: usize = 8;
const CHECK: usize = 8;
const MARK: usize = 43;

/// One thing that the journal says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Note {
    /// A run began.
    Open { incarnation: Incarnation, durable: bool, boot: Vec<u8> },
    /// The run ended in order, with everything on the device.
    Clean,
    /// Positions below are in use.
    Ceiling(Seq),
    /// Marks of a lane up to here were forgotten.
    Floor(Lane, Seq),
    /// Marks of one invalidation.
    Marks(Vec<MarkRecord>),
    /// The highest time seen.
    Time(Millis),
}

impl Note {
    /// Appends the framed note.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut body = Vec::with_capacity(64);
        match self {
            Self::Open { incarnation, durable, boot } => {
                body.push(1);
                body.extend_from_slice(&incarnation.0.to_le_bytes());
                body.push(u8::from(*durable));
                body.extend_from_slice(boot);
            }
            Self::Clean => body.push(2),
            Self::Ceiling(seq) => {
                body.push(3);
                body.extend_from_slice(&seq.to_le_bytes());
            }
            Self::Floor(lane, seq) => {
                body.extend_from_slice(&[4, lane.index() as u8]);
                body.extend_from_slice(&seq.to_le_bytes());
            }
            Self::Marks(marks) => {
                body.push(5);
                for mark in marks {
                    encode_mark(&mut body, mark);
                }
            }
            Self::Time(at) => {
                body.push(6);
                body.extend_from_slice(&at.to_le_bytes());
            }
        }
        let length = (body.len() as u32).to_le_bytes();
        out.extend_from_slice(&length);
        out.extend_from_slice(&(xxh3_64(&length) as u32).to_le_bytes());
        out.extend_from_slice(&body);
        out.extend_from_slice(&xxh3_64(&body).to_le_bytes());
    }

    fn decode(body: &[u8]) -> Option<Self> {
        let (kind, rest) = body.split_first()?;
        let number = || (rest.len() == 8).then(|| u64_at(rest, 0));
        Some(match kind {
            1 if rest.len() >= 9 => Self::Open {
                incarnation: Incarnation(u64_at(rest, 0)),
                durable: rest[8] != 0,
                boot: rest[9..].to_vec(),
            },
            2 if rest.is_empty() => Self::Clean,
            3 => Self::Ceiling(number()?),
            4 if rest.len() == 9 => Self::Floor(Lane::from_index(rest[0].into())?, u64_at(rest, 1)),
            5 if rest.len().is_multiple_of(MARK) => {
                Self::Marks(rest.chunks_exact(MARK).map(decode_mark).collect::<Option<_>>()?)
            }
            6 => Self::Time(number()?),
            _ => return None,
        })
    }
}

fn encode_mark(out: &mut Vec<u8>, mark: &MarkRecord) {
    let kind = match mark.kind {
        ScopeKind::Key => 0,
        ScopeKind::Tag => 1,
        ScopeKind::Namespace => 2,
    };
    let strength = match mark.strength {
        Strength::Hard => 0,
        Strength::Soft => 1,
    };
    out.extend_from_slice(&[mark.lane.index() as u8, kind, strength]);
    out.extend_from_slice(&mark.scope.to_bytes());
    for number in [mark.tenant, mark.seq, mark.at] {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

fn decode_mark(bytes: &[u8]) -> Option<MarkRecord> {
    let mut scope = [0; 16];
    scope.copy_from_slice(&bytes[3..19]);
    Some(MarkRecord {
        lane: Lane::from_index(bytes[0].into())?,
        kind: [ScopeKind::Key, ScopeKind::Tag, ScopeKind::Namespace].get(usize::from(bytes[1])).copied()?,
        strength: [Strength::Hard, Strength::Soft].get(usize::from(bytes[2])).copied()?,
        scope: Scope::from_bytes(scope),
        tenant: u64_at(bytes, 19),
        seq: u64_at(bytes, 27),
        at: u64_at(bytes, 35),
    })
}

/// How a journal ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With a whole note.
    Whole,
    /// With a write that was cut off.
    CutOff,
    /// With something that is neither.
    Damaged,
}

/// What a journal said, as far as it could be read.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) state: State,
    pub(crate) boot: Vec<u8>,
    pub(crate) durable: bool,
    pub(crate) clean: bool,
    pub(crate) ending: Ending,
}

/// Reads a journal; `None` when there is none, or none that begins as one.
pub(crate) fn read(path: &Path) -> io::Result<Option<Found>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    Ok(bytes.strip_prefix(&MAGIC).and_then(decode))
}

fn decode(bytes: &[u8]) -> Option<Found> {
    let mut found: Option<Found> = None;
    let mut rest = bytes;
    let ending = loop {
        if rest.is_empty() {
            break Ending::Whole;
        }
        if rest.len() < FRAME {
            break Ending::CutOff;
        }
        if u32_at(rest, 4) != xxh3_64(&rest[..4]) as u32 {
            break Ending::Damaged;
        }
        let length = u32_at(rest, 0) as usize;
        let Some(body) = rest.get(FRAME..FRAME + length) else { break Ending::CutOff };
        let Some(check) = rest.get(FRAME + length..FRAME + length + CHECK) else { break Ending::CutOff };
        let note = (u64_at(check, 0) == xxh3_64(body)).then(|| Note::decode(body)).flatten();
        let Some(note) = note else { break Ending::Damaged };
        rest = &rest[FRAME + length + CHECK..];
        match (note, &mut found) {
            (Note::Open { incarnation, durable, boot }, None) => {
                found =
                    Some(Found { state: State::new(incarnation), boot, durable, clean: false, ending: Ending::Whole });
            }
            (Note::Clean, Some(found)) => found.clean = true,
            (note, Some(found)) => {
                found.clean = false;
                found.state.note(note);
            }
            (_, None) => return None,
        }
    };
    found.map(|found| Found { ending, ..found })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes() -> Vec<Note> {
        let mark = |seq| MarkRecord {
            lane: Lane::GLOBAL,
            scope: Scope::from_bytes([seq as u8; 16]),
            kind: ScopeKind::Tag,
            strength: Strength::Soft,
            tenant: 5,
            seq,
            at: 99,
        };
        vec![
            Note::Open { incarnation: Incarnation(7), durable: true, boot: b"boot".to_vec() },
            Note::Ceiling(100),
            Note::Floor(Lane::GLOBAL, 3),
            Note::Marks(vec![mark(4), mark(5)]),
            Note::Time(123),
            Note::Clean,
        ]
    }

    fn encoded() -> Vec<u8> {
        let mut out = Vec::new();
        notes().iter().for_each(|note| note.encode(&mut out));
        out
    }

    #[test]
    fn a_journal_reads_as_it_was_written() {
        let found = decode(&encoded()).unwrap();
        assert!(found.clean && found.durable);
        assert_eq!((found.ending, &found.boot[..]), (Ending::Whole, &b"boot"[..]));
        let snapshot = found.state.snapshot();
        assert_eq!((snapshot.ceiling, snapshot.time, snapshot.floors[16]), (100, 123, 3));
        assert_eq!(snapshot.marks.len(), 2);
    }

    #[test]
    fn a_journal_cut_anywhere_is_cut_off_and_never_damaged() {
        let bytes = encoded();
        for end in 0..bytes.len() {
            if let Some(found) = decode(&bytes[..end]) {
                assert_ne!(found.ending, Ending::Damaged, "{end}");
                assert!(!found.clean, "{end}");
            }
        }
    }

    #[test]
    fn every_single_bit_flip_of_a_journal_is_seen() {
        let bytes = encoded();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Some(found) = decode(&flipped) {
                assert_eq!(found.ending, Ending::Damaged, "bit {bit}");
            }
        }
    }
}
