//! What tests of Strata need: clocks that obey, tiers that misbehave on command, suites that say which clause of a
//! contract a tier or coordinator breaks, and a checker that finds stale reads in a running history.
//!
//! * [`clock`]: [`SimulatedClock`](clock::SimulatedClock) follows tokio's paused time,
//!   [`ManualClock`](clock::ManualClock) moves only when told.
//! * [`tiers`]: [`MemoryTier`](tiers::MemoryTier), a reference tier with counters, raw access and a journal.
//! * [`faulty`]: [`FaultyTier`](faulty::FaultyTier) fails, hangs, delays, damages and loses replies of any tier.
//! * [`device`]: [`SmallDevice`](device::SmallDevice) is full or read-only on command.
//! * [`conformance`]: [`conformance::tier()`] and [`conformance::coordinator()`] run every clause of the contracts.
//! * [`history`]: [`History`](history::History) checks reads against invalidations while they happen.
//!
//! Everything here panics where a test would: on wrong use, with a sentence that says so.

pub mod clock;
pub mod conformance;
pub mod device;
pub mod faulty;
pub mod history;
mod random;
mod spawn;
pub mod tiers;
