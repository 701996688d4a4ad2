//! What compression saved, and what it took.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use serde::Serialize;

/// What was compressed and decompressed since the cache was built: bodies on their way below memory or into it, where a
/// keyspace's memory is encoded, and those that were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CompressionStats {
    /// Bodies that were stored compressed.
    pub compressed: u64,
    /// Bodies over the threshold that were stored plain since compression did not make them smaller by a sixteenth.
    pub did_not_pay: u64,
    /// Bytes of the compressed bodies before compression.
    pub bytes_before: u64,
    /// Bytes of the compressed bodies after it.
    pub bytes_after: u64,
    /// Time spent in compressing, attempts that did not pay included.
    pub compress_time: Duration,
    /// Bodies that were decompressed.
    pub decompressed: u64,
    /// Bytes they had then.
    pub bytes_decompressed: u64,
    /// Time spent in decompressing.
    pub decompress_time: Duration,
}

impl CompressionStats {
    /// Returns how many times larger the compressed bodies were before; `None` before the first.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        (self.bytes_after > 0).then(|| self.bytes_before as f64 / self.bytes_after as f64)
    }
}

/// Counts what compression does.
#[derive(Debug, Default)]
pub(crate) struct CompressionCounters {
    compressed: AtomicU64,
    did_not_pay: AtomicU64,
    bytes_before: AtomicU64,
    bytes_after: AtomicU64,
    compress_nanos: AtomicU64,
    decompressed: AtomicU64,
    bytes_decompressed: AtomicU64,
    decompress_nanos: AtomicU64,
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl CompressionCounters {
    /// Notes an attempt; `after` is `None` if the body stayed as it was.
    pub(crate) fn compressed(&self, before: usize, after: Option<usize>, took: Duration) {
        self.compress_nanos.fetch_add(nanos(took), Relaxed);
        let Some(after) = after else {
            self.did_not_pay.fetch_add(1, Relaxed);
            return;
        };
        self.compressed.fetch_add(1, Relaxed);
        self.bytes_before.fetch_add(before as u64, Relaxed);
        self.bytes_after.fetch_add(after as u64, Relaxed);
    }

    pub(crate) fn decompressed(&self, bytes: usize, took: Duration) {
        self.decompressed.fetch_add(1, Relaxed);
        self.bytes_decompressed.fetch_add(bytes as u64, Relaxed);
        self.decompress_nanos.fetch_add(nanos(took), Relaxed);
    }

    pub(crate) fn read(&self) -> CompressionStats {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        CompressionStats {
            compressed: read(&self.compressed),
            did_not_pay: read(&self.did_not_pay),
            bytes_before: read(&self.bytes_before),
            bytes_after: read(&self.bytes_after),
            compress_time: Duration::from_nanos(read(&self.compress_nanos)),
            decompressed: read(&self.decompressed),
            bytes_decompressed: read(&self.bytes_decompressed),
            decompress_time: Duration::from_nanos(read(&self.decompress_nanos)),
        }
    }
}
