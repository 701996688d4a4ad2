//! What is known of one key, tier by tier, for operators and tests.

use std::time::Duration;

use serde::Serialize;
use stratacache_core::{
    clock::Millis,
    envelope::{self, Head},
    tier::GetMany,
};

use super::{Door, Engine, Standing, lower::ByKey};
use crate::memory::Times;

/// What is known of a key.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// What each tier holds, memory first; tiers that hold nothing are left out.
    pub tiers: Vec<TierView>,
    /// The position of the last invalidation or insert of the key that this node still remembers; 0 for none.
    pub last_key_mark: u64,
    /// The position this node has applied in the tenant's lane.
    pub applied: u64,
}

/// What one tier holds of a key.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct TierView {
    /// The tier.
    pub tier: String,
    /// Whether the entry could be served: nothing it depends on was invalidated, and it is of use.
    pub valid: bool,
    /// Whether it stands for a known absence.
    pub absent: bool,
    /// How long it is still fresh.
    pub fresh_for: Duration,
    /// How long it may still be served stale, from now.
    pub stale_for: Duration,
    /// How long ago it was made.
    pub age: Duration,
    /// How many tags it has, global ones and marked leading parts of its key included.
    pub tags: usize,
    /// The position before its load began.
    pub stamp: u64,
    /// The position of its own insert; 0 when it was loaded.
    pub own: u64,
    /// Its weight in memory, or the bytes of its envelope.
    pub weight: u64,
}

fn until(at: Millis, now: Millis) -> Duration {
    Duration::from_millis(at.saturating_sub(now))
}

impl Engine {
    pub(crate) async fn inspect(&self, inner: &Door, bytes: &[u8]) -> Inspection {
        let now = self.timeline.now();
        let lookup = inner.lookup(bytes);
        let usable = self.floor(&inner.tenant).map_or(Standing::Current, Standing::OnlyAfter);
        let mut tiers = Vec::new();
        if let Some(slot) = inner.tenant.partition().and_then(|p| p.peek(&lookup)) {
            let meta = slot.meta();
            let times = slot.times();
            tiers.push(TierView {
                tier: "memory".into(),
                valid: usable.admits(meta) && self.admissible(inner, bytes, &slot) && slot.useless_at() > now,
                absent: slot.is_absent(),
                fresh_for: until(times.fresh_until, now),
                stale_for: until(times.useful_until(), now),
                age: until(now, times.created),
                tags: meta.scopes.tags().len() + meta.scopes.global_tags().len(),
                stamp: meta.lane_seq,
                own: meta.own,
                weight: u64::from(meta.weight),
            });
        }
        let (fill, _) = self.mirror.begin_fill(&inner.tenant.marks);
        let name = self.name(inner, bytes);
        let check = self.deployment.check(&inner.tenant.id, inner.space.prefix.path(), bytes);
        for tier in &self.tiers {
            let Ok(reply) = tier.get_many(GetMany::new(vec![name])).await else { continue };
            let Some(envelope) = reply.into_iter().next().and_then(|got| got.envelope) else { continue };
            let seal = self.seal_of(inner, envelope::sealed_by(&envelope)).await;
            let Ok((head, _)) = seal.open(&inner.tenant.id, &tier.name, name, &envelope) else { continue };
            if head.check != check {
                continue;
            }
            let verdict = self.envelope_verdict(tier, inner, bytes, (fill.began(), ByKey::Marks), &head);
            let times = verdict.map(|expired_at| self.believable(&head, expired_at));
            let view = view(&tier.name, &head, times, envelope.len() as u64, now);
            tiers.push(TierView { valid: view.valid && usable.uses_tiers(), ..view });
        }
        let scope = self.key_scope(inner, bytes);
        let marks = &inner.tenant.marks;
        let last_key_mark = self.mirror.last_key_mark(marks, scope);
        Inspection { tiers, last_key_mark, applied: marks.lane.applied() }
    }
}

/// What a read would find; `times` are those that it would go by, if the entry is valid.
fn view(tier: &str, head: &Head, times: Option<Times>, weight: u64, now: Millis) -> TierView {
    let useful_until = times.as_ref().map_or(head.useful_until(), Times::useful_until);
    TierView {
        tier: tier.to_owned(),
        valid: times.is_some() && useful_until > now,
        absent: head.absent,
        fresh_for: until(times.map_or(head.fresh_until, |times| times.fresh_until), now),
        stale_for: until(useful_until, now),
        age: until(now, head.created),
        tags: head.tags.len() + head.global_tags.len(),
        stamp: head.stamp.seq,
        own: head.own,
        weight,
    }
}
