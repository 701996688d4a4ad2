//! A lower tier as the engine holds it.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Release},
        },
    },
    time::Duration,
};

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use stratacache_core::{
    EntryName, Error, Policy, Result,
    breaker::Listening,
    clock::Clock,
    coordinator::MarkJournal,
    event::EventKind,
    tier::{AnyTier, Capability, Fence, GetMany, RemoveMany, TierError},
};

use super::{Behind, BehindLimits};
use crate::observe::TierCounters;

/// More missed removals than this and the tier stays unused until the process ends.
const MAX_MISSED: usize = 1 << 16;
/// So many missed removals are made up for in one batch, to stay within the tier's deadline.
const CATCH_UP: usize = 1 << 10;
/// The orders and fills of a few entries take less, unless nothing answers in time.
const WRITING: Duration = Duration::from_secs(5);
/// Also those of many entries, or of a tier that knows no deadline.
const LONGEST_WRITING: Duration = Duration::from_secs(60);
/// A load that takes longer loses a lease that is not renewed.
const LONG_LOAD: Duration = Duration::from_secs(25);
/// So many more may take a deadline more.
const WRITTEN: usize = 64;
/// Counters of recent misses, for `min_hits`.
const SKETCH: usize = 1 << 12;

/// A tier, what it can do, what it missed, and what was counted of it.
pub(crate) struct TierHandle {
    pub(crate) tier: AnyTier,
    pub(crate) name: String,
    pub(crate) capability: Capability,
    pub(crate) journal: Option<Arc<dyn MarkJournal>>,
    pub(crate) counters: Arc<TierCounters>,
    /// The writes that wait for it.
    pub(crate) behind: Behind,
    /// Names whose removal failed: neither read nor written until it has been made up for.
    missed: Arc<Mutex<HashSet<EntryName, RandomState>>>,
    quarantined: Arc<AtomicBool>,
    misses: Mutex<HashMap<u32, u32, RandomState>>,
    pub(super) clock: Arc<dyn Clock>,
    /// To the breaker of a tier that guards itself.
    _listening: Option<Listening>,
}

