//! Tiers that misbehave on command.
//!
//! A [`FaultyTier`] wraps any tier; its [`Faults`] say which [`Fault`] happens [`On`] which calls: to the next so many, to
//! all, or to some by chance.
//!
//! ```
//! use stratacache_core::{EntryName, tier::{GetMany, Tier, TierErrorKind}};
//! use stratacache_testkit::{faulty::{Fault, FaultyTier, On}, tiers::MemoryTier};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let (tier, faults) = FaultyTier::new(MemoryTier::new("disk"), 42);
//! // a cache owns the tier from here on; the test steers it by `faults`
//! faults.next(2, On::Get, Fault::Error(TierErrorKind::Unavailable));
//! let read = || tier.get_many(GetMany::new(vec![EntryName::from_bytes([1; 16])]));
//! assert_eq!(read().await.unwrap_err().kind(), TierErrorKind::Unavailable);
//! assert_eq!(read().await.unwrap_err().kind(), TierErrorKind::Unavailable);
//! assert!(read().await.is_ok());
//! assert_eq!(faults.injected(On::Get), 2);
//! # }
//! ```

mod fault;
mod faults;
mod tier;

pub use fault::{Fault, FaultKind, On};
pub use faults::Faults;
pub use tier::FaultyTier;

#[cfg(test)]
mod tests;
