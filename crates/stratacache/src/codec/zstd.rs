//! Zstandard, with contexts that are kept per thread: to make one takes longer than to compress a small body.

use std::{cell::RefCell, io};

use zstd::bulk::{Compressor, Decompressor};

/// A context that has grown beyond this is not kept: a thread must not hold it for one large value or a high level.
const KEPT: usize = 4 << 20;

#[derive(Default)]
struct Contexts {
    compressor: Option<(i8, Compressor<'static>)>,
    decompressor: Option<Decompressor<'static>>,
}

thread_local! {
    static CONTEXTS: RefCell<Contexts> = RefCell::default();
}

/// Compresses into at most `most` bytes; `None` if that is not enough, or there is no memory for it.
pub(super) fn compress(raw: &[u8], level: i8, most: usize) -> Option<Vec<u8>> {
    CONTEXTS.with_borrow_mut(|contexts| {
        let (at, mut compressor) = match contexts.compressor.take() {
            Some(kept) => kept,
            None => (level, Compressor::new(level.into()).ok()?),
        };
        if at != level {
            compressor.set_compression_level(level.into()).ok()?;
        }
        let mut body = Vec::with_capacity(most);
        let compressed = compressor.compress_to_buffer(raw, &mut body);
        if compressor.context_mut().sizeof() <= KEPT {
            contexts.compressor = Some((level, compressor));
        }
        compressed.ok()?;
        Some(body)
    })
}

/// Decompresses into at most `raw_len` bytes. They are the window, too: nothing else grows with what the frame claims.
pub(super) fn decompress(body: &[u8], raw_len: usize) -> io::Result<Vec<u8>> {
    CONTEXTS.with_borrow_mut(|contexts| {
        let decompressor = match &mut contexts.decompressor {
            Some(kept) => kept,
            none => none.insert(Decompressor::new()?),
        };
        let mut raw = Vec::with_capacity(raw_len);
        decompressor.decompress_to_buffer(body, &mut raw)?;
        Ok(raw)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Option<(i8, usize)> {
        CONTEXTS.with_borrow_mut(|contexts| {
            contexts.compressor.as_mut().map(|(level, kept)| (*level, kept.context_mut().sizeof()))
        })
    }

    #[test]
    fn a_thread_keeps_its_context_and_changes_its_level() {
        let raw = b"some words, and the same words again: ".repeat(100);
        assert_eq!(kept(), None);
        for level in [3, 3, -5, 9, 1] {
            let body = compress(&raw, level, raw.len()).expect("room enough");
            assert_eq!(decompress(&body, raw.len()).expect("whole"), raw);
            assert_eq!(kept().expect("kept").0, level);
        }
    }

    #[test]
    fn a_context_that_has_grown_is_given_back() {
        let raw: Vec<u8> = (0..8_u32 << 20).map(|n| (n / 7 * 31) as u8).collect();
        assert!(compress(&raw, 12, raw.len()).is_some());
        assert_eq!(kept(), None);
        assert!(compress(&raw[..1_000], 3, 1_000).is_some());
        assert!(kept().expect("a small one").1 <= KEPT);
    }

    #[test]
    fn a_body_that_does_not_fit_is_no_body_and_no_failure_of_the_next() {
        let raw = b"some words, and the same words again: ".repeat(100);
        assert!(compress(&raw, 3, 10).is_none());
        let body = compress(&raw, 3, raw.len()).expect("room enough");
        assert!(decompress(&body, 10).is_err());
        assert!(decompress(&body[..body.len() - 1], raw.len()).is_err());
        assert_eq!(decompress(&body, raw.len()).expect("whole"), raw);
    }
}
