//! The Redis and Valkey tier of Strata, and the coordinator that its nodes share.
//!
//! [`Redis`] connects to a server or a cluster. Given to a cache it does two things: it stores entries, and it orders
//! invalidations, so that one on any node beats every fill on all of them.
//!
//! ```no_run
//! use stratacache_core::tier::TierParts;
//! use stratacache_redis::Redis;
//!
//! # async fn example() -> Result<(), stratacache_core::Error> {
//! let redis = Redis::connect("redis://cache.internal:6379").await?;
//! let parts = TierParts::from(redis); // what `Cache::builder().tier(redis)` does
//! assert!(parts.coordinator.is_some());
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised
//!
//! When an invalidation has returned `Ok`, no `Latest` or `Since` read that begins afterwards, and no `Bounded` read that
//! begins more than delta (1 s by default) afterwards, returns a value whose load began before it: whichever nodes crashed,
//! whatever messages were lost, and whether Redis restarted empty or failed over.
//!
//! # What that rests on
//!
//! * **A history has a name.** A server that lost acknowledged writes (an empty restart, an older file, a replica that took
//!   over) has another `master_replid`. Every script asks the server for it, and begins a new history where it differs.
//! * **An old primary stops.** One that was cut off takes no more writes within T; otherwise T adds to delta. In a cluster
//!   that is the node timeout; for one server with replicas set `min-replicas-to-write 1`.
//! * **A demoted primary's clients are closed** by whoever demotes it, as Sentinel does. A cluster redirects them.
//! * **Monotonic clocks run within 1 %** of real time; what time of day they show does not matter.
//! * **Invalidate after the commit**, and let loaders read a source that is at least that new.
//! * **Memory.** With a `maxmemory` the policy is `volatile-*`: entries have a time to live, the order of invalidations has
//!   none. That is checked once, when connecting.
//!
//! # What it costs
//!
//! A hit below memory is one round trip, a miss three, a hit in memory none; the invalidation of a tag, namespace or tenant
//! is one, of a key two, however many entries there are. A node asks for news about four times a second, at least three, and
//! has two more connections: one follows the invalidations as they happen, one hears of fills that somebody waits for. On a
//! cluster it has only the second. Everything has a deadline; a server that hangs costs one operation its deadline in each
//! window of the breaker.
//!
//! # Permissions
//!
//! [`REDIS_ACL`] is the least that a user needs; [`RedisBuilder::acl`] gives it for another prefix. Keys are hashes under one
//! prefix: once a `deployment_secret` is set, neither tenants nor keys can be read from them; its default is a public constant,
//! with which names can be guessed. User and password are in no error, log or `Debug`. An operator's [`Sweep`] has a user of
//! its own, [`REDIS_SWEEP_ACL`], and so has a [`RedisScan`], [`REDIS_SCAN_ACL`].

mod access;
mod builder;
mod connect;
mod coordinator;
mod core;
mod health;
mod link;
mod names;
mod rules;
mod scan;
mod scripts;
mod spawn;
mod startup;
mod store;
mod stream;
mod sweep;
mod url;
mod walk;

pub use access::{REDIS_ACL, REDIS_SCAN_ACL, REDIS_SWEEP_ACL};
pub use builder::{Redis, RedisBuilder};
pub use health::Health;
#[cfg(feature = "mutants")]
pub use rules::Rule;
pub use scan::{RedisScan, RedisScanBuilder};
pub use stream::{RedisStream, RedisStreamBuilder};
pub use sweep::{Sweep, SweepBuilder, SweepCursor, SweepError, SweepReport};
