//! A tier of one's own: [Memcached](https://memcached.org), by the trait [`Tier`](stratacache::tier::Tier) and nothing that is not
//! public. To make another, copy this folder and replace `protocol.rs`.
//!
//! ```no_run
//! use memcached_tier::Memcached;
//! use stratacache::Cache;
//!
//! # async fn example() -> stratacache::Result<()> {
//! let memcached = Memcached::builder("10.0.0.9:11211").prefix("shop").connect().await?;
//! let cache = Cache::builder().memory(256 << 20).tier(memcached).build().await?;
//! # Ok(()) }
//! ```
//!
//! # What the tier says of itself, and why
//!
//! * **No fences.** A fence is void once its name was removed, whoever removed it, also where nothing was there to remove.
//!   Memcached's CAS numbers look like it and are not: an absent name has none, so that each miss would have to write a
//!   stub, which is evicted as anything else; each store gives a new number, though one fence may be used twice; and the
//!   numbers begin anew when the server does, so that an old one may fit again. The engine judges by the marks of keys instead,
//!   and needs nothing of Memcached but that it returns what was put.
//! * **Persistent and shared.** What counts is whether entries outlive this *process*, and they do, though not their
//!   server. With Redis in the same cache its coordinator then keeps the marks of keys, too, for nodes that start later.
//! * **Not self-guarded.** Operations have no deadline of their own: the engine drops those that take too long and leaves a server
//!   alone for a while that does not answer. A dropped operation drops its connection.
//! * **A largest weight**, asked of the server when connecting. What is larger is refused for that entry alone.
//!
//! # What is warm
//!
//! Entries are of use as long as the order of invalidations goes on in which they were loaded. Alone below memory, that is
//! as long as the process lives: Memcached then is more memory, elsewhere. With `Redis` or `Disk` in the same cache it goes on
//! over restarts. A Memcached that was flushed, restarted, or brought back from before is cold, never stale.
//!
//! # Where time is
//!
//! A tier is told until when an entry may live, in coordinator time: milliseconds since 1970. Memcached takes seconds, reads
//! more than 30 days of them as a date, and 0 as for ever. So what is left is rounded up, is never 0, and never above 30 days.

mod builder;
mod connection;
mod pool;
mod protocol;
mod tier;

pub use builder::MemcachedBuilder;
pub use tier::Memcached;
