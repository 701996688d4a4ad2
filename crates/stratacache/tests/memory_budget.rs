//! The byte budget is real: what the allocator says, not only what the formula says.
#![allow(clippy::print_stdout)] // the figures are for people
#![allow(clippy::unwrap_used)] // helpers of tests may panic

use std::{future::Future, sync::Mutex};

use peak_alloc::PeakAlloc;
use stratacache::{Cache, CacheBuilder, Keyspace, MemoryForm, Namespace, Policy, TenantId, hours, millis, seconds};
use stratacache_testkit::clock::SimulatedClock;
use tokio::time::{advance, sleep};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The allocator counts for the whole process: one case at a time.
static ALONE: Mutex<()> = Mutex::new(());

const BUDGET: usize = 64 << 20;

/// What one case did to the allocator, in bytes above what the empty cache held.
#[derive(Debug)]
struct Measured {
    peak: usize,
    at_the_end: usize,
    weight: usize,
    entries: usize,
}

impl Measured {
    fn percent(bytes: usize) -> f64 {
        bytes as f64 * 100.0 / BUDGET as f64
    }

    /// At the peak at most 10 % above the budget, and by the formula never above it.
    #[track_caller]
    fn holds(self, name: &str) -> Self {
        println!(
            "{name}: peak {:.1} % of the budget, at the end {:.1} %, by the formula {:.1} %, {} entries, {:.0} B each",
            Self::percent(self.peak),
            Self::percent(self.at_the_end),
            Self::percent(self.weight),
            self.entries,
            self.at_the_end as f64 / self.entries as f64,
        );
        assert!(self.peak <= BUDGET + BUDGET / 10, "{name}: {self:?}");
        assert!(self.weight <= BUDGET, "{name}: {self:?}");
        self
    }

    #[track_caller]
    fn uses_at_least(self, percent: f64) {
        assert!(Self::percent(self.at_the_end) >= percent, "the budget is used badly: {self:?}");
    }
}

fn measure<F: Future<Output = ()>>(build: impl FnOnce() -> CacheBuilder, work: impl FnOnce(Cache) -> F) -> Measured {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let cache = build().build().await.unwrap();
        ALLOCATOR.reset_peak_usage();
        let before = ALLOCATOR.current_usage();
        work(cache.clone()).await;
        let (peak, now) = (ALLOCATOR.peak_usage(), ALLOCATOR.current_usage());
        let stats = cache.stats();
        Measured {
            peak: peak.saturating_sub(before),
            at_the_end: now.saturating_sub(before),
            weight: stats.weight.unwrap() as usize,
            entries: stats.entries.unwrap() as usize,
        }
    })
}

fn builder() -> CacheBuilder {
    Cache::builder().memory(BUDGET as u64).clock(SimulatedClock::new()).seed(7)
}

fn tenants(cache: &Cache, n: u64) -> Vec<Namespace> {
    (0..n).map(|id| cache.tenant(&TenantId::from(id))).collect()
}

/// 24 bytes with their length.
fn key(n: usize) -> String {
    format!("contact/{n:016}")
}

fn value(bytes: usize) -> String {
    "v".repeat(bytes)
}

/// Lets time pass, so that the maintenance task runs now and then, as it would beside real work.
async fn breathe(n: usize) {
    if n.is_multiple_of(512) {
        advance(millis(5)).await;
    }
}

async fn insert(doors: &[Namespace], keys: std::ops::Range<usize>, size: impl Fn(usize) -> usize) {
    for n in keys {
        doors[n % doors.len()].insert(key(n), value(size(n))).await.unwrap();
        breathe(n).await;
    }
}

#[test]
fn a_million_small_values_of_one_tenant_stay_within_the_budget_and_use_it() {
    measure(builder, async |cache| insert(&tenants(&cache, 1), 0..1_000_000, |_| 100).await)
        .holds("100 B, 1 tenant")
        .uses_at_least(80.0);
}

#[test]
fn a_million_small_values_of_a_hundred_tenants_stay_within_the_budget_and_use_it() {
    measure(builder, async |cache| insert(&tenants(&cache, 100), 0..1_000_000, |_| 100).await)
        .holds("100 B, 100 tenants")
        .uses_at_least(70.0);
}

