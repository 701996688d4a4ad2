//! Keys of a partition: a shared namespace and the key's bytes, in the entry itself where they are few.

use std::{
    fmt,
    hash::{BuildHasher, Hash, Hasher},
    sync::{Arc, LazyLock},
};

use stratacache_core::{KeyHasher, NamespacePath, Scope};

/// How the keys of a namespace are hashed.
#[derive(Clone, Debug)]
enum Hashing {
    /// Quickly, with secrets of this process.
    Own { namespace: u64, seeds: foldhash::fast::RandomState },
    /// By their scopes: another node's invalidation of a key names nothing else.
    ByScope(Arc<KeyHasher>),
}

impl Hashing {
    #[inline]
    fn hash(&self, key: &[u8]) -> u64 {
        match self {
            Self::Own { namespace, seeds } => {
                let mut hasher = seeds.build_hasher();
                hasher.write_u64(*namespace);
                hasher.write(key);
                hasher.finish()
            }
            Self::ByScope(hasher) => hasher.scope(key).low(),
        }
    }
}

/// A namespace as it stands in front of keys: its bytes, and how keys in it are hashed.
#[derive(Clone, Debug)]
pub(crate) struct NamespacePrefix {
    /// A copy of the shared one, which readers would else fetch from beside a counter that writers change.
    hashing: Hashing,
    shared: Arc<SharedPath>,
}

/// What the keys of one namespace share.
#[derive(Debug)]
pub(crate) struct SharedPath {
    hash: u64,
    hashing: Hashing,
    path: NamespacePath,
}

static SECRET: LazyLock<foldhash::quality::RandomState> = LazyLock::new(foldhash::quality::RandomState::default);
static FAST: LazyLock<foldhash::fast::RandomState> = LazyLock::new(foldhash::fast::RandomState::default);

impl NamespacePrefix {
    pub(crate) fn new(path: NamespacePath) -> Self {
        let namespace = SECRET.hash_one(path.as_bytes());
        Self::hashed(path, Hashing::Own { namespace, seeds: FAST.clone() })
    }

    /// Makes the prefix of a namespace whose keys are found by their scopes, too.
    pub(crate) fn by_scope(path: NamespacePath, hasher: KeyHasher) -> Self {
        Self::hashed(path, Hashing::ByScope(Arc::new(hasher)))
    }

    fn hashed(path: NamespacePath, hashing: Hashing) -> Self {
        let hash = SECRET.hash_one(path.as_bytes());
        Self { hashing: hashing.clone(), shared: Arc::new(SharedPath { hash, hashing, path }) }
    }

    pub(crate) fn path(&self) -> &NamespacePath {
        &self.shared.path
    }

    /// Returns the scope of a key, where keys are hashed by theirs: what all keys here begin with is hashed already.
    pub(crate) fn scope(&self, key: &[u8]) -> Option<Scope> {
        match &self.hashing {
            Hashing::Own { .. } => None,
            Hashing::ByScope(hasher) => Some(hasher.scope(key)),
        }
    }
}

impl SharedPath {
    /// Tells whether two are of the same namespace; most often they are one.
    #[inline]
    fn is(self: &Arc<Self>, other: &Arc<Self>) -> bool {
        Arc::ptr_eq(self, other) || (self.hash == other.hash && self.path.as_bytes() == other.path.as_bytes())
    }
}

/// A key to look up, borrowed.
#[derive(Clone, Copy)]
pub(crate) struct LookupKey<'a> {
    pub(crate) prefix: &'a NamespacePrefix,
    pub(crate) key: &'a [u8],
}

/// A key on its way to a shard, hashed once: for the choice of the shard and for its table.
#[derive(Clone, Copy)]
pub(crate) struct Hashed<'a> {
    hash: u64,
    path: &'a Arc<SharedPath>,
    key: &'a [u8],
}

impl<'a> Hashed<'a> {
    #[inline]
    pub(crate) fn new(lookup: &LookupKey<'a>) -> Self {
        Self { hash: lookup.prefix.hashing.hash(lookup.key), path: &lookup.prefix.shared, key: lookup.key }
    }

    pub(crate) fn stored(key: &'a MapKey) -> Self {
        Self { hash: key.hash_value(), path: &key.path, key: key.key() }
    }

    #[inline]
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// Tells whether this is the key of an entry.
    #[inline]
    pub(crate) fn is(&self, stored: &MapKey) -> bool {
        *self.key == *stored.key() && self.path.is(&stored.path)
    }
}

/// Keys of up to so many encoded bytes lie in the entry itself, and cost a reader no further miss.
const INLINE: usize = 30;

/// The bytes of a key.
#[derive(Clone)]
enum KeyBytes {
    Inline { length: u8, bytes: [u8; INLINE] },
    Heap(Box<[u8]>),
}

