//! What stands between the engine and a tier: a deadline for each operation, and a breaker.

mod breaker;
mod deadline;
mod journal;
mod patience;

pub(crate) use breaker::Breaker;
pub(crate) use deadline::Deadline;
pub(crate) use journal::JournalHolder;
pub(crate) use patience::Patience;
