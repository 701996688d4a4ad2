//! The models: each file one subject.

pub mod below;
pub mod bounded;
pub mod fill;
pub mod flight;
pub mod insert;
pub mod lease;
pub mod memory;

/// Returns what is explored, of every model.
#[must_use]
pub fn cases() -> Vec<crate::Case> {
    [fill::cases(), lease::cases(), insert::cases(), below::cases(), flight::cases(), bounded::cases(), memory::cases()]
        .into_iter()
        .flatten()
        .collect()
}
