//! Where an operation enters: a tenant, a namespace of it, and the defaults that hold there.

use std::{sync::Arc, time::Duration};

use smallvec::SmallVec;
use stratacache_core::{Consistency, Error, Key, KeyspaceInfo, NamespacePath, Policy, Result, Scope, Tag, TenantId};

use super::{Engine, Space, Tenant, lead::Landed};
use crate::{
    Freshness,
    memory::{EntryScopes, LookupKey},
    observe::{Cell, Counter},
};

/// What a handle of a namespace holds.
pub(crate) struct Door {
    pub(crate) engine: Arc<Engine>,
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) space: Arc<Space>,
    pub(crate) policy: Option<Policy>,
    pub(crate) ttl: Option<Duration>,
    /// How new an answer must be where neither the call nor the keyspace says.
    pub(crate) consistency: Consistency,
    pub(crate) tags: SmallVec<[Tag; 1]>,
    /// A default or level that is not valid; every operation reports it.
    pub(crate) fault: Option<Error>,
}

/// Returns the first that says anything.
pub(crate) fn nearest<const N: usize>(all: [Consistency; N]) -> Consistency {
    all.into_iter().find(|one| *one != Consistency::Inherit).unwrap_or_default()
}

impl Engine {
    /// Returns the door to a namespace, without defaults of its own but how new answers are.
    pub(crate) fn door(self: &Arc<Self>, id: &TenantId, path: &NamespacePath, consistency: Consistency) -> Arc<Door> {
        let tenant = self.tenants.get(id, &self.mirror, &self.deployment, &self.limits);
        let space = self.space(&tenant, path);
        Arc::new(Door::bare(Arc::clone(self), tenant, space, consistency))
    }

    pub(crate) fn space(&self, tenant: &Tenant, path: &NamespacePath) -> Arc<Space> {
        tenant.space(path, || Space::new(&self.deployment, &self.ledger, &tenant.id, path.clone(), self.shared))
    }
}

impl Door {
    /// Makes one that says nothing of its own but how new answers are.
    pub(crate) fn bare(engine: Arc<Engine>, tenant: Arc<Tenant>, space: Arc<Space>, consistency: Consistency) -> Self {
        Self { engine, tenant, space, policy: None, ttl: None, consistency, tags: SmallVec::new(), fault: None }
    }

    pub(crate) fn check(&self) -> Result<()> {
        self.engine.check_open()?;
        self.fault.clone().map_or(Ok(()), Err)
    }

    /// Returns a key of this namespace, to look up in memory.
    #[inline]
    pub(crate) fn lookup<'a>(&'a self, key: &'a [u8]) -> LookupKey<'a> {
        LookupKey { prefix: &self.space.prefix, key }
    }

