//! The handle.

use std::{fmt, path::Path};

use stratacache_core::{Result, tier::TierParts};

use crate::{builder::ObjectBuilder, place::Place, tier::ObjectTier};

/// An object tier that is open: hand it to a cache, which closes it.
pub struct Object {
    pub(crate) tier: ObjectTier,
    pub(crate) shown: String,
}

impl Object {
    /// Opens a store with the defaults of [`builder`](Self::builder).
    ///
    /// # Errors
    /// As [`ObjectBuilder::open`].
    ///
    /// # Panics
    /// As [`ObjectBuilder::open`].
    ///
    /// # Cancel safety
    /// As [`ObjectBuilder::open`].
    pub async fn open(url: impl AsRef<str>) -> Result<Self> {
        Self::builder(url).open().await
    }

    /// Sets up the tier of a store.
    ///
    /// The URL is one of
    /// * `s3://bucket[/prefix]`, for S3 and what speaks its language: say where by [`endpoint`](ObjectBuilder::endpoint);
    /// * `gs://bucket[/prefix]`, for Google Cloud Storage;
    /// * `az://container[/prefix]`, for Azure Blob Storage, with [`account`](ObjectBuilder::account);
    /// * `file:///directory`, for a local directory of its own.
    ///
    /// A prefix has parts of `A-Z`, `a-z`, `0-9`, `.`, `_` and `-`, with slashes between, and 256 bytes at most; without one
    /// it is `strata`. Deployments that share a bucket differ in it. No login may be in the URL.
    pub fn builder(url: impl AsRef<str>) -> ObjectBuilder {
        ObjectBuilder::new(Place::parse(url.as_ref()))
    }

    /// Sets up the tier of a local directory of its own, whatever its path.
    pub fn directory(path: impl AsRef<Path>) -> ObjectBuilder {
        ObjectBuilder::new(Ok(Place::Directory(path.as_ref().to_owned())))
    }

    /// Tells whether the probe at the start has seen the store refuse to create what is there. Then a fill of what was
    /// absent does not take the place of what came meanwhile.
    #[must_use]
    pub const fn creates(&self) -> bool {
        self.tier.conditional
    }
}

impl From<Object> for TierParts {
    fn from(object: Object) -> Self {
        let turns = object.tier.guard.turns.clone();
        Self::new(object.tier).with_turns(turns)
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object").field("place", &self.shown).finish_non_exhaustive()
    }
}
