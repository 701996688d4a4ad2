//! Walking through what a tier holds of one tenant, for operators.

use std::future::Future;

use bytes::Bytes;

use super::TierError;
use crate::{
    EntryName,
    envelope::{HEAD, KeptKey, Outline, kept_key},
};

/// Walks through the entries of one tenant that a tier holds and that keep their keys, for operators.
///
/// It is beside the [`Tier`](super::Tier) and not a part of it: whoever may list a store sees the names of all that lies in it, so that nodes
/// serve without this right, and an operator's tool has a user of its own.
///
/// It returns names and first bytes, and judges nothing: the engine makes sure of each key by the entry's name, reads the entry from the
/// tier, and judges it as every reader does. An entry that is there during the whole walk is returned at least once; one that comes or goes
/// meanwhile may be.
pub trait TierScan: Send + Sync + 'static {
    /// Returns the name that the tier has in the caches: `disk`, `redis`, ...
    fn tier(&self) -> &str;

    /// Walks on for about `request.most` entries.
    ///
    /// # Errors
    /// [`TierError`] when the tier cannot be walked now, or not by this user; the message says what to grant.
    /// [`TierErrorKind::Corrupt`](super::TierErrorKind::Corrupt) for a cursor that is none of this tier's.
    fn page(&self, request: ScanRequest) -> impl Future<Output = Result<ScanPage, TierError>> + Send;
}

/// Asks for the next entries of a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanRequest {
    /// The low half of the tenant's scope, which envelopes carry.
    pub tenant: u64,
    /// Where to go on; `None` begins.
    pub cursor: Option<String>,
    /// About how many entries are looked at, those of others among them; at least 1.
    pub most: usize,
}

impl ScanRequest {
    /// Asks for a page of about `most` entries of a tenant.
    #[must_use]
    pub const fn new(tenant: u64, cursor: Option<String>, most: usize) -> Self {
        Self { tenant, cursor, most: if most == 0 { 1 } else { most } }
    }

    /// Tells what to do with an entry, by the first bytes of its envelope.
    #[must_use]
    pub fn look(&self, first: &[u8]) -> Look {
        match (kept_key(first), Outline::tenant_of(first)) {
            (Ok(KeptKey::Not), _) => Look::Skip,
            (Ok(_), tenant) if tenant != Some(self.tenant) => Look::Skip,
            (Ok(KeptKey::Sealed), _) => Look::Take(HEAD),
            (Ok(KeptKey::Beyond(needs)), _) => Look::Further(needs),
            (Ok(KeptKey::Clear(_, end)), _) => Look::Take(end),
            (Err(_), _) => Look::Unreadable,
        }
    }
}

/// What to do with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Look {
    /// It is another tenant's, or does not keep its key.
    Skip,
    /// It is no envelope, or of a version that is not known: it is counted.
    Unreadable,
    /// More has to be read: so many bytes from its beginning.
    Further(usize),
    /// So many of its first bytes are returned.
    Take(usize),
}

/// What a walk came upon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanPage {
    /// Entries of the tenant that keep their keys.
    pub entries: Vec<ScannedEntry>,
    /// How many entries were looked at.
    pub examined: u64,
    /// How many of them could not be read.
    pub skipped: u64,
    /// Where to go on; `None` when all was seen.
    pub cursor: Option<String>,
}

/// An entry that a walk came upon.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScannedEntry {
    /// Its name.
    pub name: EntryName,
    /// The first bytes of its envelope, with the key if that is in the clear.
    pub first: Bytes,
}

impl ScannedEntry {
    /// Makes it of what a [`Look`] said to take.
    #[must_use]
    pub const fn new(name: EntryName, first: Bytes) -> Self {
        Self { name, first }
    }

    /// Returns the encoded key, if it is in the clear.
    #[must_use]
    pub fn key(&self) -> Option<&[u8]> {
        match kept_key(&self.first) {
            Ok(KeptKey::Clear(key, _)) => Some(key),
            _ => None,
        }
    }
}
