//! Reference tiers in memory: correct, slow, and open to inspection.
//!
//! [`MemoryTier`] plays the disk or the remote store of a cache under test; [`MemoryJournal`] is the journal of marks that
//! a persistent tier brings along, so that a cache can be restarted over it.

mod journal;
mod memory;
mod scan;
mod store;

pub use journal::MemoryJournal;
pub use memory::MemoryTier;

#[cfg(test)]
mod tests;
