//! Locks: a lease of the caller's ttl on a name that no entry has, and a number that grows from holder to holder.

mod guard;
mod held;

use std::{pin::pin, sync::Arc, time::Duration};

use parking_lot::Mutex;
use smallvec::SmallVec;
use stratacache_core::{
    Aside, EntryName, Error, ErrorKind, Key, Policy, Result,
    clock::Millis,
    coordinator::{Coordinator, Lease, LeaseReply, LeaseRequest},
    stamp::{Position, Seq},
};
use tokio::time::sleep;

pub use guard::LockGuard;
pub(crate) use held::Locks;

use super::{
    Change, Door, Engine, UpdateRequest,
    lease::{FIRST_PAUSE, LONGEST_PAUSE},
};
use crate::memory::{Held, MapKey};
use held::LockKey;

/// A token is a time in milliseconds, times this; so many holders in one millisecond have tokens of their own.
const TOKENS_IN_A_MS: u64 = 1 << 10;

/// What a holder has of a lock.
#[derive(Clone)]
enum Right {
    /// Among nodes.
    Lease(Lease),
    /// In this process.
    Here { key: LockKey, token: u64 },
}

impl Engine {
    /// Takes a lock, waiting up to `wait` for who has it; `None` if it is still held then.
    pub(crate) async fn lock(
        self: &Arc<Self>,
        ns: &Arc<Door>,
        key: &Key<()>,
        ttl: Duration,
        wait: Duration,
    ) -> Result<Option<LockGuard>> {
        ns.check()?;
        key.check()?;
        if ttl.as_millis() == 0 || ttl > self.ceilings.max_ttl {
            let most = self.ceilings.max_ttl;
            return Err(Error::invalid(format!("the ttl of a lock is 1 ms to max_ttl ({most:?}), not {ttl:?}")));
        }
        let shared = self.leased_tier().is_some();
        let name = self.name(ns, key.aside::<()>(Aside::Lock).as_bytes());
        let mut too_late = pin!(sleep(wait));
        let mut pause = FIRST_PAUSE;
        loop {
            self.check_open()?;
            // watched from before the question: an end in between is not missed
            let ended = self.coordinator.watch(name);
            let freed = self.locks.freed();
            let taken = match shared {
                true => self.try_lock_shared(ns, key, name, ttl).await?,
                false => self.try_lock_here(ns, key, ttl)?,
            };
            if taken.is_some() || wait.is_zero() {
                return Ok(taken);
            }
            let jittered = pause.mul_f64(0.5 + self.jitter.unit());
            tokio::select! {
                () = ended => {}
                () = freed => {}
                () = sleep(jittered) => {}
                () = &mut too_late => return Ok(None),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn try_lock_shared(
        self: &Arc<Self>,
        ns: &Arc<Door>,
        key: &Key<()>,
        name: EntryName,
        ttl: Duration,
    ) -> Result<Option<LockGuard>> {
        let lane = ns.tenant.lane;
        // no load takes it over
        let stamp = Position { incarnation: self.mirror.incarnation(lane), seq: Seq::MAX };
        let reply = self.coordinator.lease(LeaseRequest::new(lane, name, stamp, ttl)).await?;
        let LeaseReply::Granted(lease) = reply else { return Ok(None) };
        // given back from here on, whatever happens
        let mut guard = LockGuard::new(Arc::clone(self), Right::Lease(lease));
        guard.token = self.next_token(ns, key).await?;
        // that took a while: who was too slow has a token, but no lock
        match guard.renew().await? {
            true => Ok(Some(guard)),
            false => Ok(None),
        }
    }

    fn try_lock_here(self: &Arc<Self>, ns: &Arc<Door>, key: &Key<()>, ttl: Duration) -> Result<Option<LockGuard>> {
        let key = LockKey { tenant: ns.tenant.number, key: MapKey::from(ns.lookup(key.as_bytes())) };
        let now = self.timeline.now();
        let Some(token) = self.locks.take(&key, now, ttl)? else { return Ok(None) };
        let mut guard = LockGuard::new(Arc::clone(self), Right::Here { key, token });
        (guard.token, guard.life) = (token, ttl);
        guard.held_until(now);
        Ok(Some(guard))
    }

    /// Returns a number larger than all that were returned for a lock: the time of the coordinator, and never less than the
    /// last one and one. Either alone may be lost: the last one with the history of the store, the time when a clock is set.
    async fn next_token(self: &Arc<Self>, ns: &Arc<Door>, key: &Key<()>) -> Result<u64> {
        let time: Millis = match self.coordinator.time().await? {
            Some(time) => time,
            None => self.timeline.now(),
        };
        let least = time.saturating_mul(TOKENS_IN_A_MS);
        let change = Box::new(move |last: Option<&u64>| {
            let next = last.map_or(0, |last| last.saturating_add(1)).max(least);
            Ok(Change::Set(Held::Own(next)))
        });
        let request = UpdateRequest {
            ns: Arc::clone(ns),
            key: key.aside::<u64>(Aside::Fence),
            policy: Policy::ttl(self.ceilings.max_ttl).jitter(0.0),
            tags: SmallVec::new(),
            change: Mutex::new(change),
        };
        let changed = self.update(request).await?;
        let token = changed.after.as_ref().and_then(|entry| entry.value().copied());
        token.ok_or_else(|| Error::new(ErrorKind::Internal, "a lock without a fencing token"))
    }
}
