//! Values to bytes and back: a codec, then compression.

mod compress;
#[cfg(test)]
mod golden;
mod value;
#[cfg(feature = "zstd")]
mod zstd;

use std::borrow::Cow;

use stratacache_core::{Codec, CodecError, CodecErrorKind, ValueCodec, envelope::Compression};

pub(crate) use compress::{expand, squeeze, tries};
pub use value::{CacheValue, Coded, Local};

/// A body as it is stored.
#[derive(Debug)]
pub(crate) struct Squeezed<'a> {
    pub(crate) body: Cow<'a, [u8]>,
    pub(crate) compression: Compression,
    pub(crate) raw_len: u32,
}

/// Encodes a value with the keyspace's own codec, else with that of the policy, and says which it was.
pub(crate) fn encode<V: CacheValue>(
    value: &V,
    own: Option<&dyn ValueCodec<V>>,
    codec: Codec,
) -> Result<(Codec, Vec<u8>), CodecError> {
    let Some(own) = own else { return Ok((codec, value.encode(codec)?)) };
    let mut raw = Vec::new();
    own.encode(value, &mut raw)?;
    Ok((Codec::Own(own.id()), raw))
}

/// Decodes a value of the codec that wrote it.
pub(crate) fn decode<V: CacheValue>(
    raw: &[u8],
    own: Option<&dyn ValueCodec<V>>,
    codec: Codec,
) -> Result<V, CodecError> {
    let Codec::Own(id) = codec else { return V::decode(codec, raw) };
    let own = own.filter(|own| own.id() == id);
    own.ok_or(CodecError::new(CodecErrorKind::Unknown, "a codec that the keyspace does not have"))?.decode(raw)
}
