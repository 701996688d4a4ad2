//! The embedded persistent tier of Strata, and the journal of its marks.
//!
//! [`Disk`] keeps entries in one directory: bounded in bytes, checksummed, still there after a restart. What was
//! invalidated never comes back with them: the marks are kept beside the entries, and where that is not certain the tier
//! opens empty.
//!
//! ```
//! use stratacache_core::tier::TierParts;
//! use stratacache_disk::Disk;
//!
//! # async fn example(path: &std::path::Path) -> Result<(), stratacache_core::Error> {
//! let disk = Disk::builder(path.join("cache")).capacity(64 << 20).open().await?;
//! let parts = TierParts::from(disk); // what `Cache::builder().tier(disk)` does
//! assert!(parts.journal.is_some());
//! # stratacache_core::tier::Tier::close(&parts.tier).await?;
//! # Ok(())
//! # }
//! # let dir = tempfile::tempdir().unwrap();
//! # tokio::runtime::Runtime::new().unwrap().block_on(example(dir.path())).unwrap();
//! ```
//!
//! # What is promised
//!
//! * **Bound.** The files of entries never exceed the capacity, at any moment. The oldest are evicted first; an entry that
//!   was read since it was written gets a second chance.
//! * **Death of the process**, `kill -9` included, loses nothing that was acknowledged: neither entries nor removals nor
//!   marks.
//! * **Loss of power** empties the tier, unless `durable_invalidations(true)` was on: then removals and marks are on the
//!   device before they return, and entries survive as far as the device got. What tells the two apart is the boot id of
//!   Linux; where there is none, a run that was not closed counts as ended by a loss of power.
//! * **Damage** of any bit is a miss, never a value. Damage that may have hidden a removal or a mark empties the tier.
//! * **A full device** makes the tier smaller, not broken: it evicts its oldest entries and goes on. When there is nothing
//!   left to evict, writes fail with `Full`, removals still succeed, and reads go on.
//! * **Access.** A directory made here has mode 0700, all files have 0600, and no name in it comes from keys. One process
//!   at a time uses a directory.
//! * **Time** comes from the owner, through the journal's `tick`: an entry that has expired by the time last told is not
//!   returned, and is dropped without being read.
//!
//! It runs on Unix, inside a Tokio runtime; it has no threads of its own.

mod builder;
mod dir;
mod disk;
mod error;
mod journal;
mod marks;
mod scan;
mod spawn;
mod store;
mod tier;

pub use builder::DiskBuilder;
pub use disk::Disk;
pub use scan::DiskScan;
