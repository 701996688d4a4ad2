//! Pending operations: named builders that become futures when awaited. Memory is polled first; only a miss boxes.

mod bulk;
mod expire;
mod find;
mod get;
mod global_tag;
mod insert;
mod inspect;
mod invalidate;
mod load;
mod load_future;
mod loader;
mod lookup;
mod options;
mod or_queue;
mod target;
mod warm;
mod wrap;

pub use bulk::{GetMany, GetOrLoadMany, InsertMany};
pub use expire::Expire;
pub use find::FindKeys;
pub use get::{Contains, Get};
pub use global_tag::InvalidateGlobalTag;
pub use insert::Insert;
pub use inspect::Inspect;
pub use invalidate::{Clear, Invalidate};
pub use load::{GetOrLoad, GetOrLoadOptional, GetOrLoadWith, Refresh};
pub use lookup::{Lookup, LookupOp};
pub use or_queue::OrQueue;
pub use warm::{
    HotKey, HotLoadError, NoLoader, Warm, WarmEnd, WarmFailure, WarmLoader, WarmPriority, WarmProgress, WarmReport,
    WarmUp,
};
pub(crate) use warm::{HotPlan, HotSource, Keyed, Keys, start_hot};
pub use wrap::Wrapped;

use std::{future::Future, pin::Pin};

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
