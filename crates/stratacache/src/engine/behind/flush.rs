//! Letting writes wait for a tier, writing them, and what becomes of the rest when the cache closes.

use std::sync::Arc;

use stratacache_core::{
    Error, ErrorKind, Result,
    coordinator::Lease,
    event::EventKind,
    tier::{Fence, PutItem},
};
use tokio::time::sleep;

use super::Waiting;
#[cfg(feature = "mutants")]
use crate::coherence::Rule;
use crate::{
    engine::{Door, Engine, TierHandle, fill::Put},
    observe::TierCounters,
};

/// Writes what waits for a tier, until nothing does.
async fn serve(engine: Arc<Engine>, index: usize) {
    loop {
        let batch = engine.tiers[index].behind.next();
        if batch.is_empty() {
            return;
        }
        engine.write_waiting(index, batch).await;
    }
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
    pub(in crate::engine) async fn write_behind(&self, ns: &Door, index: usize, put: &Put<'_>, item: PutItem) {
        let tier = &self.tiers[index];
        let meta = put.slot.meta();
        let (owner, lane) = (ns.tenant.number, ns.tenant.lane);
        let added = tier.behind.add(Waiting { owner, lane, mep: put.slot.head().mep, place: meta.place(), item });
        if added.to_serve {
            self.spawner.start_lasting(serve(Arc::clone(&ns.engine), index));
        }
        TierCounters::add(&tier.counters.writes_coalesced, usize::from(added.replaced.is_some()));
        self.lose(tier, added.lost.len());
        if added.overflows {
            let reason = "the queue of writes behind is full: the tier is slower than what is written";
            tracing::warn!(tier = %tier.name, reason, "writes behind are lost");
            let count = added.lost.len();
            self.report(Some(&ns.tenant), EventKind::WritesLost { tier: tier.name.clone(), count, reason });
        }
        for write in added.lost.into_iter().chain(added.replaced) {
            self.give_back_of(index, &write).await;
        }
    }

    /// Ends the lease of a write that is not made, so that nobody waits for it.
    async fn give_back_of(&self, index: usize, write: &Waiting) {
        let Some(Fence(token)) = write.item.fence.filter(|_| self.leased_tier() == Some(index)) else { return };
        let life = std::time::Duration::ZERO; // it is only ended
        self.give_back(Some(Lease { lane: write.lane, name: write.item.name, token, life })).await;
    }

    async fn write_waiting(&self, index: usize, batch: Vec<Waiting>) {
        let tier = &self.tiers[index];
        let now = self.timeline.now();
        // a name whose removal is outstanding is not written; what has expired meanwhile is of no use
        let of_use = |write: &Waiting| tier.may_use(write.item.name) && write.item.expires_at > now;
        let (batch, useless): (Vec<Waiting>, Vec<Waiting>) = batch.into_iter().partition(of_use);
        for write in &useless {
            self.give_back_of(index, write).await;
        }
        if batch.is_empty() {
            return;
        }
        let items: Vec<PutItem> = batch.into_iter().map(|write| write.item).collect();
        #[cfg(feature = "mutants")]
        let items = if self.rules.has(Rule::BehindKeepsFence) { items } else { fenced_anew(tier, items).await };
        let failed = self.send(tier, None, items).await.iter().filter(|result| result.is_err()).count();
        self.lose(tier, failed);
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
