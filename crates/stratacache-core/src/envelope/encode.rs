//! Writing envelopes.

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::{
    EnvelopeError, FLAG_ABSENT, FLAG_OLDER, HEAD, Head, MAGIC, MAX_BODY, MAX_ETAG, MAX_KEPT_KEY, MAX_TAGS, TAIL,
    VERSION, VERSION_WITH_KEY,
};

/// Writes an envelope; `body` is already encoded and compressed as the head says.
///
/// # Errors
/// [`EnvelopeError::TooLarge`] when there are more than 255 tags of a kind, the ETag is above 1 KiB, the body above
/// 1 GiB, or the key above 65,535 bytes.
pub fn encode(head: &Head, body: &[u8]) -> Result<Bytes, EnvelopeError> {
    let etag = head.etag.as_deref().unwrap_or_default().as_bytes();
    if head.tags.len() > MAX_TAGS || head.global_tags.len() > MAX_TAGS {
        return Err(EnvelopeError::TooLarge("more than 255 tags"));
    }
    if etag.len() > MAX_ETAG {
        return Err(EnvelopeError::TooLarge("ETag above 1 KiB"));
    }
    if body.len() > MAX_BODY || head.raw_len as usize > MAX_BODY {
        return Err(EnvelopeError::TooLarge("body above 1 GiB"));
    }
    let key = head.key.as_deref().unwrap_or_default();
    if key.len() > MAX_KEPT_KEY {
        return Err(EnvelopeError::TooLarge("key above 65,535 bytes"));
    }
    let tags = (head.tags.len() + head.global_tags.len()) * 16;
    let mut out = Vec::with_capacity(HEAD + tags + key.len() + etag.len() + body.len() + TAIL);
    let flags = u8::from(head.absent) * FLAG_ABSENT + u8::from(head.older_than_token) * FLAG_OLDER;
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[
        if key.is_empty() { VERSION } else { VERSION_WITH_KEY },
        flags,
        head.codec.byte(),
        head.compression as u8,
        head.tags.len() as u8,
        head.global_tags.len() as u8,
    ]);
    out.extend_from_slice(&head.check.to_bytes());
    for field in [
        head.id,
        head.stamp.incarnation.0,
        head.stamp.seq,
        head.own,
        head.global.incarnation.0,
        head.global.seq,
        head.tenant,
        head.created,
        head.fresh_until,
        head.revalidate_until,
        head.error_until,
    ] {
        out.extend_from_slice(&field.to_le_bytes());
    }
    out.extend_from_slice(&head.load_ms.to_le_bytes());
    out.extend_from_slice(&(etag.len() as u16).to_le_bytes());
    out.extend_from_slice(&(key.len() as u16).to_le_bytes());
    out.extend_from_slice(&(body.len() as u32).to_le_bytes());
    out.extend_from_slice(&head.raw_len.to_le_bytes());
    debug_assert_eq!(out.len(), HEAD);
    for tag in head.tags.iter().chain(&head.global_tags) {
        out.extend_from_slice(&tag.to_bytes());
    }
    out.extend_from_slice(key);
    out.extend_from_slice(etag);
    out.extend_from_slice(body);
    let sum = xxh3_64(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    Ok(out.into())
}
