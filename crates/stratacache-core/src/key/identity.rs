//! The one place where a tenant meets a key: names, checks and scopes are keyed hashes of length-framed components.

use std::{fmt, hash::Hasher as _, sync::Arc};

use siphasher::sip128::{Hasher128, SipHasher24};

use super::{KeyPart, encode_part};
use crate::{Error, Result, TenantId};

/// Longest encoded path of namespaces in bytes.
const MAX_PATH: usize = 64 * 1024;

macro_rules! hash_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u128);

        impl $name {
            /// Makes it from 16 little-endian bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(u128::from_le_bytes(bytes))
            }

            /// Returns it as 16 little-endian bytes.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0.to_le_bytes()
            }

            /// Returns the low 64 bits, to choose a slot or stripe by.
            #[must_use]
            pub const fn low(self) -> u64 {
                self.0 as u64
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:016x})"), (self.0 >> 64) as u64)
            }
        }
    };
}

hash_type! {
    /// Names an entry in the tiers below memory: a 128-bit keyed hash of tenant, namespace and key.
    ///
    /// ```
    /// # use stratacache_core::EntryName;
    /// let name = EntryName::from_bytes([7; 16]);
    /// assert_eq!(name.to_bytes(), [7; 16]);
    /// ```
    EntryName
}

hash_type! {
    /// Proves to which (tenant, namespace, key) an envelope belongs: a second keyed hash, independent of [`EntryName`].
    EntryCheck
}

hash_type! {
    /// Names what an invalidation is about and what an entry depends on: a key, leading parts of keys, a tag, a namespace, a
    /// tenant or a global tag, as a 128-bit keyed hash.
    Scope
}

impl Scope {
    /// What every entry of every tenant depends on, and every entry of none: the same in all deployments. Its marks are in
    /// [`Lane::GLOBAL`](crate::stamp::Lane::GLOBAL), of the kind of namespaces, and are judged by the stamp in that lane.
    pub const ALL_TENANTS: Self = Self::from_bytes(*b"strata/everybody");
}

/// The path of nested namespaces below a tenant; the tenant itself is the empty path.
///
/// One call of `namespace(..)` is one level, whatever its part: `("user", 42)` is one level, and another namespace than
/// `"user"` with `42` inside.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NamespacePath {
    bytes: Arc<[u8]>,
    ends: Arc<[u32]>,
}

impl Default for NamespacePath {
    fn default() -> Self {
        Self { bytes: Arc::from([]), ends: Arc::from([]) }
    }
}

impl NamespacePath {
    /// Returns the path one level deeper.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) when the path would be deeper than `max_depth`
    /// levels or longer than 64 KiB.
    pub fn child(&self, part: &(impl KeyPart + ?Sized), max_depth: usize) -> Result<Self> {
        self.child_encoded(&encode_part(part), max_depth)
    }

    /// Returns the path one level deeper, by the encoded part.
    ///
    /// # Errors
    /// As [`child`](Self::child).
    pub fn child_encoded(&self, part: &[u8], max_depth: usize) -> Result<Self> {
        if self.depth() >= max_depth {
            return Err(Error::invalid(format!("namespaces nest at most {max_depth} levels (max_namespace_depth)")));
        }
        let length = self.bytes.len() + part.len();
        if length > MAX_PATH {
            return Err(Error::invalid(format!("a namespace path has at most 64 KiB, this one {length} bytes")));
        }
        let bytes: Arc<[u8]> = self.bytes.iter().chain(part.iter()).copied().collect();
        let ends = self.ends.iter().copied().chain([length as u32]).collect();
        Ok(Self { bytes, ends })
    }

    /// Returns how many levels the path has.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.ends.len()
    }

    /// Returns each encoded level, outermost first, as [`child_encoded`](Self::child_encoded) takes it.
    pub fn levels(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(self.ends.iter()).map(|(begin, end)| &self.bytes[begin as usize..*end as usize])
    }

    /// Returns the encoded levels.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for NamespacePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamespacePath").field("depth", &self.depth()).field("bytes", &self.bytes.len()).finish()
    }
}

