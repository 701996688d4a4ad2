//! The keys of one tenant.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

/// Names a data key: chosen at random when the key is made, and never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub u64);

/// A key that encrypts the entries of one tenant. Its 32 bytes are wiped when it is dropped, and are in no `Debug`.
pub struct DataKey {
    id: KeyId,
    // boxed: a move leaves no copy behind
    secret: Box<Zeroizing<[u8; 32]>>,
}

impl DataKey {
    /// Takes the 32 bytes of a key, and wipes them where they were.
    ///
    /// ```
    /// use stratacache_core::encryption::{DataKey, KeyId};
    ///
    /// let mut secret = [7; 32]; // from a generator of random bytes
    /// let key = DataKey::take(KeyId(1), &mut secret);
    /// assert_eq!((key.secret(), secret), (&[7; 32], [0; 32]));
    /// assert!(!format!("{key:?}").contains('7'));
    /// ```
    #[must_use]
    pub fn take(id: KeyId, secret: &mut [u8; 32]) -> Self {
        let mut kept = Box::new(Zeroizing::new([0; 32]));
        kept.copy_from_slice(secret);
        secret.zeroize();
        Self { id, secret: kept }
    }

    /// Returns the name of the key.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Returns the 32 bytes.
    #[must_use]
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// All keys of one tenant: the one that new entries are written with, and those that older ones are still read with.
#[derive(Debug)]
#[non_exhaustive]
pub struct DataKeys {
    /// Encrypts and decrypts.
    pub current: DataKey,
    /// Decrypt only; newest first. Empty unless the tenant's key was rotated lately.
    pub older: Vec<DataKey>,
}

impl DataKeys {
    /// Makes the keys of a tenant whose key was never rotated.
    #[must_use]
    pub fn new(current: DataKey) -> Self {
        Self { current, older: Vec::new() }
    }

    /// Adds keys that entries are still read with.
    #[must_use]
    pub fn with_older(mut self, older: impl IntoIterator<Item = DataKey>) -> Self {
        self.older.extend(older);
        self
    }
}
