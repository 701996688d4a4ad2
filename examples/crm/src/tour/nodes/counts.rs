//! What is counted while the clients are at work.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use serde::Serialize;

/// What goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Period {
    /// All is there.
    Calm,
    /// A node was killed.
    NodeDead,
    /// Redis was killed, and comes back empty.
    RedisAway,
}

/// Requests while something went on.
#[derive(Default)]
struct InPeriod {
    requests: AtomicU64,
    moved: AtomicU64,
    unsure: AtomicU64,
    errors: AtomicU64,
    slowest_us: AtomicU64,
}

/// What was counted while something went on.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Measured {
    /// Requests that were answered.
    pub(super) requests: u64,
    /// Connections that broke; the request was sent to another node.
    pub(super) moved: u64,
    /// Writes answered with 503: the invalidation still waited for Redis.
    pub(super) unsure: u64,
    /// Other answers that are errors.
    pub(super) errors: u64,
    pub(super) slowest_ms: f64,
}

/// Reads that had to show a write.
#[derive(Default)]
pub(super) struct Judged {
    reads: AtomicU64,
    stale: AtomicU64,
}

impl Judged {
    pub(super) fn add(&self, fine: bool) {
        self.reads.fetch_add(1, Relaxed);
        self.stale.fetch_add(u64::from(!fine), Relaxed);
    }

    pub(super) fn read(&self) -> Probes {
        Probes { reads: self.reads.load(Relaxed), stale: self.stale.load(Relaxed) }
    }
}

/// What judging brought.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Probes {
    pub(super) reads: u64,
    pub(super) stale: u64,
}

/// All counters.
pub(super) struct Counts {
    by_node: Vec<AtomicU64>,
    period: AtomicUsize,
    periods: [InPeriod; 3],
    pub(super) with_token: Judged,
    pub(super) without_token: Judged,
    pub(super) writes: AtomicU64,
    /// The SQL queries that the same requests cost without a cache.
    pub(super) sql_without: AtomicU64,
}

impl Counts {
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            by_node: (0..nodes).map(|_| AtomicU64::new(0)).collect(),
            period: AtomicUsize::new(0),
            periods: Default::default(),
            with_token: Judged::default(),
            without_token: Judged::default(),
            writes: AtomicU64::new(0),
            sql_without: AtomicU64::new(0),
        }
    }

    /// Says what goes on from now.
    pub(super) fn begin(&self, period: Period) {
        self.period.store(period as usize, Relaxed);
    }

    fn now(&self) -> &InPeriod {
        &self.periods[self.period.load(Relaxed)]
    }

    pub(super) fn answered(&self, node: usize, took: Duration) {
        self.by_node[node].fetch_add(1, Relaxed);
        self.now().requests.fetch_add(1, Relaxed);
        self.now().slowest_us.fetch_max(took.as_micros() as u64, Relaxed);
    }

    pub(super) fn moved(&self) {
        self.now().moved.fetch_add(1, Relaxed);
    }

    pub(super) fn unsure(&self) {
        self.now().unsure.fetch_add(1, Relaxed);
    }

    pub(super) fn error(&self) {
        self.now().errors.fetch_add(1, Relaxed);
    }

    pub(super) fn requests_by_node(&self) -> Vec<u64> {
        self.by_node.iter().map(|count| count.load(Relaxed)).collect()
    }

    pub(super) fn measured(&self, period: Period) -> Measured {
        let counted = &self.periods[period as usize];
        Measured {
            requests: counted.requests.load(Relaxed),
            moved: counted.moved.load(Relaxed),
            unsure: counted.unsure.load(Relaxed),
            errors: counted.errors.load(Relaxed),
            slowest_ms: counted.slowest_us.load(Relaxed) as f64 / 1000.0,
        }
    }
}
