//! Reading envelopes: every length is checked against the bytes there are, and nothing panics.

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::{
    Compression, EnvelopeError, FLAG_ABSENT, FLAG_OLDER, FLAG_SEALED, HEAD, Head, MAGIC, MAX_BODY, MAX_ETAG, SEAL,
    TAIL, VERSION, VERSION_WITH_KEY,
};
use crate::{
    Codec, EntryCheck, Scope,
    stamp::{Incarnation, Position},
};

/// How an envelope is divided: its lengths add up to the bytes there are.
pub(super) struct Frame {
    /// Key, ETag and body are encrypted.
    pub(super) sealed: bool,
    /// How many tags, global ones included.
    pub(super) tags: usize,
    /// The length of the key; 0 where it is not kept.
    pub(super) key: usize,
    /// The length of the ETag.
    pub(super) etag: usize,
    /// The length of the body as stored.
    pub(super) body: usize,
}

impl Frame {
    /// How long key, ETag and body are together.
    pub(super) fn text(&self) -> usize {
        self.key + self.etag + self.body
    }
}

fn half(fixed: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| fixed[at + i]))
}

/// Returns the length of the key that an envelope says it keeps; 0 where it keeps none.
pub(super) fn key_length(fixed: &[u8; HEAD]) -> Result<usize, EnvelopeError> {
    match (fixed[2], usize::from(u16::from_le_bytes([fixed[118], fixed[119]]))) {
        (VERSION, _) => Ok(0),
        (VERSION_WITH_KEY, 0) => Err(EnvelopeError::Malformed("the key is empty")),
        (VERSION_WITH_KEY, length) => Ok(length),
        (other, _) => Err(EnvelopeError::Version(other)),
    }
}

/// Checks magic, version, checksum and lengths.
pub(super) fn frame(bytes: &Bytes) -> Result<Frame, EnvelopeError> {
    let (fixed, _) = bytes.split_first_chunk::<HEAD>().ok_or(EnvelopeError::NotOurs)?;
    if fixed[..2] != MAGIC {
        return Err(EnvelopeError::NotOurs);
    }
    if !matches!(fixed[2], VERSION | VERSION_WITH_KEY) {
        return Err(EnvelopeError::Version(fixed[2]));
    }
    let Some((covered, sum)) = bytes.split_last_chunk::<TAIL>() else { return Err(EnvelopeError::NotOurs) };
    if xxh3_64(covered) != u64::from_le_bytes(*sum) {
        return Err(EnvelopeError::Checksum);
    }
    let flags = fixed[3];
    if flags & !(FLAG_ABSENT | FLAG_OLDER | FLAG_SEALED) != 0 {
        return Err(EnvelopeError::Malformed("unknown flags"));
    }
    let sealed = flags & FLAG_SEALED != 0;
    let tags = usize::from(fixed[6]) + usize::from(fixed[7]);
    let key = key_length(fixed)?;
    let etag = usize::from(u16::from_le_bytes([fixed[116], fixed[117]]));
    let (body, raw_len) = (half(fixed, 120) as usize, half(fixed, 124) as usize);
    if etag > MAX_ETAG || body > MAX_BODY || raw_len > MAX_BODY {
        return Err(EnvelopeError::Malformed("a length is out of range"));
    }
    let seal = if sealed { SEAL } else { 0 };
    if HEAD + tags * 16 + key + etag + body + seal + TAIL != bytes.len() {
        return Err(EnvelopeError::Malformed("lengths do not add up"));
    }
    Ok(Frame { sealed, tags, key, etag, body })
}

/// Checks that an envelope, encrypted or not, is as long as it says and has its checksum.
///
/// # Errors
/// [`EnvelopeError`] for anything that this version did not write, or that was damaged since.
pub fn check_whole(bytes: &Bytes) -> Result<(), EnvelopeError> {
    frame(bytes).map(drop)
}

/// Reads the head of an envelope that is divided as it should be; its key and ETag may lie elsewhere.
pub(super) fn head_of(bytes: &Bytes, key: Bytes, etag: &[u8]) -> Result<Head, EnvelopeError> {
    let (fixed, _) = bytes.split_first_chunk::<HEAD>().ok_or(EnvelopeError::NotOurs)?;
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| fixed[at + i]));
    let position = |at: usize| Position { incarnation: Incarnation(word(at)), seq: word(at + 8) };
    let flags = fixed[3];
    let codec = Codec::from_byte(fixed[4]).ok_or(EnvelopeError::UnknownCodec(fixed[4]))?;
    let compression = Compression::from_byte(fixed[5]).ok_or(EnvelopeError::UnknownCompression(fixed[5]))?;
    let (tags, global_tags) = (usize::from(fixed[6]), usize::from(fixed[7]));
    let (body_len, raw_len) = (half(fixed, 120), half(fixed, 124));
    if compression == Compression::None && raw_len != body_len {
        return Err(EnvelopeError::Malformed("raw length of an uncompressed body"));
    }
    let mut scopes = bytes[HEAD..]
        .chunks_exact(16)
        .take(tags + global_tags)
        .map(|chunk| Scope::from_bytes(std::array::from_fn(|i| chunk[i])));
    let tags: Vec<Scope> = scopes.by_ref().take(tags).collect();
    let global_tags: Vec<Scope> = scopes.collect();
    let etag = match etag {
        [] => None,
        text => Some(std::str::from_utf8(text).map_err(|_| EnvelopeError::Malformed("ETag is not UTF-8"))?.to_owned()),
    };
    Ok(Head {
        absent: flags & FLAG_ABSENT != 0,
        older_than_token: flags & FLAG_OLDER != 0,
        codec,
        compression,
        check: EntryCheck::from_bytes(std::array::from_fn(|i| fixed[8 + i])),
        id: word(24),
        stamp: position(32),
        own: word(48),
        global: position(56),
        tenant: word(72),
        created: word(80),
        fresh_until: word(88),
        revalidate_until: word(96),
        error_until: word(104),
        load_ms: half(fixed, 112),
        tags,
        global_tags,
        etag,
        raw_len,
        key: (!key.is_empty()).then_some(key),
    })
}

/// Reads an envelope into its head and body. The body is a slice of `bytes`, not a copy.
///
/// # Errors
/// [`EnvelopeError`] for anything that this version did not write, or that was damaged since; [`EnvelopeError::Sealed`] for
/// an encrypted one, which [`open`](super::open) reads.
pub fn decode(bytes: &Bytes) -> Result<(Head, Bytes), EnvelopeError> {
    let Frame { sealed, tags, key, etag, body } = frame(bytes)?;
    if sealed {
        return Err(EnvelopeError::Sealed);
    }
    let etag_at = HEAD + tags * 16 + key;
    let body_at = etag_at + etag;
    let head = head_of(bytes, bytes.slice(etag_at - key..etag_at), &bytes[etag_at..body_at])?;
    Ok((head, bytes.slice(body_at..body_at + body)))
}
