//! An outbox in memory.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use stratacache_core::{
    Error, ErrorKind, Result,
    follow::{Batch, Change, ChangeTarget, InvalidationSource, Lag, NextChanges, Position, SetAside, targets_to_json},
};
use tokio::sync::Notify;

/// An outbox in memory, as a source of changes: what a test writes into it is what a transaction would have written.
///
/// Cloned, it is the same source. [`reopened`](Self::reopened) is what another process would open: it begins after what was acknowledged.
///
/// ```
/// use stratacache_core::follow::ChangeTarget;
/// use stratacache_testkit::outbox::MemorySource;
///
/// let outbox = MemorySource::new("outbox");
/// outbox.write(Some("acme"), &[ChangeTarget::tag("contacts")]);
/// assert_eq!(outbox.waiting(), 1);
/// // cache.follow(outbox.clone()).start()?
/// ```
#[derive(Clone)]
pub struct MemorySource {
    store: Arc<Store>,
    /// What this one has returned already.
    read: Arc<Mutex<Position>>,
}

struct Store {
    name: String,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    rows: Vec<(Position, Option<String>, String)>,
    acknowledged: Position,
    aside: Vec<SetAside>,
    failing: usize,
    hanging: bool,
    standby: bool,
    gap: Option<&'static str>,
    closed: usize,
}

impl MemorySource {
    /// Makes one that is empty.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let store = Store { name: name.into(), state: Mutex::default(), changed: Notify::new() };
        Self { store: Arc::new(store), read: Arc::default() }
    }

    /// Returns the same outbox as a process sees it that opens it now: it begins after what was acknowledged.
    #[must_use]
    pub fn reopened(&self) -> Self {
        let acknowledged = self.state().acknowledged;
        Self { store: Arc::clone(&self.store), read: Arc::new(Mutex::new(acknowledged)) }
    }

    /// Writes a change of a tenant's data, or of data of no tenant, and returns its position.
    pub fn write(&self, tenant: Option<&str>, targets: &[ChangeTarget]) -> Position {
        self.write_json(tenant, &targets_to_json(targets))
    }

    /// Writes a change whose targets are the JSON that is given, whether or not anybody can read it.
    pub fn write_json(&self, tenant: Option<&str>, targets: &str) -> Position {
        let mut state = self.state();
        let position = Position::new(1 + state.rows.last().map_or(0, |(last, ..)| last.major()), 0);
        state.rows.push((position, tenant.map(str::to_owned), targets.to_owned()));
        drop(state);
        self.store.changed.notify_waiters();
        position
    }

    /// Returns up to where everything was acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> Position {
        self.state().acknowledged
    }

    /// Counts the changes that were not acknowledged.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let state = self.state();
        state.rows.iter().filter(|(position, ..)| *position > state.acknowledged).count()
    }

    /// Returns what was set aside.
    #[must_use]
    pub fn set_aside_so_far(&self) -> Vec<SetAside> {
        self.state().aside.clone()
    }

    /// Lets the next so many calls fail.
    pub fn fail(&self, calls: usize) {
        self.state().failing = calls;
        self.store.changed.notify_waiters();
    }

    /// Lets every call hang from now on, or no more.
    pub fn hang(&self, hang: bool) {
        self.state().hanging = hang;
        self.store.changed.notify_waiters();
    }

    /// Lets it stand by from now on, or deliver.
    pub fn stand_by(&self, standby: bool) {
        self.state().standby = standby;
        self.store.changed.notify_waiters();
    }

    /// Lets the next batch say that changes before it were lost.
    pub fn lose(&self, reason: &'static str) {
        self.state().gap = Some(reason);
        self.store.changed.notify_waiters();
    }

    /// Counts how often it was closed.
    #[must_use]
    pub fn closed(&self) -> usize {
        self.state().closed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.store.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> MutexGuard<'_, Position> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails or hangs, where it was told to.
    async fn obey(&self) -> Result<()> {
        loop {
            let changed = self.store.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.state();
                if !state.hanging {
                    let Some(left) = state.failing.checked_sub(1) else { return Ok(()) };
                    state.failing = left;
                    return Err(Error::new(ErrorKind::Unavailable, "the source was told to fail"));
                }
            }
            changed.await;
        }
    }

    fn take(&self, limit: usize) -> Option<Batch> {
        let (mut state, mut read) = (self.state(), self.read());
        if state.standby {
            return None;
        }
        let after = *read;
        let new = state.rows.iter().filter(|(position, ..)| *position > after).take(limit);
        let changes: Vec<Change> = new
            .map(|(position, tenant, targets)| Change::from_json(*position, tenant.as_deref(), targets).aged(0))
            .collect();
        let gap = state.gap.take();
        *read = changes.last().map_or(after, |change| change.position);
        match gap {
            Some(reason) => Some(Batch::of(changes).after_gap(reason)),
            None => (!changes.is_empty()).then(|| Batch::of(changes)),
        }
    }
}

impl InvalidationSource for MemorySource {
    fn name(&self) -> &str {
        &self.store.name
    }

    async fn next(&self, request: NextChanges) -> Result<Batch> {
        let taken = async {
            loop {
                let changed = self.store.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                self.obey().await?;
                if let Some(batch) = self.take(request.limit) {
                    return Ok(batch);
                }
                changed.await;
            }
        };
        match tokio::time::timeout(request.wait, taken).await {
            Ok(batch) => batch,
            Err(_) if self.state().hanging => std::future::pending().await,
            Err(_) if self.state().standby => Ok(Batch::standby()),
            Err(_) => Ok(Batch::of(Vec::new())),
        }
    }

    async fn acknowledge(&self, through: Position) -> Result<()> {
        self.obey().await?;
        let mut state = self.state();
        state.acknowledged = state.acknowledged.max(through);
        Ok(())
    }

    async fn set_aside(&self, changes: Vec<SetAside>) -> Result<()> {
        self.obey().await?;
        let mut state = self.state();
        for change in changes {
            if !state.aside.iter().any(|there| there.position == change.position) {
                state.aside.push(change);
            }
        }
        Ok(())
    }

    async fn lag(&self) -> Result<Lag> {
        self.obey().await?;
        Ok(Lag::new(self.waiting() as u64, std::time::Duration::ZERO))
    }

    async fn close(&self) -> Result<()> {
        self.obey().await?;
        self.state().closed += 1;
        Ok(())
    }
}

impl fmt::Debug for MemorySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySource").field("name", &self.store.name).finish_non_exhaustive()
    }
}
