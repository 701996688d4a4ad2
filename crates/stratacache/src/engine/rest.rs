//! Letting keys rest whose load failed, where nothing can be served instead.

use std::{sync::Arc, time::Duration};

use stratacache_core::{Key, Stamp, Tag, clock::Millis, stamp::Seq};

use super::{
    Call, Door, Engine, Protection, Target,
    bulk_load::{BulkCall, BulkLeader, Led},
    lead::Leader,
    protect::refusal,
};
use crate::{
    LoadError,
    codec::CacheValue,
    coherence::{Depends, Verdict},
    loaders::{BackOff, Failure, Loader},
};

impl Engine {
    /// Ends the rest of keys that were invalidated or written.
    pub(super) fn wake_keys(&self, ns: &Door, targets: &[Target]) {
        if self.loaders.keys_rest {
            targets.iter().for_each(|target| ns.tenant.failing.forget(&target.scope));
        }
    }

    /// Ends the rest of a key that was loaded.
    pub(super) fn wake_key(&self, ns: &Door, key: &[u8]) {
        if self.loaders.keys_rest {
            ns.tenant.failing.forget(&self.key_scope(ns, key));
        }
    }
}

impl Door {
    /// Returns the failure after which a key rests, for a load of its own or for one of many, unless something it is known to depend on was
    /// invalidated since.
    fn resting<V: 'static>(&self, key: &Key<V>, tags: &[Tag], together: bool, now: Millis) -> Option<Failure> {
        let (failing, marks, mirror) = (&self.tenant.failing, &self.tenant.marks, &self.engine.mirror);
        let scope = self.engine.key_scope(self, key.as_bytes());
        let failure = if together { failing.resting_together(&scope, now) } else { failing.resting(&scope, now) }?;
        let holds = |depends: &Depends<'_>| {
            failure.stamp.mep == marks.mep() && mirror.judge(marks, depends) != Verdict::Invalid
        };
        if !self.with_depends(key, tags, &failure.stamp, holds) {
            failing.forget(&scope);
            return None;
        }
        Some(failure)
    }

    /// Ends the rest of a key that was noted a moment ago, if it was invalidated while it was loaded. Noted first: who invalidates
    /// it from here on ends it.
    fn wake_if_changed<V: 'static>(&self, key: &Key<V>, tags: &[Tag], stamp: &Stamp, began: Seq) {
        let scope = self.engine.key_scope(self, key.as_bytes());
        let allowed = |depends: &Depends<'_>| self.engine.judge(self).allows(stamp.mep as u32, depends, scope, began);
        if !self.with_depends(key, tags, stamp, allowed) {
            self.tenant.failing.forget(&scope);
        }
    }

    /// Judges what the key is known to depend on, as of a stamp.
    fn with_depends<V: 'static>(
        &self,
        key: &Key<V>,
        tags: &[Tag],
        stamp: &Stamp,
        judge: impl FnOnce(&Depends<'_>) -> bool,
    ) -> bool {
        let scopes = self.entry_scopes(key, tags);
        let scopes = Arc::as_ref(&scopes);
        judge(&Depends {
            path: scopes.path(),
            tags: scopes.tags(),
            global_tags: scopes.global_tags(),
            lane_seq: stamp.lane.seq,
            global_seq: stamp.global.seq,
            own: 0,
        })
    }
}

impl Protection {
    /// Returns how long keys rest after such an error.
    fn rest_after<E>(&self, error: &LoadError<E>) -> Option<BackOff> {
        let failed = matches!(error, LoadError::Loader(_) | LoadError::Timeout | LoadError::Panicked(_));
        self.loader.as_ref().filter(|_| failed)?.limits.back_off_rule()
    }
}

fn backing_off<E>(loader: &Loader, until: Millis, now: Millis) -> LoadError<E> {
    LoadError::BackingOff(loader.resting(Duration::from_millis(until.saturating_sub(now))))
}

impl<V: CacheValue> Leader<V> {
    /// Returns the error of a load whose loader is not to be called now.
    pub(super) fn left_alone<E>(&self) -> Option<LoadError<E>> {
        let loader = self.call.protection.loader.as_ref()?;
        if let Err(refused) = loader.check_up() {
            return Some(refusal(loader, refused));
        }
        let asked_for = self.call.forced && !self.call.behind;
        if asked_for || self.stale.is_some() || loader.limits.back_off_rule().is_none() {
            return None;
        }
        let now = self.engine().timeline.now();
        let failure = self.call.ns.resting(&self.call.key, &self.call.tags, false, now)?;
        Some(backing_off(loader, failure.until, now))
    }

    /// Lets the key rest after a failure, unless it was invalidated meanwhile.
    pub(super) fn rest<E>(&self, error: &LoadError<E>) {
        let Some(rule) = self.call.protection.rest_after(error).filter(|_| self.stale.is_none()) else { return };
        let (engine, Call { ns, key, tags, .. }) = (self.engine(), &self.call);
        let scope = engine.key_scope(ns, key.as_bytes());
        ns.tenant.failing.note(scope, self.stamp, &rule, engine.timeline.now(), engine.jitter.unit());
        ns.wake_if_changed(key, tags, &self.stamp, self.fill.began());
    }
}

impl<V: CacheValue, E: Send + Sync + 'static> BulkLeader<V, E> {
    /// Returns the error of a load of many keys if each of those that it would load rests. With one that does not, all are loaded: it
    /// is one call of the loader. If there is only one, it is a load of that key.
    pub(super) fn left_alone(&self) -> Option<LoadError<E>> {
        let loader = self.call.protection.loader.as_ref()?;
        if self.call.forced || loader.limits.back_off_rule().is_none() {
            return None;
        }
        let (now, BulkCall { ns, keys, tags, .. }) = (self.engine.timeline.now(), &self.call);
        let (mut until, together) = (Millis::MAX, self.led.len() > 1);
        for index in self.led.keys() {
            until = until.min(ns.resting(&keys[*index], tags, together, now)?.until);
        }
        Some(backing_off(loader, until, now))
    }

    /// Lets the keys rest after a failure: one that was loaded alone, or all for further loads of many.
    pub(super) fn rest(&self, error: &LoadError<E>) {
        let Some(rule) = self.call.protection.rest_after(error) else { return };
        let (engine, BulkCall { ns, keys, tags, .. }) = (&self.engine, &self.call);
        let failing = &ns.tenant.failing;
        let (now, random) = (engine.timeline.now(), engine.jitter.unit());
        let resting = || self.led.iter().filter(|(_, one)| one.stale.is_none());
        let failed = |(index, one): (&usize, &Led<V, E>)| {
            (engine.key_scope(ns, keys[*index].as_bytes()), one.lead.flight().stamp)
        };
        match resting().map(failed).collect::<Vec<_>>().as_slice() {
            [] => return,
            [(scope, stamp)] if self.led.len() == 1 => failing.note(*scope, *stamp, &rule, now, random),
            many => failing.note_together(many, &rule, now, random),
        }
        for (index, one) in resting() {
            ns.wake_if_changed(&keys[*index], tags, &one.lead.flight().stamp, one.fill.began());
        }
    }
}
