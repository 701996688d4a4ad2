//! Queueing what cannot be ordered, and applying it when the coordinator can be reached again.

use std::{
    collections::VecDeque,
    sync::{Arc, Weak, atomic::Ordering::Relaxed},
    time::Duration,
};

use stratacache_core::{Consistency, Error, ErrorKind, Result, Scope, Token, coordinator::Strength, event::EventKind};
use tokio::time::{sleep, timeout};

use super::{Attempt, Identity, What, Work};
use crate::{
    Invalidation,
    engine::{Door, Engine, Targets, life::back_off},
    observe::Counter,
};

/// Pauses grow no further after so many failures: 3.2 s, halved at random.
const MOST_FAILURES: u32 = 6;
/// How long closing tries to apply what waits.
const LAST_TRY: Duration = Duration::from_secs(3);

/// Tells whether something failed because it could not be reached, or its answer is missing.
fn is_out_of_reach(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::WriteUnknown)
}

/// Applies what waits, again and again until nothing does.
async fn serve(engine: Weak<Engine>) {
    let (mut failures, mut may_wake) = (1, true);
    loop {
        let (pause, heard) = {
            let Some(engine) = engine.upgrade() else { return };
            (Duration::from_millis(back_off(failures, &engine.jitter)), Arc::clone(&engine.queue.heard))
        };
        let woken = tokio::select! {
            biased;
            () = heard.notified(), if may_wake => true,
            () = sleep(pause) => false,
        };
        // an answer of one lane says little of the others: it cuts every other pause short at most
        may_wake = !woken;
        let Some(engine) = engine.upgrade() else { return };
        let applied = engine.apply_queued().await;
        if engine.queue.rests() {
            return;
        }
        failures = if applied > 0 { 1 } else { MOST_FAILURES.min(failures + 1) };
    }
}

impl Engine {
    /// Invalidates or expires, or lets it wait if that is out of reach; to the end even if the caller goes away.
    pub(crate) async fn invalidate_or_queue(self: &Arc<Self>, work: Work) -> Result<Invalidation> {
        let engine = Arc::clone(self);
        let write = async move {
            match engine.carry_out(&work, true).await {
                Ok(token) => Ok(Invalidation::Applied(token)),
                Err(error) if engine.shared && is_out_of_reach(&error) => engine.queue_up(work, error),
                Err(error) => Err(error),
            }
        };
        if !self.shared {
            return self.write_to_the_end(write).await;
        }
        self.spawner.to_the_end(write).await?
    }

    /// Invalidates what a write of the source has touched, or lets it wait if that was asked for. It was permitted before the write,
    /// and is carried out although the cache is closing: the caller is a task that closing waits for.
    pub(crate) async fn invalidate_committed(
        self: &Arc<Self>,
        door: &Door,
        targets: Targets,
        or_queue: bool,
    ) -> Result<Invalidation> {
        let what = What::Targets { tenant: Arc::clone(&door.tenant), space: Arc::clone(&door.space), targets };
        let work = Work { what, strength: Strength::Hard };
        match self.carry_out(&work, false).await {
            Ok(token) => Ok(Invalidation::Applied(token)),
            Err(error) if or_queue && self.shared && is_out_of_reach(&error) => self.queue_up(work, error),
            Err(error) => Err(error),
        }
    }

    /// Waits until the cache is being closed, and then as long as closing waits for writes.
    pub(crate) async fn patience_at_close(&self) {
        self.spawner.closing().await;
        sleep(self.behind.flush).await;
    }

    /// Carries out one invalidation; `first` when the caller asks for it, and may be refused.
    async fn carry_out(self: &Arc<Self>, work: &Work, first: bool) -> Result<Token> {
        match &work.what {
            What::Targets { tenant, space, targets } => {
                let (tenant, space) = (Arc::clone(tenant), Arc::clone(space));
                let door = Door::bare(Arc::clone(self), tenant, space, Consistency::Inherit);
                if first {
                    self.permit_invalidation(&door)?;
                }
                self.invalidate_here(&door, targets, work.strength).await
            }
            What::GlobalTag(scope) => {
                if first {
                    self.check_open()?;
                }
                self.invalidate_global_here(*scope, work.strength).await
            }
        }
    }

