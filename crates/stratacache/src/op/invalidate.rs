//! `invalidate` and its relatives, and `clear`.

use std::{future::IntoFuture, sync::Arc};

use stratacache_core::{Result, Target, Token, coordinator::Strength};

use super::{BoxFuture, target::resolve};
use crate::{
    engine,
    engine::{Door, Targets},
};

/// An invalidation. Made by [`Namespace::invalidate`](crate::Namespace::invalidate) and its relatives.
#[must_use = "nothing happens until it is awaited"]
pub struct Invalidate<'a> {
    door: &'a Arc<Door>,
    targets: Vec<Target>,
}

impl<'a> Invalidate<'a> {
    pub(crate) fn new(door: &'a Arc<Door>, targets: Vec<Target>) -> Self {
        Self { door, targets }
    }
}

impl<'a> IntoFuture for Invalidate<'a> {
    type Output = Result<Token>;
    type IntoFuture = BoxFuture<'a, Result<Token>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let targets = resolve(self.door, self.targets)?;
            self.door.engine.invalidate(self.door, targets, Strength::Hard).await
        })
    }
}

/// Empties a namespace or tenant. Made by [`Namespace::clear`](crate::Namespace::clear).
#[must_use = "nothing happens until it is awaited"]
pub struct Clear<'a> {
    door: &'a Arc<Door>,
}

impl<'a> Clear<'a> {
    pub(crate) fn new(door: &'a Arc<Door>) -> Self {
        Self { door }
    }
}

impl<'a> IntoFuture for Clear<'a> {
    type Output = Result<Token>;
    type IntoFuture = BoxFuture<'a, Result<Token>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            self.door.check()?;
            let inner = self.door;
            let path = inner.space.scopes.path();
            let scope = path.last().map(|scope| engine::Target::namespace(*scope));
            let everything = path.len() == 1;
            let targets = Targets { scopes: scope.into_iter().collect(), everything, ..Targets::default() };
            inner.engine.invalidate(inner, targets, Strength::Hard).await
        })
    }
}
