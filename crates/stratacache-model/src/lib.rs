//! The coherence protocol of Strata as models that are explored exhaustively.
//!
//! Written before the code that follows it. Each model holds one part of the protocol and no more state than its rules
//! need; every [`Rule`] can be switched off, and then a counterexample is looked for. A model that holds is explored to its
//! end, at a size that the case names: within that size there is no order of steps that breaks it.
//!
//! ```text
//! cargo run --release -p stratacache-model                     every model and every rule, about a minute
//! cargo run --release -p stratacache-model -- flight --trace   one model, with the steps of its counterexamples
//! cargo run --release -p stratacache-model -- --deep --cap 200 the larger sizes too
//! ```
//!
//! Where a model and the code have the same step it has the same name: stamp, position, incarnation, mep (the count of
//! discontinuities), mark, floor, kfloor (the floor of forgotten key marks), apply, sync, snapshot, lease, fill.

mod case;
pub mod models;
pub mod protocol;
mod rule;

pub use case::{Case, Expected, Limit, Outcome, Verdict};
pub use rule::{Rule, Rules};
