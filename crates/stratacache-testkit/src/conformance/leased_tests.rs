use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
};

use stratacache_core::{
    EntryName,
    tier::{Capability, Fence, GetMany, Got, PutMany, PutOutcome, RemoveMany, Tier, TierError, Want},
};

use super::{tier, tier_tests::complaint};
use crate::tiers::MemoryTier;

#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    None,
    EnvelopesBringFences,
    GoodForEver,
    KeepsTheOlder,
    OutlivesRemovals,
}

/// A tier whose fences are leases, right or wrong: numbers beside a tier without fences.
struct Leased {
    inner: MemoryTier,
    flaw: Flaw,
    leases: Mutex<(HashMap<EntryName, u128>, u128)>,
}

impl Leased {
    fn new(flaw: Flaw) -> Self {
        Self { inner: MemoryTier::unfenced("leased"), flaw, leases: Mutex::default() }
    }

    fn leases(&self) -> MutexGuard<'_, (HashMap<EntryName, u128>, u128)> {
        self.leases.lock().unwrap()
    }

    fn take(&self, name: EntryName) -> Fence {
        let (leases, last) = &mut *self.leases();
        *last += 1;
        if self.flaw == Flaw::KeepsTheOlder {
            return Fence(*leases.entry(name).or_insert(*last));
        }
        leases.insert(name, *last);
        Fence(*last)
    }
}

impl Tier for Leased {
    fn name(&self) -> &str {
        "leased"
    }

    fn capability(&self) -> Capability {
        self.inner.capability().fenced(true).leased(true)
    }

    async fn get_many(&self, request: GetMany) -> Result<Vec<Got>, TierError> {
        let takes = request.want == Want::Fence || self.flaw == Flaw::EnvelopesBringFences;
        let names = request.names.clone();
        let got = self.inner.get_many(request).await?;
        let answer = |(got, name): (Got, _)| Got::new(got.envelope, takes.then(|| self.take(name)));
        Ok(got.into_iter().zip(names).map(answer).collect())
    }

    async fn put_many(&self, request: PutMany) -> Result<Vec<PutOutcome>, TierError> {
        self.inner.ping().await?; // says whether it is closed
        let mut outcomes = Vec::new();
        for item in request.items {
            let mut leases = self.leases(); // held over the put, which never waits
            if let Some(Fence(token)) = item.fence {
                if leases.0.get(&item.name) != Some(&token) {
                    outcomes.push(PutOutcome::Fenced);
                    continue;
                }
                if self.flaw != Flaw::GoodForEver {
                    leases.0.remove(&item.name);
                }
            }
            self.inner.put_raw(item.name, item.envelope);
            outcomes.push(PutOutcome::Stored);
        }
        Ok(outcomes)
    }

    async fn remove_many(&self, request: RemoveMany) -> Result<Vec<Result<(), TierError>>, TierError> {
        if self.flaw != Flaw::OutlivesRemovals {
            self.leases().0.retain(|name, _| !request.names.contains(name));
        }
        self.inner.remove_many(request).await
    }

    async fn ping(&self) -> Result<(), TierError> {
        self.inner.ping().await
    }

    fn used_bytes(&self) -> Option<u64> {
        self.inner.used_bytes()
    }

    async fn close(&self) -> Result<(), TierError> {
        self.inner.close().await
    }
}

#[tokio::test]
async fn a_right_tier_whose_fences_are_leases_passes_every_clause() {
    tier(async || Leased::new(Flaw::None)).await;
}

#[test]
fn the_clauses_name_what_a_wrong_tier_with_leases_breaks() {
    for (flaw, sentence) in [
        (Flaw::EnvelopesBringFences, "a read for the envelope brings none"),
        (Flaw::GoodForEver, "a put ends its lease"),
        (Flaw::KeepsTheOlder, "a newer lease voids the older"),
        (Flaw::OutlivesRemovals, "a put under a void fence is Fenced"),
    ] {
        let said = complaint(tier(async || Leased::new(flaw)));
        assert!(said.contains(sentence), "expected `{sentence}`, the clause said `{said}`");
    }
}
