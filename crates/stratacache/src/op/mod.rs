//! Pending operations: named builders that become futures when awaited. Memory is polled first; only a miss boxes.

mod absent;
mod bulk;
mod count;
mod expire;
mod find;
mod follow;
mod get;
mod global_tag;
mod insert;
mod inspect;
mod invalidate;
mod load;
mod load_future;
mod loader;
mod lock;
mod lookup;
mod options;
mod or_queue;
mod scan;
mod take;
mod target;
mod update;
mod warm;
mod wrap;

pub use absent::{GetOrInsert, InsertIfAbsent};
pub use bulk::{GetMany, GetOrLoadMany, InsertMany};
pub use count::{Count, Number};
pub use expire::Expire;
pub use find::FindKeys;
pub use follow::{Follow, FollowProgress, Follower};
pub use get::{Contains, Get};
pub use global_tag::InvalidateGlobalTag;
pub use insert::Insert;
pub use inspect::Inspect;
pub use invalidate::{Clear, Invalidate};
pub use load::{GetOrLoad, GetOrLoadOptional, GetOrLoadWith, Refresh};
pub use lock::Lock;
pub use lookup::{Lookup, LookupOp};
pub use or_queue::OrQueue;
pub use scan::ScanKeys;
pub use take::Take;
pub use update::Update;
pub use warm::{
    HotKey, HotLoadError, NoLoader, Warm, WarmEnd, WarmFailure, WarmLoader, WarmPriority, WarmProgress, WarmReport,
    WarmUp,
};
pub(crate) use warm::{HotPlan, HotSource, Keyed, Keys, start_hot};
pub use wrap::Wrapped;

use std::{future::Future, pin::Pin};

// for resources, which are made of these operations
pub(crate) use load_future::load_slowly;
pub(crate) use loader::{of_option as load_of_option, of_value as load_of_value};
pub(crate) use options::{Options, options};
pub(crate) use target::resolve;

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
