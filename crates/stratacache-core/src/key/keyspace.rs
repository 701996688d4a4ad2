//! Declared kinds of cached things.

use std::{fmt, marker::PhantomData};

use super::{Key, KeyPart, KeyView, MAX_PREFIX, NormalizeText, PartBuf, PartEncoder, prefix::normalize_key};
use crate::{Policy, ValueCodec, follow::KeyspaceShape};

/// How the memory tier holds the values of a keyspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum MemoryForm {
    /// As they are: a hit costs nothing but the look-up. The default.
    #[default]
    Decoded,
    /// As bytes, encoded and compressed as the policy says: more values in the same memory, and each hit decodes. Two hits
    /// return two values that are equal, not one that is shared. An entry weighs its bytes, whatever a weigher says.
    ///
    /// Values that cannot be encoded, such as `Local` ones, stay as they are.
    Encoded,
}

/// The type-independent declaration inside a [`Keyspace`].
pub struct KeyspaceInfo<V: 'static> {
    name: &'static str,
    version: u32,
    policy: Policy,
    weigher: Option<fn(&V) -> usize>,
    negative_when: Option<fn(&V) -> bool>,
    codec: Option<&'static dyn ValueCodec<V>>,
    memory_form: MemoryForm,
    marked_parts: u8,
    normalize_text: Option<NormalizeText>,
    loader: Option<&'static str>,
    scannable: bool,
}

impl<V: 'static> KeyspaceInfo<V> {
    /// Returns the name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the version of the shape of the values.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// Returns the policy.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Returns the function that weighs values, if one was declared.
    #[must_use]
    pub const fn weigher(&self) -> Option<fn(&V) -> usize> {
        self.weigher
    }

    /// Returns the function that tells which values count as known absence, if one was declared.
    #[must_use]
    pub const fn negative_when(&self) -> Option<fn(&V) -> bool> {
        self.negative_when
    }

    /// Returns the keyspace's own codec, if it has one.
    #[must_use]
    pub const fn codec(&self) -> Option<&'static dyn ValueCodec<V>> {
        self.codec
    }

    /// Returns how the memory tier holds the values.
    #[must_use]
    pub const fn memory_form(&self) -> MemoryForm {
        self.memory_form
    }

    /// Returns how many leading parts of the keys entries can be invalidated by.
    #[inline]
    #[must_use]
    pub const fn marked_parts(&self) -> u8 {
        self.marked_parts
    }

    /// Tells whether entries below memory keep their keys.
    #[must_use]
    pub const fn is_scannable(&self) -> bool {
        self.scannable
    }

    /// Returns the name of the loader whose limits hold for loads of the keyspace, if one was given.
    #[must_use]
    pub const fn loader(&self) -> Option<&'static str> {
        self.loader
    }

    /// Returns the key with this encoded form, if it is one of this keyspace and version.
    #[must_use]
    pub fn restore(&'static self, encoded: &[u8]) -> Option<Key<V>> {
        let view = KeyView::of(encoded)?;
        (view.keyspace() == Some(self.name) && view.version() == self.version).then(|| Key::restored(self, encoded))
    }

    /// Returns the encoded key with its texts in their normal form, if one was declared.
    #[inline]
    pub(super) fn normalized(&self, key: PartBuf) -> PartBuf {
        match self.normalize_text {
            None => key,
            Some(text) => normalize_key(key, text),
        }
    }

    pub(crate) fn encode_prefix(&self, parts: &mut PartEncoder) {
        encode_keyspace(self.name, self.version, parts);
    }

    /// Returns what its name stands for, without its types.
    #[must_use]
    pub const fn shape(&self) -> KeyspaceShape {
        let Self { name, version, marked_parts, normalize_text, .. } = *self;
        KeyspaceShape { name, version, marked_parts, normalize_text }
    }
}

