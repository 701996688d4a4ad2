//! How far a warm-up is, and what it has to report at its end.

use std::{collections::BTreeSet, error::Error as StdError, fmt, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::source::SourceError;
use crate::{Freshness, LoadError, engine::Warmed};

/// How far a warm-up is: each key that was given counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct WarmProgress {
    /// Keys that were left out, by [`resume_at`](super::Warm::resume_at).
    pub skipped: u64,
    /// Memory had them already, fresh, or a reader had them loaded meanwhile. A key that comes again within a batch is one of these.
    pub there: u64,
    /// A tier below had them, fresh: they were promoted.
    pub promoted: u64,
    /// Loaded, by this warm-up or by a reader whose load it joined. What was invalidated meanwhile is not kept.
    pub loaded: u64,
    /// The source, or a tier, says that there is no such thing.
    pub absent: u64,
    /// An older value stands in: the load failed within `stale_if_error`, or goes on behind within `stale_while_revalidate`.
    pub stale: u64,
    /// Neither loaded nor there; [`WarmReport::failures`] lists the first of them.
    pub failed: u64,
    /// No tier has them, and there is no loader ([`from_tiers`](super::Warm::from_tiers)).
    pub missing: u64,
    /// What the entries that were loaded or promoted weigh in memory, in bytes.
    pub bytes: u64,
    /// How many keys there are, those that are skipped included, if the source knows or [`total`](super::Warm::total) was called.
    pub total: Option<u64>,
}

impl WarmProgress {
    /// Returns how many keys are done, whatever came of them.
    #[must_use]
    pub const fn done(&self) -> u64 {
        self.there + self.promoted + self.loaded + self.absent + self.stale + self.failed + self.missing
    }

    /// Returns how many keys lie behind: those that are done, and those that were skipped.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.skipped + self.done()
    }
}

impl fmt::Display for WarmProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.position())?;
        if let Some(total) = self.total {
            write!(f, " of {total}")?;
        }
        f.write_str(" keys")?;
        let counts = [
            (self.skipped, "skipped"),
            (self.there, "there already"),
            (self.promoted, "promoted"),
            (self.loaded, "loaded"),
            (self.absent, "absent"),
            (self.stale, "stale"),
            (self.failed, "failed"),
            (self.missing, "missing"),
        ];
        let mut sign = ':';
        for (count, what) in counts.iter().filter(|(count, _)| *count > 0) {
            write!(f, "{sign} {count} {what}")?;
            sign = ',';
        }
        Ok(())
    }
}

/// Why a warm-up ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum WarmEnd {
    /// All keys are done.
    Complete,
    /// It was told to stop.
    Stopped,
    /// The source of the keys failed, or panicked, after the keys that are done.
    SourceFailed(Arc<dyn StdError + Send + Sync>),
    /// The cache was closed, or the runtime shut down.
    Closed,
}

/// A key that could not be warmed, and why. Debug prints the error only.
pub struct WarmFailure<Q, E> {
    /// The key, as it was given.
    pub key: Q,
    /// What its load ended with.
    pub error: LoadError<E>,
}

impl<Q, E: fmt::Debug> fmt::Debug for WarmFailure<Q, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WarmFailure").field("error", &self.error).finish_non_exhaustive()
    }
}

/// What a warm-up has done.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "it says whether all keys are done, and which failed"]
pub struct WarmReport<Q, E> {
    /// The counts at the end.
    pub progress: WarmProgress,
    /// Why it ended.
    pub ended: WarmEnd,
    /// How many keys of the source lie behind for good: given to [`resume_at`](super::Warm::resume_at) with the same keys in the
    /// same order, the next warm-up goes on with the first that was not begun. Keys that failed are behind, too.
    pub resume_at: u64,
    /// The first failures, as many as [`list_failures`](super::Warm::list_failures) says; `progress.failed` counts them all.
    pub failures: Vec<WarmFailure<Q, E>>,
}

impl<Q, E> WarmReport<Q, E> {
    /// Tells whether all keys are done and none has failed.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self.ended, WarmEnd::Complete) && self.progress.failed == 0
    }
}

/// What can be seen of a warm-up from outside while it runs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    pub(super) progress: WarmProgress,
    pub(super) ended: bool,
}

/// What a warm-up and its handle share.
pub(crate) struct Tally<Q, E> {
    pub(super) seen: Arc<watch::Sender<Seen>>,
    pub(super) stop: Arc<watch::Sender<bool>>,
    /// The whole ends when its last part does, not with this one.
    part: bool,
    kept: Mutex<Kept<Q, E>>,
    listed: usize,
}

