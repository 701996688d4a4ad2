//! What can be seen from outside.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use stratacache_core::coordinator::Gaps;

/// How a node and its Redis are, for an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether the server, or every master of a cluster, is not left alone by its breaker.
    pub alive: bool,
    /// Whether the stream of invalidations fell silent although the server answers. Reads are still coherent: each lane is
    /// asked for news several times a second anyway. Always false for a cluster, which has no such stream.
    pub bus_silent: bool,
    /// How often a lane was asked for what is new.
    pub syncs: u64,
    /// How often something may have been missed.
    pub gaps: u64,
    /// How often the marks of a lane were fetched as a whole.
    pub resnapshots: u64,
    /// How often a lease was taken over because a newer mark was known, or its history had ended.
    pub takeovers: u64,
    /// How many of this node's own beats came back.
    pub beats: u64,
    /// How many messages of other nodes could not be read, and were ignored.
    pub garbled: u64,
    /// How many probes of other nodes were ignored, since too many came at once.
    pub unheard: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) silent: AtomicBool,
    pub(crate) syncs: AtomicU64,
    pub(crate) gaps: Gaps,
    pub(crate) resnapshots: AtomicU64,
    pub(crate) takeovers: AtomicU64,
    pub(crate) beats: AtomicU64,
    pub(crate) garbled: AtomicU64,
    pub(crate) unheard: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    pub(crate) fn health(&self, alive: bool) -> Health {
        Health {
            alive,
            bus_silent: self.silent.load(Relaxed),
            syncs: self.syncs.load(Relaxed),
            gaps: self.gaps.read(),
            resnapshots: self.resnapshots.load(Relaxed),
            takeovers: self.takeovers.load(Relaxed),
            beats: self.beats.load(Relaxed),
            garbled: self.garbled.load(Relaxed),
            unheard: self.unheard.load(Relaxed),
        }
    }
}
