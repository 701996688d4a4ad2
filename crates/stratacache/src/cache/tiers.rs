//! Which tiers a cache can have below memory, and in which order: any, but for what makes no sense.

use std::{collections::HashMap, time::Duration};

use stratacache_core::{
    Error, Result,
    coordinator::Coordinator,
    tier::{Tier, TierParts},
};

use crate::engine::MOST_TIERS;

/// Refuses what cannot work, by the name of the tier.
pub(super) fn check_tiers(tiers: &[TierParts], deadlines: &HashMap<String, Duration>) -> Result<()> {
    let refuse = |text: String| Err(Error::invalid(text));
    if tiers.len() > MOST_TIERS {
        return refuse(format!("there are {} tiers below memory but must be at most {MOST_TIERS}", tiers.len()));
    }
    let mut names: Vec<&str> = vec!["memory"];
    for parts in tiers {
        let name = parts.tier.name();
        if name == "memory" {
            return refuse("a tier is named \"memory\"; there is one memory, set it with memory(bytes)".into());
        }
        if names.contains(&name) {
            return refuse(format!("there are two tiers named {name:?}; each tier can be there once"));
        }
        names.push(name);
        check_coordinator(parts)?;
    }
    let with = |what: fn(&TierParts) -> bool| {
        tiers.iter().filter(|parts| what(parts)).map(|parts| format!("{:?}", parts.tier.name())).collect::<Vec<_>>()
    };
    let coordinators = with(|parts| parts.coordinator.is_some());
    if coordinators.len() > 1 {
        let all = coordinators.join(" and ");
        return refuse(format!("the tiers {all} bring a coordinator each; a cache has one order of invalidations"));
    }
    let journals = with(|parts| parts.journal.is_some());
    if journals.len() > 1 {
        return refuse(format!("the tiers {} bring a journal of marks each; a cache has one", journals.join(" and ")));
    }
    deadlines.iter().try_for_each(|(name, deadline)| check_deadline(tiers, name, *deadline))
}

/// A shared coordinator and the tier with its leases go together.
fn check_coordinator(parts: &TierParts) -> Result<()> {
    let (name, capability) = (parts.tier.name(), parts.tier.capability());
    match &parts.coordinator {
        None if capability.leased => Err(Error::invalid(format!(
            "the tier {name:?} comes without the coordinator that grants its leases; give the builder what the tier crate \
             made (`Redis::connect`), not the tier alone"
        ))),
        Some(coordinator) if coordinator.is_shared() && !capability.shared => Err(Error::invalid(format!(
            "the coordinator {:?}, which nodes share, comes with the tier {name:?}, which they do not; give it together \
             with its own tier",
            coordinator.name()
        ))),
        _ => Ok(()),
    }
}

fn check_deadline(tiers: &[TierParts], name: &str, deadline: Duration) -> Result<()> {
    let Some(parts) = tiers.iter().find(|parts| parts.tier.name() == name) else {
        return Err(Error::invalid(format!("tier_deadline names {name:?}, but there is no such tier")));
    };
    if parts.tier.capability().self_guarded {
        return Err(Error::invalid(format!(
            "tier_deadline names {name:?}, which has a deadline of its own: set it where that tier is made"
        )));
    }
    if deadline.is_zero() {
        return Err(Error::invalid(format!("tier_deadline of {name:?} must be more than 0")));
    }
    Ok(())
}
