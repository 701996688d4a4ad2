//! The coherence room without its coordinator, and what breaks when its steps come in another order.

#[path = "../../src/coherence/filter.rs"]
mod filter;
#[path = "../../src/coherence/key_marks.rs"]
mod key_marks;
#[path = "../../src/coherence/lane.rs"]
mod lane;
#[path = "../../src/coherence/marks.rs"]
mod marks;
#[path = "../../src/coherence/mirror.rs"]
mod mirror;
#[path = "../../src/coherence/sketch.rs"]
mod sketch;
#[path = "steps.rs"]
pub(crate) mod steps;

pub(crate) use filter::TenantMarks;
pub(crate) use key_marks::FillGuard;
pub(crate) use mirror::{Depends, Hooks, Mirror, Verdict};
