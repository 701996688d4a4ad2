//! Compression of bodies, and its bounded reversal.

use std::borrow::Cow;

use stratacache_core::{
    Compress,
    envelope::{Compression, MAX_BODY},
};

use super::CodecError;

/// A body may grow at most this many times when it is decompressed.
const MAX_RATIO: usize = 255;

/// A body as it is stored.
#[derive(Debug)]
pub(crate) struct Squeezed {
    pub(crate) body: Vec<u8>,
    pub(crate) compression: Compression,
    pub(crate) raw_len: u32,
}

pub(super) fn squeeze(raw: Vec<u8>, compress: Compress) -> Result<Squeezed, CodecError> {
    if raw.len() > MAX_BODY {
        return Err(CodecError::new("the encoded value is above 1 GiB"));
    }
    let raw_len = raw.len() as u32;
    if let Compress::Lz4 { over } = compress
        && raw_len > over
    {
        let body = lz4_flex::block::compress(&raw);
        if body.len() < raw.len() && raw.len() / MAX_RATIO < body.len() {
            return Ok(Squeezed { body, compression: Compression::Lz4, raw_len });
        }
    }
    Ok(Squeezed { body: raw, compression: Compression::None, raw_len })
}

/// Decompresses a body into at most `raw_len` bytes, and refuses a length that the body cannot have come from.
pub(crate) fn expand(body: &[u8], compression: Compression, raw_len: u32) -> Result<Cow<'_, [u8]>, CodecError> {
    let raw_len = raw_len as usize;
    match compression {
        Compression::Lz4 => {
            if raw_len > MAX_BODY || raw_len / MAX_RATIO > body.len() {
                return Err(CodecError::new("a compressed body claims an impossible length"));
            }
            let raw = lz4_flex::block::decompress(body, raw_len)
                .map_err(|e| CodecError::new("a compressed body is damaged").with_source(e))?;
            if raw.len() != raw_len {
                return Err(CodecError::new("a compressed body has another length than it claims"));
            }
            Ok(Cow::Owned(raw))
        }
        Compression::None => Ok(Cow::Borrowed(body)),
        _ => Err(CodecError::new("a body has an unknown compression")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_squeezed_expands_to_the_same_bytes() {
        for raw in [vec![], b"short".to_vec(), b"abc".repeat(5_000), (0..=255).collect(), vec![0; 1 << 20]] {
            let squeezed = squeeze(raw.clone(), Compress::Lz4 { over: 16 }).unwrap();
            assert!(squeezed.body.len() <= raw.len());
            assert_eq!(*expand(&squeezed.body, squeezed.compression, squeezed.raw_len).unwrap(), raw);
        }
    }

    #[test]
    fn bodies_that_lie_about_their_length_are_refused_before_memory_is_taken() {
        for (body, raw_len) in [(vec![0_u8; 1024], u32::MAX), (vec![0x1f; 1024], 1 << 30), (vec![], 1 << 20)] {
            assert!(expand(&body, Compression::Lz4, raw_len).is_err());
        }
        let good = squeeze(b"abc".repeat(5_000), Compress::Lz4 { over: 16 }).unwrap();
        for lie in [0, 1, good.raw_len - 1, good.raw_len + 1] {
            assert!(expand(&good.body, Compression::Lz4, lie).is_err(), "{lie}");
        }
        for cut in 0..good.body.len() {
            let _ = expand(&good.body[..cut], Compression::Lz4, good.raw_len);
        }
    }
}
