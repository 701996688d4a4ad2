//! Values to bytes and back.

mod compress;
mod value;

use stratacache_core::{Codec, Compress, envelope::Compression};

pub(crate) use compress::{Squeezed, expand};
pub use value::{CacheValue, CodecError, Local};

/// Encodes a value, and compresses it where the policy says so and it pays.
pub(crate) fn pack<V: CacheValue>(value: &V, codec: Codec, compress: Compress) -> Result<Squeezed, CodecError> {
    compress::squeeze(value.encode(codec)?, compress)
}

/// Decompresses and decodes a body.
pub(crate) fn unpack<V: CacheValue>(
    body: &[u8],
    codec: Codec,
    compression: Compression,
    raw_len: u32,
) -> Result<V, CodecError> {
    let raw = expand(body, compression, raw_len)?;
    V::decode(codec, &raw)
}