/// Writes what the keys of a keyspace begin with.
pub(crate) fn encode_keyspace(name: &str, version: u32, parts: &mut PartEncoder) {
    // a group, so that no key without a keyspace can look like a key in one
    parts.variant(version, |p| p.text(name));
}

impl KeyspaceShape {
    /// Returns the key of a part that was encoded before, in its normal form.
    pub(crate) fn key(&self, version: Option<u32>, part: &[u8]) -> PartBuf {
        let mut encoder = PartEncoder::default();
        encode_keyspace(self.name, version.unwrap_or(self.version), &mut encoder);
        encoder.raw(part);
        match self.normalize_text {
            None => encoder.finish(),
            Some(text) => normalize_key(encoder.finish(), text),
        }
    }
}

/// Declares a kind of cached thing: its name, the type of its keys and values, and its policy.
///
/// Declare it as a `const` (or `static`) beside the code that loads it; [`key`](Self::key) needs it to live for the
/// whole program.
///
/// ```
/// use stratacache_core::{Keyspace, Policy, hours, minutes};
///
/// const CONTACTS: Keyspace<u32, Vec<String>> =
///     Keyspace::new("contacts", Policy::ttl(minutes(5)).stale_if_error(hours(1)));
///
/// let page = CONTACTS.key(&3);
/// # let _ = page;
/// ```
///
/// A zero ttl does not compile:
///
/// ```compile_fail
/// # use stratacache_core::{Keyspace, Policy, seconds};
/// const BROKEN: Keyspace<u32, String> = Keyspace::new("broken", Policy::ttl(seconds(0)));
/// let _ = BROKEN.key(&1);
/// ```
pub struct Keyspace<K: ?Sized, V: 'static> {
    info: KeyspaceInfo<V>,
    key: PhantomData<fn(&K)>,
}

