//! What can be a value.

use std::{io, ops::Deref};

use rmp_serde::decode::Error::InvalidMarkerRead;
use serde::{Deserialize as _, Serialize, de::DeserializeOwned};
use stratacache_core::{Codec, CodecError, CodecErrorKind};

/// A value that can be cached.
///
/// Implemented for every `Serialize + DeserializeOwned + Send + Sync + 'static`, for [`Local`], which wraps values
/// that cannot be turned into bytes and keeps them in memory only, and for [`Coded`], which wraps values that only a codec of
/// their keyspace turns into bytes. Nobody else can implement it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be cached",
    label = "a cached value is `Serialize + DeserializeOwned + Send + Sync + 'static`",
    note = "derive `serde::Serialize` and `serde::Deserialize`, wrap it in `stratacache::Local` to keep it in memory only, or in `stratacache::Coded` where the keyspace has a codec of its own"
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
    impl<T> Sealed for super::Coded<T> {}
}

const UNKNOWN: CodecError = CodecError::new(CodecErrorKind::Unknown, "a codec that the keyspace does not have");
const CANNOT_ENCODE: &str = "the value cannot be encoded; its Serialize implementation refused";
const CANNOT_DECODE: &str = "the bytes are not a value of this type; its shape may have changed";

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> CacheValue for T {
    fn encode(&self, codec: Codec) -> Result<Vec<u8>, CodecError> {
        match codec {
            Codec::MessagePack => {
                rmp_serde::to_vec_named(self).map_err(|e| CodecError::encode(CANNOT_ENCODE).with_source(e))
            }
            Codec::Json => serde_json::to_vec(self).map_err(|e| CodecError::encode(CANNOT_ENCODE).with_source(e)),
            Codec::Postcard => postcard::to_stdvec(self).map_err(|e| CodecError::encode(CANNOT_ENCODE).with_source(e)),
            _ => Err(UNKNOWN),
        }
    }

    fn decode(codec: Codec, bytes: &[u8]) -> Result<Self, CodecError> {
        match codec {
            Codec::MessagePack => {
                // borrows strings and bytes, which a reader would copy twice
                let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
                let value =
                    T::deserialize(&mut reader).map_err(|e| CodecError::decode(CANNOT_DECODE).with_source(e))?;
                // whatever is behind it: only where nothing is, not even the kind of a next value can be read
                match <()>::deserialize(&mut reader) {
                    Err(InvalidMarkerRead(end)) if end.kind() == io::ErrorKind::UnexpectedEof => Ok(value),
                    _ => Err(CodecError::decode(CANNOT_DECODE)),
                }
            }
            Codec::Json => serde_json::from_slice(bytes).map_err(|e| CodecError::decode(CANNOT_DECODE).with_source(e)),
            Codec::Postcard => match postcard::take_from_bytes(bytes) {
                Ok((value, [])) => Ok(value),
                Ok(_) => Err(CodecError::decode(CANNOT_DECODE)),
                Err(e) => Err(CodecError::decode(CANNOT_DECODE).with_source(e)),
            },
            _ => Err(UNKNOWN),
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
        Err(CodecError::encode("a Local value stays in memory"))
    }

    fn decode(_: Codec, _: &[u8]) -> Result<Self, CodecError> {
        Err(CodecError::decode("a Local value stays in memory"))
    }

    fn heap_estimate(&self) -> Option<usize> {
        None
    }

    const PORTABLE: bool = false;
}

/// Wraps a value that is none of serde: the codec of its keyspace turns it into bytes.
///
/// For Protocol Buffers and the like. Without [`Keyspace::codec`](crate::Keyspace::codec) it lives in memory only, and a strict insert fails where
/// there is a tier below. Give the keyspace a weigher: without one, a value weighs its `size_of`.
///
/// ```
/// use stratacache::{Coded, CodecError, Keyspace, OwnCodec, Policy, ValueCodec, minutes};
///
/// /// Generated by another tool.
/// struct Price {
///     cents: u64,
/// }
///
/// struct Wire;
///
/// impl ValueCodec<Coded<Price>> for Wire {
///     fn id(&self) -> OwnCodec {
///         OwnCodec::new(140)
///     }
///
///     fn encode(&self, price: &Coded<Price>, into: &mut Vec<u8>) -> Result<(), CodecError> {
///         into.extend_from_slice(&price.cents.to_le_bytes());
///         Ok(())
///     }
///
///     fn decode(&self, bytes: &[u8]) -> Result<Coded<Price>, CodecError> {
///         let bytes = bytes.try_into().map_err(|_| CodecError::decode("a price has eight bytes"))?;
///         Ok(Coded(Price { cents: u64::from_le_bytes(bytes) }))
///     }
/// }
///
/// const PRICES: Keyspace<str, Coded<Price>> =
///     Keyspace::new("prices", Policy::ttl(minutes(5))).codec(&Wire).weigher(|_| size_of::<Price>());
/// # let _ = PRICES.key("tea");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Coded<T>(pub T);

impl<T> Deref for Coded<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Send + Sync + 'static> CacheValue for Coded<T> {
    fn encode(&self, _: Codec) -> Result<Vec<u8>, CodecError> {
        Err(CodecError::encode("a Coded value needs a keyspace with a codec of its own"))
    }

    fn decode(_: Codec, _: &[u8]) -> Result<Self, CodecError> {
        Err(UNKNOWN)
    }

    fn heap_estimate(&self) -> Option<usize> {
        None
    }

    const PORTABLE: bool = true;
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
