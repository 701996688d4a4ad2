//! Strata, memory only, each tenant with a door of its own, on simulated time.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use stratacache::{Cache, Keyspace, Namespace, Policy, TenantId, hours};
use stratacache_testkit::clock::SimulatedClock;
use tokio::runtime::{Builder, Runtime};

use super::{Rival, check, value_of};
use crate::requests::Request;

/// Requests in a millisecond of simulated time.
const PER_MILLI: usize = 100;
/// Bytes that an entry weighs beside what Strata adds: no memory is taken for them.
const WEIGHT: usize = 1000;

/// Nothing expires while a sequence lasts.
const ENTRIES: Keyspace<u32, u32> = Keyspace::new("entries", Policy::ttl(hours(1))).weigher(|_| WEIGHT);

/// Strata as an application has it. Its maintenance, the passes of the arbiter among it, runs on tokio's paused time,
/// which is moved on as requests go by.
pub(super) struct Strata {
    runtime: Runtime,
    cache: Cache,
    tenants: Vec<Namespace>,
}

impl Strata {
    pub(super) fn new(bytes: u64) -> Result<Self> {
        let runtime =
            Builder::new_current_thread().enable_time().start_paused(true).build().context("cannot start a runtime")?;
        let clock = runtime.block_on(async { SimulatedClock::new() });
        let cache = runtime.block_on(Cache::builder().memory(bytes).clock(clock).seed(1).build())?;
        let tenants = (0..=u8::MAX)
            .map(|n| TenantId::parse(format!("tenant-{n}")).map(|id| cache.tenant(&id)))
            .collect::<Result<_, _>>()?;
        Ok(Self { runtime, cache, tenants })
    }
}

impl Rival for Strata {
    fn answer(&mut self, requests: &[Request], answered: &mut dyn FnMut(Request, bool)) -> Result<()> {
        let Self { runtime, tenants, .. } = self;
        runtime.block_on(async {
            for milli in requests.chunks(PER_MILLI) {
                for request in milli {
                    let tenant = &tenants[usize::from(request.tenant)];
                    let found = tenant.get(ENTRIES.key(&request.key)).await;
                    match &found {
                        Some(value) => check(*request, **value)?,
                        None => drop(tenant.insert(ENTRIES.key(&request.key), value_of(*request)).await?),
                    }
                    answered(*request, found.is_some());
                }
                tokio::time::advance(Duration::from_millis(1)).await;
            }
            Ok(())
        })
    }

    fn held(&mut self) -> u64 {
        self.cache.stats().entries.unwrap_or(0)
    }
}

/// Finds the budget with which Strata holds as many entries at the end of a sequence, within 1 % and not more.
///
/// Starts from what an entry says it weighs and corrects by what is held, so that tables, headroom and whatever else the
/// budget pays for are Strata's to spend beside the entries.
pub(crate) fn budget_for(entries: usize, requests: &[Request]) -> Result<u64> {
    let mut one = Strata::new(8 << 20)?;
    one.answer(&requests[..1], &mut |_, _| {})?;
    let weight = one.cache.stats().weight.context("the cache has no memory")?;
    let wanted = entries as u64;
    let mut bytes = wanted * weight;
    let mut held = 0;
    for _ in 0..8 {
        let mut strata = Strata::new(bytes)?;
        strata.answer(requests, &mut |_, _| {})?;
        held = strata.held();
        ensure!(held > 0, "Strata holds nothing with {bytes} bytes");
        if held <= wanted && wanted - held <= wanted / 100 {
            return Ok(bytes);
        }
        // aims at the middle of what is good enough
        bytes = (bytes as f64 * (wanted as f64 * 0.995) / held as f64) as u64;
    }
    anyhow::bail!("found no budget for {wanted} entries: with {bytes} bytes Strata holds {held}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maintenance_runs_as_requests_go_by_and_frees_what_has_expired() {
        let mut strata = Strata::new(8 << 20).unwrap();
        let insert = strata.tenants[0].insert("short-lived", 1_u32).ttl(stratacache::seconds(1));
        strata.runtime.block_on(async { insert.await }).unwrap();
        let request = Request { tenant: 0, key: 7 };
        strata.answer(&[request], &mut |_, hit| assert!(!hit)).unwrap();
        assert_eq!(strata.held(), 2);
        strata.answer(&vec![request; 5_000 * PER_MILLI], &mut |_, hit| assert!(hit)).unwrap();
        assert_eq!(strata.held(), 1, "five seconds have passed");
    }
}
