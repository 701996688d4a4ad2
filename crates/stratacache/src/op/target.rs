//! What the engine makes of the targets of a call.

use stratacache_core::{Error, Result, Target, TargetKind};

use crate::{
    engine,
    engine::{Door, Targets},
};

/// Turns targets into what the engine orders; `all` adds the whole namespace. The caller has checked the door.
pub(crate) fn resolve(door: &Door, targets: Vec<Target>, all: bool) -> Result<Targets> {
    let inner = door;
    let deployment = &inner.engine.deployment;
    let mut resolved = if all { everything(door) } else { Targets::default() };
    for target in targets {
        match target.into_kind() {
            TargetKind::Key(key) => {
                key.check()?;
                resolved.keys.push(key.as_bytes().to_vec());
            }
            TargetKind::Tag(tag) if tag.is_global() => {
                return Err(Error::invalid(
                    "a global tag reaches every tenant; invalidate it with Cache::invalidate_global_tag",
                ));
            }
            TargetKind::Tag(tag) => resolved.scopes.push(engine::Target::tag(tag.scope(deployment, &inner.tenant.id))),
            TargetKind::Prefix(prefix) => {
                prefix.check()?;
                resolved.scopes.push(engine::Target::tag(door.prefix_scope(prefix.as_bytes())));
            }
            TargetKind::Namespace(part) => {
                let path = inner.space.prefix.path().child_encoded(part.as_bytes(), usize::MAX)?;
                let scopes = deployment.path_scopes(&inner.tenant.id, &path);
                resolved.scopes.extend(scopes.last().map(|scope| engine::Target::namespace(*scope)));
            }
            _ => return Err(Error::invalid("this version of the cache does not know the target")),
        }
    }
    Ok(resolved)
}

/// Returns the whole of a namespace; at the root, of its tenant.
pub(super) fn everything(door: &Door) -> Targets {
    let path = door.space.scopes.path();
    let scope = path.last().map(|scope| engine::Target::namespace(*scope));
    Targets { scopes: scope.into_iter().collect(), everything: path.len() == 1, ..Targets::default() }
}
