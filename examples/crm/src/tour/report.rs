//! What came out, as a table or as JSON, and whether all promises held.
#![allow(clippy::print_stdout, reason = "the report is what the program prints")]

use std::time::Duration;

use serde::{Serialize, Serializer};
use stratacache::Stats;

use super::{everything::Everything, precise::Precise, readable::Readable, traffic::Measured, witness::Seen};

/// Fewer probes prove too little.
const LEAST_ISOLATION_PROBES: u64 = 10_000;
const LEAST_STALENESS_PROBES: u64 = 1_000;
const LEAST_RESTART_PROBES: u64 = 100;
/// So much of what is read first after a restart must be below memory.
const WARM: f64 = 0.5;

/// What came out.
#[derive(Serialize)]
pub(crate) struct Report {
    #[serde(serialize_with = "in_ms")]
    pub(super) prepared: Duration,
    /// What is below memory.
    pub(super) below: String,
    pub(super) without: Phase,
    pub(super) cold: Phase,
    pub(super) warm: Phase,
    pub(super) cold_readers: u64,
    pub(super) cold_loads: u64,
    pub(super) cold_joined: u64,
    pub(super) writes: u64,
    pub(super) read_at_once: u64,
    /// SQL queries before and after one save.
    pub(super) one_save: Precise,
    pub(super) restart: Restart,
    /// With an object store only.
    pub(super) everything: Option<Everything>,
    pub(super) readable: Readable,
    pub(super) seen: Seen,
    pub(super) examples: Vec<String>,
}

/// Some traffic.
#[derive(Serialize)]
pub(super) struct Phase {
    pub(super) requests: u64,
    pub(super) requests_per_s: f64,
    #[serde(serialize_with = "in_ms")]
    pub(super) p50: Duration,
    #[serde(serialize_with = "in_ms")]
    pub(super) p99: Duration,
    pub(super) sql_queries: u64,
    pub(super) tiers: Tiers,
}

impl Phase {
    pub(super) fn new(measured: &Measured, sql_queries: u64, tiers: Tiers) -> Self {
        Self {
            requests: measured.requests,
            requests_per_s: measured.per_second(),
            p50: measured.within(0.5),
            p99: measured.within(0.99),
            sql_queries,
            tiers,
        }
    }

    pub(super) fn queries_per_request(&self) -> f64 {
        self.sql_queries as f64 / self.requests.max(1) as f64
    }
}

/// How many reads were answered from where.
#[derive(Serialize)]
pub(super) struct Tiers {
    pub(super) memory: u64,
    /// What is below memory.
    pub(super) below: u64,
    /// By waiting for somebody else's read of that or of SQLite.
    pub(super) joined: u64,
    pub(super) sqlite: u64,
}

impl Tiers {
    pub(super) fn between(before: &Stats, after: &Stats) -> Self {
        Self {
            memory: after.memory_hits - before.memory_hits,
            below: after.lower_hits - before.lower_hits,
            joined: after.flights_joined - before.flights_joined,
            sqlite: after.loads - before.loads,
        }
    }

    pub(super) fn percent(&self, hits: u64) -> String {
        match self.memory + self.below + self.joined + self.sqlite {
            0 => "-".to_owned(),
            all => format!("{:.1} %", hits as f64 * 100.0 / all as f64),
        }
    }

    /// Returns which fraction of what memory did not hold was below it.
    pub(super) fn below_of_rest(&self) -> f64 {
        self.below as f64 / (self.below + self.sqlite).max(1) as f64
    }
}

/// The second life.
#[derive(Serialize)]
pub(super) struct Restart {
    #[serde(serialize_with = "in_ms")]
    pub(super) opened: Duration,
    /// Contacts changed just before that were read again just after.
    pub(super) changed: u64,
    pub(super) first: Phase,
}

impl Report {
    /// Returns what did not hold, in words; nothing if all did.
    pub(crate) fn failures(&self) -> Vec<String> {
        let seen = &self.seen;
        let mut failures = Vec::new();
        let mut must = |held: bool, what: String| {
            if !held {
                failures.push(what);
            }
        };
        must(seen.foreign == 0, format!("{} foreign rows", seen.foreign));
        must(seen.stale == 0, format!("{} stale reads", seen.stale));
        must(seen.unexpected == 0, format!("{} unexpected answers", seen.unexpected));
        must(self.cold_loads == 1, format!("{} loads for {} cold reads", self.cold_loads, self.cold_readers));
        must(
            seen.rows >= LEAST_ISOLATION_PROBES,
            format!("only {} isolation probes, at least {LEAST_ISOLATION_PROBES}", seen.rows),
        );
        must(
            self.read_at_once >= LEAST_STALENESS_PROBES,
            format!("only {} staleness probes, at least {LEAST_STALENESS_PROBES}", self.read_at_once),
        );
        must(
            self.restart.changed >= LEAST_RESTART_PROBES,
            format!("only {} probes after the restart, at least {LEAST_RESTART_PROBES}", self.restart.changed),
        );
        must(self.one_save == Precise::EXACTLY, format!("around one save {:?}", self.one_save));
        let warm = self.restart.first.tiers.below_of_rest();
        must(
            warm >= WARM,
            format!("after the restart {} held {:.0} % of what was read first", self.below, warm * 100.0),
        );
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

pub(super) fn in_ms<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64() * 1000.0)
}
