//! Resources: typed read-through over a source, whose writes forget what they touch, and nothing else.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, unreachable_pub)] // tests start tasks of their own, and may panic

mod support;

#[path = "resource/changes.rs"]
mod changes;
#[path = "resource/failures.rs"]
mod failures;
#[path = "resource/keys.rs"]
mod keys;
#[path = "resource/kit.rs"]
mod kit;
#[path = "resource/nodes.rs"]
mod nodes;
#[path = "resource/reads.rs"]
mod reads;
#[path = "resource/usage.rs"]
mod usage;
#[path = "resource/writes.rs"]
mod writes;