#[test]
fn large_values_stay_within_the_budget_and_use_it() {
    measure(builder, async |cache| insert(&tenants(&cache, 1), 0..50_000, |_| 10_000).await)
        .holds("10 KB, 1 tenant")
        .uses_at_least(80.0);
}

#[test]
fn values_held_as_bytes_stay_within_the_budget_and_use_it() {
    const PAGES: Keyspace<u64, Vec<String>> =
        Keyspace::new("pages", Policy::ttl(hours(1))).memory_form(MemoryForm::Encoded);
    let lines = |n: usize| (0..60).map(|line| format!("line {line} of page {n}: {}", "text ".repeat(4))).collect();
    measure(builder, async |cache| {
        let acme = cache.tenant(&TenantId::from(1));
        for n in 0..120_000 {
            let lines: Vec<String> = lines(n);
            acme.insert(PAGES.key(&(n as u64)), lines).await.unwrap();
            if n % 3 == 0 {
                acme.get(PAGES.key(&(n as u64))).await.unwrap();
            }
            breathe(n).await;
        }
    })
    .holds("encoded, 60 lines")
    .uses_at_least(80.0);
}

#[test]
fn tags_count_against_the_budget() {
    measure(builder, async |cache| {
        let acme = cache.tenant(&TenantId::from(1));
        for n in 0..400_000 {
            let insert = acme.insert(key(n), value(100)).tag(("page", n as u64)).tag("contacts").tag(("list", 7_u32));
            insert.await.unwrap();
            breathe(n).await;
        }
    })
    .holds("100 B, 3 tags")
    .uses_at_least(70.0);
}

#[test]
fn overwriting_the_same_keys_stays_within_the_budget() {
    measure(builder, async |cache| {
        let doors = tenants(&cache, 1);
        for _ in 0..3 {
            insert(&doors, 0..300_000, |_| 100).await;
        }
        insert(&doors, 0..50_000, |n| 100 + n % 200).await;
    })
    .holds("100 B, overwritten")
    .uses_at_least(70.0);
}

#[test]
fn loads_stay_within_the_budget() {
    measure(builder, async |cache| {
        let acme = cache.tenant(&TenantId::from(1));
        for n in 0..300_000 {
            let load = async move || Ok::<_, std::convert::Infallible>(value(100));
            acme.get_or_load(key(n), load).await.unwrap();
            breathe(n).await;
        }
    })
    .holds("100 B, loaded")
    .uses_at_least(70.0);
}

#[test]
fn large_values_find_the_memory_that_many_small_ones_took() {
    measure(builder, async |cache| {
        let doors = tenants(&cache, 1);
        insert(&doors, 0..400_000, |_| 8).await;
        doors[0].invalidate_tag("none of them").await.unwrap();
        sleep(seconds(301)).await; // what is past its time leaves without being read
        insert(&doors, 400_000..440_000, |_| 10_000).await;
    })
    .holds("8 B, then 10 KB")
    .uses_at_least(80.0);
}

#[test]
fn tenants_that_flood_in_turn_leave_nothing_behind_that_nobody_counts() {
    measure(builder, async |cache| {
        let doors = tenants(&cache, 12);
        for door in 0..doors.len() {
            insert(&doors[door..=door], door * 150_000..(door + 1) * 150_000, |_| 8).await;
        }
    })
    .holds("8 B, 12 tenants in turn")
    .uses_at_least(70.0);
}

#[test]
fn ten_thousand_tenants_with_few_entries_each_stay_within_the_budget() {
    let fixed = std::cell::Cell::new(0);
    let measured = measure(builder, async |cache| {
        let doors = tenants(&cache, 10_000);
        let before = ALLOCATOR.current_usage();
        insert(&doors, 0..200_000, |_| 100).await;
        fixed.set(ALLOCATOR.current_usage() - before);
    });
    assert!(measured.entries >= 60_000, "{measured:?}");
    assert!(measured.weight <= BUDGET);
    // what a tenant takes besides its entries is not the memory tier's
    let within = fixed.get() as f64 * 100.0 / BUDGET as f64;
    println!("10,000 tenants: {within:.1} % of the budget, {} entries; {measured:?}", measured.entries);
    assert!(within <= 110.0);
}
