//! An operator's sweep: it removes objects whose life has ended.

mod report;

use std::{fmt, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
pub use report::{SweepCursor, SweepError, SweepReport};
use stratacache_core::{
    Deployment, NamespacePath, TenantId,
    clock::Millis,
    envelope::{self, Outline},
};

use crate::{
    failure::Failure,
    frame::{self, Frame},
    guard::{Effect, Guard},
    listed::Listed,
    names::ObjectName,
    store::Store,
};

/// So long after it was written what never became an entry is left behind: a probe, a file without a name.
const LEFT_BEHIND: Millis = 3_600_000;
/// As much of an object as tells whose it is: with the most tags there can be.
const OUTLINE: usize = frame::HEAD + envelope::HEAD + 2 * envelope::MAX_TAGS * 16;

/// Removes objects whose life has ended, for an operator, beside the nodes. Made by
/// [`ObjectBuilder::sweep`](crate::ObjectBuilder::sweep).
///
/// A tier never returns what has ended its life, but does not remove it either. In a bucket a lifecycle rule does, free of charge; a
/// directory, and what a rule would keep too long, needs a sweep now and then. It lists the prefix, reads the first bytes of each
/// object and removes one by one. Nothing waits for it, and it may be broken off at any time.
///
/// ```
/// use stratacache_object::Object;
///
/// # async fn example(path: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
/// let sweep = Object::directory(path).sweep().await?.most(100_000);
/// let mut report = sweep.run().await?;
/// while let Some(cursor) = report.cursor.take() {
///     report = sweep.resume(cursor).await?;
/// }
/// # Ok(())
/// # }
/// # let dir = tempfile::tempdir().unwrap();
/// # tokio::runtime::Runtime::new().unwrap().block_on(example(dir.path())).unwrap();
/// ```
///
/// # What it removes
///
/// Entries whose life ended more than a [`grace`](Self::grace) ago, and objects with the name of an entry that are none. With
/// [`ended_tenant`](Self::ended_tenant) also all entries of that tenant. And what is left of nodes that died: probes and files without a
/// name, after an hour.
///
/// # What it never does
///
/// It touches nothing with another name, nor outside the prefix or directory. An entry that is written anew just while it is
/// removed may go with the old one; it is loaded again.
#[must_use = "nothing is swept before `run`"]
pub struct Sweep {
    store: Store,
    guard: Guard,
    shown: String,
    tenant: Option<u64>,
    grace: Duration,
    batch: usize,
    most: u64,
    dry: bool,
}

/// What becomes of one object.
enum Verdict {
    Stays,
    Ended,
    NotOurs,
    Gone,
}

impl Sweep {
    pub(crate) const fn new(store: Store, guard: Guard, shown: String) -> Self {
        let grace = Duration::from_secs(60);
        Self { store, guard, shown, tenant: None, grace, batch: 1_000, most: u64::MAX, dry: false }
    }

    /// Sets how long ago a life must have ended, for clocks that differ. Default 1 min.
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets how many objects are listed at once, at least 1. Default 1,000. A directory is gone through for each batch.
    pub const fn batch(mut self, objects: usize) -> Self {
        self.batch = if objects == 0 { 1 } else { objects };
        self
    }

    /// Sets after how many objects a run ends, about. Default: all.
    pub const fn most(mut self, objects: u64) -> Self {
        self.most = objects;
        self
    }

    /// Sets whether it only tells what it would remove. Default false.
    pub const fn dry_run(mut self, dry: bool) -> Self {
        self.dry = dry;
        self
    }

    /// Removes all entries of a tenant that is no more, whatever is left of their lives. `secret` is that of the nodes' caches
    /// (`deployment_secret`), by which a tenant's entries are told from others.
    pub fn ended_tenant(mut self, tenant: &TenantId, secret: [u8; 16]) -> Self {
        let scopes = Deployment::new(secret).path_scopes(tenant, &NamespacePath::default());
        self.tenant = scopes.first().map(|scope| scope.low());
        self
    }

    /// Sweeps from the beginning.
    ///
    /// # Errors
    /// [`SweepError`] when the store does not answer in time or refuses; its report says what was done and where to go on.
    ///
    /// # Cancel safety
    /// May be dropped at any await: what was removed is removed, and nothing is left behind.
    pub async fn run(&self) -> Result<SweepReport, SweepError> {
        self.go(None).await
    }

    /// Sweeps from where a run ended.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    ///
    /// # Cancel safety
    /// As [`run`](Self::run).
    pub async fn resume(&self, cursor: SweepCursor) -> Result<SweepReport, SweepError> {
        self.go(Some(cursor)).await
    }

    async fn go(&self, from: Option<SweepCursor>) -> Result<SweepReport, SweepError> {
        let mut report = SweepReport { cursor: from, ..SweepReport::default() };
        match self.walk(&mut report).await {
            Ok(()) => Ok(report),
            Err(failure) => Err(SweepError::new(failure.of_tier(true).into(), report)),
        }
    }

    async fn walk(&self, report: &mut SweepReport) -> Result<(), Failure> {
        let now = self.guard.time.millis();
        if report.cursor.is_none() {
            let request = || self.store.tidy(now.saturating_sub(LEFT_BEHIND), self.dry);
            report.left_behind += self.guard.send(self.guard.until(), Effect::Repeatable, request).await?;
        }
        loop {
            let after = report.cursor.as_ref().map(|cursor| cursor.after);
            let request = || self.store.list(after, self.batch);
            let page = self.guard.send(self.guard.until(), Effect::Repeatable, request).await?;
            let swept = page.objects.iter().map(|object| self.sweep_one(*object, now));
            let mut swept = stream::iter(swept).buffered(self.guard.bounds.requests as usize);
            let mut objects = page.objects.iter();
            // the cursor follows, so that a failure leaves it at the first object that was not seen to
            while let (Some(verdict), Some(object)) = (swept.next().await, objects.next()) {
                report.note(object, &verdict?, self.dry);
                report.cursor = Some(SweepCursor { after: object.name });
            }
            if page.last {
                report.cursor = None;
                return Ok(());
            }
            if report.scanned >= self.most {
                return Ok(());
            }
        }
    }

    /// Judges an object and removes it if its life has ended.
    async fn sweep_one(&self, object: Listed, now: Millis) -> Result<Verdict, Failure> {
        let verdict = match object.name {
            ObjectName::Probe(_) if object.written + LEFT_BEHIND < now => Verdict::NotOurs,
            ObjectName::Probe(_) => Verdict::Stays,
            ObjectName::Entry(_) => {
                let most = if self.tenant.is_some() { OUTLINE } else { frame::HEAD };
                let request = || self.store.first(object.name, most);
                let first = self.guard.send(self.guard.until(), Effect::Repeatable, request).await?;
                first.map_or(Verdict::Gone, |first| self.judge(&first, object.bytes, now))
            }
        };
        if !self.dry && matches!(verdict, Verdict::Ended | Verdict::NotOurs) {
            let request = || self.store.remove(object.name);
            self.guard.send(self.guard.until(), Effect::Repeatable, request).await?;
        }
        Ok(verdict)
    }

    fn judge(&self, first: &Bytes, bytes: u64, now: Millis) -> Verdict {
        let Some(frame) = Frame::read(first) else { return Verdict::NotOurs };
        if frame.length.checked_add(frame::HEAD as u64) != Some(bytes) {
            return Verdict::NotOurs;
        }
        if frame.expires_at.saturating_add(self.grace.as_millis() as Millis) <= now {
            return Verdict::Ended;
        }
        match (self.tenant, Outline::read(&first[frame::HEAD.min(first.len())..])) {
            (Some(tenant), Ok(outline)) if outline.tenant == tenant => Verdict::Ended,
            _ => Verdict::Stays,
        }
    }
}

impl fmt::Debug for Sweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sweep").field("place", &self.shown).field("dry_run", &self.dry).finish_non_exhaustive()
    }
}
