//! Contracts and words of Strata.
//!
//! Applications use the crate `stratacache`, which re-exports what they need. This crate is for those who implement
//! a [`Tier`](tier::Tier) or a [`Coordinator`](coordinator::Coordinator): it has no runtime and does no I/O.

pub mod breaker;
pub mod clock;
mod codec;
pub mod coordinator;
pub mod encryption;
pub mod envelope;
mod error;
pub mod event;
pub mod follow;
mod key;
mod policy;
pub mod stamp;
mod tag;
mod target;
mod tenant;
pub mod tier;

pub use codec::{CodecError, CodecErrorKind, OwnCodec, ValueCodec};
pub use error::{Error, ErrorKind, Result};
#[doc(hidden)]
pub use key::Aside;
pub use key::{
    DecodePart, Deployment, EntryCheck, EntryName, Glob, IntoKey, Key, KeyHasher, KeyPart, KeyView, Keyspace,
    KeyspaceInfo, LeadingParts, MAX_KEY, MAX_PREFIX, MemoryForm, NamespacePath, NormalizeText, PartDecoder,
    PartEncoder, Prefix, Prefixes, Scope, check_key_length,
};
pub use policy::{
    Ceilings, Codec, Compress, Consistency, MAX_NAMED_TIERS, MAX_TIER_RULES, OnDisconnect, OnWriteError, Policy,
    RefreshAhead, TierRule, Tiers, WriteMode, hours, millis, minutes, parse_duration, seconds,
};
pub use stamp::{Stamp, Token};
pub use tag::{IntoTag, Tag};
pub use target::{IntoTargets, Target, TargetKind};
pub use tenant::{MAX_TENANT_ID, TenantId};
