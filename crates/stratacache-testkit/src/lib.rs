//! What tests of Strata need: clocks that obey, tiers that misbehave on command, suites that say which clause of a
//! contract a tier or coordinator breaks, and a checker that finds stale reads in a running history.
//!
//! * [`clock`]: [`SimulatedClock`](clock::SimulatedClock) follows tokio's paused time,
//!   [`ManualClock`](clock::ManualClock) moves only when told.
//! * [`tiers`]: [`MemoryTier`](tiers::MemoryTier), a reference tier with counters, raw access and a journal, which can be scanned.
//! * [`faulty`]: [`FaultyTier`](faulty::FaultyTier) fails, hangs, delays, damages and loses replies of any tier.
//! * [`device`]: [`SmallDevice`](device::SmallDevice) is full or read-only on command.
//! * [`shared`]: [`SharedStore`](shared::SharedStore), what several nodes share, and each node's connection to it.
//! * [`source`]: [`FakeSource`](source::FakeSource) stands for a data base; it counts, holds and fails its reads.
//! * [`recorder`]: [`Recorder`](recorder::Recorder) keeps the events of a cache, for what must have happened and what must not.
//! * [`conformance`]: [`conformance::tier()`] and [`conformance::coordinator()`] run every clause of the contracts.
//! * [`history`]: [`History`](history::History) checks reads against invalidations while they happen.
//! * [`logs`]: [`Log`](logs::Log) holds what is logged, for what must be in it and what must never be.
//! * [`outbox`]: [`MemorySource`](outbox::MemorySource), an outbox in memory that a cache can follow.
//! * `servers` (feature of that name): `RedisServer`, `RedisCluster` and `PostgresServer` start real servers, which fail on command.
//! * `s3` (feature of that name): `S3Server` in this process, `Moto` beside it, `HttpProxy` breaks their answers.
//! * `proxy` (feature of that name): `FaultProxy` stands before a server, breaks its connections and counts round trips.
//!
//! Add it to the `[dev-dependencies]`, with the feature `test-util` of tokio for paused time. A test of an application gives its
//! cache a clock that obeys, a source that counts and a tier that fails on command; the page "Testing your code" of the guide and
//! the crate `examples/testing` show how.
//!
//! Everything here panics where a test would: on wrong use, with a sentence that says so. Nothing reads the environment
//! or draws a seed of its own, so that a run can be repeated.

pub mod clock;
pub mod conformance;
pub mod device;
pub mod faulty;
pub mod history;
pub mod logs;
pub mod outbox;
#[cfg(feature = "proxy")]
pub mod proxy;
mod random;
pub mod recorder;
#[cfg(all(unix, feature = "s3"))]
pub mod s3;
#[cfg(all(unix, feature = "servers"))]
pub mod servers;
pub mod shared;
pub mod source;
mod spawn;
pub mod tiers;
