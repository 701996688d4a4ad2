//! The form of a record in a segment: a head of 48 bytes, then the envelope.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 1 | kind: entry, removal, list, or anything else: dead |
//! | 1 | 1 | version, 1 |
//! | 2 | 2 | zero |
//! | 4 | 4 | length of the envelope |
//! | 8 | 16 | name |
//! | 24 | 8 | when it may be forgotten |
//! | 32 | 8 | XXH3-64 of the envelope, seeded with the name |
//! | 40 | 8 | XXH3-64 of bytes 1 to 39 |
//!
//! Integers are little-endian. The kind is outside the checksum so that one byte, overwritten in place, kills a record
//! when the device has no room for a removal; the kinds are several bits apart.

use bytes::Bytes;
use stratacache_core::{EntryName, clock::Millis};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Bytes of the head.
pub(crate) const HEAD: usize = 48;
/// The kind that overwrites an entry which a failing device could not record as removed.
pub(crate) const DEAD: u8 = 0xA5;

const ENTRY: u8 = 0x5A;
const REMOVAL: u8 = 0x3C;
const LIST: u8 = 0x81;
const VERSION: u8 = 1;

/// What a record says about its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The envelope follows.
    Entry,
    /// The name is gone.
    Removal,
    /// The list that ends a segment follows.
    List,
    /// Was an entry; the name is gone.
    Dead,
}

/// A decoded head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    pub(crate) len: u32,
    pub(crate) name: EntryName,
    pub(crate) expires_at: Millis,
    check: u64,
}

impl Head {
    /// Returns the bytes of the whole record.
    pub(crate) const fn size(&self) -> u64 {
        HEAD as u64 + self.len as u64
    }

    /// Tells whether these bytes are the envelope that was written under this head.
    pub(crate) fn proves(&self, envelope: &[u8]) -> bool {
        envelope.len() == self.len as usize && xxh3_64_with_seed(envelope, self.name.low()) == self.check
    }
}

fn encode_head(out: &mut Vec<u8>, kind: u8, name: EntryName, expires_at: Millis, envelope: &[u8]) {
    let start = out.len();
    out.extend_from_slice(&[kind, VERSION, 0, 0]);
    out.extend_from_slice(&(envelope.len() as u32).to_le_bytes());
    out.extend_from_slice(&name.to_bytes());
    out.extend_from_slice(&expires_at.to_le_bytes());
    out.extend_from_slice(&xxh3_64_with_seed(envelope, name.low()).to_le_bytes());
    let check = xxh3_64(&out[start + 1..]);
    out.extend_from_slice(&check.to_le_bytes());
}

/// Appends the record of an entry.
pub(crate) fn encode_entry(out: &mut Vec<u8>, name: EntryName, expires_at: Millis, envelope: &[u8]) {
    encode_head(out, ENTRY, name, expires_at, envelope);
    out.extend_from_slice(envelope);
}

/// Appends the record of a removal.
pub(crate) fn encode_removal(out: &mut Vec<u8>, name: EntryName) {
    encode_head(out, REMOVAL, name, 0, &[]);
}

/// Appends the record of a list, which has no name.
pub(crate) fn encode_list(out: &mut Vec<u8>, list: &[u8]) {
    encode_head(out, LIST, EntryName::from_bytes([0; 16]), 0, list);
    out.extend_from_slice(list);
}

/// Reads a head; `None` when it is not one that was written here.
pub(crate) fn decode_head(bytes: &[u8]) -> Option<Head> {
    let (head, check) = bytes.get(..HEAD)?.split_at(HEAD - 8);
    if head[1] != VERSION || u64_at(check, 0) != xxh3_64(&head[1..]) {
        return None;
    }
    let kind = match head[0] {
        ENTRY => Kind::Entry,
        REMOVAL => Kind::Removal,
        LIST => Kind::List,
        _ => Kind::Dead,
    };
    let mut name = [0; 16];
    name.copy_from_slice(&head[8..24]);
    Some(Head {
        kind,
        len: u32_at(head, 4),
        name: EntryName::from_bytes(name),
        expires_at: u64_at(head, 24),
        check: u64_at(head, 32),
    })
}

/// What a record read back turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// The envelope that was stored under the name, and when it may be forgotten.
    Entry(Bytes, Millis),
    /// It was overwritten in place.
    Dead,
    /// Something about it is not as it was written.
    Damaged,
}

/// Takes the envelope out of a whole record.
pub(crate) fn open_entry(record: Vec<u8>, name: EntryName) -> Opened {
    match decode_head(&record).filter(|head| head.name == name && head.proves(&record[HEAD..])) {
        Some(head) if head.kind == Kind::Entry => Opened::Entry(Bytes::from(record).slice(HEAD..), head.expires_at),
        Some(head) if head.kind == Kind::Dead => Opened::Dead,
        _ => Opened::Damaged,
    }
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(field)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_single_bit_flip_of_a_record_makes_it_absent() {
        let name = EntryName::from_bytes([9; 16]);
        let mut record = Vec::new();
        encode_entry(&mut record, name, 77, b"some envelope");
        assert_eq!(open_entry(record.clone(), name), Opened::Entry(Bytes::from_static(b"some envelope"), 77));
        for bit in 0..record.len() * 8 {
            let mut flipped = record.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(open_entry(flipped, name), Opened::Entry(..)), "bit {bit}");
        }
    }

    #[test]
    fn a_record_is_no_answer_for_another_name() {
        let name = EntryName::from_bytes([9; 16]);
        let mut record = Vec::new();
        encode_entry(&mut record, name, 77, b"x");
        assert_eq!(open_entry(record.clone(), EntryName::from_bytes([8; 16])), Opened::Damaged);
        record[0] = DEAD;
        assert_eq!(open_entry(record.clone(), name), Opened::Dead);
        assert_eq!(decode_head(&record).unwrap().kind, Kind::Dead);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic() {
        for length in 0..HEAD + 4 {
            assert!(decode_head(&vec![0xFF; length]).is_none());
        }
    }
}
