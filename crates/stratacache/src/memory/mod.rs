//! The memory tier: one partition for each tenant, and the arbiter that moves capacity between them.

mod arbiter;
mod entry;
mod fifo;
mod ghosts;
mod key;
mod limit;
mod packed;
mod partition;
mod shard;
mod weight;

pub(crate) use arbiter::{Arbiter, Quota};
pub(crate) use entry::{Cold, Entry, EntryScopes, Head, Held, Meta, Slot, SlotRef, Times};
pub(crate) use key::{Hashed, LookupKey, MapKey, NamespacePrefix};
pub(crate) use limit::machine_memory;
pub(crate) use packed::{Body, Packed};
pub(crate) use partition::{Cleared, Inserted, MUCH, Partition};
pub(crate) use shard::{HEATS, heat};
pub(crate) use weight::{entry_weight, packed_weight};
