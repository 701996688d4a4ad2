//! Encryption of what lies below memory: keys for each tenant, whoever keeps them, and the cipher that uses them.

mod cipher;
mod keys;
mod provider;

use std::fmt;

pub use cipher::{Cipher, CipherError, MakeCipher, NONCE, Sealed, TAG};
pub use keys::{DataKey, DataKeys, KeyId};
pub use provider::{AnyKeyProvider, KeyProvider};

/// How a cache encrypts below memory: what `builder.encryption(..)` takes.
///
/// The key providers of `stratacache-encryption` turn into one by themselves, with AES-256-GCM-SIV.
#[derive(Clone)]
pub struct Encryption {
    /// Who keeps the keys of tenants.
    pub keys: AnyKeyProvider,
    /// Makes the cipher of a key.
    pub cipher: MakeCipher,
}

impl Encryption {
    /// Encrypts with the keys of a provider and a cipher.
    pub fn new(keys: impl KeyProvider, cipher: MakeCipher) -> Self {
        Self { keys: AnyKeyProvider::new(keys), cipher }
    }
}

impl fmt::Debug for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Encryption(..)")
    }
}
