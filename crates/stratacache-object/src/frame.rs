//! The form of an object: a few bytes of ours, then the envelope as it is.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | `SOB1` |
//! | 4 | 4 | zero |
//! | 8 | 8 | when the entry ends its life, coordinator time in ms |
//! | 16 | 8 | length of the envelope |
//! | 24 | | envelope |
//!
//! Integers are little-endian. The life is not metadata of the object, which directories do not have; with the length an
//! object that was cut off is known by its first bytes.

use bytes::Bytes;
use stratacache_core::clock::Millis;

/// Bytes before the envelope.
pub(crate) const HEAD: usize = 24;
const MAGIC: [u8; 8] = *b"SOB1\0\0\0\0";

/// What an object says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) expires_at: Millis,
    pub(crate) length: u64,
}

impl Frame {
    /// Makes the first bytes of an object.
    pub(crate) fn write(self) -> Bytes {
        [MAGIC, self.expires_at.to_le_bytes(), self.length.to_le_bytes()].concat().into()
    }

    /// Reads the first bytes of an object; `None` if they are not ours.
    pub(crate) fn read(first: &[u8]) -> Option<Self> {
        let word = |at: usize| first.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
        if first.get(..8)? != MAGIC {
            return None;
        }
        Some(Self { expires_at: word(8)?, length: word(16)? })
    }
}

/// What an object is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Opened {
    Envelope(Bytes),
    /// Its life has ended.
    Expired,
    /// It was cut off, or is not ours.
    Damaged,
}

/// Takes the envelope out of an object; it is a slice of it, not a copy.
pub(crate) fn open(object: &Bytes, now: Millis) -> Opened {
    let Some(frame) = Frame::read(object) else { return Opened::Damaged };
    if frame.length != (object.len() - HEAD) as u64 {
        return Opened::Damaged;
    }
    if frame.expires_at <= now {
        return Opened::Expired;
    }
    Opened::Envelope(object.slice(HEAD..))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(expires_at: Millis, envelope: &[u8]) -> Bytes {
        let frame = Frame { expires_at, length: envelope.len() as u64 };
        [&frame.write()[..], envelope].concat().into()
    }

    #[test]
    fn an_object_gives_back_its_envelope_until_its_life_ends() {
        for envelope in [&b""[..], b"x", b"envelope"] {
            let object = object(100, envelope);
            assert_eq!(open(&object, 99), Opened::Envelope(Bytes::copy_from_slice(envelope)));
            assert_eq!(open(&object, 100), Opened::Expired);
        }
    }

    #[test]
    fn an_object_that_was_cut_lengthened_or_is_not_ours_is_damaged() {
        let whole = object(100, b"envelope");
        for end in 0..whole.len() {
            assert_eq!(open(&whole.slice(..end), 0), Opened::Damaged, "cut to {end}");
        }
        assert_eq!(open(&[&whole[..], b"!"].concat().into(), 0), Opened::Damaged);
        for bit in 0..HEAD * 8 {
            let mut bytes = whole.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let in_the_life = (64..128).contains(&bit);
            assert_eq!(open(&bytes.into(), 0) == Opened::Damaged, !in_the_life, "bit {bit}");
        }
    }
}
