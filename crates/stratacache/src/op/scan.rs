//! `scan_keys`: which keys a tier below memory holds, for operators.

use std::{future::IntoFuture, sync::Arc, time::Duration};

use stratacache_core::{Error, Glob, Result, tier::TierScan};

use super::BoxFuture;
use crate::engine::{Door, ScanCursor, ScanPlan, ScannedKeys};

/// A scan of a tier below memory. Made by [`Namespace::scan_keys`](crate::Namespace::scan_keys).
#[must_use = "nothing happens until it is awaited"]
pub struct ScanKeys<'a, S> {
    door: &'a Arc<Door>,
    scan: &'a S,
    plan: ScanPlan,
}

impl<'a, S: TierScan> ScanKeys<'a, S> {
    pub(crate) fn new(door: &'a Arc<Door>, scan: &'a S, glob: Glob) -> Self {
        let plan = ScanPlan {
            glob,
            keyspace: None,
            limit: 1_000,
            examine: 100_000,
            batch: 500,
            pause: Duration::from_millis(10),
            from: None,
        };
        Self { door, scan, plan }
    }

    /// Looks only at keys of the keyspace with this name, of whatever version. Default: of all that are `scannable`.
    pub fn keyspace(mut self, name: impl Into<String>) -> Self {
        self.plan.keyspace = Some(name.into());
        self
    }

    /// Ends the run when so many keys were found, 1 to 10,000, about: what came with the last of them is returned, too. Default 1,000.
    pub fn limit(mut self, keys: usize) -> Self {
        self.plan.limit = keys;
        self
    }

    /// Ends the run when so many entries of the tier were looked at, about, those of others among them; at least 1. Default 100,000.
    pub fn examine(mut self, entries: u64) -> Self {
        self.plan.examine = entries;
        self
    }

    /// Sets how many entries are looked at in one go, 1 to 10,000, about. Default 500.
    pub fn batch(mut self, entries: usize) -> Self {
        self.plan.batch = entries;
        self
    }

    /// Sets how long to leave the tier to others between two batches. Default 10 ms.
    pub fn pause(mut self, pause: Duration) -> Self {
        self.plan.pause = pause;
        self
    }

    /// Goes on where a run ended, of the same tier.
    pub fn resume(mut self, cursor: ScanCursor) -> Self {
        self.plan.from = Some(cursor);
        self
    }
}

impl<'a, S: TierScan> IntoFuture for ScanKeys<'a, S> {
    type Output = Result<ScannedKeys>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { door, scan, plan } = self;
            door.check()?;
            for (knob, value) in [("limit", plan.limit), ("batch", plan.batch)] {
                if !(1..=10_000).contains(&value) {
                    let message = format!("{knob} of scan_keys is {value} but must be between 1 and 10000");
                    return Err(Error::invalid(message));
                }
            }
            if plan.examine == 0 {
                return Err(Error::invalid("examine of scan_keys is 0 but must be at least 1"));
            }
            door.engine.scan_keys(door, scan, &plan).await
        })
    }
}
