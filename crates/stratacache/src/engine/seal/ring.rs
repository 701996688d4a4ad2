//! The ciphers of one tenant, as they were at one position.

use stratacache_core::{
    Error, ErrorKind, Result,
    clock::Millis,
    encryption::{Cipher, DataKeys, KeyId, MakeCipher},
    stamp::Seq,
};

/// The ciphers of a tenant. Good until the tenant is cleared: then another node may have destroyed its keys.
pub(crate) struct Ring {
    /// The current one first; never empty.
    ciphers: Vec<(KeyId, Box<dyn Cipher>)>,
    /// The count of discontinuities, and the position, before the keys were asked for.
    pub(super) mep: u64,
    pub(super) began: Seq,
    pub(super) fetched: Millis,
}

impl Ring {
    pub(super) fn new(keys: DataKeys, make: MakeCipher, mep: u64, began: Seq, fetched: Millis) -> Result<Self> {
        let DataKeys { current, older, .. } = keys;
        let all = std::iter::once(current).chain(older);
        let ciphers: Vec<_> = all.map(|key| Ok((key.id(), make(&key)?))).collect::<Result<_>>()?;
        let ids = || ciphers.iter().map(|(id, _)| *id);
        if ids().enumerate().any(|(place, id)| ids().take(place).any(|earlier| earlier == id)) {
            return Err(Error::new(ErrorKind::Corrupt, "the key provider returned two keys of one id"));
        }
        Ok(Self { ciphers, mep, began, fetched })
    }

    pub(super) fn current(&self) -> (KeyId, &dyn Cipher) {
        let (id, cipher) = &self.ciphers[0];
        (*id, &**cipher)
    }

    pub(super) fn cipher(&self, wanted: KeyId) -> Option<&dyn Cipher> {
        self.ciphers.iter().find(|(id, _)| *id == wanted).map(|(_, cipher)| &**cipher)
    }
}
