//! Benches on a real Redis, started for the run on the loopback.

pub(crate) mod hit;
pub(crate) mod miss;
pub(crate) mod news;
mod stage;
pub(crate) mod tags;
pub(crate) mod waiters;
