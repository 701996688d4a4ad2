//! The snippets of the README and of the guide, compiled with the doctests.

/// The snippets of the README compile.
#[doc = include_str!("../../../README.md")]
pub struct Readme;

/// The snippets of the pages that need no feature compile, and the page on operating has a word on each counter and event.
///
/// ```
/// let guide = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/operating.md"));
/// let fields = [
///     serde_json::to_value(stratacache::Stats::default()).unwrap(),
///     serde_json::to_value(stratacache::TierStats::default()).unwrap(),
/// ];
/// for field in fields.iter().flat_map(|stats| stats.as_object().unwrap().keys()).filter(|field| *field != "name") {
///     assert!(guide.contains(&format!("`{field}`")) || guide.contains(&format!(".{field}`")), "{field}");
/// }
/// let events = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../stratacache-core/src/event.rs"));
/// let (_, kinds) = events.split_once("enum EventKind").unwrap();
/// let names = kinds.lines().filter_map(|line| line.strip_prefix("    ")?.strip_suffix([',', '{']));
/// let names: Vec<_> = names.map(str::trim_end).filter(|name| name.chars().all(char::is_alphabetic)).collect();
/// assert!(names.len() > 20 && names.contains(&"Disconnected"), "{names:?}");
/// for name in names {
///     assert!(guide.contains(&format!("`{name}`")), "{name}");
/// }
/// ```
#[doc = include_str!("../../../docs/guide/getting-started.md")]
#[doc = include_str!("../../../docs/guide/tenants.md")]
#[doc = include_str!("../../../docs/guide/keys.md")]
#[doc = include_str!("../../../docs/guide/tags.md")]
#[doc = include_str!("../../../docs/guide/policies.md")]
#[doc = include_str!("../../../docs/guide/patterns.md")]
#[doc = include_str!("../../../docs/guide/resources.md")]
#[doc = include_str!("../../../docs/guide/warm-up.md")]
#[doc = include_str!("../../../docs/guide/testing.md")]
#[doc = include_str!("../../../docs/guide/loaders.md")]
#[doc = include_str!("../../../docs/guide/operating.md")]
#[doc = include_str!("../../../docs/guide/counters-and-locks.md")]
#[doc = include_str!("../../../docs/guide/metrics.md")]
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

/// The snippets of the guide to events compile, and the permissions it prints are those that the code names.
///
/// ```
/// let guide = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/events.md"));
/// let stream = stratacache::RedisStream::builder("redis://queue.internal", "changes", "web");
/// assert!(guide.contains(&stream.acl().unwrap()));
/// ```
#[cfg(all(feature = "postgres", feature = "redis"))]
#[doc = include_str!("../../../docs/guide/events.md")]
pub struct EventsGuide;
