//! What can be a value.

use std::{error::Error as StdError, fmt, io, ops::Deref, sync::Arc};

use rmp_serde::decode::Error::InvalidMarkerRead;
use serde::{Deserialize as _, Serialize, de::DeserializeOwned};
use stratacache_core::{Codec, Error, ErrorKind};

/// A value that can be cached.
///
/// Implemented for every `Serialize + DeserializeOwned + Send + Sync + 'static`, and for [`Local`], which wraps values
/// that cannot be turned into bytes and keeps them in memory only. Nobody else can implement it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be cached",
    label = "a cached value is `Serialize + DeserializeOwned + Send + Sync + 'static`",
    note = "derive `serde::Serialize` and `serde::Deserialize`, or wrap it in `stratacache::Local` to keep it in memory only"
)]
pub trait CacheValue: sealed::Sealed + Send + Sync + Sized + 'static {
    /// Encodes the value.
    ///
    /// # Errors
    /// [`CodecError`] when the codec cannot express it.
    #[doc(hidden)]
    fn encode(&self, codec: Codec) -> Result<Vec<u8>, CodecError>;

    /// Decodes a value.
    ///
    /// # Errors
    /// [`CodecError`] when the bytes are not such a value.
    #[doc(hidden)]
    fn decode(codec: Codec, bytes: &[u8]) -> Result<Self, CodecError>;

    /// Returns the bytes of heap the value takes, estimated by its encoded length; `None` when it has none.
    #[doc(hidden)]
    fn heap_estimate(&self) -> Option<usize>;

    /// Tells whether the value can leave memory.
    #[doc(hidden)]
    const PORTABLE: bool;
}

mod sealed {
    pub trait Sealed {}
    impl<T: serde::Serialize + serde::de::DeserializeOwned> Sealed for T {}
    impl<T> Sealed for super::Local<T> {}
}

/// Reports that a value could not be turned into bytes, or bytes into a value.
#[derive(Debug, Clone)]
pub struct CodecError {
    reason: &'static str,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl CodecError {
    pub(super) fn new(reason: &'static str) -> Self {
        Self { reason, source: None }
    }

    pub(super) fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    pub(crate) fn envelope(error: stratacache_core::envelope::EnvelopeError) -> Self {
        Self { reason: error.reason(), source: Some(Arc::new(error)) }
    }

    pub(crate) fn reason(&self) -> &'static str {
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

const CANNOT_ENCODE: &str = "the value cannot be encoded; its Serialize implementation refused";
const CANNOT_DECODE: &str = "the bytes are not a value of this type; its shape may have changed";

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> CacheValue for T {
    fn encode(&self, codec: Codec) -> Result<Vec<u8>, CodecError> {
        match codec {
            Codec::MessagePack => {
                rmp_serde::to_vec_named(self).map_err(|e| CodecError::new(CANNOT_ENCODE).with_source(e))
            }
            Codec::Json => serde_json::to_vec(self).map_err(|e| CodecError::new(CANNOT_ENCODE).with_source(e)),
            Codec::Postcard => postcard::to_stdvec(self).map_err(|e| CodecError::new(CANNOT_ENCODE).with_source(e)),
            _ => Err(CodecError::new("unknown codec")),
        }
    }

    fn decode(codec: Codec, bytes: &[u8]) -> Result<Self, CodecError> {
        match codec {
            Codec::MessagePack => {
                // borrows strings and bytes, which a reader would copy twice
                let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
                let value = T::deserialize(&mut reader).map_err(|e| CodecError::new(CANNOT_DECODE).with_source(e))?;
                // whatever is behind it: only where nothing is, not even the kind of a next value can be read
                match <()>::deserialize(&mut reader) {
                    Err(InvalidMarkerRead(end)) if end.kind() == io::ErrorKind::UnexpectedEof => Ok(value),
                    _ => Err(CodecError::new(CANNOT_DECODE)),
                }
            }
            Codec::Json => serde_json::from_slice(bytes).map_err(|e| CodecError::new(CANNOT_DECODE).with_source(e)),
            Codec::Postcard => match postcard::take_from_bytes(bytes) {
                Ok((value, [])) => Ok(value),
                Ok(_) => Err(CodecError::new(CANNOT_DECODE)),
                Err(e) => Err(CodecError::new(CANNOT_DECODE).with_source(e)),
            },
            _ => Err(CodecError::new("unknown codec")),
        }
    }

    fn heap_estimate(&self) -> Option<usize> {
        let mut counter = ByteCounter(0);
        rmp_serde::encode::write(&mut counter, self).ok()?;
        Some(counter.0)
    }

    const PORTABLE: bool = true;
}

struct ByteCounter(usize);

impl io::Write for ByteCounter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Wraps a value that cannot be turned into bytes: it lives in the memory tier only.
///
/// ```
/// use stratacache::Local;
///
/// // a compiled template, a parsed grammar, a connection: anything `Send + Sync + 'static`
/// let compiled = Local(std::sync::Arc::new(|n: u32| n + 1));
/// assert_eq!((compiled.0)(1), 2);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Local<T>(pub T);

impl<T> Deref for Local<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Send + Sync + 'static> CacheValue for Local<T> {
    fn encode(&self, _: Codec) -> Result<Vec<u8>, CodecError> {
        Err(CodecError::new("a Local value stays in memory"))
    }

    fn decode(_: Codec, _: &[u8]) -> Result<Self, CodecError> {
        Err(CodecError::new("a Local value stays in memory"))
    }

    fn heap_estimate(&self) -> Option<usize> {
        None
    }

    const PORTABLE: bool = false;
}

#[cfg(test)]
mod tests {
    use super::*;

    type Several = (String, Vec<u8>, Option<u32>, serde_bytes::ByteBuf);

    #[test]
    fn a_value_is_read_as_it_was_written_and_bytes_behind_it_make_it_unreadable() {
        let value: Several = ("text".to_owned(), vec![1, 2], None, vec![0; 300].into());
        for codec in [Codec::MessagePack, Codec::Json, Codec::Postcard] {
            let bytes = value.encode(codec).unwrap();
            assert_eq!(Several::decode(codec, &bytes).unwrap(), value, "{codec:?}");
            for behind in [0, 1, 0x91, 0xc1, 0xdb, 0xff] {
                let longer = [&bytes[..], &[behind]].concat();
                assert!(Several::decode(codec, &longer).is_err(), "{codec:?} and {behind:#x}");
            }
            for end in 0..bytes.len() {
                assert!(Several::decode(codec, &bytes[..end]).is_err(), "{codec:?} up to {end}");
            }
        }
    }
}
