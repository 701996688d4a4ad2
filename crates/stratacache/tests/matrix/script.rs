//! What every case plays, part after part.

use std::time::Duration;

use stratacache::Tiers;
use stratacache_testkit::faulty::Faults;

use crate::{
    axes::Level,
    failures,
    invariants::{calm, hold, hold_at_the_end},
    loads, nodes, promotions, restarts,
    source::Source,
    stack::{Opened, Stack},
};

/// A case under way: its tiers, a cache over them, and two tenants.
pub(crate) struct Play {
    pub(crate) stack: Stack,
    pub(crate) opened: Opened,
    pub(crate) acme: Source,
    pub(crate) globex: Source,
}

impl Play {
    async fn begin(stack: Stack) -> Self {
        let opened = stack.open().await;
        let source = async |owner: &'static str| Source::new(&opened.cache, owner, stack.case, stack.keyspaces).await;
        let (acme, globex) = (source("acme").await, source("globex").await);
        Self { stack, opened, acme, globex }
    }

    /// Closes the cache and opens another one over the same tiers.
    pub(crate) async fn restart(&mut self) {
        self.opened.cache.close().await.unwrap();
        assert_eq!(self.opened.cache.active_tasks(), 0, "no task outlives the cache");
        self.opened = self.stack.open().await;
        self.acme = self.acme.behind(&self.opened.cache);
        self.globex = self.globex.behind(&self.opened.cache);
        self.catch_up().await;
    }

    /// Lets time pass, when nothing is under way that has a deadline by that clock.
    pub(crate) async fn pass(&self, time: Duration) {
        self.calm().await;
        self.stack.pass(time);
        self.catch_up().await;
    }

    async fn catch_up(&self) {
        self.acme.catch_up().await;
        self.globex.catch_up().await;
    }

    /// Waits until all that was written is where it is to be.
    pub(crate) async fn calm(&self) {
        calm(&self.opened.cache).await;
    }

    /// Checks that exactly these tiers below memory may serve a key, and memory.
    pub(crate) async fn is_in(&self, source: &Source, key: &str, below: &[Level]) {
        self.calm().await;
        let expected: Vec<&str> = std::iter::once("memory").chain(below.iter().map(|level| level.name())).collect();
        assert_eq!(source.tiers_of(key).await, expected, "{key}: these tiers have it");
    }

    /// The tiers that a value is written to below memory.
    pub(crate) fn written(&self) -> &'static [Level] {
        if self.stack.case.writes_below() { self.stack.case.order.below } else { &[] }
    }

    /// The lowest tier with the handle to make it fail, and what says of a call that it uses no other; none where nothing is
    /// written below.
    pub(crate) fn lowest(&self) -> Option<(Level, &Faults, Tiers)> {
        let (level, faults) = self.written().iter().zip(&self.opened.faults).next_back()?;
        Some((*level, faults, Tiers::memory_only().and(level.name())))
    }
}

/// Plays the whole script, and checks the invariants now and then, and at the end.
pub(crate) async fn play(stack: Stack) {
    let mut play = Play::begin(stack).await;
    loads::loads_once_and_then_hits(&play).await;
    loads::tells_tenants_apart(&play).await;
    nodes::hears_of_another_node(&play).await;
    failures::a_write_that_a_tier_refuses(&play).await;
    loads::an_invalidation_during_a_load_wins(&play).await;
    loads::reads_some_more(&play).await;
    hold(&play).await;
    promotions::a_promotion_that_races_an_invalidation_loses(&play).await;
    loads::a_tier_serves_for_as_long_as_its_cap(&play).await;
    loads::serves_stale_while_the_source_is_down(&play).await;
    hold(&play).await;
    restarts::prepare(&play).await;
    play.restart().await;
    restarts::a_restart_brings_back_only_what_is_valid(&play).await;
    promotions::what_only_the_lowest_tier_has_keeps_its_expiry_on_its_way_up(&play).await;
    restarts::what_was_kept_is_served_stale_and_then_ends(&play).await;
    hold(&play).await;
    hold_at_the_end(&play).await;
}
