//! The object tier of Strata: S3, GCS, Azure and local directories, for large cold values.
//!
//! [`Object`] keeps each entry as one object, under a prefix of a bucket or in a directory. It outlives processes and
//! machines, and nodes share it. It belongs below memory, disk or Redis: a read takes tens of milliseconds, and costs money.
//!
//! ```
//! use stratacache_core::tier::TierParts;
//! use stratacache_object::Object;
//!
//! # async fn example(path: &std::path::Path) -> Result<(), stratacache_core::Error> {
//! let object = Object::directory(path.join("cold")).open().await?;
//! let parts = TierParts::from(object); // what `Cache::builder().tier(object)` does
//! # stratacache_core::tier::Tier::close(&parts.tier).await?;
//! # Ok(())
//! # }
//! # let dir = tempfile::tempdir().unwrap();
//! # tokio::runtime::Runtime::new().unwrap().block_on(example(dir.path())).unwrap();
//! ```
//!
//! A bucket is named by a URL; the rest are options:
//!
//! ```no_run
//! # async fn example() -> Result<(), stratacache_core::Error> {
//! let object = stratacache_object::Object::builder("s3://my-bucket/cache")
//!     .region("eu-central-1")
//!     .access_key("AKIA..", "the secret")
//!     .open()
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised
//!
//! * **Coherence** does not rest on the store. It has no fences: a write that was given up may land at any time later, an
//!   operator may put an old object back. What it returns is judged by the stamp in the envelope and by the marks of everything
//!   the entry depends on, its key included, and where these marks were dropped it is a miss.
//! * **Names.** An object is called by 32 hexadecimal digits, a keyed hash. The prefix is checked; nothing in a name comes from
//!   keys or tenants, and nothing outside the prefix or directory is written, read or removed. In a directory no symbolic
//!   link is followed, files have mode 0600, and what has no name yet is in `tmp`.
//! * **Life.** An object ends its life by what it says itself; after that it is a miss. It is removed by a [`Sweep`], or by a
//!   lifecycle rule of the bucket, see below.
//! * **Bounds.** An object larger than `max_weight` is not read, whatever length it claims; what is cut off or not ours is a
//!   miss. An operation ends within its deadline (2 s), retries included, and these have a budget. A store that
//!   does not answer costs one operation its deadline in each window of the breaker.
//! * **Secrets** are in no error, log or `Debug`, and neither is what a store says when it refuses, but for its short code.
//! * **No list** takes part in reading or writing; only a sweep and a scan list.
//!
//! Where the store refuses to create what is there, which is tried when the tier opens, a fill of what was absent does not take
//! the place of what came meanwhile ([`Object::creates`]). Nothing rests on that, and many stores ignore it.
//!
//! # What a bucket needs
//!
//! * The user may `GetObject`, `PutObject` and `DeleteObject` under the prefix, and `ListBucket` on the bucket with the prefix as
//!   a condition: without it S3 answers 403 for what is not there.
//! * A lifecycle rule that expires objects under the prefix some days after the longest life of an entry, `max_ttl` and
//!   `max_stale` of the cache together: 3 days with the defaults. No versioning, or old versions are kept for ever.

mod access;
mod budget;
mod builder;
mod cloud;
mod directory;
mod failure;
mod frame;
mod guard;
mod listed;
mod names;
mod object;
mod place;
mod prefix;
mod probe;
mod scan;
mod secret;
mod spawn;
mod store;
mod sweep;
mod tier;
mod time;

pub use builder::ObjectBuilder;
pub use object::Object;
pub use prefix::PrefixError;
pub use scan::ObjectScan;
pub use sweep::{Sweep, SweepCursor, SweepError, SweepReport};
