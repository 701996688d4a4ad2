//! Letting keys rest whose load failed, where nothing can be served instead.

use std::{sync::Arc, time::Duration};

use stratacache_core::{Scope, Stamp};

use super::{Door, Engine, Target, lead::Leader, protect::refusal};
use crate::{
    LoadError,
    codec::CacheValue,
    coherence::{Depends, Verdict},
    loaders::{BackOff, Loader},
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
        let (tenant, now) = (&self.call.ns.tenant, self.engine().timeline.now());
        let scope = self.scope();
        let failure = tenant.failing.resting(&scope, now)?;
        let holds = |depends: &Depends<'_>| {
            failure.stamp.mep == tenant.marks.mep()
                && self.engine().mirror.judge(&tenant.marks, depends) != Verdict::Invalid
        };
        if !self.with_depends(&failure.stamp, holds) {
            tenant.failing.forget(&scope);
            return None;
        }
        Some(LoadError::BackingOff(loader.resting(Duration::from_millis(failure.until.saturating_sub(now)))))
    }

    /// Lets the key rest after a failure, unless it was invalidated meanwhile.
    pub(super) fn rest<E>(&self, error: &LoadError<E>) {
        let failed = matches!(error, LoadError::Loader(_) | LoadError::Timeout | LoadError::Panicked(_));
        let Some(rule) = self.rule().filter(|_| failed && self.stale.is_none()) else { return };
        let (engine, tenant, scope) = (self.engine(), &self.call.ns.tenant, self.scope());
        tenant.failing.note(scope, self.stamp, &rule, engine.timeline.now(), engine.jitter.unit());
        // noted first: who invalidates it from here on ends it
        let (mep, began) = (self.stamp.mep as u32, self.fill.began());
        let allowed = |depends: &Depends<'_>| engine.judge(&self.call.ns).allows(mep, depends, scope, began);
        if !self.with_depends(&self.stamp, allowed) {
            tenant.failing.forget(&scope);
        }
    }

    fn rule(&self) -> Option<BackOff> {
        self.call.protection.loader.as_deref().map(|loader: &Loader| loader.limits)?.back_off_rule()
    }

    fn scope(&self) -> Scope {
        self.engine().key_scope(&self.call.ns, self.call.key.as_bytes())
    }

    /// Judges what the key is known to depend on, as of a stamp.
    fn with_depends(&self, stamp: &Stamp, judge: impl FnOnce(&Depends<'_>) -> bool) -> bool {
        let scopes = self.call.ns.entry_scopes(&self.call.key, &self.call.tags);
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
