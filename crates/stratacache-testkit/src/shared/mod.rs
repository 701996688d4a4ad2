//! Several nodes in one process: what they share, and each node's connection to it.
//!
//! A [`SharedStore`] stands in for a Redis, without a socket: lanes that order invalidations, entries and leases, each
//! script atomic. Every [`SharedNode`] of it gives a cache a coordinator and a tier, and gives the test a hand on the
//! connection: cut off, hanging, deaf, losing replies, stopped at a step. On tokio's paused time nothing is left to chance.
//!
//! ```
//! use stratacache_core::{EntryName, tier::{GetMany, PutItem, PutMany, Tier, TierErrorKind}};
//! use stratacache_testkit::shared::{At, SharedStore, Step};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = SharedStore::new(42);
//! let (here, there) = (store.node(), store.node());
//! // caches take `here.parts()` and `there.parts()`; here the test plays the caches itself
//! let (tier, other) = (here.tier(), there.tier());
//! let name = EntryName::from_bytes([1; 16]);
//! let fence = tier.get_many(GetMany::fences(vec![name])).await?[0].fence;
//!
//! // the answer of a load is on its way to the store when another node invalidates
//! let hold = here.hold(Step::Fill, At::Before);
//! let item = PutItem::new(name, "bytes".into(), u64::MAX, fence);
//! let fill = async { tier.put_many(PutMany::new(vec![item])).await };
//! let invalidate = async {
//!     hold.until_held(1).await;
//!     store.del_fence(name);
//!     hold.release();
//! };
//! let (outcomes, ()) = tokio::join!(fill, invalidate);
//! assert_eq!(format!("{:?}", outcomes?), "[Fenced]");
//! assert!(store.stored(name).is_none());
//!
//! there.away(true);
//! let refused = other.get_many(GetMany::new(vec![name])).await;
//! assert_eq!(refused.unwrap_err().kind(), TierErrorKind::Unavailable);
//! assert_eq!((here.calls(Step::Fill), there.calls(Step::Get)), (1, 1));
//! # Ok(())
//! # }
//! ```
//!
//! Whatever the tail does, the notice that a lease has ended reaches every node that is neither cut off nor hanging.

mod coordinator;
mod data;
mod delivery;
mod lane;
mod link;
mod node;
mod step;
mod store;
mod tier;

pub use coordinator::SharedCoordinator;
pub use node::SharedNode;
pub use step::{At, Hold, Step};
pub use store::{FENCE_LIFE, SharedStore};
pub use tier::SharedTier;

#[cfg(test)]
mod tests;
