//! The models: each file one subject.

pub mod below;
pub mod bounded;
pub mod expire;
pub mod fill;
pub mod flight;
pub mod history;
pub mod insert;
pub mod lease;
pub mod memory;
pub mod shard;
pub mod snapshot;
pub mod update;

/// Returns what is explored, of every model.
#[must_use]
pub fn cases() -> Vec<crate::Case> {
    let models = [
        fill::cases(),
        lease::cases(),
        flight::cases(),
        insert::cases(),
        below::cases(),
        bounded::cases(),
        snapshot::cases(),
        history::cases(),
        shard::cases(),
        memory::cases(),
        expire::cases(),
        update::cases(),
    ];
    models.into_iter().flatten().collect()
}
