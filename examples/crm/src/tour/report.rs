//! What came out, as a table or as JSON, and whether all promises held.
#![allow(clippy::print_stdout, reason = "the report is what the program prints")]

use std::time::Duration;

use serde::{Serialize, Serializer};
use stratacache::Stats;

use super::{traffic::Measured, witness::Seen};

/// Fewer probes prove too little.
const LEAST_ISOLATION_PROBES: u64 = 10_000;
const LEAST_STALENESS_PROBES: u64 = 1_000;
const LEAST_RESTART_PROBES: u64 = 100;
/// So much of what is read first after a restart must be on the disk.
const WARM: f64 = 0.5;

/// What came out.
#[derive(Serialize)]
pub(crate) struct Report {
    #[serde(serialize_with = "in_ms")]
    pub(super) prepared: Duration,
    pub(super) without: Phase,
    pub(super) cold: Phase,
    pub(super) warm: Phase,
    pub(super) cold_readers: u64,
    pub(super) cold_loads: u64,
    pub(super) cold_joined: u64,
    pub(super) writes: u64,
    pub(super) read_at_once: u64,
    pub(super) restart: Restart,
    pub(super) seen: Seen,
    pub(super) examples: Vec<String>,
}

/// Some traffic.
#[derive(Serialize)]
pub(super) struct Phase {
    requests: u64,
    requests_per_s: f64,
    #[serde(serialize_with = "in_ms")]
    p50: Duration,
    #[serde(serialize_with = "in_ms")]
    p99: Duration,
    sql_queries: u64,
    tiers: Tiers,
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

    fn queries_per_request(&self) -> f64 {
        self.sql_queries as f64 / self.requests.max(1) as f64
    }
}

/// How many reads were answered from where.
#[derive(Serialize)]
pub(super) struct Tiers {
    memory: u64,
    disk: u64,
    /// By waiting for somebody else's read of the disk or of SQLite.
    joined: u64,
    sqlite: u64,
}

impl Tiers {
    pub(super) fn between(before: &Stats, after: &Stats) -> Self {
        Self {
            memory: after.memory_hits - before.memory_hits,
            disk: after.lower_hits - before.lower_hits,
            joined: after.flights_joined - before.flights_joined,
            sqlite: after.loads - before.loads,
        }
    }

    fn percent(&self, hits: u64) -> String {
        match self.memory + self.disk + self.joined + self.sqlite {
            0 => "-".to_owned(),
            all => format!("{:.1} %", hits as f64 * 100.0 / all as f64),
        }
    }

    /// Returns which fraction of what memory did not hold was on the disk.
    fn disk_of_rest(&self) -> f64 {
        self.disk as f64 / (self.disk + self.sqlite).max(1) as f64
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
        let warm = self.restart.first.tiers.disk_of_rest();
        must(warm >= WARM, format!("after the restart the disk held {:.0} % of what was read first", warm * 100.0));
        failures
    }

    pub(crate) fn print_json(&self) -> Result<(), serde_json::Error> {
        let mut value = serde_json::to_value(self)?;
        value["failures"] = self.failures().into();
        println!("{value:#}");
        Ok(())
    }

    pub(crate) fn print_table(&self) {
        let restart = &self.restart;
        let phases = [&self.without, &self.cold, &self.warm, &restart.first];
        row("", ["without cache", "cache, cold", "cache, warm", "after restart"].map(str::to_owned));
        row("requests", phases.map(|phase| grouped(phase.requests)));
        row("requests/s", phases.map(|phase| grouped(phase.requests_per_s as u64)));
        row("p50", phases.map(|phase| shown(phase.p50)));
        row("p99", phases.map(|phase| shown(phase.p99)));
        row("SQL queries", phases.map(|phase| grouped(phase.sql_queries)));
        row("SQL queries per request", phases.map(|phase| format!("{:.3}", phase.queries_per_request())));
        row("reads answered by memory", phases.map(|phase| phase.tiers.percent(phase.tiers.memory)));
        row("  by disk", phases.map(|phase| phase.tiers.percent(phase.tiers.disk)));
        row("  by a flight of others", phases.map(|phase| phase.tiers.percent(phase.tiers.joined)));
        row("  by SQLite", phases.map(|phase| phase.tiers.percent(phase.tiers.sqlite)));
        println!();
        let requests = self.cold.requests + self.warm.requests;
        let expected = self.without.queries_per_request() * requests as f64;
        let saved = (expected - (self.cold.sql_queries + self.warm.sql_queries) as f64).max(0.0);
        let percent = saved * 100.0 / expected.max(1.0);
        self.line(
            "SQL queries saved",
            format!("{} of {} ({percent:.1} %)", grouped(saved as u64), grouped(expected as u64)),
        );
        self.line(
            "cold reads at once",
            format!(
                "{} loads for {} readers, {} of whom waited for it",
                self.cold_loads,
                grouped(self.cold_readers),
                grouped(self.cold_joined)
            ),
        );
        let seen = &self.seen;
        self.line("foreign rows", format!("{} of {}", seen.foreign, grouped(seen.rows)));
        self.line(
            "stale reads",
            format!(
                "{} of {} read at once after {} writes, and of {} later",
                seen.stale,
                grouped(self.read_at_once),
                grouped(self.writes),
                grouped(seen.judged)
            ),
        );
        self.line(
            "restart",
            format!(
                "cache open in {}; {} contacts changed just before were read just after; the disk held {:.1} % of \
                 what was read first",
                shown(restart.opened),
                restart.changed,
                restart.first.tiers.disk_of_rest() * 100.0
            ),
        );
        println!();
        for example in &self.examples {
            println!("  {example}");
        }
        match self.failures() {
            failures if failures.is_empty() => println!("All promises held."),
            failures => println!("BROKEN: {}", failures.join("; ")),
        }
    }

    #[allow(clippy::unused_self, reason = "a line of this report")]
    fn line(&self, what: &str, result: String) {
        println!("{what:<26} {result}");
    }
}

fn row(what: &str, values: [String; 4]) {
    let [a, b, c, d] = values;
    println!("{what:<26}{a:>15}{b:>15}{c:>15}{d:>15}");
}

fn shown(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1000.0;
    if ms < 10.0 { format!("{ms:.2} ms") } else { format!("{ms:.0} ms") }
}

/// 1234567 -> 1,234,567
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn in_ms<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64() * 1000.0)
}
