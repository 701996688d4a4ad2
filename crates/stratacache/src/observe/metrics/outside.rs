//! The metrics of what is outside of the cache: declared loaders, and sources of changes that are followed.

use std::{sync::Arc, time::Duration};

use super::{
    MetricFamily, MetricKind, MetricValue,
    families::{Family, family},
    gather::sample,
};
use crate::observe::Stats;

const LOADER: &[&str] = &["loader"];
const REFUSED: &[&str] = &["loader", "reason"];
const SOURCE: &[&str] = &["source"];

/// The numbers of a declared loader.
pub(crate) struct LoaderNumbers {
    pub(crate) name: Arc<str>,
    pub(crate) running: usize,
    pub(crate) waiting: usize,
    pub(crate) loads: u64,
    pub(crate) failures: u64,
    pub(crate) busy: u64,
    pub(crate) down: u64,
    pub(crate) resting: u64,
    pub(crate) breaker_opens: u64,
    pub(crate) retries_denied: u64,
}

/// How far a source that is followed is behind, as of some seconds ago.
#[derive(Debug, Clone)]
pub(crate) struct SourceLag {
    pub(crate) name: Arc<str>,
    pub(crate) changes: u64,
    pub(crate) age: Duration,
}

const RUNNING: Family = family("strata_loader_running", MetricKind::Gauge, LOADER, "Loads that have their turn now.");
const WAITING: Family = family("strata_loader_waiting", MetricKind::Gauge, LOADER, "Loads that wait for their turn.");
const LOADS: Family =
    family("strata_loader_loads_total", MetricKind::Counter, LOADER, "Calls of a declared loader, retries included.");
const FAILURES: Family = family(
    "strata_loader_failures_total",
    MetricKind::Counter,
    LOADER,
    "Calls of a declared loader that failed, panicked or took too long.",
);
const REFUSALS: Family = family(
    "strata_loader_refused_total",
    MetricKind::Counter,
    REFUSED,
    "Loads that a declared loader refused: too many waited, it is left alone, or the key is to rest.",
);
const OPENS: Family = family(
    "strata_loader_breaker_opens_total",
    MetricKind::Counter,
    LOADER,
    "How often a declared loader was left alone since it failed.",
);
const DENIED: Family = family(
    "strata_loader_retries_denied_total",
    MetricKind::Counter,
    LOADER,
    "Calls that would have followed a failed one if the budget had let them.",
);
const APPLIED: Family = family(
    "strata_changes_applied_total",
    MetricKind::Counter,
    &[],
    "Changes of followed sources whose invalidation was ordered.",
);
const SET_ASIDE: Family = family(
    "strata_changes_set_aside_total",
    MetricKind::Counter,
    &[],
    "Changes of followed sources that cannot be applied, set aside for an operator.",
);
const RETRIES: Family = family(
    "strata_change_retries_total",
    MetricKind::Counter,
    &[],
    "Invalidations for followed sources that failed and were tried again.",
);
const GAPS: Family =
    family("strata_change_gaps_total", MetricKind::Counter, &[], "How often a followed source had lost changes.");
const SOURCE_FAILURES: Family =
    family("strata_source_failures_total", MetricKind::Counter, &[], "Calls of followed sources that failed.");
const LAG: Family = family(
    "strata_source_lag_changes",
    MetricKind::Gauge,
    SOURCE,
    "Changes that a followed source still has to be acknowledged.",
);
const LAG_TIME: Family = family(
    "strata_source_lag_seconds",
    MetricKind::Gauge,
    SOURCE,
    "Age of the oldest change that a followed source still has to be acknowledged.",
);

/// Returns the metrics of declared loaders.
pub(super) fn of_loaders(loaders: &[LoaderNumbers]) -> Vec<MetricFamily> {
    let by_loader = |family: &Family, value: fn(&LoaderNumbers) -> u64| {
        family.with(loaders.iter().map(|one| sample(&[&one.name], MetricValue::Whole(value(one)))).collect())
    };
    let refusals = loaders.iter().flat_map(|one| {
        let reasons = [("busy", one.busy), ("down", one.down), ("resting", one.resting)];
        reasons.map(|(reason, count)| sample(&[&one.name, reason], MetricValue::Whole(count)))
    });
    vec![
        by_loader(&RUNNING, |one| one.running as u64),
        by_loader(&WAITING, |one| one.waiting as u64),
        by_loader(&LOADS, |one| one.loads),
        by_loader(&FAILURES, |one| one.failures),
        REFUSALS.with(refusals.collect()),
        by_loader(&OPENS, |one| one.breaker_opens),
        by_loader(&DENIED, |one| one.retries_denied),
    ]
}

/// Returns the metrics of sources of changes that are followed.
pub(super) fn of_followed(stats: &Stats, lags: &[SourceLag]) -> Vec<MetricFamily> {
    let count = |family: &Family, value: Option<u64>| {
        family.with(vec![sample(&[], MetricValue::Whole(value.unwrap_or_default()))])
    };
    let by_source = |family: &Family, value: fn(&SourceLag) -> MetricValue| {
        family.with(lags.iter().map(|one| sample(&[&one.name], value(one))).collect())
    };
    vec![
        count(&APPLIED, stats.changes_applied),
        count(&SET_ASIDE, stats.changes_set_aside),
        count(&RETRIES, stats.change_retries),
        count(&GAPS, stats.change_gaps),
        count(&SOURCE_FAILURES, stats.source_failures),
        by_source(&LAG, |one| MetricValue::Whole(one.changes)),
        by_source(&LAG_TIME, |one| MetricValue::Time(one.age)),
    ]
}
