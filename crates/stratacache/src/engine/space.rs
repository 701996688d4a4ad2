//! What the handles of one namespace share: its prefix, its scopes and its counters.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use foldhash::fast::RandomState;
use parking_lot::RwLock;
use stratacache_core::{Deployment, NamespacePath, TenantId};

use super::recent_scopes::RecentScopes;
use crate::{
    memory::{EntryScopes, NamespacePrefix},
    observe::{Cell, Ledger},
};

const INLINE: usize = 8;

type Known = (usize, Arc<Cell>);

/// One namespace of one tenant.
pub(crate) struct Space {
    pub(crate) prefix: NamespacePrefix,
    /// The scopes of an entry without tags.
    pub(crate) scopes: Arc<EntryScopes>,
    pub(super) recent_scopes: RecentScopes,
    plain: Arc<Cell>,
    keyspaces: OnceLock<Box<[OnceLock<Known>; INLINE]>>,
    more: RwLock<HashMap<usize, Arc<Cell>, RandomState>>,
}

impl Space {
    /// Makes a namespace; where nodes share the coordinator, its keys are found by what the others say of them.
    pub(crate) fn new(
        deployment: &Deployment,
        ledger: &Ledger,
        tenant: &TenantId,
        path: NamespacePath,
        shared: bool,
    ) -> Self {
        let scopes = EntryScopes::new(deployment.path_scopes(tenant, &path).into(), Box::default(), Box::default());
        Self {
            plain: ledger.cell(tenant, &path, None),
            prefix: if shared {
                let hasher = deployment.key_hasher(tenant, &path);
                NamespacePrefix::by_scope(path, hasher)
            } else {
                NamespacePrefix::new(path)
            },
            scopes: Arc::new(scopes),
            recent_scopes: RecentScopes::default(),
            keyspaces: OnceLock::new(),
            more: RwLock::default(),
        }
    }

    pub(crate) fn plain(&self) -> &Arc<Cell> {
        &self.plain
    }

    /// Runs `count` on the cell of a keyspace, which `id` (its address) and name tell.
    #[inline]
    pub(crate) fn with_cell(
        &self,
        ledger: &Ledger,
        tenant: &TenantId,
        keyspace: Option<(usize, &'static str)>,
        count: impl FnOnce(&Cell),
    ) {
        let Some((id, name)) = keyspace else { return count(&self.plain) };
        let inline = self.keyspaces.get_or_init(|| Box::new(std::array::from_fn(|_| OnceLock::new())));
        let make = || ledger.cell(tenant, self.prefix.path(), Some(name));
        let (known, cell) = inline[(id >> 5) % INLINE].get_or_init(|| (id, make()));
        if *known == id {
            return count(cell);
        }
        if let Some(cell) = self.more.read().get(&id) {
            return count(cell);
        }
        count(self.more.write().entry(id).or_insert_with(make));
    }
}
