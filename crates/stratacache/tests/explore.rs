//! Explores schedules of the real flight table, of the mirror, and of "put into the memory map, then judge again".
//!
//! The sources are those of the library, compiled here a second time with locks and atomics whose every use is a point
//! where another thread may go on. The partition keeps real locks: each of its operations is one step.
//!
//! A failing schedule is printed with the seed; `STRATA_SEED` takes another one.
#![allow(dead_code, unused_imports, unreachable_pub)] // the sources are used in part
#![allow(clippy::unwrap_used, clippy::print_stdout)] // everything here is a test

#[path = "explore/coherence.rs"]
mod coherence;
#[path = "explore/flights.rs"]
mod flights;
#[path = "explore/found.rs"]
mod found;
#[path = "explore/holds.rs"]
mod holds;
#[path = "explore/runs.rs"]
mod runs;
#[path = "explore/sync.rs"]
mod sync;
#[path = "explore/world.rs"]
mod world;

#[path = "../src/flight/mod.rs"]
mod flight;
#[path = "../src/engine/judge.rs"]
mod judge;
#[path = "../src/memory/mod.rs"]
mod memory;