    /// Counts something for the keyspace of a key, or for the namespace.
    #[inline]
    pub(crate) fn count<V: 'static>(&self, key: &Key<V>, counter: Counter) {
        self.with_cell(key, |cell| cell.count(counter));
    }

    #[inline]
    fn with_cell<V: 'static>(&self, key: &Key<V>, count: impl FnOnce(&Cell)) {
        let keyspace = key.keyspace().map(|k| (std::ptr::from_ref(k) as usize, k.name()));
        self.space.with_cell(&self.engine.ledger, &self.tenant.id, keyspace, count);
    }

    /// Counts how a read that asked more than memory was answered, and says so; `None` is an error.
    pub(crate) fn count_answer<V: 'static>(&self, key: &Key<V>, answer: Option<&Landed<V>>) {
        match answer {
            Some(landed) if landed.freshness != Freshness::Loaded => self.count_hit(key, landed),
            _ => {
                self.count(key, Counter::misses);
                self.say_miss(key.as_bytes());
            }
        }
    }

    /// Counts a read that a tier answered, and says so. Another reader's promotion counts as what it is for this one, too.
    pub(crate) fn count_hit<V: 'static>(&self, key: &Key<V>, landed: &Landed<V>) {
        let name = match landed.tier {
            Some(tier) => {
                self.with_cell(key, |cell| cell.count_below(tier));
                &self.engine.tiers[tier].name
            }
            None => {
                self.count(key, Counter::memory_hits);
                "memory"
            }
        };
        let stale = landed.freshness == Freshness::Stale;
        if stale {
            self.count(key, Counter::stale_hits);
        }
        let absent = landed.entry.value().is_none();
        let state = if absent {
            "absent"
        } else if stale {
            "stale"
        } else {
            "fresh"
        };
        self.say_hit(key.as_bytes(), name, state);
    }

    /// Tells whether memory may not answer before the coordinator was asked, going by the keyspace and the namespace.
    #[inline]
    pub(crate) fn asks_first<V: 'static>(&self, key: &Key<V>) -> bool {
        self.engine.shared && !self.engine.may_answer_at_once(self, self.consistency_of(key))
    }

    /// Returns how new the answer to a call that does not say so must be.
    pub(crate) fn consistency_of<V: 'static>(&self, key: &Key<V>) -> Consistency {
        self.consistency_in(key.keyspace())
    }

    fn consistency_in<V: 'static>(&self, keyspace: Option<&'static KeyspaceInfo<V>>) -> Consistency {
        nearest([keyspace.map_or(Consistency::Inherit, |k| k.policy().consistency_mode()), self.consistency])
    }

    /// Returns the policy of a call: what it says itself, else the keyspace, else the namespace, else the default.
    pub(crate) fn policy_in<V: 'static>(
        &self,
        keyspace: Option<&'static KeyspaceInfo<V>>,
        own: Option<&Policy>,
    ) -> Result<Policy> {
        self.check()?;
        let policy = self.whole_policy_in(keyspace, own)?;
        Ok(policy.consistency(nearest([policy.consistency_mode(), self.consistency_in(keyspace)])))
    }

    fn whole_policy_in<V: 'static>(
        &self,
        keyspace: Option<&'static KeyspaceInfo<V>>,
        own: Option<&Policy>,
    ) -> Result<Policy> {
        let engine = &self.engine;
        if let Some(policy) = own {
            policy.check(&engine.ceilings)?;
            return Ok(*policy);
        }
        let Some(keyspace) = keyspace else {
            let policy = self.policy.unwrap_or(engine.default_policy);
            return Ok(self.ttl.map_or(policy, |ttl| policy.with_ttl(ttl)));
        };
        engine.keyspace_policy(keyspace)
    }

    pub(crate) fn check_tags(&self, tags: &[Tag]) -> Result<()> {
        let (all, max_tags) = (tags.len() + self.tags.len(), self.engine.limits.max_tags);
        if all > max_tags {
            return Err(Error::invalid(format!("an entry has at most {max_tags} tags (max_tags), this one {all}")));
        }
        Ok(())
    }

    /// Returns the scopes of an entry with the namespace's tags, these, and the leading parts of its key that its keyspace marks.
    pub(crate) fn entry_scopes<V: 'static>(&self, key: &Key<V>, tags: &[Tag]) -> Arc<EntryScopes> {
        let marked = key.keyspace().is_some_and(|keyspace| keyspace.marked_parts() > 0);
        if tags.is_empty() && self.tags.is_empty() && !marked {
            return Arc::clone(&self.space.scopes);
        }
        let all = || self.tags.iter().chain(tags);
        let of = |global: bool| {
            let all = all().filter(move |t| t.is_global() == global);
            let mut scopes: Vec<_> = all.map(|t| t.scope(&self.engine.deployment, &self.tenant.id)).collect();
            if !global {
                let mut prefixes = key.prefixes();
                while let Some(prefix) = prefixes.next_bytes() {
                    scopes.push(self.prefix_scope(prefix));
                }
            }
            scopes.sort_unstable();
            scopes.dedup();
            scopes.into_boxed_slice()
        };
        let make = |tags, global| EntryScopes::new(Arc::clone(self.space.scopes.path()), tags, global);
        if marked {
            let (tags, global) = (of(false), of(true));
            return self.space.recent_scopes.of_scopes(&tags, &global, || make(tags.clone(), global.clone()));
        }
        self.space.recent_scopes.of_tags(all(), || make(of(false), of(true)))
    }

    /// Returns scopes with the tags of others added.
    pub(super) fn with_scopes_of(&self, own: &Arc<EntryScopes>, others: &EntryScopes) -> Arc<EntryScopes> {
        let lacks = |own: &[Scope], others: &[Scope]| others.iter().any(|scope| !own.contains(scope));
        if !lacks(own.tags(), others.tags()) && !lacks(own.global_tags(), others.global_tags()) {
            return Arc::clone(own);
        }
        let both = |own: &[Scope], others: &[Scope]| {
            let mut all = [own, others].concat();
            all.sort_unstable();
            all.dedup();
            all
        };
        let (tags, global) = (both(own.tags(), others.tags()), both(own.global_tags(), others.global_tags()));
        let make = || EntryScopes::new(Arc::clone(own.path()), tags.clone().into(), global.clone().into());
        self.space.recent_scopes.of_scopes(&tags, &global, make)
    }

    /// Returns the scope of the keys of this namespace that begin alike.
    pub(crate) fn prefix_scope(&self, prefix: &[u8]) -> Scope {
        self.engine.deployment.prefix_scope(&self.tenant.id, self.space.prefix.path(), prefix)
    }
}
