//! Keys of a partition: namespace and key in one block, hashed without the namespace's bytes.

use std::{
    hash::{BuildHasher, Hash, Hasher},
    sync::{Arc, LazyLock},
};

use quick_cache::Equivalent;
use stratacache_core::NamespacePath;

/// A namespace as it stands in front of keys: its bytes, and their hash with the secret of this process.
#[derive(Clone, Debug)]
pub(crate) struct NamespacePrefix {
    hash: u64,
    path: NamespacePath,
}

static SECRET: LazyLock<foldhash::quality::RandomState> = LazyLock::new(foldhash::quality::RandomState::default);

impl NamespacePrefix {
    pub(crate) fn new(path: NamespacePath) -> Self {
        Self { hash: SECRET.hash_one(path.as_bytes()), path }
    }

    pub(crate) fn path(&self) -> &NamespacePath {
        &self.path
    }
}

/// A key to look up, borrowed.
#[derive(Clone, Copy)]
pub(crate) struct LookupKey<'a> {
    pub(crate) prefix: &'a NamespacePrefix,
    pub(crate) key: &'a [u8],
}

static FAST: LazyLock<foldhash::fast::RandomState> = LazyLock::new(foldhash::fast::RandomState::default);

#[inline]
fn hash_of(namespace: u64, key: &[u8]) -> u64 {
    let mut hasher = FAST.build_hasher();
    hasher.write_u64(namespace);
    hasher.write(key);
    hasher.finish()
}

/// A key on its way to a map, hashed once: for the shard and for the map in it.
#[derive(Clone, Copy)]
pub(crate) struct Hashed<'a> {
    hash: u64,
    path: &'a [u8],
    key: &'a [u8],
}

impl<'a> Hashed<'a> {
    #[inline]
    pub(crate) fn new(lookup: &LookupKey<'a>) -> Self {
        Self { hash: hash_of(lookup.prefix.hash, lookup.key), path: lookup.prefix.path.as_bytes(), key: lookup.key }
    }

    pub(crate) fn stored(key: &'a MapKey) -> Self {
        let end = key.namespace_end();
        Self { hash: key.hash_value(), path: &key.0[HEADER..end], key: &key.0[end..] }
    }

    #[inline]
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }
}

impl Hash for Hashed<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Equivalent<MapKey> for Hashed<'_> {
    #[inline]
    fn equivalent(&self, stored: &MapKey) -> bool {
        let end = stored.namespace_end();
        stored.0[end..] == *self.key && stored.0[HEADER..end] == *self.path
    }
}

/// Bytes before the namespace: its hash, and where it ends.
const HEADER: usize = 12;

/// A key in a partition: the hash of the namespace, the namespace's length, the namespace, the key.
#[derive(Clone, Debug)]
pub(crate) struct MapKey(Arc<[u8]>);

impl MapKey {
    pub(crate) fn weight(&self) -> usize {
        self.0.len()
    }

    fn namespace_end(&self) -> usize {
        HEADER + u32::from_le_bytes(std::array::from_fn(|i| self.0[8 + i])) as usize
    }

    fn namespace_hash(&self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|i| self.0[i]))
    }

    /// Returns the hash that the maps use.
    pub(crate) fn hash_value(&self) -> u64 {
        hash_of(self.namespace_hash(), self.key())
    }

    /// Returns the encoded key without the namespace.
    pub(crate) fn key(&self) -> &[u8] {
        &self.0[self.namespace_end()..]
    }
}

impl From<LookupKey<'_>> for MapKey {
    fn from(lookup: LookupKey<'_>) -> Self {
        let path = lookup.prefix.path.as_bytes();
        let mut bytes = Vec::with_capacity(HEADER + path.len() + lookup.key.len());
        bytes.extend_from_slice(&lookup.prefix.hash.to_le_bytes());
        bytes.extend_from_slice(&(path.len() as u32).to_le_bytes());
        bytes.extend_from_slice(path);
        bytes.extend_from_slice(lookup.key);
        Self(bytes.into())
    }
}

impl Hash for MapKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash_value());
    }
}

impl PartialEq for MapKey {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for MapKey {}

#[cfg(test)]
mod tests {
    use super::*;

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
            .flat_map(|prefix| [b"".as_slice(), b"k", b"kk"].map(|key| LookupKey { prefix, key }))
            .collect();
        for (i, stored) in lookups.iter().map(|l| MapKey::from(*l)).enumerate() {
            for (j, lookup) in lookups.iter().enumerate() {
                let hashed = Hashed::new(lookup);
                assert_eq!(hashed.equivalent(&stored), i == j);
                assert_eq!(hashed.hash() == stored.hash_value(), i == j);
                assert!(Hashed::stored(&stored).equivalent(&stored));
            }
        }
    }
}
