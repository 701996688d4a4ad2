//! The snippets of the README and of the guide, compiled with the doctests.

/// The snippets of the README compile.
#[doc = include_str!("../../../README.md")]
pub struct Readme;

/// The snippets of the pages that need no feature compile.
#[doc = include_str!("../../../docs/guide/getting-started.md")]
#[doc = include_str!("../../../docs/guide/tenants.md")]
#[doc = include_str!("../../../docs/guide/keys.md")]
#[doc = include_str!("../../../docs/guide/tags.md")]
#[doc = include_str!("../../../docs/guide/policies.md")]
#[doc = include_str!("../../../docs/guide/patterns.md")]
#[doc = include_str!("../../../docs/guide/warm-up.md")]
#[doc = include_str!("../../../docs/guide/scanning.md")]
pub struct MemoryGuide;

/// The snippets of the guide compile, and the permissions it prints are those that the code names.
///
/// ```
/// let guide = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/many-nodes.md"));
/// assert!(guide.contains(stratacache::REDIS_ACL));
/// ```
#[cfg(feature = "redis")]
#[doc = include_str!("../../../docs/guide/many-nodes.md")]
#[doc = include_str!("../../../docs/guide/when-redis-is-down.md")]
#[doc = include_str!("../../../docs/guide/cluster.md")]
#[doc = include_str!("../../../docs/guide/write-modes.md")]
pub struct Guide;

/// The snippets of the guide to object stores compile.
#[cfg(all(feature = "redis", feature = "object"))]
#[doc = include_str!("../../../docs/guide/object.md")]
pub struct ObjectGuide;

/// The snippets of the guide to encryption compile.
#[cfg(all(feature = "redis", feature = "encryption"))]
#[doc = include_str!("../../../docs/guide/encryption.md")]
pub struct EncryptionGuide;

/// The snippets of the guide to tiers compile.
#[cfg(all(feature = "disk", feature = "redis", feature = "object"))]
#[doc = include_str!("../../../docs/guide/choosing-tiers.md")]
pub struct TiersGuide;

/// The snippets of the guide to cached functions compile.
#[cfg(feature = "macros")]
#[doc = include_str!("../../../docs/guide/cached-functions.md")]
pub struct CachedFunctionsGuide;
