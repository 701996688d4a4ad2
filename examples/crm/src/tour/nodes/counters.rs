//! What the nodes say of themselves.

use anyhow::{Context, Result};
use serde::Deserialize;

use super::stage::Stage;
use crate::tour::client::Visitor;

/// Counters of a node since its start, or the sum of several.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct Counters {
    pub(super) sql_queries: u64,
    pub(super) writes_under_way: u64,
    pub(super) cache: CacheCounters,
}

/// What its cache did.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct CacheCounters {
    pub(super) memory_hits: u64,
    pub(super) lower_hits: u64,
    pub(super) flights_joined: u64,
    pub(super) loads: u64,
    pub(super) bypasses: u64,
}

impl Counters {
    fn combine(self, other: &Self, with: impl Fn(u64, u64) -> u64) -> Self {
        let (a, b) = (&self.cache, &other.cache);
        Self {
            sql_queries: with(self.sql_queries, other.sql_queries),
            writes_under_way: with(self.writes_under_way, other.writes_under_way),
            cache: CacheCounters {
                memory_hits: with(a.memory_hits, b.memory_hits),
                lower_hits: with(a.lower_hits, b.lower_hits),
                flights_joined: with(a.flights_joined, b.flights_joined),
                loads: with(a.loads, b.loads),
                bypasses: with(a.bypasses, b.bypasses),
            },
        }
    }

    pub(super) fn plus(self, other: &Self) -> Self {
        self.combine(other, |a, b| a + b)
    }

    pub(super) fn since(self, before: &Self) -> Self {
        self.combine(before, u64::saturating_sub)
    }
}

/// Asks one node.
pub(super) async fn of(stage: &Stage, node: usize) -> Result<Counters> {
    let address = stage.address(node).context("the node is not there")?;
    Visitor::connect(address).await?.get("/admin/node", &stage.admin_token).await?.json()
}

/// Asks all nodes.
pub(super) async fn of_all(stage: &Stage) -> Result<Counters> {
    let mut sum = Counters::default();
    for node in 0..stage.nodes() {
        sum = sum.plus(&of(stage, node).await?);
    }
    Ok(sum)
}
