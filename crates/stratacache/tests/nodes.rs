//! Two or three caches on one store that stands in for a Redis: every order of events is made by the test.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, unreachable_pub)] // tests, with tasks of their own

mod support;

#[path = "nodes/behind.rs"]
mod behind;
#[path = "nodes/calls.rs"]
mod calls;
#[path = "nodes/disk.rs"]
mod disk;
#[path = "nodes/faults.rs"]
mod faults;
#[path = "nodes/fills.rs"]
mod fills;
#[path = "nodes/flights.rs"]
mod flights;
#[path = "nodes/follow.rs"]
mod follow;
#[path = "nodes/history.rs"]
mod history;
#[path = "nodes/kit.rs"]
mod kit;
#[path = "nodes/loaders.rs"]
mod loaders;
#[path = "nodes/lock.rs"]
mod lock;
#[path = "nodes/object.rs"]
mod object;
#[path = "nodes/ops.rs"]
mod ops;
#[path = "nodes/order.rs"]
mod order;
#[path = "nodes/probe.rs"]
mod probe;
#[path = "nodes/promote.rs"]
mod promote;
#[path = "nodes/queued.rs"]
mod queued;
#[path = "nodes/queued_random.rs"]
mod queued_random;
#[path = "nodes/refresh.rs"]
mod refresh;
#[path = "nodes/settled.rs"]
mod settled;
#[path = "nodes/standing.rs"]
mod standing;
#[path = "nodes/update.rs"]
mod update;
