//! Reading envelopes: every length is checked against the bytes there are, and nothing panics.

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::{
    Compression, EnvelopeError, FLAG_ABSENT, FLAG_OLDER, HEAD, Head, MAGIC, MAX_BODY, MAX_ETAG, TAIL, VERSION,
};
use crate::{
    Codec, EntryCheck, Scope,
    stamp::{Incarnation, Position},
};

/// Reads an envelope into its head and body. The body is a slice of `bytes`, not a copy.
///
/// # Errors
/// [`EnvelopeError`] for anything that this version did not write, or that was damaged since.
pub fn decode(bytes: &Bytes) -> Result<(Head, Bytes), EnvelopeError> {
    let (fixed, _) = bytes.split_first_chunk::<HEAD>().ok_or(EnvelopeError::NotOurs)?;
    if fixed[..2] != MAGIC {
        return Err(EnvelopeError::NotOurs);
    }
    if fixed[2] != VERSION {
        return Err(EnvelopeError::Version(fixed[2]));
    }
    let Some((covered, sum)) = bytes.split_last_chunk::<TAIL>() else { return Err(EnvelopeError::NotOurs) };
    if xxh3_64(covered) != u64::from_le_bytes(*sum) {
        return Err(EnvelopeError::Checksum);
    }
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| fixed[at + i]));
    let half = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| fixed[at + i]));
    let position = |at: usize| Position { incarnation: Incarnation(word(at)), seq: word(at + 8) };

    let flags = fixed[3];
    if flags & !(FLAG_ABSENT | FLAG_OLDER) != 0 {
        return Err(EnvelopeError::Malformed("unknown flags"));
    }
    let codec = Codec::from_byte(fixed[4]).ok_or(EnvelopeError::UnknownCodec(fixed[4]))?;
    let compression = Compression::from_byte(fixed[5]).ok_or(EnvelopeError::UnknownCompression(fixed[5]))?;
    let (tags, global_tags) = (fixed[6] as usize, fixed[7] as usize);
    let etag_len = u16::from_le_bytes([fixed[116], fixed[117]]) as usize;
    let (body_len, raw_len) = (half(120) as usize, half(124));
    if etag_len > MAX_ETAG || body_len > MAX_BODY || raw_len as usize > MAX_BODY {
        return Err(EnvelopeError::Malformed("a length is out of range"));
    }
    if HEAD + (tags + global_tags) * 16 + etag_len + body_len + TAIL != bytes.len() {
        return Err(EnvelopeError::Malformed("lengths do not add up"));
    }
    if compression == Compression::None && raw_len as usize != body_len {
        return Err(EnvelopeError::Malformed("raw length of an uncompressed body"));
    }
    let mut scopes = bytes[HEAD..]
        .chunks_exact(16)
        .take(tags + global_tags)
        .map(|chunk| Scope::from_bytes(std::array::from_fn(|i| chunk[i])));
    let tags: Vec<Scope> = scopes.by_ref().take(tags).collect();
    let global_tags: Vec<Scope> = scopes.collect();
    let etag_at = HEAD + (tags.len() + global_tags.len()) * 16;
    let body_at = etag_at + etag_len;
    let etag = match &bytes[etag_at..body_at] {
        [] => None,
        text => Some(std::str::from_utf8(text).map_err(|_| EnvelopeError::Malformed("ETag is not UTF-8"))?.to_owned()),
    };
    let head = Head {
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
        load_ms: half(112),
        tags,
        global_tags,
        etag,
        raw_len,
    };
    Ok((head, bytes.slice(body_at..body_at + body_len)))
}
