//! What tests of Strata need: clocks that obey, tiers that misbehave on command, suites that say which clause of a
//! contract a tier or coordinator breaks, and a checker that finds stale reads in a running history.
//!
//! * [`clock`]: [`SimulatedClock`](clock::SimulatedClock) follows tokio's paused time,
//!   [`ManualClock`](clock::ManualClock) moves only when told.
//! * [`tiers`]: [`MemoryTier`](tiers::MemoryTier), a reference tier with counters, raw access and a journal.
//! * [`faulty`]: [`FaultyTier`](faulty::FaultyTier) fails, hangs, delays, damages and loses replies of any tier.
//! * [`device`]: [`SmallDevice`](device::SmallDevice) is full or read-only on command.
//! * [`shared`]: [`SharedStore`](shared::SharedStore), what several nodes share, and each node's connection to it.
//! * [`conformance`]: [`conformance::tier()`] and [`conformance::coordinator()`] run every clause of the contracts.
//! * [`history`]: [`History`](history::History) checks reads against invalidations while they happen.
//! * [`logs`]: [`Log`](logs::Log) holds what is logged, for what must be in it and what must never be.
//! * [`sources`]: [`MemorySource`](sources::MemorySource), an outbox in memory that a cache can follow.
//! * `servers` (feature of that name): `RedisServer` and `RedisCluster` start real servers, which fail on command.
//! * `s3` (feature of that name): `S3Server` in this process, `Moto` beside it, `HttpProxy` breaks their answers.
//! * `proxy` (feature of that name): `FaultProxy` stands before a server, breaks its connections and counts round trips.
//!
//! Add it to the `[dev-dependencies]`, with the feature `test-util` of tokio for paused time. A test of an application then
//! gives its cache a clock that obeys and a tier that fails on command:
//!
//! ```ignore
//! #[tokio::test(start_paused = true)]
//! async fn prices_are_served_while_the_disk_hangs() {
//!     let (disk, faults) = FaultyTier::new(MemoryTier::new("disk"), 42);
//!     let cache = Cache::builder().clock(SimulatedClock::new()).seed(42).tier(disk).build().await.unwrap();
//!     faults.always(On::Any, Fault::Hang);
//!     let acme = cache.tenant(&TenantId::parse("acme").unwrap());
//!     let price = acme.get_or_load("price", async || Ok::<_, Infallible>(7_u32)).await.unwrap();
//!     assert_eq!(*price, 7);
//!     tokio::time::advance(minutes(6)).await; // for the timers and for the cache
//!     assert!(acme.get::<u32>("price").await.is_none());
//! }
//! ```
//!
//! Everything here panics where a test would: on wrong use, with a sentence that says so. Nothing reads the environment
//! or draws a seed of its own, so that a run can be repeated.

pub mod clock;
pub mod conformance;
pub mod device;
pub mod faulty;
pub mod history;
pub mod logs;
#[cfg(feature = "proxy")]
pub mod proxy;
mod random;
#[cfg(all(unix, feature = "s3"))]
pub mod s3;
#[cfg(all(unix, feature = "servers"))]
pub mod servers;
pub mod shared;
pub mod sources;
mod spawn;
pub mod tiers;
