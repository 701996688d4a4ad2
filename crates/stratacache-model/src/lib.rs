//! The coherence protocol as models that are explored exhaustively.

mod case;
pub mod models;
pub mod protocol;
mod rule;

pub use case::{Case, Expected, Limit, Outcome, Verdict};
pub use rule::{Rule, Rules};
