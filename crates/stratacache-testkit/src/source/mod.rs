//! What stands for the users' data base in their tests: it counts what is read, and fails or holds reads on command.
//!
//! ```
//! use stratacache_testkit::source::{FakeSource, SourceError};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), SourceError> {
//! let prices = FakeSource::new([("apple", 3), ("pear", 4)]);
//! assert_eq!(prices.read("apple").await?, 3);
//! prices.write("apple", 5); // a transaction of somebody else
//! assert_eq!(prices.find("plum").await?, None);
//! assert_eq!(prices.find_many(vec!["apple", "plum", "pear"]).await?, [("apple", 5), ("pear", 4)]);
//! prices.assert_reads(3); // however many rows each has asked for
//! prices.assert_reads_of(&"apple", 2);
//!
//! prices.fail(true);
//! assert_eq!(prices.read("apple").await, Err(SourceError::Down));
//! # Ok(()) }
//! ```

mod fake;
mod hold;
#[cfg(test)]
mod tests;

pub use fake::{FakeSource, SourceError};
pub use hold::HeldReads;
