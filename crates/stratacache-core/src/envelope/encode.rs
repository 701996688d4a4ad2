//! Writing envelopes.

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::{EnvelopeError, FLAG_ABSENT, FLAG_OLDER, HEAD, Head, MAGIC, MAX_BODY, MAX_ETAG, MAX_TAGS, TAIL, VERSION};

/// Writes an envelope; `body` is already encoded and compressed as the head says.
///
/// # Errors
/// [`EnvelopeError::TooLarge`] when there are more than 255 tags of a kind, the ETag is above 1 KiB or the body above
/// 1 GiB.
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
    let tags = (head.tags.len() + head.global_tags.len()) * 16;
    let mut out = Vec::with_capacity(HEAD + tags + etag.len() + body.len() + TAIL);
    let flags = u8::from(head.absent) * FLAG_ABSENT + u8::from(head.older_than_token) * FLAG_OLDER;
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[
        VERSION,
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
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&(body.len() as u32).to_le_bytes());
    out.extend_from_slice(&head.raw_len.to_le_bytes());
    debug_assert_eq!(out.len(), HEAD);
    for tag in head.tags.iter().chain(&head.global_tags) {
        out.extend_from_slice(&tag.to_bytes());
    }
    out.extend_from_slice(etag);
    out.extend_from_slice(body);
    let sum = xxh3_64(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    Ok(out.into())
}
