use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use stratacache_core::{
    breaker::{Breaker, Outcome},
    tier::{
        AnyTier, Capability, Fence, GetMany, Got, PutItem, PutMany, PutOutcome, RemoveMany, Tier, TierError,
        TierErrorKind,
    },
};
use tokio::runtime::Builder;

use super::tier;
use crate::{
    clock::ManualClock,
    faulty::{Fault, FaultyTier, On},
    tiers::MemoryTier,
};

/// Runs a clause on real threads and returns what it panicked with, or nothing.
pub(super) fn complaint(clause: impl Future<Output = ()>) -> String {
    complaint_on(Builder::new_multi_thread().worker_threads(4), clause)
}

fn complaint_on(runtime: &mut Builder, clause: impl Future<Output = ()>) -> String {
    let runtime = runtime.enable_all().build().unwrap();
    match catch_unwind(AssertUnwindSafe(|| runtime.block_on(clause))) {
        Ok(()) => String::new(),
        Err(panic) => match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => panic.downcast::<&str>().map(|text| text.to_string()).unwrap(),
        },
    }
}

#[tokio::test]
async fn the_memory_tier_passes_every_clause_on_one_thread() {
    tier(async || MemoryTier::new("memory")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_memory_tier_passes_every_clause_on_real_threads_in_every_form() {
    tier(async || MemoryTier::new("memory")).await;
    tier(async || MemoryTier::new("small").max_weight(8_192)).await;
    tier(async || MemoryTier::unfenced("unfenced")).await;
    tier(async || AnyTier::new(FaultyTier::new(MemoryTier::new("faultless"), 1).0)).await;
    let disk = MemoryTier::new("disk").persistent(true);
    tier::what_was_stored_is_there_after_reopening(async || disk.clone()).await;
}

#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    IgnoresFences,
    VoidsOnlyWhatIsThere,
    VoidsEverything,
    ReversesBatches,
    DropsEmptyEnvelopes,
    ReturnsEnvelopesWithFences,
    IgnoresRemovals,
    StaysOpen,
    CutsLargeEnvelopes,
    StopsBatchesAtAVoidFence,
}

/// A memory tier with one flaw; it keeps fences as generations of its own, so that they can be got wrong.
struct Flawed {
    inner: MemoryTier,
    flaw: Flaw,
    generation: AtomicU64,
}

impl Flawed {
    fn new(flaw: Flaw) -> Self {
        Self { inner: MemoryTier::new("flawed"), flaw, generation: AtomicU64::new(0) }
    }
}

impl Tier for Flawed {
    fn name(&self) -> &str {
        "flawed"
    }

    fn capability(&self) -> Capability {
        self.inner.capability()
    }

    async fn get_many(&self, request: GetMany) -> Result<Vec<Got>, TierError> {
        let names = request.names.clone();
        let mut got = self.inner.get_many(request).await?;
        match self.flaw {
            Flaw::ReversesBatches => got.reverse(),
            Flaw::ReturnsEnvelopesWithFences => {
                got.iter_mut().zip(names).for_each(|(got, name)| got.envelope = self.inner.raw(name));
            }
            Flaw::VoidsEverything => {
                let now = self.generation.load(Ordering::SeqCst);
                got.iter_mut().for_each(|got| got.fence = Some(Fence(now.into())));
            }
            _ => {}
        }
        Ok(got)
    }

    async fn put_many(&self, request: PutMany) -> Result<Vec<PutOutcome>, TierError> {
        let now = u128::from(self.generation.load(Ordering::SeqCst));
        let flaw = self.flaw;
        if flaw == Flaw::VoidsEverything && request.items.iter().any(|i| i.fence.is_some_and(|f| f.0 != now)) {
            return Ok(vec![PutOutcome::Fenced; request.items.len()]);
        }
        let change = |item: PutItem| {
            let fence = item.fence.filter(|_| !matches!(flaw, Flaw::IgnoresFences | Flaw::VoidsEverything));
            let envelope = match flaw {
                Flaw::CutsLargeEnvelopes => item.envelope.slice(..item.envelope.len().min(65_535)),
                _ => item.envelope,
            };
            PutItem::new(item.name, envelope, item.expires_at, fence)
        };
        let mut outcomes = Vec::new();
        for item in request.items.into_iter().map(change) {
            let stopped = flaw == Flaw::StopsBatchesAtAVoidFence
                && outcomes.iter().any(|outcome| matches!(outcome, PutOutcome::Fenced));
            if stopped {
                outcomes.push(PutOutcome::Fenced);
            } else if flaw == Flaw::DropsEmptyEnvelopes && item.envelope == Bytes::new() {
                outcomes.push(PutOutcome::Stored);
            } else {
                outcomes.extend(self.inner.put_many(PutMany::new(vec![item])).await?);
            }
        }
        Ok(outcomes)
    }

    async fn remove_many(&self, request: RemoveMany) -> Result<Vec<Result<(), TierError>>, TierError> {
        self.generation.fetch_add(request.names.len() as u64, Ordering::SeqCst);
        let count = request.names.len();
        let there = |name: &_| match self.flaw {
            Flaw::IgnoresRemovals => false,
            Flaw::VoidsOnlyWhatIsThere => self.inner.raw(*name).is_some(),
            _ => true,
        };
        let names = request.names.into_iter().filter(there).collect();
        self.inner.remove_many(RemoveMany::new(names)).await?;
        Ok(vec![Ok(()); count])
    }

    async fn ping(&self) -> Result<(), TierError> {
        self.inner.ping().await
    }

    fn used_bytes(&self) -> Option<u64> {
        None
    }

    async fn close(&self) -> Result<(), TierError> {
        if self.flaw == Flaw::StaysOpen { Ok(()) } else { self.inner.close().await }
    }
}

#[test]
fn the_clauses_name_what_a_wrong_tier_breaks() {
    for (flaw, sentence) in [
        (Flaw::IgnoresFences, "a put under a void fence is Fenced"),
        (Flaw::VoidsOnlyWhatIsThere, "removing an absent name voids its fences"),
        (Flaw::VoidsEverything, "removals of 49 other names leave a fence good"),
        (Flaw::ReversesBatches, "in the order of the names"),
        (Flaw::DropsEmptyEnvelopes, "an envelope of 0 bytes comes back whole"),
        (Flaw::ReturnsEnvelopesWithFences, "a read for fences only returns no envelope"),
        (Flaw::IgnoresRemovals, "when remove_many has returned Ok, the entry is absent"),
        (Flaw::StaysOpen, "get_many after close fails with Closed"),
        (Flaw::CutsLargeEnvelopes, "an envelope of 65536 bytes comes back whole"),
        (Flaw::StopsBatchesAtAVoidFence, "in a batch only items under void fences are Fenced"),
    ] {
        let said = complaint(tier(async || Flawed::new(flaw)));
        assert!(said.contains(sentence), "expected `{sentence}`, the clause said `{said}`");
    }
}

#[test]
fn the_races_catch_a_tier_that_ignores_fences() {
    // on one thread the interleaving follows from the seed alone
    let said = complaint_on(
        &mut Builder::new_current_thread(),
        tier::a_put_racing_a_removal_never_brings_back(async || Flawed::new(Flaw::IgnoresFences)),
    );
    assert!(said.contains("never brings the entry back"), "{said}");
    let said = complaint_on(
        &mut Builder::new_current_thread(),
        tier::readers_never_see_what_a_finished_removal_took(async || Flawed::new(Flaw::IgnoresFences)),
    );
    assert!(said.contains("no get that starts after a removal has returned"), "{said}");
}

/// A tier that says it guards itself; whether it does is another matter.
struct Guarded {
    inner: FaultyTier<MemoryTier>,
    deadline: bool,
    breaker: Option<Breaker>,
}

impl Guarded {
    async fn through<R>(&self, operation: impl Future<Output = Result<R, TierError>>) -> Result<R, TierError> {
        let permit = self.breaker.as_ref().map(|breaker| breaker.admit().ok_or(TierErrorKind::Unavailable)).transpose();
        let permit = permit.map_err(|kind| TierError::new(kind, "left alone"))?;
        let limit = if self.deadline { self.capability().deadline } else { Duration::MAX };
        let done = tokio::time::timeout(limit, operation).await;
        let hung = done.is_err();
        permit.map(|permit| permit.settle(if hung { Outcome::Hung } else { Outcome::Answered }));
        done.unwrap_or_else(|_| Err(TierError::new(TierErrorKind::Timeout, "no answer")))
    }
}

impl Tier for Guarded {
    fn name(&self) -> &str {
        "guarded"
    }
    fn capability(&self) -> Capability {
        self.inner.capability().self_guarded(true)
    }
    async fn get_many(&self, request: GetMany) -> Result<Vec<Got>, TierError> {
        self.through(self.inner.get_many(request)).await
    }
    async fn put_many(&self, request: PutMany) -> Result<Vec<PutOutcome>, TierError> {
        self.through(self.inner.put_many(request)).await
    }
    async fn remove_many(&self, request: RemoveMany) -> Result<Vec<Result<(), TierError>>, TierError> {
        self.through(self.inner.remove_many(request)).await
    }
    async fn ping(&self) -> Result<(), TierError> {
        self.through(self.inner.ping()).await
    }
    fn used_bytes(&self) -> Option<u64> {
        None
    }
    async fn close(&self) -> Result<(), TierError> {
        self.inner.close().await
    }
}

#[test]
fn a_tier_that_only_says_that_it_guards_itself_is_found_out() {
    let said = |deadline: bool, breaker: bool| {
        let (inner, faults) = FaultyTier::new(MemoryTier::new("guarded"), 1);
        let breaker = breaker.then(|| Breaker::new(Arc::new(ManualClock::new())));
        let tier = Cell::new(Some(Guarded { inner, deadline, breaker }));
        let clause = tier::a_tier_that_guards_itself_ends_what_hangs_and_refuses_what_follows(
            async || tier.take().unwrap(),
            async || faults.always(On::Any, Fault::Hang),
        );
        complaint_on(Builder::new_current_thread().start_paused(true), clause)
    };
    assert_eq!(said(true, true), "");
    assert!(said(false, true).contains("ends a ping that hangs"));
    assert!(said(true, false).contains("after one that hung a get_many is refused at once"));
}
