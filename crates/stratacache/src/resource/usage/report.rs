//! What is reported of the use of a resource.

use std::{cmp::Reverse, fmt, sync::atomic::Ordering::Relaxed, time::Duration};

use serde::Serialize;

use super::{
    Inner, Kind, PerKind,
    advice::{Advice, Numbers},
    table::Slot,
};

/// So many keys of each list are shown.
const SHOWN: usize = 20;

/// What was read how often, what was hardly worth keeping, and what that says of the ttl of each kind.
///
/// It has the ids of items in it, as `Debug` prints them: it is for operators, not for logs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct UsageReport {
    /// From the first read to the last, in milliseconds.
    pub observed_ms: u64,
    /// Writes through the resource.
    pub writes: u64,
    /// The kinds that were read.
    pub kinds: Vec<KindUsage>,
    /// The items that were read most, 20 at most, the busiest first.
    pub hot_items: Vec<UsedKey>,
    /// Partitions that were read less than twice for each load, 20 at most, those that brought least first.
    pub cold_partitions: Vec<UsedKey>,
    /// Reads and loads that are in the sums, but not in the counts of their keys, since somebody else was counting just then.
    pub skipped: u64,
}

/// The use of one kind of results.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct KindUsage {
    /// "items", "pages", "lists", "counts", "queries" or "partitions".
    pub kind: &'static str,
    /// Reads that were asked for.
    pub reads: u64,
    /// Results that the source was asked for.
    pub loads: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// How long a call of the source took on the average, in microseconds for each result.
    pub load_us: u64,
    /// The ttl, in milliseconds.
    pub ttl_ms: u64,
    /// Of the keys that are known (the busiest 128): loads again after the end of a life, with no write in between.
    pub again_expired: u64,
    /// Loads again after a write or another invalidation through the resource.
    pub again_written: u64,
    /// Loads again for other reasons, such as eviction.
    pub again_other: u64,
    /// What that says of the ttl.
    pub advice: Advice,
}

/// A key, and how it was used since it is one of the busiest 128.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UsedKey {
    /// The tenant, and the id or partition as `Debug` prints it, cut to 80 characters.
    pub name: String,
    /// How often it was read.
    pub reads: u64,
    /// How often it was loaded.
    pub loads: u64,
}

impl UsedKey {
    fn of(slot: &Slot) -> Self {
        Self { name: slot.name.clone(), reads: slot.reads, loads: slot.loads }
    }
}

pub(super) fn of(inner: &Inner) -> UsageReport {
    let kinds = Kind::ALL.iter().map(|kind| of_kind(*kind, &inner.kinds[*kind as usize]));
    let mut hot: Vec<UsedKey> = keys(inner, Kind::Items);
    hot.sort_by_key(|key| Reverse(key.reads));
    hot.truncate(SHOWN);
    let mut cold = keys(inner, Kind::Partitions);
    cold.retain(|key| key.loads > 0 && key.reads < key.loads * 2);
    cold.sort_by(|a, b| (a.reads * b.loads).cmp(&(b.reads * a.loads)));
    cold.truncate(SHOWN);
    UsageReport {
        observed_ms: inner.last.load(Relaxed).saturating_sub(inner.first.load(Relaxed)),
        writes: inner.writes.load(Relaxed),
        kinds: kinds.filter(|kind| kind.reads > 0).collect(),
        hot_items: hot,
        cold_partitions: cold,
        skipped: inner.skipped.load(Relaxed),
    }
}

fn keys(inner: &Inner, kind: Kind) -> Vec<UsedKey> {
    let mut keys: Vec<_> = inner.kinds[kind as usize].table.lock().slots().map(UsedKey::of).collect();
    keys.sort_by(|a, b| a.name.cmp(&b.name));
    keys
}

fn of_kind(kind: Kind, counted: &PerKind) -> KindUsage {
    let (mut again_expired, mut again_written, mut again_other) = (0, 0, 0);
    for slot in counted.table.lock().slots() {
        again_expired += slot.expired;
        again_written += slot.written;
        again_other += slot.other;
    }
    let (reads, loads, ttl_ms) = (counted.reads.load(Relaxed), counted.loads.load(Relaxed), counted.ttl.load(Relaxed));
    let numbers =
        Numbers { reads, loads, ttl: ttl_ms, expired: again_expired, written: again_written, other: again_other };
    KindUsage {
        kind: kind.name(),
        reads,
        loads,
        failed: counted.failed.load(Relaxed),
        load_us: counted.micros.load(Relaxed).checked_div(loads).unwrap_or_default(),
        ttl_ms,
        again_expired,
        again_written,
        again_other,
        advice: Advice::of(&numbers),
    }
}

impl fmt::Display for UsageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "in {:?}, with {} writes:", Duration::from_millis(self.observed_ms), self.writes)?;
        for kind in &self.kinds {
            write!(f, "\n{kind}")?;
        }
        for (title, keys) in [("hot items", &self.hot_items), ("cold partitions", &self.cold_partitions)] {
            if !keys.is_empty() {
                write!(f, "\n{title}:")?;
            }
            for key in keys {
                write!(f, "\n  {}: {} reads, {} loads", key.name, key.reads, key.loads)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for KindUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, reads, loads, advice, .. } = self;
        let took = Duration::from_micros(self.load_us);
        write!(f, "{kind}: {reads} reads, {loads} loads of {took:?}, ttl {:?}", Duration::from_millis(self.ttl_ms))?;
        write!(
            f,
            "; loaded again {} times after the ttl, {} after a write, {} for other reasons: {advice}",
            self.again_expired, self.again_written, self.again_other
        )
    }
}
