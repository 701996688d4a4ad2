//! `expire` and its relatives: the end of the fresh time, but not of the stale windows.

use std::{future::IntoFuture, sync::Arc};

use stratacache_core::{Result, Target, Token, coordinator::Strength};

use super::{BoxFuture, OrQueue, target::resolve};
use crate::{
    engine,
    engine::{Door, Targets},
};

/// Ends the fresh time of entries. Made by [`Namespace::expire`](crate::Namespace::expire) and its relatives.
#[must_use = "nothing happens until it is awaited"]
pub struct Expire<'a> {
    door: &'a Arc<Door>,
    what: What,
}

impl<'a> Expire<'a> {
    pub(crate) fn targets(door: &'a Arc<Door>, targets: Vec<Target>) -> Self {
        Self { door, what: What::Targets(targets) }
    }

    pub(crate) fn everything(door: &'a Arc<Door>) -> Self {
        Self { door, what: What::Everything }
    }

    /// Lets it wait where it cannot be ordered, as [`Invalidate::or_queue`](super::Invalidate::or_queue).
    ///
    /// While it waits, this node does what it does for an invalidation: the old values are not served within the stale
    /// windows either. Once it is applied, the windows hold again.
    pub fn or_queue(self) -> OrQueue<'a> {
        let door = self.door;
        OrQueue::of_targets(door, self.resolve(), Strength::Soft)
    }

    fn resolve(self) -> Result<Targets> {
        self.door.check()?;
        match self.what {
            What::Targets(targets) => resolve(self.door, targets, false),
            What::Everything => {
                let scope = self.door.space.scopes.path().last().map(|scope| engine::Target::namespace(*scope));
                Ok(Targets { scopes: scope.into_iter().collect(), ..Targets::default() })
            }
        }
    }
}

enum What {
    Targets(Vec<Target>),
    Everything,
}

impl<'a> IntoFuture for Expire<'a> {
    type Output = Result<Token>;
    type IntoFuture = BoxFuture<'a, Result<Token>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let door = self.door;
            door.engine.invalidate(door, self.resolve()?, Strength::Soft).await
        })
    }
}
