//! The contracts of tiers and coordinators, clause by clause.
//!
//! Each clause is an async function that panics with a sentence naming what is broken; [`tier()`](tier()) and
//! [`coordinator()`](coordinator()) run all of them. `make` gives a fresh, empty one each time it is called, which the
//! clause drops, closed or not. Clauses about races draw from a constant seed, which their panics name; they find most
//! on a runtime with several threads. Clauses about fences pass at once where
//! [`Capability::fenced`](stratacache_core::tier::Capability::fenced) is false. Where
//! [`Capability::leased`](stratacache_core::tier::Capability::leased) is true, a read for the envelope brings no fence, a
//! fence is good for one put, and a newer fence of the same name voids the older.
//!
//! A crate with a tier of its own has two tests, the second only if the tier is persistent (and a third,
//! [`a_tier_that_guards_itself_ends_what_hangs_and_refuses_what_follows`](tier::a_tier_that_guards_itself_ends_what_hangs_and_refuses_what_follows),
//! if it has a deadline and a breaker of its own):
//!
//! ```
//! use stratacache_testkit::{conformance, tiers::MemoryTier};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! conformance::tier(async || MemoryTier::new("mine")).await;
//!
//! let store = MemoryTier::new("mine").persistent(true);
//! conformance::tier::what_was_stored_is_there_after_reopening(async || store.clone()).await;
//!
//! conformance::tier::a_fence_is_void_after_a_removal(async || MemoryTier::new("mine")).await; // only one clause
//! # }
//! ```
//!
//! One with a coordinator:
//!
//! ```
//! use stratacache_core::coordinator::Coordinator;
//! use stratacache_testkit::conformance;
//!
//! async fn every_clause_holds<C: Coordinator>(connect: impl AsyncFn() -> C) {
//!     conformance::coordinator(connect).await;
//! }
//! ```

pub mod coordinator;
pub mod tier;

pub use coordinator::all as coordinator;
pub use tier::all as tier;

#[cfg(test)]
mod coordinator_tests;
#[cfg(test)]
mod leased_tests;
#[cfg(test)]
mod tier_tests;
#[cfg(test)]
mod toy_coordinator;
