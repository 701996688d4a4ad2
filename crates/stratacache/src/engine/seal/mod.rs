//! Encryption below memory: an envelope is sealed for its tenant, tier and name, and opened for no other.
//!
//! The keys of a fill are taken before its load, with its fences: what was loaded before a tenant was destroyed is then never
//! written under a key that was made after it.

mod destroy;
mod fetch;
mod ring;

use std::sync::Arc;

use bytes::Bytes;
use stratacache_core::{
    EntryName, TenantId,
    encryption::{AnyKeyProvider, Encryption, KeyId, MakeCipher},
    envelope::{self, EnvelopeError, Head},
};

pub(crate) use fetch::KeySlot;
use ring::Ring;

use super::Engine;
use crate::sync::AtomicU64;

/// What a cache encrypts with.
pub(crate) struct Sealing {
    keys: AnyKeyProvider,
    cipher: MakeCipher,
    /// Until when no provider of keys is asked, for whatever tenant: it did not answer.
    rests_until: AtomicU64,
}

impl From<Encryption> for Sealing {
    fn from(Encryption { keys, cipher }: Encryption) -> Self {
        Self { keys, cipher, rests_until: AtomicU64::new(0) }
    }
}

/// How the envelopes of a tenant are written and read.
#[derive(Clone)]
pub(super) enum Seal {
    /// In the clear: the cache encrypts nothing.
    Plain,
    Keys(Arc<Ring>),
    /// The keys cannot be had: nothing is written or read.
    Missing,
}

/// Where an envelope belongs: framed, so that no two places are written the same.
fn place(tenant: &TenantId, tier: &str, name: EntryName) -> Vec<u8> {
    let framed = (tier.len() as u32).to_le_bytes();
    [&framed[..], tier.as_bytes(), &name.to_bytes(), tenant.as_str().as_bytes()].concat()
}

impl Seal {
    /// Tells whether nothing can be written below.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Missing)
    }

    /// Tells whether asking for keys once more would bring nothing for an entry under this one.
    pub(super) fn knows(&self, id: KeyId) -> bool {
        match self {
            Self::Keys(ring) => ring.cipher(id).is_some(),
            Self::Plain | Self::Missing => true,
        }
    }

    /// Returns how many bytes envelopes grow by.
    pub(super) fn overhead(&self) -> usize {
        if matches!(self, Self::Keys(_)) { envelope::SEAL } else { 0 }
    }

    /// Makes of an envelope in the clear what a tier is given.
    pub(super) fn close(
        &self,
        tenant: &TenantId,
        tier: &str,
        name: EntryName,
        plain: &Bytes,
    ) -> Result<Bytes, EnvelopeError> {
        match self {
            Self::Plain => Ok(plain.clone()),
            Self::Keys(ring) => {
                let (id, cipher) = ring.current();
                envelope::seal(plain, &place(tenant, tier, name), id, cipher)
            }
            Self::Missing => Err(EnvelopeError::UnknownKey),
        }
    }

    /// Reads what a tier returned.
    pub(super) fn open(
        &self,
        tenant: &TenantId,
        tier: &str,
        name: EntryName,
        bytes: &Bytes,
    ) -> Result<(Head, Bytes), EnvelopeError> {
        let ring = match self {
            Self::Plain => return envelope::decode(bytes),
            Self::Keys(ring) => ring,
            Self::Missing => return Err(EnvelopeError::UnknownKey),
        };
        let cipher = match envelope::sealed_by(bytes) {
            Some(id) => match ring.cipher(id) {
                Some(cipher) => cipher,
                // damaged, or whole and under another key
                None => return envelope::check_whole(bytes).and(Err(EnvelopeError::UnknownKey)),
            },
            // not encrypted, or damaged: the error says which
            None => return envelope::decode(bytes).and(Err(EnvelopeError::NotSealed)),
        };
        envelope::open(bytes, &place(tenant, tier, name), cipher)
    }
}

impl Engine {
    /// Returns how a fill writes that has taken no keys.
    pub(super) fn no_seal(&self) -> Seal {
        if self.sealing.is_some() { Seal::Missing } else { Seal::Plain }
    }
}
