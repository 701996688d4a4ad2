//! `inspect`.

use std::{future::IntoFuture, sync::Arc};

use stratacache_core::Result;

use super::BoxFuture;
use crate::engine::{Door, Inspection};

/// Looks at one key in every tier. Made by [`Namespace::inspect`](crate::Namespace::inspect).
#[must_use = "nothing happens until it is awaited"]
pub struct Inspect<'a> {
    door: &'a Arc<Door>,
    key: Vec<u8>,
}

impl<'a> Inspect<'a> {
    pub(crate) fn new(door: &'a Arc<Door>, key: Vec<u8>) -> Self {
        Self { door, key }
    }
}

impl<'a> IntoFuture for Inspect<'a> {
    type Output = Result<Inspection>;
    type IntoFuture = BoxFuture<'a, Result<Inspection>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            self.door.check()?;
            Ok(self.door.engine.inspect(self.door, &self.key).await)
        })
    }
}