impl TierHandle {
    pub(crate) fn new(
        tier: AnyTier,
        name: String,
        capability: Capability,
        journal: Option<Arc<dyn MarkJournal>>,
        counters: Arc<TierCounters>,
        behind: BehindLimits,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            tier,
            name,
            capability,
            journal,
            counters,
            behind: Behind::new(behind),
            missed: Arc::default(),
            quarantined: Arc::default(),
            misses: Mutex::default(),
            clock,
            _listening: None,
        }
    }

    /// Keeps what listens to the tier's own breaker.
    pub(crate) fn listening(mut self, listening: Option<Listening>) -> Self {
        self._listening = listening;
        self
    }

    /// Tells whether a name may be read and written: its removal is not outstanding.
    pub(crate) fn may_use(&self, name: EntryName) -> bool {
        if !self.quarantined.load(Acquire) {
            return true;
        }
        let missed = self.missed.lock();
        missed.len() < MAX_MISSED && !missed.contains(&name)
    }

    /// Counts a miss of a name and tells whether it has been missed often enough to be stored here.
    pub(crate) fn admits(&self, name: EntryName, min_hits: u32) -> bool {
        if min_hits <= 1 {
            return true;
        }
        let mut misses = self.misses.lock();
        if misses.len() >= SKETCH {
            // old counts fade
            misses.retain(|_, n| {
                *n /= 2;
                *n > 0
            });
        }
        let count = misses.entry(name.low() as u32).or_default();
        *count += 1;
        *count >= min_hits
    }

    /// Takes the fences of some names, one place for each: none without fences, or for a name that may not be used. Those
    /// that are leases live for `life`.
    pub(crate) async fn fences(&self, names: &[EntryName], life: Duration) -> Result<Vec<Option<Fence>>, TierError> {
        let mut fences = vec![None; names.len()];
        let asked: Vec<usize> =
            (0..names.len()).filter(|place| self.capability.fenced && self.may_use(names[*place])).collect();
        if !asked.is_empty() {
            let request = GetMany::fences(asked.iter().map(|place| names[*place]).collect()).life(life);
            for (place, got) in asked.into_iter().zip(self.get_many(request).await?) {
                fences[place] = got.fence;
            }
        }
        Ok(fences)
    }

    /// Returns how long the right to write so many entries has to live when the values are at hand: as long as it may take
    /// to order and to fill. Who has it and dies keeps the others from storing for so long.
    pub(crate) fn write_life(&self, items: usize) -> Duration {
        let batches = u32::try_from(items.div_ceil(WRITTEN)).unwrap_or(u32::MAX);
        WRITING.saturating_add(self.capability.deadline.saturating_mul(batches)).min(LONGEST_WRITING)
    }

    /// Returns how long the right to write what is loaded first has to live where it is not renewed.
    pub(crate) fn load_life(&self, policy: &Policy, items: usize) -> Duration {
        policy.load_timeout_time().min(LONG_LOAD) + self.write_life(items)
    }

    /// Removes names, so that nothing older than now is ever read from this tier.
    ///
    /// When the tier cannot, its persistent contents are made unusable for the next start and the names are not used
    /// until they are gone; only when even that fails is it an error.
    pub(crate) async fn remove(&self, names: &[EntryName], report: impl Fn(EventKind)) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let failed = match self.remove_many(RemoveMany::new(names.to_vec())).await {
            Ok(results) => {
                let failed: Vec<_> =
                    names.iter().zip(results).filter_map(|(name, r)| Some((*name, r.err()?))).collect();
                let Some((_, error)) = failed.first() else { return Ok(()) };
                (failed.iter().map(|(name, _)| *name).collect(), error.clone())
            }
            Err(error) => (names.to_vec(), error),
        };
        let (missed, error): (Vec<EntryName>, TierError) = failed;
        TierCounters::count(&self.counters.write_failures);
        self.note("remove", &error, &report);
        let Some(journal) = self.journal.clone() else { return Err(error.into()) };
        if !self.capability.persistent {
            return Err(error.into());
        }
        let (set, quarantined) = (Arc::clone(&self.missed), Arc::clone(&self.quarantined));
        // in one step, so that no restore can come between, and a caller that goes away leaves nothing half done
        let first = crate::spawn::blocking(move || {
            let mut set = set.lock();
            journal.quarantine()?;
            let first = set.is_empty();
            set.extend(missed.into_iter().take(MAX_MISSED));
            quarantined.store(true, Release);
            Ok::<_, TierError>(first)
        })
        .await?
        .map_err(|_| Error::from(error))?;
        if first {
            report(EventKind::Quarantined { tier: self.name.clone() });
        }
        Ok(())
    }

    /// Makes up for missed removals.
    pub(crate) async fn catch_up(&self, report: impl Fn(EventKind)) -> Result<()> {
        if !self.quarantined.load(Acquire) {
            return Ok(());
        }
        let names: Vec<EntryName> = {
            let missed = self.missed.lock();
            if missed.len() >= MAX_MISSED {
                return Ok(());
            }
            missed.iter().copied().take(CATCH_UP).collect()
        };
        let results = self.remove_many(RemoveMany::new(names.clone())).await?;
        let gone: Vec<EntryName> = names.iter().zip(&results).filter(|(_, r)| r.is_ok()).map(|(n, _)| *n).collect();
        let (set, quarantined) = (Arc::clone(&self.missed), Arc::clone(&self.quarantined));
        let journal = self.journal.clone();
        let restored = crate::spawn::blocking(move || {
            let mut set = set.lock();
            gone.iter().for_each(|name| {
                set.remove(name);
            });
            if !set.is_empty() {
                return Ok(false);
            }
            journal.map_or(Ok(()), |j| j.restore())?;
            quarantined.store(false, Release);
            Ok::<_, TierError>(true)
        })
        .await?;
        if restored? {
            report(EventKind::Restored { tier: self.name.clone() });
        }
        Ok(())
    }

    pub(crate) fn note(&self, operation: &'static str, error: &TierError, report: impl Fn(EventKind)) {
        tracing::warn!(tier = %self.name, operation, %error, "tier failed");
        report(EventKind::TierFailed { tier: self.name.clone(), operation, message: error.to_string() });
    }
}
