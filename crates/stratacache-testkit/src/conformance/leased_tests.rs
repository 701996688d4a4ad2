//! A tier whose fences are leases, right or wrong, that the clauses must tell apart.

use std::collections::HashMap;

use stratacache_core::{
    EntryName,
    tier::{Capability, Fence, GetMany, Got, PutItem, PutMany, PutOutcome, RemoveMany, Tier, TierError, Want},
};
use tokio::sync::Mutex;

use super::{tier, tier_tests::complaint};
use crate::tiers::MemoryTier;

#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    None,
    ReadsBringLeases,
    GoodForManyPuts,
    OlderStaysGood,
    SurvivesRemovals,
}

/// The newest lease of each name, and the count that leases are drawn from.
#[derive(Default)]
struct Leases {
    of: HashMap<EntryName, Vec<u128>>,
    drawn: u128,
}

struct Leased {
    inner: MemoryTier,
    leases: Mutex<Leases>,
    flaw: Flaw,
}

impl Leased {
    fn new(flaw: Flaw) -> Self {
        Self { inner: MemoryTier::new("leased"), leases: Mutex::default(), flaw }
    }
}

impl Tier for Leased {
    fn name(&self) -> &str {
        "leased"
    }

    fn capability(&self) -> Capability {
        self.inner.capability().leased(true)
    }

    async fn get_many(&self, request: GetMany) -> Result<Vec<Got>, TierError> {
        let mut leases = self.leases.lock().await;
        let (names, want) = (request.names.clone(), request.want);
        let mut got = self.inner.get_many(request).await?;
        for (got, name) in got.iter_mut().zip(names) {
            got.fence = None;
            if want == Want::Fence || self.flaw == Flaw::ReadsBringLeases {
                leases.drawn += 1;
                let drawn = leases.drawn;
                let of = leases.of.entry(name).or_default();
                if self.flaw != Flaw::OlderStaysGood {
                    of.clear();
                }
                of.push(drawn);
                got.fence = Some(Fence(drawn));
            }
        }
        Ok(got)
    }

    async fn put_many(&self, request: PutMany) -> Result<Vec<PutOutcome>, TierError> {
        let mut leases = self.leases.lock().await;
        let mut outcomes = Vec::new();
        for item in request.items {
            let of = leases.of.entry(item.name).or_default();
            let good = item.fence.is_none_or(|fence| of.contains(&fence.0));
            if good && self.flaw != Flaw::GoodForManyPuts {
                of.retain(|lease| item.fence.is_none_or(|fence| fence.0 != *lease));
            }
            if good {
                let plain = PutItem::new(item.name, item.envelope, item.expires_at, None);
                outcomes.extend(self.inner.put_many(PutMany::new(vec![plain])).await?);
            } else {
                outcomes.push(PutOutcome::Fenced);
            }
        }
        Ok(outcomes)
    }

    async fn remove_many(&self, request: RemoveMany) -> Result<Vec<Result<(), TierError>>, TierError> {
        let mut leases = self.leases.lock().await;
        if self.flaw != Flaw::SurvivesRemovals {
            for name in &request.names {
                leases.of.remove(name);
            }
        }
        self.inner.remove_many(request).await
    }

    async fn ping(&self) -> Result<(), TierError> {
        self.inner.ping().await
    }

    fn used_bytes(&self) -> Option<u64> {
        None
    }

    async fn close(&self) -> Result<(), TierError> {
        self.inner.close().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_tier_whose_fences_are_leases_passes_every_clause() {
    tier(async || Leased::new(Flaw::None)).await;
}

#[test]
fn the_clauses_name_what_is_wrong_with_leases() {
    for (flaw, sentence) in [
        (Flaw::ReadsBringLeases, "a read for the envelope brings no lease"),
        (Flaw::GoodForManyPuts, "a lease is good for one put"),
        (Flaw::OlderStaysGood, "a newer lease voids the older one"),
        (Flaw::SurvivesRemovals, "a put under a void fence is Fenced"),
    ] {
        let said = complaint(tier(async || Leased::new(flaw)));
        assert!(said.contains(sentence), "expected `{sentence}`, the clause said `{said}`");
    }
}
