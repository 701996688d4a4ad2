//! Keys: typed, made of parts, never joined text.

mod decode;
mod frames;
mod glob;
mod identity;
mod keyspace;
mod part;
mod prefix;
mod show;
mod view;

use std::{fmt, marker::PhantomData};

pub use decode::{DecodePart, PartDecoder};
pub use frames::NormalizeText;
pub use glob::Glob;
pub use identity::{Deployment, EntryCheck, EntryName, KeyHasher, NamespacePath, Scope};
pub(crate) use keyspace::encode_keyspace;
pub use keyspace::{Keyspace, KeyspaceInfo, MemoryForm};
pub use part::{KeyPart, PartEncoder};
pub(crate) use part::{PartBuf, encode_part};
pub(crate) use prefix::group_members;
pub use prefix::{LeadingParts, MAX_PREFIX, Prefix, Prefixes};
pub use view::KeyView;

use crate::{Error, Result};

/// Longest encoded key in bytes (64 KiB and a little room for the framing of its parts).
pub const MAX_KEY: usize = 64 * 1024 + 64;

/// A key of a value of type `V`: its encoded parts, and the [`Keyspace`] it belongs to if it has one.
///
/// Made by [`Keyspace::key`], or from anything that is a [`KeyPart`] where an operation takes a key. Up to 32 encoded
/// bytes live inside it without an allocation. `Debug` prints the length, never the content.
pub struct Key<V: 'static> {
    bytes: PartBuf,
    keyspace: Option<&'static KeyspaceInfo<V>>,
    value: PhantomData<fn() -> V>,
}

impl<V: 'static> Key<V> {
    /// Makes a key without a keyspace.
    pub fn new(part: impl KeyPart) -> Self {
        Self { bytes: encode_part(&part), keyspace: None, value: PhantomData }
    }

    /// Makes a key of parts that were encoded before.
    pub(crate) fn from_encoded(bytes: PartBuf) -> Self {
        Self { bytes, keyspace: None, value: PhantomData }
    }

    pub(crate) fn in_keyspace(keyspace: &'static KeyspaceInfo<V>, part: &(impl KeyPart + ?Sized)) -> Self {
        let mut encoder = PartEncoder::default();
        keyspace.encode_prefix(&mut encoder);
        part.encode(&mut encoder);
        Self { bytes: keyspace.normalized(encoder.finish()), keyspace: Some(keyspace), value: PhantomData }
    }

    /// Returns the untyped key with this encoded form.
    pub(crate) fn of_encoded(encoded: &[u8]) -> Key<()> {
        Key { bytes: PartBuf::from_slice(encoded), keyspace: None, value: PhantomData }
    }

    pub(crate) fn restored(keyspace: &'static KeyspaceInfo<V>, encoded: &[u8]) -> Self {
        Self { bytes: PartBuf::from_slice(encoded), keyspace: Some(keyspace), value: PhantomData }
    }

    /// Returns the leading parts by which its keyspace lets it be invalidated with others; none without a keyspace that declares
    /// [`prefixes`](Keyspace::prefixes).
    #[must_use]
    pub fn prefixes(&self) -> Prefixes<'_> {
        match self.keyspace.map_or(0, KeyspaceInfo::marked_parts) {
            0 => Prefixes::none(),
            marked => Prefixes::of(&self.bytes, marked),
        }
    }

    /// Returns the same key without the type of its value and its keyspace.
    #[must_use]
    pub fn untyped(&self) -> Key<()> {
        Key { bytes: self.bytes.clone(), keyspace: None, value: PhantomData }
    }

    /// Returns a key that is equal to none made of parts, one for each key and `kind`.
    #[doc(hidden)]
    #[must_use]
    pub fn aside<W>(&self, kind: Aside) -> Key<W> {
        let mut bytes = PartBuf::new();
        bytes.push(kind as u8);
        bytes.extend_from_slice(&self.bytes);
        Key { bytes, keyspace: None, value: PhantomData }
    }

    /// Returns the encoded parts.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the declaration of the keyspace the key was made by.
    #[must_use]
    pub fn keyspace(&self) -> Option<&'static KeyspaceInfo<V>> {
        self.keyspace
    }

    /// Checks the length.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) above 64 KiB of encoded parts.
    pub fn check(&self) -> Result<()> {
        check_key_length(self.bytes.len())
    }
}