    fn queue_up(self: &Arc<Self>, mut work: Work, cause: Error) -> Result<Invalidation> {
        work.name_keys_once();
        let (tenant, scopes) = (work.tenant().cloned(), work.scopes());
        let cell = match &work.what {
            What::Targets { space, .. } => Some(Arc::clone(space.plain())),
            What::GlobalTag(_) => None,
        };
        tracing::debug!(%cause, scopes, "an invalidation waits");
        let identity = self.identity(&work);
        let added = self.queue.add(work, identity, self.timeline.now(), cause)?;
        if added.to_serve {
            self.spawner.start(serve(Arc::downgrade(self)));
        }
        match cell {
            Some(cell) => cell.count(Counter::invalidations_queued),
            None => {
                self.queue.global_tags.fetch_add(1, Relaxed);
            }
        }
        if added.new {
            let kind = EventKind::InvalidationQueued { scopes, waiting: self.queue.waiting() };
            self.report(tenant.as_deref(), kind);
        }
        Ok(Invalidation::Queued(added.handle))
    }

    fn identity(&self, work: &Work) -> Identity {
        let scopes: Vec<Scope> = match &work.what {
            What::GlobalTag(scope) => vec![*scope],
            What::Targets { tenant, space, targets } => {
                let of_key = |key: &Vec<u8>| self.key_scope_in(tenant, space, key);
                targets.scopes.iter().map(|target| target.scope).chain(targets.keys.iter().map(of_key)).collect()
            }
        };
        Identity::new(work.strength, scopes.into_iter())
    }

    /// Applies what waits: of each tenant one after the other in order, the tenants in turn. Who fails waits for the next
    /// time. Returns how many were applied.
    async fn apply_queued(self: &Arc<Self>) -> usize {
        let mut applied = 0;
        let mut owners: VecDeque<_> = self.queue.owners().into();
        while let Some(owner) = owners.pop_front() {
            let Some(attempt) = self.queue.begin(owner) else { continue };
            match self.carry_out(&attempt.work, false).await {
                Ok(token) => {
                    self.note_applied(&attempt, token);
                    applied += 1;
                    owners.push_back(owner);
                }
                Err(error) => {
                    tracing::debug!(%error, "an invalidation goes on waiting");
                    self.queue.failed(&attempt);
                }
            }
        }
        applied
    }

    fn note_applied(&self, attempt: &Attempt, token: Token) {
        let Some(since) = self.queue.applied(attempt, token) else { return };
        let after = Duration::from_millis(self.timeline.now().saturating_sub(since));
        tracing::debug!(?after, "a queued invalidation was applied");
        let kind = EventKind::InvalidationApplied { scopes: attempt.work.scopes(), after };
        self.report(attempt.work.tenant().map(|tenant| &**tenant), kind);
    }

    /// Tries once more to apply what waits, and lets go of the rest. No task runs any more.
    pub(in crate::engine) async fn close_queue(self: &Arc<Self>) -> Result<()> {
        if self.queue.waiting() > 0 && timeout(LAST_TRY, self.apply_queued()).await.is_err() {
            tracing::debug!("queued invalidations took too long to apply");
        }
        let count = self.queue.close();
        if count == 0 {
            return Ok(());
        }
        tracing::warn!(count, "queued invalidations are lost: the cache was closed before they could be applied");
        self.report(None, EventKind::InvalidationsLost { count });
        let message = format!(
            "{count} queued invalidations could not be applied before the cache was closed, and are lost; \
             other nodes may go on serving what they were about until it expires"
        );
        Err(Error::new(ErrorKind::Unavailable, message))
    }
}
