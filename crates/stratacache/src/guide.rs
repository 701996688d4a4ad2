//! The snippets of the README and of the guide, compiled with the doctests.

/// The snippets of the README compile.
#[doc = include_str!("../../../README.md")]
pub struct Readme;

/// The snippets of the guide to warm-ups compile.
#[doc = include_str!("../../../docs/guide/warm-up.md")]
pub struct WarmGuide;

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
