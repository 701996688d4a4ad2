//! Codecs of one's own: the trait, the range of their bytes, and why values and bytes do not turn into each other.

use std::{error::Error as StdError, fmt, sync::Arc};

use crate::{Error, ErrorKind};

/// The byte that an own codec has in envelopes: 128 to 255. Those below are ours.
///
/// ```
/// use stratacache_core::OwnCodec;
///
/// const CBOR: OwnCodec = OwnCodec::new(200);
/// assert_eq!(CBOR.byte(), 200);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OwnCodec(u8);

impl OwnCodec {
    /// The lowest byte of an own codec.
    pub const FIRST: u8 = 128;

    /// Makes the byte of an own codec. Two codecs that meet in one keyspace, one after the other, need two bytes.
    ///
    /// # Panics
    /// At compile time in a `const`, otherwise when called: if the byte is below 128.
    #[must_use]
    pub const fn new(byte: u8) -> Self {
        assert!(byte >= Self::FIRST, "the byte of an own codec is between 128 and 255");
        Self(byte)
    }

    pub(crate) const fn from_byte(byte: u8) -> Option<Self> {
        if byte >= Self::FIRST { Some(Self(byte)) } else { None }
    }

    /// Returns the byte.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self.0
    }
}

/// Turns values of one keyspace into bytes and back, in place of the codecs of the cache.
///
/// A keyspace declares it with [`Keyspace::codec`](crate::Keyspace::codec). Its byte goes into every envelope: an entry of another codec is
/// a miss with an event, except that the cache's own codecs are still read where the value is one of serde. Give a new byte to
/// a codec that writes other bytes than before.
///
/// `decode` sees what a tier returned, which passed a checksum but may be from another release or another writer: it must
/// return an error rather than panic, and must not trust lengths that it reads.
///
/// ```
/// use stratacache_core::{CodecError, Keyspace, OwnCodec, Policy, ValueCodec, minutes};
///
/// /// Big-endian, eight bytes.
/// struct Plain;
///
/// impl ValueCodec<u64> for Plain {
///     fn id(&self) -> OwnCodec {
///         OwnCodec::new(130)
///     }
///
///     fn encode(&self, value: &u64, into: &mut Vec<u8>) -> Result<(), CodecError> {
///         into.extend_from_slice(&value.to_be_bytes());
///         Ok(())
///     }
///
///     fn decode(&self, bytes: &[u8]) -> Result<u64, CodecError> {
///         let bytes = bytes.try_into().map_err(|_| CodecError::decode("not eight bytes"))?;
///         Ok(u64::from_be_bytes(bytes))
///     }
/// }
///
/// const VISITS: Keyspace<str, u64> = Keyspace::new("visits", Policy::ttl(minutes(5))).codec(&Plain);
/// # let _ = VISITS.key("start");
/// ```
pub trait ValueCodec<V>: Send + Sync + 'static {
    /// Returns the byte that tells this codec from others. Always the same.
    fn id(&self) -> OwnCodec;

    /// Appends the bytes of a value.
    ///
    /// # Errors
    /// [`CodecError::encode`] when the value cannot be expressed; it is returned to callers, but not stored below memory.
    fn encode(&self, value: &V, into: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Makes the value of bytes, all of them.
    ///
    /// # Errors
    /// [`CodecError::decode`] when they are not such a value; it is a miss with an event.
    fn decode(&self, bytes: &[u8]) -> Result<V, CodecError>;
}

/// What went wrong between a value and its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CodecErrorKind {
    /// The value cannot be turned into bytes.
    Encode,
    /// The bytes are not a value of the type.
    Decode,
    /// The bytes contradict what the envelope says of them.
    Damaged,
    /// The codec or the compression is not one that the reader has.
    Unknown,
}

/// Reports that a value could not be turned into bytes, or bytes into a value.
#[derive(Debug, Clone)]
pub struct CodecError {
    kind: CodecErrorKind,
    reason: &'static str,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl CodecError {
    /// Makes an error. The reason names neither keys nor values.
    #[must_use]
    pub const fn new(kind: CodecErrorKind, reason: &'static str) -> Self {
        Self { kind, reason, source: None }
    }

    /// Makes the error of a value that cannot be expressed.
    #[must_use]
    pub const fn encode(reason: &'static str) -> Self {
        Self::new(CodecErrorKind::Encode, reason)
    }

    /// Makes the error of bytes that are not a value of the type.
    #[must_use]
    pub const fn decode(reason: &'static str) -> Self {
        Self::new(CodecErrorKind::Decode, reason)
    }

    /// Adds what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Returns what went wrong.
    #[must_use]
    pub const fn kind(&self) -> CodecErrorKind {
        self.kind
    }

    /// Returns the reason, without any content.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.reason
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason)
    }
}

impl StdError for CodecError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|s| &**s as &(dyn StdError + 'static))
    }
}

impl From<CodecError> for Error {
    fn from(error: CodecError) -> Self {
        Self::new(ErrorKind::Codec, error.reason).with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Codec;

    #[test]
    fn every_byte_is_of_one_codec_or_of_none() {
        for byte in 0..=255_u8 {
            let codec = Codec::from_byte(byte);
            assert_eq!(codec.map(Codec::byte), codec.map(|_| byte));
            assert_eq!(codec.is_some(), (1..=3).contains(&byte) || byte >= OwnCodec::FIRST, "{byte}");
        }
    }

    #[test]
    #[should_panic(expected = "between 128 and 255")]
    fn a_byte_of_ours_is_no_own_codec() {
        let _ = OwnCodec::new(127);
    }
}