/// What has a key besides an entry. No part is encoded with these as its type.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Aside {
    /// A lock.
    Lock = 0x80,
    /// The last fencing token of a lock.
    Fence = 0x81,
}

/// Checks the length of an encoded key in bytes.
///
/// # Errors
/// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) above 64 KiB of encoded parts.
pub fn check_key_length(length: usize) -> Result<()> {
    if length > MAX_KEY {
        return Err(Error::invalid(format!(
            "a key has at most 64 KiB of encoded parts, this one {length} bytes; use a hash of it as the key"
        )));
    }
    Ok(())
}

impl<V: 'static> Clone for Key<V> {
    fn clone(&self) -> Self {
        Self { bytes: self.bytes.clone(), keyspace: self.keyspace, value: PhantomData }
    }
}

impl<V: 'static> PartialEq for Key<V> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<V: 'static> Eq for Key<V> {}

impl<V: 'static> fmt::Debug for Key<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("keyspace", &self.keyspace.map(KeyspaceInfo::name))
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

/// Anything an operation takes as a key of a `V`: a [`Key`], or any [`KeyPart`] for a key without a keyspace.
pub trait IntoKey<V: 'static> {
    /// Turns it into the key.
    fn into_key(self) -> Key<V>;
}

impl<V: 'static> IntoKey<V> for Key<V> {
    fn into_key(self) -> Key<V> {
        self
    }
}

impl<V: 'static> IntoKey<V> for &Key<V> {
    fn into_key(self) -> Key<V> {
        self.clone()
    }
}

impl<V: 'static, K: KeyPart> IntoKey<V> for K {
    fn into_key(self) -> Key<V> {
        Key::new(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Policy, minutes};

    const PAGES: Keyspace<u32, String> = Keyspace::new("pages", Policy::ttl(minutes(5)));
    const PAGES_V2: Keyspace<u32, String> = Keyspace::new("pages", Policy::ttl(minutes(5))).version(2);

    #[test]
    fn a_keyspace_version_makes_other_keys() {
        assert_ne!(PAGES.key(&1), PAGES_V2.key(&1));
        assert_ne!(PAGES.key(&1), PAGES.key(&2));
        assert_ne!(PAGES.key(&1), Key::new(1_u32));
        assert_eq!(PAGES.key(&1), PAGES.key(&1));
    }

    #[test]
    fn a_keyspace_with_one_key_shares_it_with_no_other() {
        const RATES: Keyspace<(), String> = Keyspace::new("rates", Policy::ttl(minutes(5)));
        const PRICES: Keyspace<(), String> = Keyspace::new("prices", Policy::ttl(minutes(5)));
        const NAMED: Keyspace<str, String> = Keyspace::new("rates", Policy::ttl(minutes(5)));
        let keys = [
            RATES.key(&()),
            PRICES.key(&()),
            NAMED.key(""),
            Key::new(()),
            Key::new(""),
            Key::new(("rates", ())),
            Key::new(((),)),
        ];
        for (i, a) in keys.iter().enumerate() {
            for (j, b) in keys.iter().enumerate() {
                assert_eq!(a == b, i == j, "{i} {j}");
            }
        }
    }

    #[test]
    fn the_lock_of_a_key_has_a_key_of_its_own() {
        let key = Key::<u32>::new("a");
        let (lock, fence) = (key.aside::<()>(Aside::Lock), key.aside::<()>(Aside::Fence));
        assert_ne!(lock, fence);
        assert_ne!(lock.as_bytes(), key.as_bytes());
        assert_ne!(lock, Key::<u32>::new("b").aside(Aside::Lock));
        // a part begins with its type, and no type is that large
        assert!(key.as_bytes()[0] < Aside::Lock as u8);
    }

    #[test]
    fn sixty_four_kibibytes_is_a_key_and_more_is_a_clear_error() {
        assert!(Key::<()>::new("x".repeat(64 * 1024)).check().is_ok());
        let error = Key::<()>::new("x".repeat(64 * 1024 + 100)).check().unwrap_err();
        assert!(error.to_string().contains("64 KiB"));
    }

    #[test]
    fn debug_prints_lengths_only() {
        let shown = format!("{:?}", Key::<()>::new("secret-mail@example.com"));
        assert!(!shown.contains("secret"), "{shown}");
    }
}
