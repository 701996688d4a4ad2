//! Mistakes that the tour must notice. Each is a program of its own in `src/bin`: no argument, variable or feature makes `crm`
//! itself make one.

use std::sync::OnceLock;

static MADE: OnceLock<Mistake> = OnceLock::new();

/// A mistake of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// The tenant is dropped from the cache's key: all companies share one cache.
    OneCacheForAll,
    /// Writes invalidate what nobody reads.
    NothingInvalidated,
}

impl Mistake {
    /// Makes the mistake from now on, everywhere in this process; the first one made is the one.
    pub fn make(self) {
        MADE.get_or_init(|| self);
    }

    /// Returns whether this is the mistake that is made.
    pub(crate) fn is_made(self) -> bool {
        MADE.get() == Some(&self)
    }
}
