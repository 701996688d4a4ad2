//! What the first bytes of an envelope tell.

use super::{EnvelopeError, FLAG_SEALED, HEAD, MAGIC, SEAL, TAIL, decode::key_length};
use crate::{
    Scope,
    stamp::{Incarnation, Position, Seq},
};

/// What the first bytes of an envelope tell of its standing, without the rest and so without the checksum.
///
/// It is for whoever decides whether an entry can go, never for one who serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outline {
    /// The position in the tenant's lane before the load began.
    pub stamp: Position,
    /// The position of the entry's own insert; 0 when it was loaded.
    pub own: Seq,
    /// The position in the lane of the global tags before the load began.
    pub global: Position,
    /// The low half of the tenant's scope.
    pub tenant: u64,
    /// The scopes of its tags.
    pub tags: Vec<Scope>,
    /// The scopes of its global tags.
    pub global_tags: Vec<Scope>,
    /// How many bytes the whole envelope has, as it says.
    pub length: usize,
}

impl Outline {
    /// Returns the low half of the tenant's scope; `None` where there are fewer than [`HEAD`] bytes.
    #[must_use]
    pub fn tenant_of(first: &[u8]) -> Option<u64> {
        let fixed = first.first_chunk::<HEAD>()?;
        Some(u64::from_le_bytes(std::array::from_fn(|i| fixed[72 + i])))
    }

    /// Returns how many bytes [`read`](Self::read) needs of an envelope that begins so: of its fixed head and its tags.
    /// `None` where there are fewer than [`HEAD`] bytes.
    #[must_use]
    pub fn needs(first: &[u8]) -> Option<usize> {
        let fixed = first.first_chunk::<HEAD>()?;
        Some(HEAD + (usize::from(fixed[6]) + usize::from(fixed[7])) * 16)
    }

    /// Reads the first bytes of an envelope.
    ///
    /// # Errors
    /// [`EnvelopeError`] where they are not those of an envelope of this version, or are cut off.
    pub fn read(first: &[u8]) -> Result<Self, EnvelopeError> {
        let fixed = first.first_chunk::<HEAD>().ok_or(EnvelopeError::NotOurs)?;
        if fixed[..2] != MAGIC {
            return Err(EnvelopeError::NotOurs);
        }
        let key = key_length(fixed)?;
        let (tags, global_tags) = (usize::from(fixed[6]), usize::from(fixed[7]));
        let end = HEAD + (tags + global_tags) * 16;
        let scopes = first.get(HEAD..end).ok_or(EnvelopeError::Malformed("the tags are cut off"))?;
        let mut scopes = scopes.chunks_exact(16).map(|chunk| Scope::from_bytes(std::array::from_fn(|i| chunk[i])));
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| fixed[at + i]));
        let position = |at: usize| Position { incarnation: Incarnation(word(at)), seq: word(at + 8) };
        let etag = usize::from(u16::from_le_bytes([fixed[116], fixed[117]]));
        let seal = if fixed[3] & FLAG_SEALED == 0 { 0 } else { SEAL };
        let body = u32::from_le_bytes(std::array::from_fn(|i| fixed[120 + i]));
        Ok(Self {
            stamp: position(32),
            own: word(48),
            global: position(56),
            tenant: word(72),
            tags: scopes.by_ref().take(tags).collect(),
            global_tags: scopes.collect(),
            length: end + key + etag + body as usize + seal + TAIL,
        })
    }
}

/// How an envelope keeps its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptKey<'a> {
    /// Not at all: its keyspace is not `scannable`.
    Not,
    /// Encrypted: the whole envelope has to be opened for it.
    Sealed,
    /// In the clear, behind more bytes than there are: so many are needed.
    Beyond(usize),
    /// In the clear: so many bytes of the envelope end with it.
    Clear(&'a [u8], usize),
}

/// Returns the key that an envelope keeps, by its first bytes alone and so without the checksum: whoever goes by it makes sure that the
/// name of the entry is that of the key.
///
/// # Errors
/// [`EnvelopeError`] where they are not those of an envelope of a known version, or fewer than [`HEAD`].
pub fn kept_key(first: &[u8]) -> Result<KeptKey<'_>, EnvelopeError> {
    let fixed = first.first_chunk::<HEAD>().ok_or(EnvelopeError::NotOurs)?;
    if fixed[..2] != MAGIC {
        return Err(EnvelopeError::NotOurs);
    }
    let length = key_length(fixed)?;
    if length == 0 {
        return Ok(KeptKey::Not);
    }
    if fixed[3] & FLAG_SEALED != 0 {
        return Ok(KeptKey::Sealed);
    }
    let begin = HEAD + (usize::from(fixed[6]) + usize::from(fixed[7])) * 16;
    let end = begin + length;
    Ok(first.get(begin..end).map_or(KeptKey::Beyond(end), |key| KeptKey::Clear(key, end)))
}
