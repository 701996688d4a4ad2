//! INVALIDATE: the source is written, then the key or its tag is invalidated.

use super::{ScopeKind, Version, World};
use crate::{Rule, Rules};

/// A writer that commits and invalidates again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Invalidator {
    /// It has not begun.
    Idle,
    /// The commit.
    Committed(ScopeKind, Version),
    /// The first of the two steps of a key: DEL_FENCE.
    Half(Version),
}

impl Invalidator {
    /// Returns the scopes its next step may be about.
    #[must_use]
    pub fn choices(self, left: u8) -> &'static [ScopeKind] {
        match self {
            Self::Idle if left == 0 => &[],
            Self::Idle => &[ScopeKind::Key, ScopeKind::Tag],
            Self::Committed(ScopeKind::Tag, _) => &[ScopeKind::Tag],
            Self::Committed(ScopeKind::Key, _) | Self::Half(_) => &[ScopeKind::Key],
        }
    }

    /// Takes the next step; true when the invalidation returned `Ok`.
    ///
    /// The marks reach the caller's own node as they reach the others: a `Latest` read synchronizes anyway.
    pub fn step<const R: usize>(&mut self, rules: Rules, world: &mut World<R>, scope: ScopeKind) -> bool {
        let fence_first = rules.has(Rule::FenceBeforeMark);
        let mark = |world: &mut World<R>| world.lane.invalidate(scope, rules.has(Rule::KeyMarksBelow));
        let (next, returned) = match *self {
            Self::Idle => {
                world.source += 1;
                (Self::Committed(scope, world.source), None)
            }
            Self::Committed(ScopeKind::Tag, version) => {
                mark(world);
                (Self::Idle, Some(version))
            }
            Self::Committed(ScopeKind::Key, version) => {
                if fence_first {
                    world.shard.del_fence();
                } else {
                    mark(world);
                }
                (Self::Half(version), None)
            }
            Self::Half(version) => {
                if fence_first {
                    mark(world);
                } else {
                    world.shard.del_fence();
                }
                (Self::Idle, Some(version))
            }
        };
        *self = next;
        world.done = world.done.max(returned.unwrap_or(0));
        returned.is_some()
    }
}
