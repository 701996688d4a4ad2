//! A disk without room is a failure of a tier, never of the application. On a file system in memory of 8 MiB; needs the
//! right to mount, and says so where it has not.
#![cfg(feature = "disk")]
#![allow(clippy::unwrap_used, clippy::print_stdout)] // a helper that fails ends the test

use std::convert::Infallible;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use stratacache::{
    Cache, Codec, Disk, ErrorKind, Namespace, OnWriteError, Policy, Tag, Target, TenantId, hours, seconds,
};
use stratacache_testkit::device::SmallDevice;

const SEED: u64 = 20_261_121;

/// `None` where this process may not mount.
fn device() -> Option<SmallDevice> {
    SmallDevice::mount(8 << 20).inspect_err(|error| println!("skipped, cannot mount: {error}")).ok()
}

/// Opens a cache whose disk tier may grow beyond the device.
async fn open(device: &SmallDevice) -> Cache {
    let disk = Disk::builder(device.path().join("cache")).capacity(64 << 20).max_entry(1 << 20);
    Cache::builder()
        .seed(SEED)
        .default_policy(policy())
        // a busy machine must not look like a hung disk
        .tier_deadline("disk", seconds(20))
        .tier(disk.open().await.unwrap())
        .build()
        .await
        .unwrap()
}

fn policy() -> Policy {
    Policy::ttl(hours(1)).codec(Codec::Postcard)
}

fn acme(cache: &Cache) -> Namespace {
    cache.tenant(&TenantId::parse("acme").unwrap())
}

/// Bytes that no compression makes shorter.
fn content(n: u32, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    StdRng::seed_from_u64(SEED ^ u64::from(n)).fill_bytes(&mut bytes);
    bytes
}

const LARGE: usize = 500_000;

#[tokio::test]
async fn on_a_full_disk_reads_and_best_effort_inserts_go_on_and_a_strict_insert_says_full() {
    let Some(device) = device() else { return };
    let cache = open(&device).await;
    let acme = acme(&cache);
    acme.insert("before", content(0, 1_000)).await.unwrap();
    device.fill();

    for n in 100..130 {
        let loaded = acme.get_or_load(n, async move || Ok::<_, Infallible>(content(n, LARGE))).await.unwrap();
        assert!(*loaded == content(n, LARGE));
    }
    for n in 200..230 {
        let best_effort = policy().on_write_error(OnWriteError::BestEffort);
        acme.insert(n, content(n, LARGE)).policy(best_effort).await.unwrap();
        assert!(*acme.get::<Vec<u8>>(n).await.unwrap() == content(n, LARGE), "memory has it");
    }
    let mut refused = 0;
    for n in 300..330 {
        match acme.insert(n, content(n, LARGE)).await {
            Ok(_) => assert!(*acme.get::<Vec<u8>>(n).await.unwrap() == content(n, LARGE)),
            Err(error) => {
                refused += 1;
                assert_eq!(error.kind(), ErrorKind::Full, "{error}");
                assert!(acme.get::<Vec<u8>>(n).await.is_none(), "refused, it is in no tier");
            }
        }
    }
    let disk = &cache.stats().tiers[1];
    println!("{refused} of 30 strict inserts refused, {} writes failed", disk.write_failures);
    assert!(refused > 20, "{refused}");
    assert_eq!(disk.breaker_opens, 0, "a full disk still answers");
    assert!(acme.get::<Vec<u8>>("before").await.is_some());

    device.free();
    for n in 300..310 {
        acme.insert(n, content(n, LARGE)).await.unwrap();
    }
    cache.close().await.unwrap();
    let cache = open(&device).await;
    let acme = self::acme(&cache);
    for n in 300..310 {
        assert!(*acme.get::<Vec<u8>>(n).await.unwrap() == content(n, LARGE), "the disk is used again");
    }
    for n in 310..330 {
        assert!(acme.get::<Vec<u8>>(n).await.is_none_or(|v| *v == content(n, LARGE)), "all or nothing");
    }
    cache.close().await.unwrap();
}

const KEYS: u32 = 300;

/// Stores what is invalidated later in each way there is, and what is not, mixed over the whole device.
async fn store(cache: &Cache) {
    let acme = acme(cache);
    let other = cache.tenant(&TenantId::parse("other").unwrap());
    for n in 0..KEYS {
        let content = || content(n, 3_000);
        acme.insert(n, content()).await.unwrap();
        acme.namespace("tagged").insert(n, content()).tag(if n % 2 == 0 { "a" } else { "b" }).await.unwrap();
        acme.namespace("global").insert(n, content()).tag(Tag::global("everywhere")).await.unwrap();
        acme.namespace("cleared").namespace("nested").insert(n, content()).await.unwrap();
        other.insert(n, content()).await.unwrap();
    }
}

/// Every call succeeds.
async fn invalidate_most(cache: &Cache) {
    let acme = acme(cache);
    for n in (0..KEYS).step_by(3) {
        acme.invalidate(n).await.unwrap();
    }
    acme.invalidate_tag("a").await.unwrap();
    acme.invalidate([Target::key(1), Target::tag("b")]).await.unwrap();
    acme.namespace("cleared").clear().await.unwrap();
    cache.tenant(&TenantId::parse("other").unwrap()).clear().await.unwrap();
    cache.invalidate_global_tag("everywhere").await.unwrap();
}

/// Counts the values that were not invalidated; panics at one that was.
async fn count(cache: &Cache) -> usize {
    let acme = acme(cache);
    let invalidated = [
        acme.namespace("tagged"),
        acme.namespace("global"),
        acme.namespace("cleared").namespace("nested"),
        cache.tenant(&TenantId::parse("other").unwrap()),
    ];
    let mut alive = 0;
    for n in 0..KEYS {
        for ns in &invalidated {
            assert!(ns.get::<Vec<u8>>(n).await.is_none(), "key {n} of {ns:?} is back");
        }
        let found = acme.get::<Vec<u8>>(n).await;
        assert!(found.is_none() || n % 3 != 0 && n != 1, "key {n} is back");
        alive += usize::from(found.is_some_and(|found| *found == content(n, 3_000)));
    }
    alive
}

#[tokio::test]
async fn what_was_invalidated_on_a_full_disk_is_gone_and_stays_so_after_a_restart() {
    let Some(device) = device() else { return };
    let cache = open(&device).await;
    store(&cache).await;
    device.fill();
    invalidate_most(&cache).await;
    assert_eq!(count(&cache).await, 199, "the others are in memory");
    cache.close().await.unwrap();

    device.free();
    let cache = open(&device).await;
    let alive = count(&cache).await;
    println!("{alive} of 199 values survived on the disk");
    assert!(alive > 60, "invalidations take room from entries, but not all of it: {alive}");
    acme(&cache).insert("new", content(1, LARGE)).await.unwrap();
    cache.close().await.unwrap();

    let cache = open(&device).await;
    assert_eq!(count(&cache).await, alive);
    assert!(acme(&cache).get::<Vec<u8>>("new").await.is_some(), "the disk is used again");
    cache.close().await.unwrap();
}
