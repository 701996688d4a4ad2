//! Invalidating: keys leave the tiers below, all scopes get one position, keys leave memory.

use std::sync::Arc;

use stratacache_core::{
    EntryName, Result, Scope, TenantId, Token,
    coordinator::{Coordinator, Invalidate, Marked, ScopeKind, Strength},
    event::EventKind,
    stamp::{Lane, Seq},
};

use tracing::Instrument;

use super::{Door, Engine, said::say_invalidated, write::Few};
use crate::{
    coherence::Rule,
    observe::{Counter, TierCounters},
};

/// One thing to invalidate, as the engine sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) scope: Scope,
    pub(crate) kind: ScopeKind,
}

impl Target {
    pub(crate) fn key(scope: Scope) -> Self {
        Self { scope, kind: ScopeKind::Key }
    }

    pub(crate) fn tag(scope: Scope) -> Self {
        Self { scope, kind: ScopeKind::Tag }
    }

    pub(crate) fn namespace(scope: Scope) -> Self {
        Self { scope, kind: ScopeKind::Namespace }
    }

    /// Names what is in no tenant: a global tag, or all tenants, whose mark is kept as those of namespaces are.
    fn global(scope: Scope) -> Self {
        if scope == Scope::ALL_TENANTS { Self::namespace(scope) } else { Self::tag(scope) }
    }
}

/// What one call invalidates: keys of a namespace, and scopes of its tenant.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    pub(crate) keys: Vec<Vec<u8>>,
    pub(crate) scopes: Vec<Target>,
    /// The whole tenant is cleared: its partition is emptied at once.
    pub(crate) everything: bool,
}

impl Targets {
    pub(super) fn len(&self) -> usize {
        self.keys.len() + self.scopes.len()
    }
}

impl Engine {
    /// Invalidates or expires, to the end even if the caller goes away, and returns the position.
    pub(crate) async fn invalidate(
        self: &Arc<Self>,
        door: &Arc<Door>,
        targets: Targets,
        strength: Strength,
    ) -> Result<Token> {
        let (engine, door) = (Arc::clone(self), Arc::clone(door));
        let write = async move {
            engine.permit_invalidation(&door)?;
            engine.invalidate_here(&door, &targets, strength).await
        };
        self.write_to_the_end(write).await
    }

    /// Refuses what comes after `close`, and what is too much for one tenant.
    pub(crate) fn permit_invalidation(&self, inner: &Door) -> Result<()> {
        self.check_open()?;
        inner.tenant.permit_invalidation(&self.limits, self.timeline.now())
    }

    /// Invalidates or expires, wholly: what an earlier attempt has done is done again.
    pub(super) async fn invalidate_here(
        self: &Arc<Self>,
        inner: &Door,
        targets: &Targets,
        strength: Strength,
    ) -> Result<Token> {
        let keys = targets.keys.iter().map(|key| Target::key(self.key_scope(inner, key)));
        let scopes: Few<Target> = targets.scopes.iter().copied().chain(keys).collect();
        // registered before anything else: the marks that may meet this one are kept
        let (fill, _) = self.mirror.begin_fill(&inner.tenant.marks);
        if strength == Strength::Hard {
            let names: Vec<EntryName> = targets.keys.iter().map(|key| self.name(inner, key)).collect();
            self.remove_below(inner, &names).await?;
        }
        let span = tracing::debug_span!("strata.invalidate", tenant = %inner.tenant.id, scopes = scopes.len());
        let token = self.order(inner, &scopes, strength).instrument(span).await?;
        self.wake_keys(inner, &scopes);
        if strength == Strength::Hard {
            self.remove_overtaken(inner, targets.keys.iter().map(Vec::as_slice), fill.began(), &token).await?;
            for key in &targets.keys {
                self.drop_older(inner, &inner.lookup(key), token.position().seq);
            }
            if targets.everything
                && let Some(partition) = inner.tenant.partition()
            {
                self.free(partition.clear());
            }
        }
        inner.space.plain().count(Counter::invalidations);
        inner.say_invalidated(&scopes, strength, token.position().seq);
        let kind = EventKind::Invalidated { scopes: scopes.len(), seq: token.position().seq };
        self.report(Some(&inner.tenant), kind);
        if strength == Strength::Hard {
            self.probe(inner, &scopes, &token);
        }
        Ok(token)
    }

