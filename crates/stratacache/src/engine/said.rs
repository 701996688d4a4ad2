//! What is logged of reads, loads and invalidations: each, at debug, by the hash of its key.
//!
//! Where nobody listens at debug this costs one load of one number that hardly ever changes.

use std::fmt;

use stratacache_core::{
    Scope, TenantId,
    coordinator::{ScopeKind, Strength},
};
use tracing::{
    Level, Span,
    level_filters::{LevelFilter, STATIC_MAX_LEVEL},
};

use super::{Door, Target};

/// Stands for a key, tag or namespace in logs: 16 hexadecimal digits of a hash that is keyed with the secret of the deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(u64);

impl KeyHash {
    pub(crate) fn of(scope: Scope) -> Self {
        Self(scope.low())
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Tells whether anybody may want what is said at debug.
#[inline]
pub(super) fn listened() -> bool {
    STATIC_MAX_LEVEL >= Level::DEBUG && LevelFilter::current() >= Level::DEBUG
}

impl Door {
    /// Returns what stands for a key in logs: a keyed hash, never the key.
    pub(crate) fn key_hash(&self, key: &[u8]) -> u64 {
        self.engine.key_scope(self, key).low()
    }

    fn shown(&self, key: &[u8]) -> KeyHash {
        KeyHash(self.key_hash(key))
    }

    /// The span of a read that memory did not answer at once.
    pub(crate) fn span_of_get(&self) -> Span {
        tracing::debug_span!("strata.get", tenant = %self.tenant.id)
    }

    /// The span of an insert.
    pub(super) fn span_of_insert(&self) -> Span {
        tracing::debug_span!("strata.insert", tenant = %self.tenant.id)
    }

    #[inline]
    pub(crate) fn say_hit(&self, key: &[u8], tier: &str, state: &'static str) {
        if listened() {
            self.say_hit_now(key, tier, state);
        }
    }

    #[cold]
    fn say_hit_now(&self, key: &[u8], tier: &str, state: &'static str) {
        tracing::debug!(tenant = %self.tenant.id, key = %self.shown(key), tier, state, "hit");
    }

    pub(super) fn say_miss(&self, key: &[u8]) {
        tracing::debug!(tenant = %self.tenant.id, key = %self.shown(key), "miss");
    }

    pub(super) fn say_loaded(&self, key: &[u8], ms: u64) {
        tracing::debug!(tenant = %self.tenant.id, key = %self.shown(key), ms, "loaded");
    }

    pub(super) fn say_load_failed(&self, key: &[u8], reason: &'static str) {
        tracing::debug!(tenant = %self.tenant.id, key = %self.shown(key), reason, "load failed");
    }

    pub(super) fn say_invalidated(&self, targets: &[Target], strength: Strength, seq: u64) {
        say_invalidated(&self.tenant.id, targets, strength, seq);
    }
}

/// Says what was invalidated or expired: a line for each key, tag and namespace.
pub(super) fn say_invalidated(tenant: &TenantId, targets: &[Target], strength: Strength, seq: u64) {
    if !listened() {
        return;
    }
    let operation = if strength == Strength::Hard { "invalidate" } else { "expire" };
    for target in targets {
        let hash = KeyHash::of(target.scope);
        match target.kind {
            ScopeKind::Key => tracing::debug!(%tenant, key = %hash, operation, seq, "invalidated"),
            ScopeKind::Tag => tracing::debug!(%tenant, tag = %hash, operation, seq, "invalidated"),
            ScopeKind::Namespace => tracing::debug!(%tenant, namespace = %hash, operation, seq, "invalidated"),
        }
    }
}
