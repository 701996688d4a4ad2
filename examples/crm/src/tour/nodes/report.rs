//! What came out of the tour of many nodes, and whether all promises held.
#![allow(clippy::print_stdout, reason = "the report is what the program prints")]

use std::time::Duration;

use serde::Serialize;

use super::{
    cold::Cold,
    counters::Counters,
    counts::{Measured, Probes},
};
use crate::tour::{everything::Everything, readable::Readable, report::in_ms, witness::Witness};

/// Fewer probes prove too little.
pub(super) const LEAST_PROBES: u64 = 1_000;

/// What came out.
#[derive(Serialize)]
pub(crate) struct Report {
    #[serde(serialize_with = "in_ms")]
    pub(super) prepared: Duration,
    #[serde(serialize_with = "in_ms")]
    pub(super) drive: Duration,
    pub(super) requests_by_node: Vec<u64>,
    pub(super) writes: u64,
    pub(super) with_token: Probes,
    pub(super) without_token: Probes,
    /// Compared with SQLite at the end.
    pub(super) at_the_end: Probes,
    pub(super) cold: Cold,
    pub(super) calm: Measured,
    pub(super) node_dead: Measured,
    /// `None` if the Redis is somebody else's, and was left alone.
    pub(super) redis_away: Option<Measured>,
    pub(super) answered: Answered,
    pub(super) sql_without: u64,
    pub(super) sql_queries: u64,
    /// Rows and refusals whose company was checked.
    pub(super) rows: u64,
    /// Those of another company.
    pub(super) foreign: u64,
    /// Answers with a status or body that nothing explains.
    pub(super) unexpected: u64,
    /// With an object store only.
    pub(super) everything: Option<Everything>,
    pub(super) readable: Readable,
    /// Old rows seen around that restart.
    pub(super) stale_around_it: u64,
    pub(super) examples: Vec<String>,
}

/// Who answered the reads of the cache.
#[derive(Serialize)]
pub(super) struct Answered {
    pub(super) memory: u64,
    pub(super) redis: u64,
    /// By waiting for somebody else's read.
    pub(super) joined: u64,
    pub(super) sqlite: u64,
    /// Reads while a node could not learn of the others' invalidations.
    pub(super) bypasses: u64,
}

impl Answered {
    pub(super) fn new(counters: &Counters) -> Self {
        let cache = &counters.cache;
        Self {
            memory: cache.memory_hits,
            redis: cache.lower_hits,
            joined: cache.flights_joined,
            sqlite: cache.loads,
            bypasses: cache.bypasses,
        }
    }

    /// Returns a part of all reads in percent.
    pub(super) fn percent(&self, part: u64) -> f64 {
        part as f64 * 100.0 / (self.memory + self.redis + self.joined + self.sqlite).max(1) as f64
    }
}

impl Report {
    /// Takes what the witness saw since it had seen so many stale rows.
    pub(super) fn see(&mut self, witness: &Witness, before: u64) {
        let seen = witness.seen();
        (self.rows, self.foreign, self.unexpected) = (seen.rows, seen.foreign, seen.unexpected);
        self.stale_around_it = seen.stale - before;
        self.examples = witness.examples();
    }

    /// Returns what did not hold, in words; nothing if all did.
    pub(crate) fn failures(&self) -> Vec<String> {
        let cold = &self.cold;
        let mut failures = Vec::new();
        let mut must = |held: bool, what: String| {
            if !held {
                failures.push(what);
            }
        };
        must(self.foreign == 0, format!("{} foreign rows", self.foreign));
        for (probes, which) in [
            (self.with_token, "with a token"),
            (self.without_token, "without a token"),
            (self.at_the_end, "at the end"),
        ] {
            must(probes.stale == 0, format!("{} of {} reads {which} stale", probes.stale, probes.reads));
        }
        for (probes, which) in [(self.with_token, "with"), (self.without_token, "without")] {
            must(
                probes.reads >= LEAST_PROBES,
                format!("only {} staleness probes {which} a token, at least {LEAST_PROBES}", probes.reads),
            );
        }
        must(self.unexpected == 0, format!("{} unexpected answers", self.unexpected));
        must(self.stale_around_it == 0, format!("{} stale reads around a restart of everything", self.stale_around_it));
        for (queries, what) in [(cold.page_queries, "page"), (cold.statistics_queries, "statistics")] {
            must(
                queries == 1,
                format!("{queries} SQL queries for a cold {what} asked for by {} at once", cold.readers),
            );
        }
        if let Some(everything) = &self.everything {
            everything.check(&mut failures);
        }
        self.readable.check(&mut failures);
        failures
    }

    pub(crate) fn print_json(&self) -> Result<(), serde_json::Error> {
        let mut value = serde_json::to_value(self)?;
        value["failures"] = self.failures().into();
        println!("{value:#}");
        Ok(())
    }
}
