//! What a storage level brings to a cache besides itself.

use std::sync::Arc;

use super::{AnyTier, Tier};
use crate::{
    breaker::Turns,
    coordinator::{AnyCoordinator, Coordinator, Gaps, MarkJournal},
};

/// What `builder.tier(..)` takes: a tier, and the journal or coordinator that comes with it.
///
/// Every [`Tier`] turns into one by itself; the handles of tier crates (`Disk`, `Redis`) bring more.
#[derive(Debug, Clone)]
pub struct TierParts {
    /// The tier.
    pub tier: AnyTier,
    /// Where the local coordinator keeps its marks, so that a restart forgets no invalidation.
    pub journal: Option<Arc<dyn MarkJournal>>,
    /// The coordinator of the nodes that share the tier.
    pub coordinator: Option<AnyCoordinator>,
    /// By which a tier that guards itself tells that its breaker opened or closed.
    pub turns: Option<Turns>,
    /// By which the coordinator counts gaps in what it hears.
    pub gaps: Option<Gaps>,
}

impl TierParts {
    /// Takes a tier alone.
    pub fn new(tier: impl Tier) -> Self {
        Self { tier: AnyTier::new(tier), journal: None, coordinator: None, turns: None, gaps: None }
    }

    /// Adds a journal.
    #[must_use]
    pub fn with_journal(mut self, journal: Arc<dyn MarkJournal>) -> Self {
        self.journal = Some(journal);
        self
    }

    /// Adds a coordinator.
    #[must_use]
    pub fn with_coordinator(mut self, coordinator: impl Coordinator) -> Self {
        self.coordinator = Some(AnyCoordinator::new(coordinator));
        self
    }

    /// Adds what a self-guarded tier tells of its breaker by.
    #[must_use]
    pub fn with_turns(mut self, turns: Turns) -> Self {
        self.turns = Some(turns);
        self
    }

    /// Adds the counter of gaps that the coordinator has.
    #[must_use]
    pub fn with_gaps(mut self, gaps: Gaps) -> Self {
        self.gaps = Some(gaps);
        self
    }
}

impl<T: Tier> From<T> for TierParts {
    fn from(tier: T) -> Self {
        Self::new(tier)
    }
}
