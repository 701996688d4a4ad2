//! A stream of Redis as a source of changes: entries that say what has changed, read in order by one node at a time.

mod access;
mod builder;
mod entry;
mod history;
mod keys;
mod source;

pub use builder::{RedisStream, RedisStreamBuilder};
