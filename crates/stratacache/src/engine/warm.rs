//! Warming: filling before traffic. The same flights as for readers, but what is looked at here is not read: it moves no
//! entry in its queue, and counts neither as a hit nor as a miss.

use std::sync::Arc;

use stratacache_core::{Key, Policy};

use super::{
    BulkRequest, Door, Engine, Request, Seen, Standing,
    bulk_load::Wish,
    lead::{Landed, LoadOutcome},
};
use crate::{LoadError, codec::CacheValue, memory::Entry, observe::Counter, spawn::Courtesy};

/// What came of warming one key.
pub(crate) enum Warmed<V> {
    /// Memory had it, fresh.
    There,
    /// A tier below or the loader had it, or an older value stands in.
    Landed(Landed<V>),
}

/// What memory has of a key that is to be warmed.
enum Memory<V> {
    Fresh,
    Lacks(Option<Arc<Entry<V>>>),
}

impl Engine {
    /// Looks at memory; `optional` says that an absence is an answer.
    fn peek_for_warming<V: CacheValue>(
        &self,
        ns: &Door,
        key: &Key<V>,
        optional: bool,
        standing: Standing,
    ) -> Memory<V> {
        let slot = ns.tenant.partition().and_then(|partition| partition.peek(&ns.lookup(key.as_bytes())));
        match slot.map_or(Seen::Nothing, |slot| self.examine::<V>(ns, key.as_bytes(), slot)) {
            Seen::Fresh { entry, .. } | Seen::Stale { entry, .. } if !standing.admits(&entry.meta) => {
                Memory::Lacks(None)
            }
            Seen::Fresh { entry, .. } if optional || entry.value().is_some() => Memory::Fresh,
            Seen::Stale { entry, .. } => Memory::Lacks(Some(entry)),
            Seen::Fresh { .. } | Seen::Nothing => Memory::Lacks(None),
        }
    }

    /// Tells whether memory has a key, fresh, so that there is nothing to warm.
    pub(crate) fn is_warm<V: CacheValue>(&self, ns: &Door, key: &Key<V>, optional: bool, standing: Standing) -> bool {
        matches!(self.peek_for_warming(ns, key, optional, standing), Memory::Fresh)
    }

    /// Warms one key with a loader, in the flight that readers join.
    pub(crate) async fn warm<V, E>(self: &Arc<Self>, mut request: Box<Request<V, E>>) -> Result<Warmed<V>, LoadError<E>>
    where
        V: CacheValue,
        E: Send + Sync + 'static,
    {
        let call = &mut request.call;
        call.standing = self.catch_up(&call.ns, &call.policy).await.map_err(LoadError::not_current)?;
        let start = self.mirror.stamp(&call.ns.tenant.marks);
        let stale = match self.peek_for_warming(&call.ns, &call.key, call.optional, call.standing) {
            Memory::Fresh if !call.forced => return Ok(Warmed::There),
            Memory::Fresh => None,
            Memory::Lacks(stale) => stale,
        };
        self.wait_for_flight(request, stale, start).await.map(Warmed::Landed)
    }

    /// Warms many keys with one call of the loader for all that no tier has; each has an outcome of its own. Readers have their turn
    /// every few keys; dropped half-way, those that joined get nothing, so it runs in a task of its own.
    pub(crate) async fn warm_many<V, E>(
        self: &Arc<Self>,
        request: BulkRequest<V, E>,
    ) -> Result<Vec<Result<Warmed<V>, LoadError<E>>>, LoadError<E>>
    where
        V: CacheValue,
        E: Send + Sync + 'static,
    {
        let (ns, keys) = (Arc::clone(&request.call.ns), Arc::clone(&request.call.keys));
        let standing = self.catch_up(&ns, &request.call.policy).await.map_err(LoadError::not_current)?;
        let (waiting_since, start) = self.mirror.begin_fill(&ns.tenant.marks);
        let mut outcomes: Vec<_> = keys.iter().map(|_| Ok(Warmed::There)).collect();
        let mut wishes = Vec::with_capacity(keys.len());
        let mut courtesy = Courtesy::default();
        for (index, key) in keys.iter().enumerate() {
            courtesy.step().await;
            let stale = match self.peek_for_warming(&ns, key, true, standing) {
                Memory::Fresh if !request.call.forced => continue,
                // a forced load reports its failure, whatever might stand in
                Memory::Lacks(stale) if !request.call.forced => stale,
                _ => None,
            };
            wishes.push(Wish { index, stale, behind: false });
        }
        if wishes.is_empty() {
            return Ok(outcomes);
        }
        let Some(_place) = ns.tenant.wait_place(&self.limits) else {
            wishes.iter().for_each(|wish| ns.count(&keys[wish.index], Counter::overloads));
            return Err(LoadError::Overloaded);
        };
        for one in self.join_or_lead_in_turns(request, wishes, &start, standing).await {
            courtesy.step().await;
            let index = one.index;
            let outcome: LoadOutcome<V, E> = self.outcome(&ns, &keys[index], one, waiting_since.began()).await;
            outcomes[index] = outcome.map(Warmed::Landed);
        }
        Ok(outcomes)
    }

    /// Warms many keys from the tiers below; `None` for what no tier has.
    pub(crate) async fn warm_from_tiers<V: CacheValue, E>(
        &self,
        ns: &Door,
        keys: &[Key<V>],
        policy: &Policy,
    ) -> Result<Vec<Option<Warmed<V>>>, LoadError<E>> {
        let standing = self.catch_up(ns, policy).await.map_err(LoadError::not_current)?;
        let has = |key| self.is_warm(ns, key, true, standing);
        let mut outcomes: Vec<_> = keys.iter().map(|key| has(key).then_some(Warmed::There)).collect();
        let missing: Vec<usize> = (0..keys.len()).filter(|index| outcomes[*index].is_none()).collect();
        if standing.uses_tiers() && !missing.is_empty() {
            for (index, found) in self.find_and_promote(ns, keys, &missing, policy).await {
                let landed = Landed::below(found.entry, found.tier);
                outcomes[index] = Some(Warmed::Landed(landed));
            }
        }
        Ok(outcomes)
    }
}
