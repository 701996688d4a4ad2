//! From what a source says to what the engine orders.

use std::sync::Arc;

use stratacache_core::{
    Consistency, Error, NamespacePath, Result, Scope, TenantId,
    follow::{Change, ChangeTarget, KeyspaceShape, LocatedTarget},
};

use super::lines::Item;
use crate::{engine, engine::Engine, op::target::resolve};

/// A change that can be applied.
pub(super) struct Applicable {
    pub(super) owner: TenantId,
    pub(super) items: Vec<(Scope, Item)>,
    pub(super) everything: bool,
}

/// Checks a change.
///
/// # Errors
/// When it cannot be applied, now or ever.
pub(super) fn locate(engine: &Arc<Engine>, known: &[KeyspaceShape], change: Change) -> Result<Applicable> {
    let owner = match &change.tenant {
        Some(tenant) => TenantId::parse(tenant)?,
        None => TenantId::global(),
    };
    let targets = change.targets?;
    if targets.is_empty() {
        return Err(Error::invalid("the change has no targets"));
    }
    let mut applicable = Applicable { owner, items: Vec::new(), everything: false };
    for target in &targets {
        add(engine, known, target, &mut applicable)?;
    }
    Ok(applicable)
}

fn add(
    engine: &Arc<Engine>,
    known: &[KeyspaceShape],
    target: &ChangeTarget,
    applicable: &mut Applicable,
) -> Result<()> {
    let located = target.locate(known)?;
    let Applicable { owner, items, everything } = applicable;
    let target = match located.target {
        LocatedTarget::Everything => {
            *everything = true;
            return Ok(());
        }
        LocatedTarget::AllTenants if owner.is_global() => {
            items.push((Scope::ALL_TENANTS, Item::Global));
            return Ok(());
        }
        LocatedTarget::AllTenants => {
            return Err(Error::invalid(
                "\"all_tenants\" is for a change without a tenant; a tenant's is \"everything\"",
            ));
        }
        LocatedTarget::Tag(tag) if owner.is_global() => {
            items.push((tag.into_global().scope(&engine.deployment, owner), Item::Global));
            return Ok(());
        }
        LocatedTarget::Tag(tag) => {
            let scope = tag.scope(&engine.deployment, owner);
            items.push((scope, Item::Scope(engine::Target::tag(scope))));
            return Ok(());
        }
        LocatedTarget::One(target) => target,
        _ => return Err(Error::invalid("this version of the cache does not know the target")),
    };
    let most = engine.limits.max_namespace_depth;
    let path = located
        .levels
        .iter()
        .try_fold(NamespacePath::default(), |path, level| path.child_encoded(level.as_bytes(), most))?;
    let door = engine.door(owner, &path, Consistency::Inherit);
    let resolved = resolve(&door, vec![target], false)?;
    for key in resolved.keys {
        items.push((engine.key_scope(&door, &key), Item::Key(path.clone(), key)));
    }
    items.extend(resolved.scopes.into_iter().map(|target| (target.scope, Item::Scope(target))));
    Ok(())
}
