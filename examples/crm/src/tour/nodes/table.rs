//! The report of many nodes as a table.
#![allow(clippy::print_stdout, reason = "the report is what the program prints")]

use std::time::Duration;

use super::{counts::Measured, report::Report};
use crate::tour::table::{grouped, line, shown};

impl Report {
    pub(crate) fn print_table(&self) {
        println!("{:<26}{:>12}{:>10}{:>12}{:>10}{:>12}", "", "requests", "moved on", "writes 503", "errors", "slowest");
        period("all nodes and Redis there", &self.calm);
        period("a node killed, replaced", &self.node_dead);
        match &self.redis_away {
            Some(measured) => period("Redis killed, back empty", measured),
            None => println!("{:<26}{:>12}", "Redis killed, back empty", "left alone: it is not ours"),
        }
        println!();
        line("ready", format!("data base, Redis and nodes in {}", shown(self.prepared)));
        let by_node: Vec<_> = self.requests_by_node.iter().map(|requests| grouped(*requests)).collect();
        let requests: u64 = self.requests_by_node.iter().sum();
        let per_second = requests as f64 / self.drive.as_secs_f64();
        line("requests by node", format!("{} ({}/s in all)", by_node.join(", "), grouped(per_second as u64)));
        let cold = &self.cold;
        line(
            "cold reads at once",
            format!(
                "{} clients on all nodes: {} SQL queries for a page, {} for the slow statistics",
                grouped(cold.readers),
                cold.page_queries,
                cold.statistics_queries
            ),
        );
        let answered = &self.answered;
        line(
            "reads answered",
            format!(
                "{:.1} % by memory, {:.1} % by Redis, {:.1} % by a flight of others, {:.1} % by SQLite",
                answered.percent(answered.memory),
                answered.percent(answered.redis),
                answered.percent(answered.joined),
                answered.percent(answered.sqlite)
            ),
        );
        let saved = self.sql_without.saturating_sub(self.sql_queries);
        line(
            "SQL queries saved",
            format!(
                "{} of {} ({:.1} %)",
                grouped(saved),
                grouped(self.sql_without),
                saved as f64 * 100.0 / self.sql_without.max(1) as f64
            ),
        );
        line("foreign rows", format!("{} of {}", self.foreign, grouped(self.rows)));
        let (with, without, end) = (self.with_token, self.without_token, self.at_the_end);
        line(
            "stale with a token",
            format!(
                "{} of {} reads on another node, at once after {} writes",
                with.stale,
                grouped(with.reads),
                grouped(self.writes)
            ),
        );
        line(
            "stale without a token",
            format!("{} of {} reads on any node, a second after a write", without.stale, grouped(without.reads)),
        );
        line("stale at the end", format!("{} of {} reads compared with SQLite", end.stale, grouped(end.reads)));
        if let Some(everything) = &self.everything {
            everything.print();
            line("stale around it", format!("{} reads", self.stale_around_it));
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

fn period(what: &str, measured: &Measured) {
    let Measured { requests, moved, unsure, errors, slowest_ms } = *measured;
    let slowest = shown(Duration::from_secs_f64(slowest_ms / 1000.0));
    println!("{what:<26}{:>12}{moved:>10}{unsure:>12}{errors:>10}{slowest:>12}", grouped(requests));
}
