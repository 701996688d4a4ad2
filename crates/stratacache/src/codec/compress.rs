//! Compression of bodies, and its bounded reversal.

use std::borrow::Cow;

use stratacache_core::{
    CodecError, CodecErrorKind, Compress,
    envelope::{Compression, MAX_BODY},
};

use super::Squeezed;

/// A body may grow at most this many times when it is decompressed: as much as LZ4 can.
const MAX_RATIO: usize = 255;
/// Larger bodies are not compressed, and none is decompressed to more.
const MAX_EXPANDED: usize = 256 << 20;
/// Compression pays if it saves one byte in so many.
const LEAST_SAVING: usize = 16;

const fn damaged(reason: &'static str) -> CodecError {
    CodecError::new(CodecErrorKind::Damaged, reason)
}

/// Tells whether compression is tried on so many bytes.
pub(crate) fn tries(length: usize, compress: Compress) -> bool {
    let over = match compress {
        Compress::Lz4 { over } => over,
        #[cfg(feature = "zstd")]
        Compress::Zstd { over, .. } => over,
        _ => return false,
    };
    length > over as usize && length <= MAX_EXPANDED
}

/// Compresses a body where the policy says so and it pays.
pub(crate) fn squeeze(raw: Vec<u8>, compress: Compress) -> Result<Squeezed<'static>, CodecError> {
    let Some(raw_len) = u32::try_from(raw.len()).ok().filter(|_| raw.len() <= MAX_BODY) else {
        return Err(CodecError::encode("the encoded value is above 1 GiB"));
    };
    let squeezed = if tries(raw.len(), compress) { try_to_squeeze(&raw, compress) } else { None };
    let (body, compression) = squeezed.unwrap_or((raw, Compression::None));
    Ok(Squeezed { body: Cow::Owned(body), compression, raw_len })
}

fn try_to_squeeze(raw: &[u8], compress: Compress) -> Option<(Vec<u8>, Compression)> {
    let most = raw.len() - raw.len() / LEAST_SAVING;
    let kept = |body: &Vec<u8>| body.len() < most && believable(raw.len(), body.len());
    #[cfg(feature = "zstd")]
    if let Compress::Zstd { level, .. } = compress {
        let body = super::zstd::compress(raw, level, most)?;
        if kept(&body) {
            return Some((body, Compression::Zstd));
        }
        // fewer bytes than a reader believes: LZ4 is worse, and never that good
    }
    // one that is not known here compresses nothing
    debug_assert!(!matches!(compress, Compress::Off));
    Some(lz4_flex::block::compress(raw)).filter(kept).map(|body| (body, Compression::Lz4))
}

/// Tells whether a body can have come from so many bytes.
fn believable(raw_len: usize, body_len: usize) -> bool {
    raw_len <= MAX_EXPANDED && raw_len / MAX_RATIO < body_len.max(1)
}

/// Decompresses a body into exactly `raw_len` bytes, and refuses a length that the body cannot have come from before it
/// takes memory.
pub(crate) fn expand(body: &[u8], compression: Compression, raw_len: u32) -> Result<Cow<'_, [u8]>, CodecError> {
    if compression == Compression::None {
        return Ok(Cow::Borrowed(body));
    }
    let raw_len = raw_len as usize;
    if !believable(raw_len, body.len()) {
        return Err(damaged("a compressed body claims an impossible length"));
    }
    let raw = match compression {
        Compression::Lz4 => lz4_flex::block::decompress(body, raw_len)
            .map_err(|e| damaged("a compressed body is damaged").with_source(e))?,
        #[cfg(feature = "zstd")]
        Compression::Zstd => super::zstd::decompress(body, raw_len)
            .map_err(|e| damaged("a compressed body is damaged").with_source(e))?,
        _ => return Err(CodecError::new(CodecErrorKind::Unknown, "a compression that this build does not have")),
    };
    if raw.len() != raw_len {
        return Err(damaged("a compressed body has another length than it claims"));
    }
    Ok(Cow::Owned(raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(over: u32) -> Vec<Compress> {
        vec![
            Compress::Lz4 { over },
            #[cfg(feature = "zstd")]
            Compress::Zstd { level: 3, over },
            #[cfg(feature = "zstd")]
            Compress::Zstd { level: -5, over },
            #[cfg(feature = "zstd")]
            Compress::Zstd { level: 12, over },
        ]
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let byte = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        std::iter::repeat_with(byte).take(length).collect()
    }

    #[test]
    fn what_is_squeezed_expands_to_the_same_bytes() {
        for compress in all(16) {
            for raw in
                [vec![], b"short".to_vec(), b"abc".repeat(5_000), (0..=255).collect(), vec![0; 1 << 20], noise(3_000)]
            {
                let squeezed = squeeze(raw.clone(), compress).unwrap();
                assert!(squeezed.body.len() <= raw.len());
                assert_eq!(*expand(&squeezed.body, squeezed.compression, squeezed.raw_len).unwrap(), raw);
            }
        }
    }

    #[test]
    fn what_compression_does_not_make_a_sixteenth_smaller_stays_plain() {
        for compress in all(16) {
            let kept = |raw: Vec<u8>| squeeze(raw, compress).unwrap().compression;
            assert_eq!(kept(noise(3_000)), Compression::None);
            assert_ne!(kept([noise(1_000), vec![0; 1_000]].concat()), Compression::None);
            let barely = [noise(100_000), vec![0; 100]].concat();
            assert_eq!(kept(barely), Compression::None, "a thousandth is not worth the reading");
        }
    }

    #[test]
    fn bodies_at_the_threshold_stay_as_they_are() {
        for compress in all(1_000) {
            assert_eq!(squeeze(vec![7; 1_000], compress).unwrap().compression, Compression::None);
            assert_ne!(squeeze(vec![7; 1_001], compress).unwrap().compression, Compression::None);
        }
        assert_eq!(squeeze(vec![7; 1 << 20], Compress::Off).unwrap().compression, Compression::None);
    }

    #[cfg(feature = "zstd")]
    #[test]
    fn what_zstd_makes_smaller_than_a_reader_believes_is_stored_with_lz4() {
        let zeros = squeeze(vec![0; 4 << 20], Compress::zstd(3)).unwrap();
        assert_eq!(zeros.compression, Compression::Lz4);
        assert!(zeros.body.len() < (4 << 20) / 200);
    }

    #[test]
    fn bodies_that_lie_about_their_length_are_refused() {
        for compression in [Compression::Lz4, Compression::Zstd] {
            for (body, raw_len) in [(vec![0_u8; 1024], u32::MAX), (vec![0x1f; 1024], 1 << 30), (vec![], 1 << 20)] {
                assert!(expand(&body, compression, raw_len).is_err());
            }
        }
        for compress in all(16) {
            let good = squeeze(b"abc".repeat(5_000), compress).unwrap();
            for lie in [0, 1, good.raw_len - 1, good.raw_len + 1] {
                let error = expand(&good.body, good.compression, lie).expect_err("a lie");
                assert_eq!(error.kind(), CodecErrorKind::Damaged, "{lie}");
            }
            for cut in 0..good.body.len() {
                let _ = expand(&good.body[..cut], good.compression, good.raw_len);
            }
        }
    }

    #[cfg(not(feature = "zstd"))]
    #[test]
    fn a_body_of_zstd_is_unknown_to_a_build_without_it() {
        let error = expand(&[0; 100], Compression::Zstd, 100).expect_err("there is no zstd here");
        assert_eq!(error.kind(), CodecErrorKind::Unknown);
    }
}