    /// Invalidates or expires a global tag, or invalidates all tenants.
    pub(crate) async fn invalidate_global(self: &Arc<Self>, scope: Scope, strength: Strength) -> Result<Token> {
        self.check_open()?;
        self.invalidate_global_here(scope, strength).await
    }

    pub(super) async fn invalidate_global_here(self: &Arc<Self>, scope: Scope, strength: Strength) -> Result<Token> {
        let target = Target::global(scope);
        let marked = Marked::new(target.scope, target.kind, strength, 0);
        let request = Invalidate::new(Lane::GLOBAL, vec![marked], self.timeline.now());
        let span = tracing::debug_span!("strata.invalidate", scopes = 1);
        let position = self.coordinator.invalidate(request).instrument(span).await?;
        say_invalidated(&TenantId::global(), &[target], strength, position.seq);
        self.report(None, EventKind::Invalidated { scopes: 1, seq: position.seq });
        let token = Token::new(Lane::GLOBAL, position);
        if strength == Strength::Hard {
            self.probe_global(target, &token);
        }
        Ok(token)
    }

    /// Gives some scopes of a tenant one position.
    pub(super) async fn order(&self, inner: &Door, targets: &[Target], strength: Strength) -> Result<Token> {
        let tenant = &inner.tenant;
        let marked = targets.iter().map(|t| Marked::new(t.scope, t.kind, strength, tenant.scope_low)).collect();
        let request = Invalidate::new(tenant.lane, marked, self.timeline.now()).of_tenant(inner.space.scopes.path()[0]);
        let position = self.coordinator.invalidate(request).await?;
        Ok(Token::new(tenant.lane, position))
    }

    /// Removes names from every tier below, so that nothing older is read from there again.
    ///
    /// The lowest first: who still finds an entry in a tier has taken its fences of the tiers above before they are
    /// voided, and cannot promote it there. One that fails does not keep the others from it; the first failure is returned.
    pub(super) async fn remove_below(&self, inner: &Door, names: &[EntryName]) -> Result<()> {
        let mut result = Ok(());
        for tier in self.tiers.iter().rev() {
            // for want of a reason to write them: their fences are what keeps them out
            if self.rules.has(Rule::BehindKeepsFence) {
                let dropped = tier.behind.forget(inner.tenant.scope_low, names);
                TierCounters::add(&tier.counters.writes_coalesced, dropped);
            }
            result = result.and(tier.remove(names, |kind| self.report(Some(&inner.tenant), kind)).await);
        }
        result
    }

    /// Removes keys once more from the tiers below if an insert of them may have come between their removal and their
    /// mark: it was ordered before this, and its fence is newer than the removal. No mark of a key outlives a restart.
    ///
    /// Where nodes share the order, such an insert says of itself that it is older than its fence, and is judged by that.
    pub(super) async fn remove_overtaken(
        &self,
        inner: &Door,
        keys: impl Iterator<Item = &[u8]>,
        began: Seq,
        token: &Token,
    ) -> Result<()> {
        if self.tiers.is_empty() || self.shared {
            return Ok(());
        }
        let own = token.position().seq;
        let disturbed =
            |key: &&[u8]| !self.mirror.key_undisturbed(&inner.tenant.marks, self.key_scope(inner, key), began, own);
        let names: Vec<EntryName> = keys.filter(disturbed).map(|key| self.name(inner, key)).collect();
        self.remove_below(inner, &names).await
    }
}
