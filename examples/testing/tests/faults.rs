//! What the price list promises when something below it fails, and beside another node.
#![allow(clippy::unwrap_used)] // tests may panic

mod support;

use stratacache::{TenantId, event::EventKind, seconds};
use stratacache_testkit::{
    faulty::{Fault, FaultyTier, On},
    recorder::Recorder,
    shared::SharedStore,
    tiers::MemoryTier,
};
use support::{Shop, builder, list, price};
use testing::SetPriceError;
use tokio::time::advance;

#[tokio::test(start_paused = true)]
async fn prices_are_served_while_a_tier_hangs_and_the_cache_says_so() {
    let shop = Shop::new();
    let (disk, faults) = FaultyTier::new(MemoryTier::new("disk"), 42);
    let recorder = Recorder::new();
    let cache = builder().tier(disk).event_sink(recorder.sink()).build().await.unwrap();
    let acme = list(&cache, "acme", &shop);
    faults.always(On::Any, Fault::Hang);
    assert_eq!((price(&acme, "apple").await, price(&acme, "pear").await), (Some(300), Some(400)));
    shop.assert_reads(2);
    cache.close().await.unwrap(); // gives the sink what is still on its way
    recorder.assert_some("the tier is left alone", |kind| matches!(kind, EventKind::BreakerOpened { .. }));
    recorder.assert_none("no load failed", |kind| matches!(kind, EventKind::LoadFailed { .. }));
}

#[tokio::test(start_paused = true)]
async fn setting_a_price_is_one_invalidation_of_the_price_and_the_page() {
    let shop = Shop::new();
    let recorder = Recorder::new();
    let cache = builder().event_sink(recorder.sink()).build().await.unwrap();
    let acme = list(&cache, "acme", &shop);
    acme.prices().await.unwrap();
    acme.set_price("apple", 500).await.unwrap();
    assert_eq!(acme.prices().await.unwrap()[0], ("apple".to_owned(), 500));
    cache.close().await.unwrap();
    recorder.assert_invalidations(&TenantId::parse("acme").unwrap(), 1);
    recorder.assert_some("both at once", |kind| matches!(kind, EventKind::Invalidated { scopes: 2, .. }));
}

#[tokio::test(start_paused = true)]
async fn a_price_that_is_set_on_one_node_is_seen_on_the_other() {
    let (shop, store) = (Shop::new(), SharedStore::new(42));
    let (here, there) = (store.node(), store.node());
    let first = builder().tier(here.parts()).build().await.unwrap();
    let second = builder().tier(there.parts()).build().await.unwrap();
    let (here, there) = (list(&first, "acme", &shop), list(&second, "acme", &shop));
    assert_eq!((price(&here, "apple").await, price(&there, "apple").await), (Some(300), Some(300)));
    shop.assert_reads(1); // one load for both nodes
    here.set_price("apple", 500).await.unwrap();
    advance(seconds(1)).await; // the bound of reads that do not ask first
    assert_eq!(price(&there, "apple").await, Some(500));
}

#[tokio::test(start_paused = true)]
async fn a_price_that_could_not_be_forgotten_everywhere_is_an_error() {
    let (shop, store) = (Shop::new(), SharedStore::new(42));
    let node = store.node();
    let cache = builder().tier(node.parts()).build().await.unwrap();
    let acme = list(&cache, "acme", &shop);
    assert_eq!(price(&acme, "apple").await, Some(300));
    node.away(true);
    assert!(matches!(acme.set_price("apple", 500).await, Err(SetPriceError::Forgetting(_))));
    node.away(false);
    acme.set_price("apple", 500).await.unwrap(); // again, as the error says
    assert_eq!(price(&acme, "apple").await, Some(500));
}
