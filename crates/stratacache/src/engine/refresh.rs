//! Refreshing behind a reader: one at a time, and not before the back-off has passed.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use stratacache_core::{Key, event::EventKind};

use super::{Door, Engine, Request, life::back_off};
use crate::{LoadError, codec::CacheValue, flight::Role, memory::Entry, observe::Counter};

/// A value whose load failed: its readers get it until the next attempt.
pub(super) struct Outdated<'a, V: 'static> {
    pub(super) key: &'a Key<V>,
    pub(super) entry: &'a Entry<V>,
    /// Nobody was to wait for the load.
    pub(super) behind: bool,
}

impl Engine {
    /// Counts and reports one failed load, of one key or of many, and lets the next attempt wait.
    ///
    /// What was loaded together waits equally long, so that it is loaded together again.
    pub(super) fn load_failed<V: 'static, E>(
        &self,
        ns: &Door,
        key: &Key<V>,
        error: &LoadError<E>,
        outdated: &[Outdated<'_, V>],
    ) {
        let counter = match error {
            LoadError::Timeout => Counter::load_timeouts,
            LoadError::LoaderBusy(_) => Counter::loader_busy,
            LoadError::LoaderDown(_) => Counter::loader_down,
            LoadError::BackingOff(_) => Counter::keys_resting,
            _ => Counter::load_errors,
        };
        ns.count(key, counter);
        if error.is_refusal() {
            return self.load_refused(ns, outdated);
        }
        self.report(Some(&ns.tenant), EventKind::LoadFailed { reason: error.reason() });
        let failed = |one: &Outdated<'_, V>| one.entry.meta.cold_or_default().failures.fetch_add(1, Relaxed) + 1;
        let Some(failures) = outdated.iter().map(failed).max() else { return };
        let wait = back_off(failures, &self.jitter);
        let retry_at = self.timeline.now() + wait;
        for one in outdated {
            one.entry.meta.cold_or_default().retry_at.store(retry_at, Relaxed);
            if one.behind {
                ns.count(one.key, Counter::refresh_errors);
            }
        }
        if outdated.iter().any(|one| one.behind) {
            let retry_in = Duration::from_millis(wait);
            self.report(Some(&ns.tenant), EventKind::RefreshFailed { failures, retry_in });
        }
    }

    /// Lets the readers of stale values look again in a while: nothing was called, so nothing says how bad it is.
    fn load_refused<V: 'static>(&self, ns: &Door, outdated: &[Outdated<'_, V>]) {
        let retry_at = self.timeline.now() + back_off(1, &self.jitter);
        for one in outdated {
            let cold = one.entry.meta.cold_or_default();
            cold.failures.fetch_max(1, Relaxed);
            cold.retry_at.store(retry_at, Relaxed);
            if one.behind {
                ns.count(one.key, Counter::refresh_errors);
            }
        }
    }

    /// Starts a load behind the reader of `entry`, unless one is under way, here or on another node. Nobody waits for it.
    pub(super) fn refresh_behind<V, E>(self: &Arc<Self>, mut request: Box<Request<V, E>>, entry: Arc<Entry<V>>)
    where
        V: CacheValue,
        E: Send + Sync + 'static,
    {
        request.call.share = true;
        // readers that miss may join it: the key is that of a read
        let flight_key = self.flight_key_of(&request);
        (request.call.forced, request.call.behind) = (true, true);
        let ns = Arc::clone(&request.call.ns);
        if let Role::Lead(lead, fill) =
            self.join_or_lead(&ns, flight_key, (&request.call.key, &request.call.tags), |_| true)
        {
            ns.count(&request.call.key, Counter::refreshes);
            self.take_off(request, lead, fill, Some(entry));
        }
    }
}
