//! What is cached: a version, and whose it is.

use serde::{Deserialize, Serialize};

use crate::{log::Seen, world::Key};

/// The value of a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Value {
    tenant: u32,
    key: u32,
    version: u64,
    padding: String,
}

impl Value {
    pub(super) fn new(key: Key, version: u64) -> Self {
        Self { tenant: key.tenant(), key: key.0, version, padding: "x".repeat(key.padding()) }
    }

    /// Returns what somebody sees who asked for a key.
    pub(super) fn seen_as(&self, key: Key) -> Seen {
        let own = self.key == key.0 && self.tenant == key.tenant() && self.padding.len() == key.padding();
        if own { Seen::Version(self.version) } else { Seen::Foreign(self.key) }
    }
}
