//! The report as a table.
#![allow(clippy::print_stdout, reason = "the report is what the program prints")]

use std::time::Duration;

use super::report::Report;

impl Report {
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
        row(&format!("  by {}", self.below), phases.map(|phase| phase.tiers.percent(phase.tiers.below)));
        row("  by a flight of others", phases.map(|phase| phase.tiers.percent(phase.tiers.joined)));
        row("  by SQLite", phases.map(|phase| phase.tiers.percent(phase.tiers.sqlite)));
        println!();
        line("data base open", format!("in {}", shown(self.prepared)));
        let requests = self.cold.requests + self.warm.requests;
        let expected = self.without.queries_per_request() * requests as f64;
        let saved = (expected - (self.cold.sql_queries + self.warm.sql_queries) as f64).max(0.0);
        let percent = saved * 100.0 / expected.max(1.0);
        line(
            "SQL queries saved",
            format!("{} of {} ({percent:.1} %)", grouped(saved as u64), grouped(expected as u64)),
        );
        line(
            "cold reads at once",
            format!(
                "{} loads for {} readers, {} of whom waited for it",
                self.cold_loads,
                grouped(self.cold_readers),
                grouped(self.cold_joined)
            ),
        );
        let seen = &self.seen;
        line("foreign rows", format!("{} of {}", seen.foreign, grouped(seen.rows)));
        line(
            "stale reads",
            format!(
                "{} of {} read at once after {} writes, and of {} later",
                seen.stale,
                grouped(self.read_at_once),
                grouped(self.writes),
                grouped(seen.judged)
            ),
        );
        let one_save = &self.one_save;
        line(
            "SQL queries after a save",
            format!(
                "{} for its contact, two pages and the statistics; {} for another contact, {} for another company",
                one_save.touched, one_save.neighbour, one_save.other_company
            ),
        );
        line(
            "restart",
            format!(
                "cache open in {}; {} contacts changed just before were read just after; {} held {:.1} % of what \
                 was read first",
                shown(restart.opened),
                restart.changed,
                self.below,
                restart.first.tiers.below_of_rest() * 100.0
            ),
        );
        if let Some(everything) = &self.everything {
            everything.print();
        }
        self.readable.print();
        println!();
        for example in &self.examples {
            println!("  {example}");
        }
        match self.failures() {
            failures if failures.is_empty() => println!("All promises held."),
            failures => println!("BROKEN: {}", failures.join("; ")),
        }
    }
}

pub(super) fn line(what: &str, result: String) {
    println!("{what:<26} {result}");
}

fn row(what: &str, values: [String; 4]) {
    let [a, b, c, d] = values;
    println!("{what:<26}{a:>15}{b:>15}{c:>15}{d:>15}");
}

pub(super) fn shown(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1000.0;
    if ms < 10.0 { format!("{ms:.2} ms") } else { format!("{ms:.0} ms") }
}

/// 1234567 -> 1,234,567
pub(super) fn grouped(n: u64) -> String {
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
