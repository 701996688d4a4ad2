//! A source of changes in memory, for tests of what follows one.

mod memory;
#[cfg(test)]
mod tests;

pub use memory::MemorySource;
