//! The contracts of tiers and coordinators, clause by clause.
//!
//! Each clause is an async function that panics with a sentence naming what is broken; [`tier()`](tier()) and
//! [`coordinator()`](coordinator()) run all of them. `make` gives a fresh, empty one each time it is called. Clauses
//! about races are seeded; they find most on a runtime with several threads, and their panics name the seed.
//!
//! ```
//! use stratacache_testkit::{conformance, tiers::MemoryTier};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! conformance::tier(async || MemoryTier::new("memory")).await;
//! conformance::tier::a_fence_is_void_after_a_removal(async || MemoryTier::new("memory")).await; // only one clause
//! # }
//! ```

pub mod coordinator;
pub mod tier;

pub use coordinator::all as coordinator;
pub use tier::all as tier;

#[cfg(test)]
mod coordinator_tests;
#[cfg(test)]
mod tier_tests;
#[cfg(test)]
mod toy_coordinator;
