//! `inspect`.

use std::future::IntoFuture;

use stratacache_core::{IntoKey, Result};

use super::BoxFuture;
use crate::{Namespace, engine::Inspection};

/// Looks at one key in every tier. Made by [`Namespace::inspect`].
#[must_use = "nothing happens until it is awaited"]
pub struct Inspect<'a> {
    ns: &'a Namespace,
    key: Vec<u8>,
}

impl<'a> IntoFuture for Inspect<'a> {
    type Output = Result<Inspection>;
    type IntoFuture = BoxFuture<'a, Result<Inspection>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            self.ns.check()?;
            Ok(self.ns.door.engine.inspect(&self.ns.door, &self.key).await)
        })
    }
}

impl Namespace {
    /// Tells which tiers hold a key, whether they may serve it, how fresh it is, its tags and positions. Reads every
    /// tier, fills none, counts nothing.
    ///
    /// # Errors
    /// When the namespace is not valid or the cache is closed; a broken tier is left out.
    pub fn inspect<V: 'static>(&self, key: impl IntoKey<V>) -> Inspect<'_> {
        Inspect { ns: self, key: key.into_key().as_bytes().to_vec() }
    }
}
