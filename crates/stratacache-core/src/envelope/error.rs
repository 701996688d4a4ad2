//! Why bytes are not an envelope of ours.

use std::fmt;

/// Says why bytes cannot be read as an envelope. Each of these is a miss for the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// Not an envelope at all.
    NotOurs,
    /// An envelope of another version.
    Version(u8),
    /// An envelope of this version, with a codec that this version does not have.
    UnknownCodec(u8),
    /// An envelope of this version, with a compression that this version does not have.
    UnknownCompression(u8),
    /// A field contradicts the number of bytes there are, or is out of its range.
    Malformed(&'static str),
    /// The checksum does not match.
    Checksum,
    /// It is encrypted, and whoever reads it has no keys.
    Sealed,
    /// It is not encrypted, and whoever reads it takes only what is.
    NotSealed,
    /// It is encrypted with a key that is not, or no longer, one of the tenant's.
    UnknownKey,
    /// It is whole, but was not sealed with this key for this place: it was copied from elsewhere, or forged.
    Unauthentic,
    /// A field is too large to be written.
    TooLarge(&'static str),
}

impl EnvelopeError {
    /// Tells whether the envelope may be whole, but is not one that this reader can know: of another version, codec or
    /// compression, encrypted where the reader's are not or the other way round, or under a key that is gone.
    #[must_use]
    pub const fn is_unknown(self) -> bool {
        matches!(
            self,
            Self::Version(_)
                | Self::UnknownCodec(_)
                | Self::UnknownCompression(_)
                | Self::Sealed
                | Self::NotSealed
                | Self::UnknownKey
        )
    }

    /// Returns a short reason without any content.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotOurs => "not an envelope",
            Self::Version(_) => "another version",
            Self::UnknownCodec(_) => "unknown codec",
            Self::UnknownCompression(_) => "unknown compression",
            Self::Malformed(what) | Self::TooLarge(what) => what,
            Self::Checksum => "checksum",
            Self::Sealed => "encrypted",
            Self::NotSealed => "not encrypted",
            Self::UnknownKey => "encrypted with a key that the tenant does not have",
            Self::Unauthentic => "not sealed for this place",
        }
    }
}

impl fmt::Display for EnvelopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(v) => write!(f, "envelope of version {v}"),
            Self::UnknownCodec(byte) => write!(f, "envelope with the unknown codec {byte}"),
            Self::UnknownCompression(byte) => write!(f, "envelope with the unknown compression {byte}"),
            Self::Malformed(what) => write!(f, "malformed envelope: {what}"),
            Self::TooLarge(what) => write!(f, "too large for an envelope: {what}"),
            Self::NotOurs | Self::Checksum | Self::Sealed | Self::NotSealed | Self::UnknownKey | Self::Unauthentic => {
                f.write_str(self.reason())
            }
        }
    }
}

impl std::error::Error for EnvelopeError {}