/// What is hashed; the byte keeps the domains apart.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Domain {
    Name = 1,
    Check = 2,
    Key = 3,
    Tag = 4,
    GlobalTag = 5,
    Namespace = 6,
    Prefix = 7,
}

/// Hashes identities with the secret of one deployment.
///
/// Two deployments with different secrets share no name. The hash is SipHash-2-4 with 128 bits (Aumasson and Bernstein,
/// 2012), keyed, so that nobody without the secret can choose two keys that collide.
#[derive(Clone, Copy)]
pub struct Deployment {
    key: [u8; 16],
}

impl Deployment {
    /// The secret of deployments that set none.
    pub const DEFAULT_SECRET: [u8; 16] = *b"strata/default/1";

    /// Makes it from a 16-byte secret; every node that shares tiers must use the same one.
    #[must_use]
    pub const fn new(secret: [u8; 16]) -> Self {
        Self { key: secret }
    }

    /// Names an entry for the tiers below memory.
    #[must_use]
    pub fn name(&self, tenant: &TenantId, path: &NamespacePath, key: &[u8]) -> EntryName {
        EntryName(self.hash(Domain::Name, tenant, path.as_bytes(), key))
    }

    /// Makes the check that an envelope of this entry carries.
    #[must_use]
    pub fn check(&self, tenant: &TenantId, path: &NamespacePath, key: &[u8]) -> EntryCheck {
        EntryCheck(self.hash(Domain::Check, tenant, path.as_bytes(), key))
    }

    /// Returns the scope of one key.
    #[must_use]
    pub fn key_scope(&self, tenant: &TenantId, path: &NamespacePath, key: &[u8]) -> Scope {
        Scope(self.hash(Domain::Key, tenant, path.as_bytes(), key))
    }

    /// Returns the scope of all keys of one namespace that begin with a [`Prefix`](super::Prefix), by its encoded form.
    #[must_use]
    pub fn prefix_scope(&self, tenant: &TenantId, path: &NamespacePath, prefix: &[u8]) -> Scope {
        Scope(self.hash(Domain::Prefix, tenant, path.as_bytes(), prefix))
    }

    /// Prepares to name the keys of one namespace: what they share is hashed once.
    #[must_use]
    pub fn key_hasher(&self, tenant: &TenantId, path: &NamespacePath) -> KeyHasher {
        KeyHasher(self.begun(Domain::Key, tenant, path.as_bytes()))
    }

    /// Returns the scopes of a tenant and of every level of a path below it, outermost first.
    #[must_use]
    pub fn path_scopes(&self, tenant: &TenantId, path: &NamespacePath) -> Vec<Scope> {
        let levels = std::iter::once(0).chain(path.ends.iter().map(|end| *end as usize));
        levels
            .map(|end| {
                let depth = path.ends.iter().take_while(|e| **e as usize <= end).count();
                Scope(self.hash(Domain::Namespace, tenant, &path.bytes[..end], &(depth as u64).to_le_bytes()))
            })
            .collect()
    }

    pub(crate) fn tag_scope(&self, tenant: &TenantId, tag: &[u8]) -> Scope {
        Scope(self.hash(Domain::Tag, tenant, &[], tag))
    }

    pub(crate) fn global_tag_scope(&self, tag: &[u8]) -> Scope {
        let mut hasher = self.hasher(Domain::GlobalTag);
        hasher.write(tag);
        Scope(hasher.finish128().as_u128())
    }

    fn hasher(&self, domain: Domain) -> SipHasher24 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write_u8(domain as u8);
        hasher
    }

    fn begun(&self, domain: Domain, tenant: &TenantId, path: &[u8]) -> SipHasher24 {
        let mut hasher = self.hasher(domain);
        for component in [tenant.as_str().as_bytes(), path] {
            hasher.write_u32(component.len() as u32);
            hasher.write(component);
        }
        hasher
    }

    fn hash(&self, domain: Domain, tenant: &TenantId, path: &[u8], key: &[u8]) -> u128 {
        let mut hasher = self.begun(domain, tenant, path);
        hasher.write(key);
        hasher.finish128().as_u128()
    }
}

