//! What the price list promises, on one node with memory only.
#![allow(clippy::unwrap_used)] // tests may panic

mod support;

use stratacache::{Freshness, LoadError, minutes};
use stratacache_testkit::source::SourceError;
use support::{Shop, builder, list, price};
use tokio::{task::JoinSet, time::advance};

#[tokio::test(start_paused = true)]
async fn a_hundred_readers_cost_one_query() {
    let (shop, cache) = (Shop::new(), builder().build().await.unwrap());
    let acme = list(&cache, "acme", &shop);
    let held = shop.hold();
    let mut readers = JoinSet::new();
    for _ in 0..100 {
        let acme = acme.clone();
        readers.spawn(async move { price(&acme, "apple").await });
    }
    held.until(1).await;
    held.release();
    let found = readers.join_all().await;
    assert_eq!(found, vec![Some(300); 100]);
    shop.assert_reads(1);
}

/// The test that finds caches glued by hand: the query has seen the old price when the new one is set.
#[tokio::test(start_paused = true)]
async fn a_price_that_is_set_during_a_query_is_not_overtaken_by_it() {
    let (shop, cache) = (Shop::new(), builder().build().await.unwrap());
    let acme = list(&cache, "acme", &shop);
    let held = shop.hold();
    let write = async {
        held.until(1).await;
        acme.set_price("apple", 500).await.unwrap();
        held.release();
    };
    let (early, ()) = tokio::join!(price(&acme, "apple"), write);
    assert_eq!(early, Some(300), "this reader came before the price was set");
    assert_eq!(price(&acme, "apple").await, Some(500));
    shop.assert_reads_of(&"apple".to_owned(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_price_is_read_again_after_five_minutes_and_not_before() {
    let (shop, cache) = (Shop::new(), builder().build().await.unwrap());
    let acme = list(&cache, "acme", &shop);
    assert_eq!(price(&acme, "apple").await, Some(300));
    shop.write("apple", 500_u32); // behind the cache's back
    advance(minutes(4)).await;
    assert_eq!(price(&acme, "apple").await, Some(300));
    advance(minutes(2)).await;
    assert_eq!(price(&acme, "apple").await, Some(500));
    shop.assert_reads(2);
}

#[tokio::test(start_paused = true)]
async fn the_old_price_is_shown_while_the_data_base_is_down_and_the_page_says_so() {
    let (shop, cache) = (Shop::new(), builder().build().await.unwrap());
    let acme = list(&cache, "acme", &shop);
    assert_eq!(price(&acme, "apple").await, Some(300));
    advance(minutes(6)).await;
    shop.fail(true);
    let shown = acme.price("apple").await.unwrap().unwrap();
    assert_eq!((*shown, shown.freshness()), (300, Freshness::Stale));
    assert!(matches!(acme.prices().await, Err(LoadError::Loader(error)) if *error == SourceError::Down));
}

#[tokio::test(start_paused = true)]
async fn a_product_that_is_not_there_is_asked_for_once() {
    let (shop, cache) = (Shop::new(), builder().build().await.unwrap());
    let acme = list(&cache, "acme", &shop);
    assert_eq!((price(&acme, "plum").await, price(&acme, "plum").await), (None, None));
    shop.assert_reads(1);
    acme.set_price("plum", 200).await.unwrap();
    assert_eq!(price(&acme, "plum").await, Some(200));
}

#[tokio::test(start_paused = true)]
async fn another_tenant_has_prices_of_its_own() {
    let cache = builder().build().await.unwrap();
    let (shop, other) = (Shop::new(), Shop::new());
    other.write("apple", 900_u32);
    let (acme, umbrella) = (list(&cache, "acme", &shop), list(&cache, "umbrella", &other));
    assert_eq!((price(&acme, "apple").await, price(&umbrella, "apple").await), (Some(300), Some(900)));
    acme.set_price("apple", 500).await.unwrap();
    assert_eq!((price(&acme, "apple").await, price(&umbrella, "apple").await), (Some(500), Some(900)));
    other.assert_reads(1); // what one forgets, the other does not load again
}
