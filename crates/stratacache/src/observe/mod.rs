//! What is counted and reported.

mod compression;
mod counters;
mod events;
mod followed;
mod histogram;
mod labels;
pub mod metrics;
mod stats;
mod striped;

pub(crate) use compression::CompressionCounters;
pub use compression::CompressionStats;
pub(crate) use counters::{Cell, Counter, Filter, Ledger, MOST_TIERS, TierCounters, Usage, Usages};
pub(crate) use events::EventHub;
pub use events::{EventStream, Lagged};
pub(crate) use followed::FollowCounters;
pub(crate) use histogram::Histogram;
pub(crate) use labels::Label;
pub use metrics::Metrics;
pub(crate) use metrics::{Gathered, LoaderNumbers, SourceLag, TierNumbers};
pub use stats::{Stats, TierStats};