impl KeyBytes {
    fn new(key: &[u8]) -> Self {
        if key.len() > INLINE {
            return Self::Heap(key.into());
        }
        let mut bytes = [0; INLINE];
        bytes[..key.len()].copy_from_slice(key);
        Self::Inline { length: key.len() as u8, bytes }
    }

    #[inline]
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Inline { length, bytes } => &bytes[..usize::from(*length)],
            Self::Heap(bytes) => bytes,
        }
    }
}

/// A key in a partition: the namespace, which the keys in it share, and the encoded key.
#[derive(Clone)]
pub(crate) struct MapKey {
    path: Arc<SharedPath>,
    bytes: KeyBytes,
}

impl MapKey {
    /// Returns the bytes it takes outside its entry.
    pub(crate) fn weight(&self) -> usize {
        match &self.bytes {
            KeyBytes::Inline { .. } => 0,
            KeyBytes::Heap(bytes) => bytes.len(),
        }
    }

    /// Returns the hash that shards use.
    pub(crate) fn hash_value(&self) -> u64 {
        self.path.hashing.hash(self.key())
    }

    /// Returns the scope of the key, where keys are hashed by theirs.
    pub(crate) fn scope(&self) -> Option<Scope> {
        match &self.path.hashing {
            Hashing::Own { .. } => None,
            Hashing::ByScope(hasher) => Some(hasher.scope(self.key())),
        }
    }

    /// Returns the namespace.
    pub(crate) fn path(&self) -> &NamespacePath {
        &self.path.path
    }

    /// Returns the encoded key without the namespace.
    pub(crate) fn key(&self) -> &[u8] {
        self.bytes.as_slice()
    }
}

impl From<LookupKey<'_>> for MapKey {
    fn from(lookup: LookupKey<'_>) -> Self {
        Self { path: Arc::clone(&lookup.prefix.shared), bytes: KeyBytes::new(lookup.key) }
    }
}

impl Hash for MapKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash_value());
    }
}

impl PartialEq for MapKey {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key() && self.path.is(&other.path)
    }
}

impl Eq for MapKey {}

impl fmt::Debug for MapKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapKey").field("bytes", &self.key().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: [u8; 2 * INLINE] = [b'k'; 2 * INLINE];

    #[test]
    fn a_stored_key_hashes_and_compares_like_the_one_looked_up() {
        let paths: Vec<_> = ["", "a", "b"]
            .iter()
            .map(|level| match *level {
                "" => NamespacePath::default(),
                level => NamespacePath::default().child(level, 8).unwrap(),
            })
            .map(NamespacePrefix::new)
            .collect();
        let lookups: Vec<_> = paths
            .iter()
            .flat_map(|prefix| {
                [b"".as_slice(), b"k", b"kk", &LONG[1..], &LONG[..INLINE], &LONG].map(|key| LookupKey { prefix, key })
            })
            .collect();
        for (i, stored) in lookups.iter().map(|l| MapKey::from(*l)).enumerate() {
            for (j, lookup) in lookups.iter().enumerate() {
                assert_eq!(Hashed::new(lookup).is(&stored), i == j);
                assert_eq!(Hashed::new(lookup).hash() == stored.hash_value(), i == j);
                assert!(Hashed::stored(&stored).is(&stored));
            }
        }
    }

    #[test]
    fn a_key_that_is_hashed_by_its_scope_is_found_by_it() {
        let deployment = stratacache_core::Deployment::new([1; 16]);
        let tenant = stratacache_core::TenantId::parse("acme").unwrap();
        let path = NamespacePath::default().child("a", 8).unwrap();
        let prefix = NamespacePrefix::by_scope(path.clone(), deployment.key_hasher(&tenant, &path));
        let lookup = LookupKey { prefix: &prefix, key: b"k" };
        let scope = deployment.key_scope(&tenant, &path, b"k");
        assert_eq!(Hashed::new(&lookup).hash(), scope.low());
        assert_eq!(MapKey::from(lookup).hash_value(), scope.low());
        assert_eq!(MapKey::from(lookup).scope(), Some(scope));
        assert_eq!(prefix.scope(b"k"), Some(scope));
        assert_eq!(NamespacePrefix::new(path).scope(b"k"), None);
    }

    #[test]
    fn two_handles_of_one_namespace_find_the_same_key() {
        let path = NamespacePath::default().child("a", 8).unwrap();
        let (one, other) = (NamespacePrefix::new(path.clone()), NamespacePrefix::new(path));
        let stored = MapKey::from(LookupKey { prefix: &one, key: b"k" });
        assert!(Hashed::new(&LookupKey { prefix: &other, key: b"k" }).is(&stored));
        assert_eq!(stored, MapKey::from(LookupKey { prefix: &other, key: b"k" }));
    }
}
