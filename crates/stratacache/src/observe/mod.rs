//! What is counted and reported.

mod compression;
mod counters;
mod events;
mod followed;
mod stats;
mod striped;

pub(crate) use compression::CompressionCounters;
pub use compression::CompressionStats;
pub(crate) use counters::{Cell, Counter, Filter, Ledger, TierCounters};
pub(crate) use events::EventHub;
pub use events::{EventStream, Lagged};
pub(crate) use followed::FollowCounters;
pub use stats::{Stats, TierStats};
