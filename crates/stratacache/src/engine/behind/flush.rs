//! Letting writes wait for a tier, writing them, and what becomes of the rest when the cache closes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use smallvec::SmallVec;
use stratacache_core::{
    Error, ErrorKind, Result,
    coordinator::Lease,
    event::EventKind,
    tier::{Fence, PutItem},
};
use tokio::time::sleep;

use super::{Age, Waiting};
#[cfg(feature = "mutants")]
use crate::coherence::Rule;
use crate::{
    engine::{Door, Engine, TierHandle, fill::Put},
    observe::TierCounters,
};

/// What is to be done when a task goes before its end: its runtime shuts down, or a tier panics.
struct Cut<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Cut<F> {
    fn ended(mut self) {
        self.0 = None;
    }
}

impl<F: FnOnce()> Drop for Cut<F> {
    fn drop(&mut self) {
        if let Some(then) = self.0.take() {
            then();
        }
    }
}

/// Writes what waits for a tier, until nothing does.
async fn serve(engine: Arc<Engine>, index: usize) {
    let tier = &engine.tiers[index];
    let under_way = AtomicUsize::new(0);
    let cut = Cut(Some(|| {
        tier.behind.unserved();
        engine.lose(tier, under_way.load(Relaxed));
    }));
    loop {
        let batch = tier.behind.next();
        if batch.is_empty() {
            return cut.ended();
        }
        under_way.store(batch.len(), Relaxed);
        engine.write_waiting(index, batch).await;
        under_way.store(0, Relaxed);
    }
}

/// Gives back the rights to write of writes that are not made, until there are none.
async fn give_back_behind(engine: Arc<Engine>, index: usize) {
    let rights = &engine.tiers[index].behind.rights;
    let cut = Cut(Some(|| rights.unserved()));
    while let Some(lease) = rights.next() {
        engine.give_back(Some(lease)).await;
    }
    cut.ended();
}

/// What the rule forbids: the writes under fences that are taken when they are made.
#[cfg(feature = "mutants")]
async fn fenced_anew(tier: &TierHandle, items: Vec<PutItem>) -> Vec<PutItem> {
    tokio::task::yield_now().await;
    let names: Vec<_> = items.iter().map(|item| item.name).collect();
    let fences = tier.fences(&names, tier.write_life(names.len())).await.unwrap_or_default();
    let anew = |(item, fence): (PutItem, _)| PutItem::new(item.name, item.envelope, item.expires_at, fence);
    items.into_iter().zip(fences).map(anew).collect()
}

impl Engine {
    /// Lets a write wait for a tier. Its right to write goes with it.
    pub(in crate::engine) fn write_behind(&self, ns: &Door, index: usize, put: &Put<'_>, item: PutItem) {
        let tier = &self.tiers[index];
        let (owner, lane) = (ns.tenant.scope_low, ns.tenant.lane);
        let added = tier.behind.add(Waiting { owner, lane, age: Age::of(put.slot), item });
        if added.to_serve {
            self.spawner.start_lasting(serve(Arc::clone(&ns.engine), index));
        }
        TierCounters::add(&tier.counters.writes_coalesced, usize::from(added.replaced.is_some()));
        self.lose(tier, added.lost.len());
        if let Some(reason) = added.reason {
            tracing::warn!(tier = %tier.name, reason, "writes behind are lost");
            let count = added.lost.len();
            self.report(Some(&ns.tenant), EventKind::WritesLost { tier: tier.name.clone(), count, reason });
        }
        let unmade: SmallVec<[Waiting; 1]> = added.lost.into_iter().chain(added.replaced).collect();
        ns.engine.give_up(index, &unmade);
    }

    /// Drops what waits for a tier and is older than what is written through.
    pub(in crate::engine) fn overtake_waiting(&self, ns: &Door, tier: &TierHandle, put: &Put<'_>) {
        let dropped = tier.behind.forget_older(ns.tenant.scope_low, put.name, Age::of(put.slot));
        TierCounters::add(&tier.counters.writes_coalesced, dropped);
    }

    /// Ends the leases of writes that are not made, so that nobody waits for them.
    fn give_up(self: &Arc<Self>, index: usize, unmade: &[Waiting]) {
        if unmade.is_empty() || self.leased_tier() != Some(index) {
            return;
        }
        let leases = unmade.iter().filter_map(|Waiting { lane, item, .. }| {
            let Fence(token) = item.fence?;
            let life = Duration::ZERO; // it is only ended
            Some(Lease { lane: *lane, name: item.name, token, life })
        });
        if self.tiers[index].behind.rights.add(leases) {
            self.spawner.start(give_back_behind(Arc::clone(self), index));
        }
    }

    async fn write_waiting(self: &Arc<Self>, index: usize, batch: Vec<Waiting>) {
        let tier = &self.tiers[index];
        let now = self.timeline.now();
        // a name whose removal is outstanding is not written; what has expired meanwhile is of no use
        let of_use = |write: &Waiting| tier.may_use(write.item.name) && write.item.expires_at > now;
        let (batch, useless): (Vec<Waiting>, Vec<Waiting>) = batch.into_iter().partition(of_use);
        self.give_up(index, &useless);
        if batch.is_empty() {
            return self.lose(tier, useless.len());
        }
        let items: Vec<PutItem> = batch.into_iter().map(|write| write.item).collect();
        #[cfg(feature = "mutants")]
        let items = if self.rules.has(Rule::BehindKeepsFence) { items } else { fenced_anew(tier, items).await };
        let failed = self.send(tier, None, items).await.iter().filter(|result| result.is_err()).count();
        self.lose(tier, useless.len() + failed);
    }

    /// Counts writes that are lost.
    pub(in crate::engine) fn lose(&self, tier: &TierHandle, count: usize) {
        TierCounters::add(&tier.counters.writes_lost, count);
    }

    /// Ends all tasks, those that write what waits when nothing does, or when that takes too long.
    pub(in crate::engine) async fn close_tasks(&self) {
        let patience = self.behind.flush;
        let stop = async {
            sleep(patience).await;
            self.tiers.iter().for_each(|tier| tier.behind.stop());
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = self.spawner.close() => {}
            () = stop => {}
        }
    }

    /// Lets go of the writes that still wait. No task runs any more.
    pub(in crate::engine) fn close_behind(&self) -> Result<()> {
        let mut result = Ok(());
        for tier in &self.tiers {
            tier.behind.stop();
            let count = tier.behind.drain();
            if count == 0 {
                continue;
            }
            self.lose(tier, count);
            tracing::warn!(tier = %tier.name, count, "writes behind are lost: the cache was closed before they were made");
            let reason = "the cache was closed, and the tier did not take them within flush_deadline";
            self.report(None, EventKind::WritesLost { tier: tier.name.clone(), count, reason });
            let message = format!(
                "{count} writes behind did not come to the tier {:?} within flush_deadline ({:?}), and are lost: the values \
                 are read from their source again; raise flush_deadline, or write less behind a tier that is this slow",
                tier.name, self.behind.flush
            );
            result = result.and(Err(Error::new(ErrorKind::Unavailable, message)));
        }
        result
    }
}
