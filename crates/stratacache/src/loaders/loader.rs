//! One declared loader.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use stratacache_core::{
    breaker::{Breaker, Outcome, Permit, Turn},
    clock::Clock,
};

use super::{
    Budget, LoaderLimits, LoaderStats,
    lines::{Aside, Lines, Seat},
};
use crate::load_error::LeftAlone;

/// While one load probes, nobody knows how long it takes.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What a load that may not run is told.
pub(crate) enum Refused {
    Busy,
    Down(Arc<LeftAlone>),
}

#[derive(Debug, Default)]
struct Counts {
    loads: AtomicU64,
    failures: AtomicU64,
    busy: AtomicU64,
    down: AtomicU64,
    resting: AtomicU64,
    retries: AtomicU64,
    denied: AtomicU64,
    opens: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

/// A loader's lines, breaker and budget, for all tenants.
pub(crate) struct Loader {
    pub(crate) name: Arc<str>,
    pub(crate) limits: LoaderLimits,
    lines: Arc<Lines>,
    breaker: Option<Breaker>,
    budget: Budget,
    counts: Counts,
}

impl Loader {
    pub(super) fn new(name: Arc<str>, limits: LoaderLimits, clock: &Arc<dyn Clock>) -> Self {
        let breaker = limits.breaker.map(|window| Breaker::new(Arc::clone(clock)).window(window));
        Self {
            name,
            lines: Arc::new(Lines::new(limits.max_loads, limits.max_queue, limits.per_second, clock)),
            breaker,
            budget: Budget::new(limits.retry_budget),
            counts: Counts::default(),
            limits,
        }
    }

    fn left_alone(&self) -> Refused {
        count(&self.counts.down);
        let open_for = self.breaker.as_ref().and_then(Breaker::open_for).unwrap_or_default();
        Refused::Down(Arc::new(LeftAlone::new(&self.name, open_for.max(LOOK_AGAIN))))
    }

    /// Refuses while the loader is left alone.
    pub(crate) fn check_up(&self) -> Result<(), Refused> {
        if self.breaker.as_ref().is_some_and(Breaker::is_open) { Err(self.left_alone()) } else { Ok(()) }
    }

    /// Waits for a tenant's turn. One that stood aside has had its turn already.
    ///
    /// # Cancel safety
    /// May be dropped at any time; its turn goes to the next.
    pub(crate) async fn turn(&self, tenant: u64, aside: Option<Aside>) -> Result<Seat, Refused> {
        self.check_up()?;
        if let Some(seat) = self.lines.take(tenant, aside).await {
            return Ok(seat);
        }
        // all are sent away when it is left alone
        self.check_up()?;
        count(&self.counts.busy);
        Err(Refused::Busy)
    }

    /// Lets a load begin that has its turn.
    pub(crate) fn begin(&self) -> Result<Begun<'_>, Refused> {
        let permit = match &self.breaker {
            None => None,
            Some(breaker) => Some(breaker.admit().ok_or_else(|| self.left_alone())?),
        };
        count(&self.counts.loads);
        Ok(Begun { loader: self, permit })
    }

    /// Notes a load that is no retry.
    pub(crate) fn earn(&self) {
        self.budget.earn();
    }

    /// Takes a retry from the budget.
    pub(crate) fn take_retry(&self) -> bool {
        let taken = self.budget.take();
        count(if taken { &self.counts.retries } else { &self.counts.denied });
        taken
    }

    /// Makes the refusal of a key that rests.
    pub(crate) fn resting(&self, left: Duration) -> Arc<LeftAlone> {
        count(&self.counts.resting);
        Arc::new(LeftAlone::new(&self.name, left))
    }

    pub(crate) fn stats(&self) -> LoaderStats {
        let (running, waiting) = self.lines.counts();
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        LoaderStats {
            running,
            waiting,
            loads: read(&self.counts.loads),
            failures: read(&self.counts.failures),
            refused_busy: read(&self.counts.busy),
            refused_down: read(&self.counts.down),
            refused_resting: read(&self.counts.resting),
            retries: read(&self.counts.retries),
            retries_denied: read(&self.counts.denied),
            breaker_opens: read(&self.counts.opens),
            breaker_open: self.breaker.as_ref().is_some_and(Breaker::is_open),
        }
    }
}

/// A call of the loader that is under way.
#[must_use]
pub(crate) struct Begun<'a> {
    loader: &'a Loader,
    permit: Option<Permit<'a>>,
}

impl Begun<'_> {
    /// Notes how the call ended, and returns whether the loader is left alone from now on, or no longer.
    pub(crate) fn end(self, failed: bool) -> Option<Turn> {
        if failed {
            count(&self.loader.counts.failures);
        }
        // a load that takes too long may be one that asks for much: it opens nothing by itself
        let turn = self.permit?.settle(if failed { Outcome::Failed } else { Outcome::Answered })?;
        if turn == Turn::Opened {
            count(&self.loader.counts.opens);
            self.loader.lines.refuse_all();
        }
        Some(turn)
    }
}
