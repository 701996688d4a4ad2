//! Reference tiers in memory.

mod journal;
mod memory;
mod store;

pub use journal::MemoryJournal;
pub use memory::MemoryTier;

#[cfg(test)]
mod tests;
