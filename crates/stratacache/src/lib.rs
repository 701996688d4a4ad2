//! A multi-tenant, multi-tier cache with three promises: **isolation** (a tenant's data cannot be named, evicted or
//! slowed down by another), **coherence** (an invalidation beats every fill) and **calm** (one load for each key, stale
//! instead of errors).
//!
//! ```
//! use stratacache::{Cache, Keyspace, Policy, TenantId, hours, minutes};
//!
//! const CONTACTS: Keyspace<u32, Vec<String>> =
//!     Keyspace::new("contacts", Policy::ttl(minutes(5)).stale_if_error(hours(1)));
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cache = Cache::builder().memory(64 << 20).build().await?;
//! let acme = cache.tenant(&TenantId::parse("acme")?);
//!
//! let page = acme
//!     .get_or_load(CONTACTS.key(&1), async || Ok::<_, std::io::Error>(vec!["Ada".to_owned()]))
//!     .tag("contacts")
//!     .await?;
//! assert_eq!(*page, ["Ada"]);
//!
//! acme.invalidate_tag("contacts").await?; // every page; this tenant only
//! assert!(acme.get(CONTACTS.key(&1)).await.is_none());
//! cache.close().await?;
//! # Ok(()) }
//! ```
//!
#![doc = include_str!("front.md")]

mod cache;
mod cached;
mod codec;
mod coherence;
mod engine;
mod flight;
mod guard;
#[cfg(doctest)]
mod guide;
mod invalidation;
mod load_error;
mod loaded;
mod loaders;
#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod macro_support;
mod memory;
mod namespace;
mod observe;
pub mod op;
#[cfg(feature = "otlp")]
pub mod otlp;
pub mod resource;
mod spawn;
mod sync;
mod value;

pub use cache::{Cache, CacheBuilder, Quota, WarmHot};
pub use cached::{Cached, Freshness};
pub use codec::{CacheValue, Coded, Local};
#[cfg(feature = "mutants")]
#[doc(hidden)]
pub use coherence::Rule;
pub use engine::{FoundKey, FoundKeys, HotKeys, Inspection, KeyHash, LockGuard, TierView};
pub use invalidation::{Invalidation, Queued};
pub use load_error::{LeftAlone, LoadError};
pub use loaded::{LoadContext, Loaded};
pub use loaders::{LoaderLimits, LoaderStats, Retry};
pub use namespace::Namespace;
pub use observe::{CompressionStats, EventStream, Lagged, Metrics, Stats, TierStats, metrics};
pub use op::{Follower, Lookup, Number, WarmEnd, WarmFailure, WarmPriority, WarmProgress, WarmReport, WarmUp};
pub use resource::Resource;
pub use stratacache_core::{
    Ceilings, Codec, CodecError, CodecErrorKind, Compress, Consistency, DecodePart, Error, ErrorKind, Glob, IntoKey,
    IntoTag, IntoTargets, Key, KeyPart, Keyspace, LeadingParts, MemoryForm, NormalizeText, OnDisconnect, OnWriteError,
    OwnCodec, PartDecoder, PartEncoder, Policy, Prefix, RefreshAhead, Result, Stamp, Tag, Target, TenantId, Tiers,
    Token, ValueCodec, WriteMode, clock, encryption, event, follow, hours, millis, minutes, parse_duration, seconds,
    tier,
};
#[cfg(feature = "disk")]
pub use stratacache_disk::{Disk, DiskBuilder};
#[cfg(feature = "encryption")]
pub use stratacache_encryption::{
    FileKeys, FileKeysBuilder, KeyWrap, MasterKey, MasterKeys, MemoryKeys, aes_256_gcm_siv,
};
#[cfg(feature = "macros")]
pub use stratacache_macros::{KeyPart, cached};
#[cfg(feature = "object")]
pub use stratacache_object::{
    Object, ObjectBuilder, PrefixError as ObjectPrefixError, Sweep as ObjectSweep, SweepCursor as ObjectSweepCursor,
    SweepError as ObjectSweepError, SweepReport as ObjectSweepReport,
};
#[cfg(feature = "postgres")]
pub use stratacache_postgres::{OutboxSql, PostgresOutbox, PostgresOutboxBuilder, RowTrigger, SqlPart};
#[cfg(feature = "redis")]
pub use stratacache_redis::{
    Health as RedisHealth, REDIS_ACL, REDIS_SWEEP_ACL, Redis, RedisBuilder, RedisStream, RedisStreamBuilder,
    Sweep as RedisSweep, SweepBuilder as RedisSweepBuilder, SweepCursor as RedisSweepCursor,
    SweepError as RedisSweepError, SweepReport as RedisSweepReport,
};
pub use value::IntoValue;