struct Kept<Q, E> {
    /// Keys that were taken from the source.
    taken: u64,
    /// The first key of each batch that is not done.
    open: BTreeSet<u64>,
    failures: Vec<WarmFailure<Q, E>>,
    end: Option<WarmEnd>,
}

impl<Q, E> Tally<Q, E> {
    pub(super) fn new(total: Option<u64>, listed: usize) -> Self {
        let progress = WarmProgress { total, ..WarmProgress::default() };
        let kept = Kept { taken: 0, open: BTreeSet::new(), failures: Vec::new(), end: None };
        Self {
            seen: Arc::new(watch::Sender::new(Seen { progress, ended: false })),
            stop: Arc::new(watch::Sender::new(false)),
            part: false,
            kept: Mutex::new(kept),
            listed,
        }
    }

    /// Makes the tally of a part of another warm-up: it is counted there, and stopped from there.
    pub(super) fn part_of<Q2, E2>(whole: &Tally<Q2, E2>) -> Self {
        let own = Self::new(None, whole.listed);
        Self { seen: Arc::clone(&whole.seen), stop: Arc::clone(&whole.stop), part: true, ..own }
    }

    /// Takes over what a part has to report besides its counts.
    pub(super) fn adopt<Q2, E2>(&self, part: &Tally<Q2, E2>, said: impl Fn(WarmFailure<Q2, E2>) -> WarmFailure<Q, E>) {
        let failures = std::mem::take(&mut part.kept.lock().failures);
        let mut kept = self.kept.lock();
        let room = self.listed.saturating_sub(kept.failures.len());
        kept.failures.extend(failures.into_iter().take(room).map(said));
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut WarmProgress)) {
        self.seen.send_modify(|seen| change(&mut seen.progress));
    }

    /// Notes that a key was taken from the source, and returns its place there.
    pub(super) fn take(&self) -> u64 {
        let mut kept = self.kept.lock();
        kept.taken += 1;
        kept.taken - 1
    }

    /// Notes that a batch begins with the key at this place.
    pub(super) fn open(&self, first: u64) {
        self.kept.lock().open.insert(first);
    }

    /// Notes that all keys of a batch are done.
    pub(super) fn close(&self, first: u64) {
        self.kept.lock().open.remove(&first);
    }

    pub(super) fn fail(&self, key: Q, error: LoadError<E>) {
        let mut kept = self.kept.lock();
        if kept.failures.len() < self.listed {
            kept.failures.push(WarmFailure { key, error });
        }
        drop(kept);
        self.count(|progress| progress.failed += 1);
    }

    /// Counts what came of a key.
    pub(super) fn settle<V>(&self, key: Q, outcome: Result<Warmed<V>, LoadError<E>>) {
        let landed = match outcome {
            Ok(Warmed::There) => return self.count(|progress| progress.there += 1),
            Ok(Warmed::Landed(landed)) => landed,
            Err(error) => return self.fail(key, error),
        };
        let (there, weight) = (landed.entry.value().is_some(), u64::from(landed.entry.meta.weight));
        self.count(|progress| {
            match landed.freshness {
                Freshness::Stale => progress.stale += 1,
                _ if !there => progress.absent += 1,
                Freshness::Loaded => progress.loaded += 1,
                Freshness::Fresh => progress.promoted += 1,
            }
            if there && landed.freshness != Freshness::Stale {
                progress.bytes += weight;
            }
        });
    }

    /// Notes the end, if it has not ended otherwise.
    pub(super) fn end(&self, end: WarmEnd) {
        self.kept.lock().end.get_or_insert(end);
        if self.part {
            return;
        }
        self.seen.send_modify(|seen| seen.ended = true);
    }

    /// Takes the report. What is still open was not done.
    pub(super) fn report(&self) -> WarmReport<Q, E> {
        let mut kept = self.kept.lock();
        WarmReport {
            progress: self.seen.borrow().progress,
            ended: kept.end.clone().unwrap_or(WarmEnd::Closed),
            resume_at: kept.open.first().copied().unwrap_or(kept.taken),
            failures: std::mem::take(&mut kept.failures),
        }
    }
}

impl From<SourceError> for WarmEnd {
    fn from(error: SourceError) -> Self {
        Self::SourceFailed(error)
    }
}
