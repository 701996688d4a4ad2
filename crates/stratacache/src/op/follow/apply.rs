//! Applying what of one tenant waits.

use std::{collections::HashMap, sync::Arc};

use stratacache_core::{Consistency, NamespacePath, Result, Scope, coordinator::Strength};

use super::lines::{Item, Work};
use crate::engine::{Engine, Target, Targets};

/// Invalidates all of it. What an earlier attempt has done is done again.
pub(super) async fn apply(engine: &Arc<Engine>, work: Work) -> Result<()> {
    if work.items.iter().any(|(scope, _)| *scope == Scope::ALL_TENANTS) {
        // each of the others is a part of it
        return engine.invalidate_global(Scope::ALL_TENANTS, Strength::Hard).await.map(|_| ());
    }
    let root = NamespacePath::default();
    let mut at_root = Targets::default();
    let mut keys: HashMap<NamespacePath, Vec<Vec<u8>>> = HashMap::new();
    let mut global = Vec::new();
    for (scope, item) in work.items {
        match item {
            Item::Key(path, key) if path == root => at_root.keys.push(key),
            Item::Key(path, key) => keys.entry(path).or_default().push(key),
            Item::Scope(target) => at_root.scopes.push(target),
            Item::Global => global.push(scope),
        }
    }
    let door = engine.door(&work.owner, &root, Consistency::Inherit);
    if work.everything {
        let tenant = door.space.scopes.path().first().map(|scope| Target::namespace(*scope));
        at_root = Targets { scopes: tenant.into_iter().collect(), everything: true, ..Targets::default() };
        keys.clear();
    }
    for scope in global {
        engine.invalidate_global(scope, Strength::Hard).await?;
    }
    if !at_root.keys.is_empty() || !at_root.scopes.is_empty() {
        engine.invalidate(&door, at_root, Strength::Hard).await?;
    }
    for (path, keys) in keys {
        let door = engine.door(&work.owner, &path, Consistency::Inherit);
        engine.invalidate(&door, Targets { keys, ..Targets::default() }, Strength::Hard).await?;
    }
    Ok(())
}