/// Returns the scopes of the keys of one namespace; made by [`Deployment::key_hasher`].
#[derive(Clone)]
pub struct KeyHasher(SipHasher24);

impl KeyHasher {
    /// Returns the scope of one key, as [`Deployment::key_scope`] does.
    #[inline]
    #[must_use]
    pub fn scope(&self, key: &[u8]) -> Scope {
        let mut hasher = self.0;
        hasher.write(key);
        Scope(hasher.finish128().as_u128())
    }
}

impl fmt::Debug for KeyHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHasher(..)")
    }
}

impl fmt::Debug for Deployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Deployment(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    const DEPLOYMENT: Deployment = Deployment::new([3; 16]);

    fn name(tenant: &str, levels: &[&dyn Fn(&NamespacePath) -> NamespacePath], key: Key<()>) -> EntryName {
        let path = levels.iter().fold(NamespacePath::default(), |path, level| level(&path));
        DEPLOYMENT.name(&TenantId::parse(tenant).unwrap(), &path, key.as_bytes())
    }

    #[test]
    fn a_prepared_hasher_names_keys_as_the_deployment_does() {
        let tenant = TenantId::parse("acme").unwrap();
        let path = NamespacePath::default().child("settings", 8).unwrap();
        let hasher = DEPLOYMENT.key_hasher(&tenant, &path);
        for key in [&b""[..], b"k", &[7; 100]] {
            assert_eq!(hasher.scope(key), DEPLOYMENT.key_scope(&tenant, &path, key));
        }
    }

    #[test]
    fn namespace_and_key_boundaries_never_blur() {
        let a = |p: &NamespacePath| p.child("a", 8).unwrap();
        let b = |p: &NamespacePath| p.child("b", 8).unwrap();
        let ab = |p: &NamespacePath| p.child(&("a", "b"), 8).unwrap();
        let names = [
            name("t", &[&a], Key::new(("b", "c"))),
            name("t", &[&ab], Key::new("c")),
            name("t", &[&a, &b], Key::new("c")),
            name("t", &[], Key::new("a:b")),
            name("t", &[], Key::new("a.b")),
            name("t", &[], Key::new("a/b")),
            name("t", &[], Key::new(("a", "b"))),
            name("t", &[&a], Key::new("b")),
            name("t-1", &[], Key::new("k")),
            name("t-10", &[], Key::new("k")),
        ];
        for (i, x) in names.iter().enumerate() {
            for (j, y) in names.iter().enumerate() {
                assert_eq!(x == y, i == j, "{i} {j}");
            }
        }
    }

    #[test]
    fn each_level_of_a_path_has_a_scope_of_its_own() {
        let tenant = TenantId::parse("t").unwrap();
        let path = NamespacePath::default().child("a", 8).unwrap().child("b", 8).unwrap();
        let scopes = DEPLOYMENT.path_scopes(&tenant, &path);
        assert_eq!(scopes.len(), 3);
        let parent = DEPLOYMENT.path_scopes(&tenant, &NamespacePath::default().child("a", 8).unwrap());
        assert_eq!(scopes[..2], parent[..]);
        assert_ne!(scopes[1], scopes[2]);
    }

    #[test]
    fn the_ninth_level_is_refused_by_the_name_of_the_knob() {
        let mut path = NamespacePath::default();
        for level in 0..8_u32 {
            path = path.child(&level, 8).unwrap();
        }
        assert!(path.child("x", 8).unwrap_err().to_string().contains("max_namespace_depth"));
    }

    #[test]
    fn another_deployment_shares_no_name() {
        let tenant = TenantId::parse("t").unwrap();
        let path = NamespacePath::default();
        assert_ne!(DEPLOYMENT.name(&tenant, &path, b"k"), Deployment::new([4; 16]).name(&tenant, &path, b"k"));
    }
}
