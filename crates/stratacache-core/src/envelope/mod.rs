//! The form of an entry below memory: a fixed head, then tags, key, ETag and body, then a checksum.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 2 | magic `SC` |
//! | 2 | 1 | version: 1, or 2 if it keeps its key |
//! | 3 | 1 | flags: 1 absent, 2 older than its token, 4 encrypted |
//! | 4 | 1 | codec: 1 MessagePack, 2 JSON, 3 Postcard, 128 to 255 own |
//! | 5 | 1 | compression: 0 none, 1 LZ4, 2 zstd |
//! | 6 | 1 | number of tags |
//! | 7 | 1 | number of global tags |
//! | 8 | 16 | check of (tenant, namespace, key) |
//! | 24 | 8 | id |
//! | 32 | 16 | incarnation and stamp in the tenant's lane |
//! | 48 | 8 | own |
//! | 56 | 16 | incarnation and stamp in the lane of the global tags |
//! | 72 | 8 | low half of the tenant's scope |
//! | 80 | 8 | created, coordinator time in ms |
//! | 88 | 8 | fresh until |
//! | 96 | 8 | stale while revalidate until |
//! | 104 | 8 | stale if error until |
//! | 112 | 4 | load time in ms |
//! | 116 | 2 | length of the ETag |
//! | 118 | 2 | length of the key; zero in version 1 |
//! | 120 | 4 | length of the body as stored |
//! | 124 | 4 | length of the body when decompressed |
//! | 128 | 16 each | tags, then global tags |
//! | | | if encrypted: key id (8), nonce (12) |
//! | | | key, ETag, body |
//! | | | if encrypted: authentication tag (16) |
//! | end | 8 | XXH3-64 of everything before |
//!
//! Integers are little-endian. A head of another version is a miss, not an error. Namespaces and the tenant's name are not
//! stored: the check proves them, and the reader knows their scopes. The half of the tenant's scope lets an operator's
//! sweep tell whose an entry is. Neither is the key, but for keyspaces that are declared `scannable`: their envelopes are of version 2, which
//! releases that know only version 1 miss.
//!
//! Of an encrypted envelope the head and the tags are as they would be in the clear, and are authenticated with the rest;
//! the lengths of key, ETag and body are those of the text.

mod decode;
mod encode;
mod error;
mod outline;
mod seal;

use bytes::Bytes;

use crate::{
    Codec, EntryCheck, Scope,
    clock::Millis,
    stamp::{Position, Seq},
};

pub use decode::{check_whole, decode};
pub use encode::encode;
pub use error::EnvelopeError;
pub use outline::{KeptKey, Outline, kept_key};
pub use seal::{SEAL, open, seal, sealed_by};

/// The version of an envelope that does not keep its key.
pub const VERSION: u8 = 1;
/// The version of an envelope that keeps its key.
pub const VERSION_WITH_KEY: u8 = 2;
/// Bytes of the fixed head.
pub const HEAD: usize = 128;
/// Bytes of the checksum at the end.
pub const TAIL: usize = 8;
/// Most tags and most global tags that an envelope can carry.
pub const MAX_TAGS: usize = 255;
/// Longest ETag in bytes.
pub const MAX_ETAG: usize = 1024;
/// Longest body in bytes, stored or decompressed.
pub const MAX_BODY: usize = 1 << 30;
/// Longest encoded key in bytes that an envelope can keep.
pub const MAX_KEPT_KEY: usize = u16::MAX as usize;

/// Where the check lies.
const CHECK_AT: usize = 8;
/// Where the id lies.
const ID_AT: usize = 24;
const MAGIC: [u8; 2] = *b"SC";
const FLAG_ABSENT: u8 = 1;
const FLAG_OLDER: u8 = 2;
const FLAG_SEALED: u8 = 4;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
#[non_exhaustive]
pub enum Compression {
    /// As the codec made it.
    #[default]
    None = 0,
    /// One LZ4 block.
    Lz4 = 1,
    /// One zstd frame.
    Zstd = 2,
}

impl Compression {
    /// Returns the compression of an envelope's compression byte.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::None),
            1 => Some(Self::Lz4),
            2 => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// Everything about an entry except its body: what it is judged by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Says that the source has no such thing; there is no body.
    pub absent: bool,
    /// Says that the value may be older than the permission it was written under (inserted or promoted).
    pub older_than_token: bool,
    /// The codec of the body.
    pub codec: Codec,
    /// The compression of the body.
    pub compression: Compression,
    /// The proof of (tenant, namespace, key).
    pub check: EntryCheck,
    /// Tells this entry from others under the same name.
    pub id: u64,
    /// The position in the tenant's lane before the load began.
    pub stamp: Position,
    /// The position of the entry's own insert; 0 when it was loaded.
    pub own: Seq,
    /// The position in the lane of the global tags before the load began.
    pub global: Position,
    /// The low half of the tenant's scope, by which a sweep finds what a cleared tenant has left.
    pub tenant: u64,
    /// When the load ended.
    pub created: Millis,
    /// Until when it is fresh.
    pub fresh_until: Millis,
    /// Until when it may be served stale while a refresh runs.
    pub revalidate_until: Millis,
    /// Until when it may be served stale after a failed load.
    pub error_until: Millis,
    /// How long the load took, in milliseconds.
    pub load_ms: u32,
    /// The scopes of its tags.
    pub tags: Vec<Scope>,
    /// The scopes of its global tags.
    pub global_tags: Vec<Scope>,
    /// The validator of the source, if it gave one.
    pub etag: Option<String>,
    /// The length of the body when decompressed.
    pub raw_len: u32,
    /// The encoded key, of keyspaces that are `scannable`.
    pub key: Option<Bytes>,
}

/// Returns the id of an envelope without judging it; `None` if it is too short to have one.
#[must_use]
pub fn id_of(envelope: &[u8]) -> Option<u64> {
    let id = envelope.get(ID_AT..ID_AT + 8)?;
    Some(u64::from_le_bytes(id.try_into().ok()?))
}

/// Returns the check of an envelope without judging it; `None` if it is too short to have one.
#[must_use]
pub fn check_of(envelope: &[u8]) -> Option<EntryCheck> {
    let check = envelope.get(CHECK_AT..CHECK_AT + 16)?;
    Some(EntryCheck::from_bytes(check.try_into().ok()?))
}

impl Head {
    /// Returns until when the entry is of any use.
    #[must_use]
    pub fn useful_until(&self) -> Millis {
        self.fresh_until.max(self.revalidate_until).max(self.error_until)
    }
}

#[cfg(test)]
mod tests;
