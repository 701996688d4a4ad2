//! Coherence: the mirror of the marks, judging entries by it, and the coordinator of a single node.

mod filter;
mod key_marks;
mod lane;
mod local;
mod marks;
mod mirror;
mod rules;
mod sketch;

pub(crate) use filter::TenantMarks;
pub(crate) use key_marks::FillGuard;
pub(crate) use local::LocalCoordinator;
pub(crate) use mirror::{Depends, Hooks, Mirror, Verdict};
#[cfg(feature = "mutants")]
pub use rules::Rule;
#[cfg(not(feature = "mutants"))]
pub(crate) use rules::Rule;
pub(crate) use rules::Rules;
