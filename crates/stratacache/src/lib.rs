#![doc = include_str!("front_page.md")]

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
pub use engine::{FoundKey, FoundKeys, HotKeys, Inspection, KeyHash, LockGuard, ScanCursor, ScannedKeys, TierView};
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
pub use stratacache_disk::{Disk, DiskBuilder, DiskScan};
#[cfg(feature = "encryption")]
pub use stratacache_encryption::{
    FileKeys, FileKeysBuilder, KeyWrap, MasterKey, MasterKeys, MemoryKeys, aes_256_gcm_siv,
};
#[cfg(feature = "macros")]
pub use stratacache_macros::{DecodePart, KeyPart, cached};
#[cfg(feature = "object")]
pub use stratacache_object::{
    Object, ObjectBuilder, ObjectScan, PrefixError as ObjectPrefixError, Sweep as ObjectSweep,
    SweepCursor as ObjectSweepCursor, SweepError as ObjectSweepError, SweepReport as ObjectSweepReport,
};
#[cfg(feature = "postgres")]
pub use stratacache_postgres::{OutboxPoison, OutboxSql, PostgresOutbox, PostgresOutboxBuilder, RowTrigger, SqlPart};
#[cfg(feature = "redis")]
pub use stratacache_redis::{
    Health as RedisHealth, REDIS_ACL, REDIS_SCAN_ACL, REDIS_SWEEP_ACL, Redis, RedisBuilder, RedisScan,
    RedisScanBuilder, RedisStream, RedisStreamBuilder, Sweep as RedisSweep, SweepBuilder as RedisSweepBuilder,
    SweepCursor as RedisSweepCursor, SweepError as RedisSweepError, SweepReport as RedisSweepReport,
};
pub use value::IntoValue;
