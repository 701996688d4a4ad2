//! Which tiers below memory an operation reads and writes.

use stratacache_core::{Error, Policy, Result, Tiers, WriteMode};

use super::{Engine, TierHandle};

pub(crate) use crate::observe::MOST_TIERS;

/// A bit for each tier below memory.
pub(crate) type TierBits = u8;

/// Refuses names of tiers that are not there.
pub(crate) fn check_names<'a>(tiers: &Tiers, there: impl Iterator<Item = &'a str> + Clone) -> Result<()> {
    let known = |name: &&str| *name == "memory" || there.clone().any(|one| one == *name);
    let Some(unknown) = tiers.names().find(|name| !known(name)) else { return Ok(()) };
    let all: Vec<String> = std::iter::once("memory").chain(there.clone()).map(|name| format!("{name:?}")).collect();
    Err(Error::invalid(format!("tiers names {unknown:?}, but there is no such tier: there are {}", all.join(", "))))
}

impl TierHandle {
    pub(super) fn is_read(&self, policy: &Policy) -> bool {
        policy.tiers_used().reads(&self.name)
    }

    pub(super) fn is_written(&self, policy: &Policy) -> bool {
        policy.tiers_used().writes(&self.name)
    }

    /// Returns how many bytes the largest envelope has that is stored here under a policy.
    pub(super) fn heaviest(&self, policy: &Policy) -> u64 {
        let of_tier = policy.tier_rule(&self.name).and_then(|rule| rule.max_weight);
        [policy.weight_limit(), of_tier].into_iter().flatten().fold(self.capability.max_weight, u64::min)
    }
}

impl Engine {
    /// Refuses names of tiers that this cache does not have.
    pub(crate) fn check_tiers(&self, tiers: &Tiers) -> Result<()> {
        check_names(tiers, self.tiers.iter().map(|tier| tier.name.as_str()))
    }

    fn bits(&self, of: impl Fn(&TierHandle) -> bool) -> TierBits {
        self.tiers.iter().enumerate().filter(|(_, tier)| of(tier)).fold(0, |bits, (index, _)| bits | 1 << index)
    }

    /// Returns the tiers that a value under this policy is kept out of.
    pub(super) fn kept_out(&self, policy: &Policy) -> TierBits {
        let nowhere = policy.write_mode() == WriteMode::MemoryOnly;
        self.bits(|tier| nowhere || !tier.is_written(policy))
    }

    /// Returns what tells the loads of calls apart that use different tiers; 0 for all of them.
    pub(super) fn left_out(&self, policy: &Policy) -> u16 {
        let nowhere = policy.write_mode() == WriteMode::MemoryOnly;
        let unread = self.bits(|tier| nowhere || !tier.is_read(policy));
        u16::from_le_bytes([self.kept_out(policy), unread])
    }

    /// Returns the tier with leases, if a call that reads and writes it has to ask for one before it loads.
    pub(super) fn leased_for(&self, policy: &Policy) -> Option<usize> {
        let both = |index: &usize| self.tiers[*index].is_read(policy) && self.tiers[*index].is_written(policy);
        self.leased_tier().filter(both)
    }
}
