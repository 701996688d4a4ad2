//! `find_keys`: which keys memory holds, for operators.

use std::{future::IntoFuture, sync::Arc};

use stratacache_core::{Error, Glob, Result};

use super::BoxFuture;
use crate::{
    engine::{Door, FoundKeys},
    spawn::blocking,
};

/// A search for keys in memory. Made by [`Namespace::find_keys`](crate::Namespace::find_keys).
#[must_use = "nothing happens until it is awaited"]
pub struct FindKeys<'a> {
    door: &'a Arc<Door>,
    glob: Glob,
    keyspace: Option<String>,
    limit: usize,
}

impl<'a> FindKeys<'a> {
    pub(crate) fn new(door: &'a Arc<Door>, glob: Glob) -> Self {
        Self { door, glob, keyspace: None, limit: 1_000 }
    }

    /// Looks only at keys of the keyspace with this name, of whatever version. Default: at all keys.
    pub fn keyspace(mut self, name: impl Into<String>) -> Self {
        self.keyspace = Some(name.into());
        self
    }

    /// Sets how many keys are returned at most, 1 to 10,000. Default 1,000. Which, if there are more, is chance.
    pub fn limit(mut self, keys: usize) -> Self {
        self.limit = keys;
        self
    }
}

impl<'a> IntoFuture for FindKeys<'a> {
    type Output = Result<FoundKeys>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            self.door.check()?;
            if !(1..=10_000).contains(&self.limit) {
                let limit = self.limit;
                return Err(Error::invalid(format!("limit of find_keys is {limit} but must be between 1 and 10000")));
            }
            let Self { door, glob, keyspace, limit } = self;
            let door = Arc::clone(door);
            blocking(move || door.engine.find_keys(&door, &glob, keyspace.as_deref(), limit)).await
        })
    }
}
