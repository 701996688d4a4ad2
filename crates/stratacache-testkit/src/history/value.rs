//! What the caches under test hold.

use serde::{Deserialize, Serialize};

/// A value that tells where it belongs and when its load began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Value {
    /// The tenant it was loaded for.
    pub tenant: u32,
    /// The key it was loaded for.
    pub key: u32,
    /// The number of the load within its history, from 1.
    pub load: u64,
    /// When the load began, in nanoseconds of the history's clock; `u64::MAX` for a value of
    /// [`History::unstamped`](super::History::unstamped).
    pub began: u64,
}

impl Value {
    /// Returns it as 24 bytes, for caches of bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 24] {
        let mut bytes = [0; 24];
        bytes[..4].copy_from_slice(&self.tenant.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.key.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.load.to_le_bytes());
        bytes[16..].copy_from_slice(&self.began.to_le_bytes());
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) made; `None` when the length is wrong.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; 24] = bytes.try_into().ok()?;
        let half = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        Some(Self { tenant: half(0), key: half(4), load: word(8), began: word(16) })
    }
}
