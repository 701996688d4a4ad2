//! What came of a restart of everything.
#![allow(clippy::print_stdout, reason = "the report is what the program prints")]

use serde::Serialize;

use crate::tour::table::{grouped, line};

/// A warm restart asks SQLite at most for this part of what a cold start asks.
const WARM: f64 = 0.25;
/// So much of what is read first must come from the objects where Redis has lost its entries.
const FROM_OBJECTS: f64 = 0.6;

/// Who answered when everything was read once.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Answered {
    pub(super) reads: u64,
    pub(super) sql_queries: u64,
    pub(super) redis: u64,
    pub(super) objects: u64,
}

/// What came out.
#[derive(Serialize)]
pub(crate) struct Everything {
    pub(super) nodes: usize,
    pub(super) cold: Answered,
    pub(super) warm: Answered,
    /// Contacts changed before the restart, and after it.
    pub(super) changed_before: u64,
    pub(super) changed_after: u64,
    /// After Redis was started again, empty; `None` if it is somebody else's.
    pub(super) without_order: Option<Answered>,
}

impl Everything {
    /// Adds what did not hold, in words. Old and foreign rows are counted by the witness.
    pub(crate) fn check(&self, failures: &mut Vec<String>) {
        let mut must = |held: bool, what: String| {
            if !held {
                failures.push(what);
            }
        };
        let (cold, warm) = (self.cold, self.warm);
        must(
            warm.sql_queries as f64 <= cold.sql_queries as f64 * WARM,
            format!("{} SQL queries after a restart of everything, {} when cold", warm.sql_queries, cold.sql_queries),
        );
        must(self.changed_before > 0 && self.changed_after > 0, "nothing was changed around the restart".to_owned());
        if let Some(without) = self.without_order {
            must(
                warm.objects as f64 >= warm.reads as f64 * FROM_OBJECTS,
                format!("only {} of {} reads after the restart came from objects", warm.objects, warm.reads),
            );
            must(without.objects == 0, format!("{} objects of another order were served", without.objects));
        }
    }

    pub(crate) fn print(&self) {
        let Self { nodes, cold, warm, .. } = self;
        let servers = if *nodes == 1 { "one server".to_owned() } else { format!("{nodes} servers") };
        println!(
            "\nA restart of everything: memory, Redis and objects; {servers}, {} reads each time",
            grouped(cold.reads)
        );
        row("a first start", cold);
        row(if self.without_order.is_some() { "again, Redis lost entries" } else { "again" }, warm);
        match &self.without_order {
            Some(without) => row("again, Redis new and empty", without),
            None => line("again, Redis new and empty", "left alone: it is not ours".to_owned()),
        }
        line("changed around it", format!("{} contacts before and {} after", self.changed_before, self.changed_after));
        println!(
            "Warm as long as Redis keeps the order of invalidations. Cold with an empty Redis, and without Redis at all (a disk \
             keeps its own entries warm, but no objects): what may have been invalidated meanwhile is not served."
        );
    }
}

fn row(what: &str, answered: &Answered) {
    line(
        what,
        format!(
            "{} SQL queries, {} reads answered by Redis, {} by objects",
            grouped(answered.sql_queries),
            grouped(answered.redis),
            grouped(answered.objects)
        ),
    );
}