impl<K: ?Sized, V: 'static> Keyspace<K, V> {
    /// Declares a keyspace.
    ///
    /// # Panics
    /// At compile time in a `const`: if the name is empty or longer than 64 bytes.
    #[must_use]
    pub const fn new(name: &'static str, policy: Policy) -> Self {
        assert!(!name.is_empty() && name.len() <= 64, "a keyspace name has 1 to 64 bytes");
        let info = KeyspaceInfo {
            name,
            version: 0,
            policy,
            weigher: None,
            negative_when: None,
            codec: None,
            memory_form: MemoryForm::Decoded,
            marked_parts: 0,
            normalize_text: None,
            loader: None,
            scannable: false,
        };
        Self { info, key: PhantomData }
    }

    /// Sets the version of the values' shape; entries of another version are misses. Default 0.
    #[must_use]
    pub const fn version(mut self, version: u32) -> Self {
        self.info.version = version;
        self
    }

    /// Sets how many bytes of memory a value weighs, its heap included. Default: its `size_of` and its encoded length.
    #[must_use]
    pub const fn weigher(mut self, weigher: fn(&V) -> usize) -> Self {
        self.info.weigher = Some(weigher);
        self
    }

    /// Declares which values count as known absence: they live for the policy's `negative_ttl`. Default: none does.
    #[must_use]
    pub const fn negative_when(mut self, absent: fn(&V) -> bool) -> Self {
        self.info.negative_when = Some(absent);
        self
    }

    /// Gives the keyspace a codec of its own, in place of the policy's.
    #[must_use]
    pub const fn codec(mut self, codec: &'static dyn ValueCodec<V>) -> Self {
        self.info.codec = Some(codec);
        self
    }

    /// Names the loader whose limits hold for all loads of this keyspace, as declared with `builder.loader(name, ..)`. Default: none.
    ///
    /// A load with a name that was not declared is an error which says so; a registered keyspace (`builder.keyspace`) is
    /// checked when the cache is built.
    ///
    /// # Panics
    /// At compile time in a `const`: if the name is empty or longer than 64 bytes.
    #[must_use]
    pub const fn loader(mut self, name: &'static str) -> Self {
        assert!(!name.is_empty() && name.len() <= 64, "a loader name has 1 to 64 bytes");
        self.info.loader = Some(name);
        self
    }

    /// Keeps each key in its entry below memory, so that operators can look for keys there
    /// (`namespace.scan_keys`). Default: not.
    ///
    /// It costs the length of the key in every entry. The key lies beside the value, and is encrypted where that is; without encryption whoever
    /// can read the tier reads the keys, too. Keys above 65,535 encoded bytes are not kept. Entries that were stored before are found once they
    /// were stored anew. No invalidation needs this.
    ///
    /// Releases that do not know it miss such entries.
    #[must_use]
    pub const fn scannable(mut self) -> Self {
        self.info.scannable = true;
        self
    }

    /// Sets how the memory tier holds the values. Default [`MemoryForm::Decoded`].
    ///
    /// `Encoded` is for many values that are read now and then, and whose bytes are much fewer than the value in memory. It
    /// changes nothing else: freshness, invalidation, absence and statistics are the same.
    #[must_use]
    pub const fn memory_form(mut self, form: MemoryForm) -> Self {
        self.info.memory_form = form;
        self
    }

    /// Lets entries be invalidated by the first so many parts of their keys, which must be tuples: by the first part, by the first two,
    /// and so on. Default 0.
    ///
    /// Each part costs every entry as much as a tag (16 bytes; they do not count as `max_tags`), and an invalidation by a prefix is one
    /// mark, however many entries there are. What is stored before the number is raised knows nothing of the new parts: raise
    /// [`version`](Self::version) with it.
    ///
    /// # Panics
    /// At compile time in a `const`: above 7.
    #[must_use]
    pub const fn prefixes(mut self, parts: u8) -> Self {
        assert!(parts <= MAX_PREFIX, "at most 7 leading parts of a key can be marked");
        self.info.marked_parts = parts;
        self
    }

    /// Declares that texts which have the same normal form are the same key: every text in a key is replaced by what this returns, at
    /// any depth, wherever a key or prefix of the keyspace is made. Default: texts are compared byte for byte.
    ///
    /// It must return the same for the same text in every process that shares tiers, for ever: raise
    /// [`version`](Self::version) when it changes. Loaders get the key as the caller wrote it, so they have to treat both forms alike.
    ///
    /// ```
    /// use std::borrow::Cow;
    /// use stratacache_core::{Keyspace, Policy, minutes};
    ///
    /// fn lowercase(text: &str) -> Cow<'_, str> {
    ///     text.to_lowercase().into()
    /// }
    ///
    /// const BY_MAIL: Keyspace<str, u64> = Keyspace::new("by-mail", Policy::ttl(minutes(5))).normalize_text(lowercase);
    /// assert_eq!(BY_MAIL.key("Ada@Example.com"), BY_MAIL.key("ada@example.com"));
    /// ```
    #[must_use]
    pub const fn normalize_text(mut self, normalize: NormalizeText) -> Self {
        self.info.normalize_text = Some(normalize);
        self
    }

    /// Returns the declaration without the key type.
    #[must_use]
    pub const fn info(&'static self) -> &'static KeyspaceInfo<V> {
        &self.info
    }

    /// Returns the name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.info.name
    }

    /// Returns the policy.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.info.policy
    }
}

impl<K: KeyPart + ?Sized, V: 'static> Keyspace<K, V> {
    /// Makes the key of one entry.
    #[must_use]
    pub fn key(&'static self, key: &K) -> Key<V> {
        Key::in_keyspace(&self.info, key)
    }
}

impl<K: ?Sized, V: 'static> fmt::Debug for Keyspace<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.info.fmt(f)
    }
}

impl<V: 'static> fmt::Debug for KeyspaceInfo<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyspace")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("policy", &self.policy)
            .field("codec", &self.codec.map(ValueCodec::id))
            .field("memory_form", &self.memory_form)
            .field("loader", &self.loader)
            .finish_non_exhaustive()
    }
}
