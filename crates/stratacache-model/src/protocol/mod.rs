//! What the models of nodes and a shared Redis have in common: the words of the protocol, with the names the code gives them.
//!
//! One tenant, one key with one tag. Numbers are as small as they can be; 0 is before everything.

mod entry;
mod fault;
mod invalidator;
mod lane;
mod mirror;
mod reader;
mod shard;
mod world;

pub use entry::{Entry, Incarnation, Position, Seq, Stamp, Token, Version};
pub use fault::{Fault, Faults};
pub use invalidator::Invalidator;
pub use lane::{Lane, ScopeKind};
pub use mirror::Mirror;
pub use reader::{Reader, Source, Step};
pub use shard::{Lease, LeaseReply, Shard};
pub use world::World;
