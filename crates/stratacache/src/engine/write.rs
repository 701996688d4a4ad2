//! Writing by hand: an insert is an invalidation of its key, and then a fill under its own position.

use std::{sync::Arc, time::Duration};

use smallvec::SmallVec;
use stratacache_core::{
    Error, Key, OnWriteError, Policy, Result, Stamp, Tag, Token,
    tier::{GetMany, Tier, TierErrorKind},
};

use super::{Door, Engine, fill::Kept, invalidate::Target, make::Making};
use crate::{
    codec::CacheValue,
    memory::{Held, LookupKey},
    observe::Counter,
};

/// An insert, owned.
pub(crate) struct WriteRequest<V: 'static> {
    pub(crate) ns: Arc<Door>,
    pub(crate) key: Key<V>,
    pub(crate) value: Held<V>,
    pub(crate) policy: Policy,
    pub(crate) ttl: Duration,
    pub(crate) tags: SmallVec<[Tag; 1]>,
    pub(crate) stamp: Option<Stamp>,
}

impl Engine {
    /// Inserts a value, to the end even if the caller goes away. The caller has checked the policy and the tags.
    pub(crate) async fn insert<V: CacheValue>(self: &Arc<Self>, request: WriteRequest<V>) -> Result<Token> {
        if request.stamp.is_some_and(|stamp| stamp.tenant != request.ns.tenant.marks.tenant) {
            return Err(Error::invalid(
                "the stamp is another tenant's; take it with stamp() of a namespace of the tenant that is written",
            ));
        }
        let engine = Arc::clone(self);
        self.write_to_the_end(async move { engine.insert_here(request).await }).await
    }

    async fn insert_here<V: CacheValue>(self: &Arc<Self>, request: WriteRequest<V>) -> Result<Token> {
        self.check_open()?;
        let ns = request.ns.clone();
        let inner = &ns;
        let key = request.key.clone();
        // registered before anything else: marks that this fill may need are kept
        let (fill, now_stamp) = self.mirror.begin_fill(&inner.tenant.marks);
        let stamp = request.stamp.unwrap_or(now_stamp);
        let began = request.stamp.map_or(fill.began(), |s| s.lane.seq);
        let name = self.name(inner, key.as_bytes());
        let below = self.goes_below::<V>(&request.policy);
        let strict = request.policy.on_write_error_mode().unwrap_or(OnWriteError::Strict) == OnWriteError::Strict;
        // void what others may write, and take the right to write
        self.remove_below(inner, &[name]).await?;
        let mut fences = Vec::with_capacity(self.tiers.len());
        for tier in &self.tiers {
            let wanted = below && tier.capability.fenced && tier.may_use(name);
            let reply = match wanted {
                true => tier.tier.get_many(GetMany::fences(vec![name])).await.map(Some),
                false => Ok(None),
            };
            fences.push(match reply {
                Ok(reply) => reply.and_then(|r| r.into_iter().next()).and_then(|got| got.fence),
                Err(error) if strict => return Err(error.into()),
                Err(error) => {
                    tier.note("fence", &error, |kind| self.report(Some(&inner.tenant), kind));
                    None
                }
            });
        }
        let target = Target::key(self.key_scope(inner, key.as_bytes()));
        let token = self.order(inner, &[target], stratacache_core::coordinator::Strength::Hard).await?;
        let own = token.position().seq;
        self.remove_overtaken(inner, std::iter::once(key.as_bytes()), fill.began(), &token).await?;
        let lookup = LookupKey { prefix: &inner.space.prefix, key: key.as_bytes() };
        self.drop_older(inner, &lookup, own);
        if stamp.mep != inner.tenant.marks.mep() || stamp.lane.incarnation != token.position().incarnation {
            return Ok(token.into_superseded());
        }
        let making = Making {
            ns: inner,
            key: &key,
            policy: &request.policy,
            ttl: request.ttl,
            tags: &request.tags,
            stamp: &stamp,
            own,
            began: None,
            etag: None,
        };
        let entry = making.entry(self, request.value);
        ns.count(&key, Counter::inserts);
        // before anything is written
        if !self.still_good(inner, key.as_bytes(), &entry, began) {
            return Ok(token.into_superseded());
        }
        let mode = if strict { OnWriteError::Strict } else { OnWriteError::BestEffort };
        let filled = self.fill_below(inner, key.as_bytes(), name, &entry, &fences, &request.policy, mode).await;
        if let (Err(error), true) = (filled, strict) {
            // in no tier: what a lost reply may have left behind is removed, or can never be served
            let gone = self.remove_below(inner, &[name]).await;
            let lost = matches!(error.kind(), TierErrorKind::Timeout | TierErrorKind::ReplyLost);
            return Err(match (lost, gone) {
                (true, Err(_)) => Error::new(
                    stratacache_core::ErrorKind::WriteUnknown,
                    "a tier did not answer: it may hold the value, until the next invalidation of its key",
                )
                .with_source(error),
                _ => error.into(),
            });
        }
        match self.put_memory(inner, key.as_bytes(), &entry, began, request.policy.weight_limit()) {
            Kept::Overtaken => Ok(token.into_superseded()),
            Kept::Yes | Kept::TooHeavy => Ok(token),
        }
    }
}
