//! Locks of one process.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // tests, with tasks of their own

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use stratacache::{ErrorKind, hours, millis, seconds};
use support::{cache, tenant};
use tokio::time::advance;

#[tokio::test(start_paused = true)]
async fn a_lock_is_held_by_one_until_it_is_released_or_dropped_or_over() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let first = acme.lock("k", seconds(10)).await.unwrap();
    assert_eq!(first.remaining(), seconds(10));
    assert!(acme.try_lock("k", seconds(10)).await.unwrap().is_none());
    assert!(acme.try_lock("other", seconds(10)).await.unwrap().is_some());
    assert_eq!(acme.lock("k", seconds(1)).wait(millis(50)).await.unwrap_err().kind(), ErrorKind::Timeout);
    first.release().await.unwrap();
    let second = acme.try_lock("k", seconds(10)).await.unwrap().unwrap();
    drop(second);
    let third = acme.try_lock("k", seconds(10)).await.unwrap().unwrap();
    advance(seconds(11)).await;
    assert_eq!(third.remaining(), seconds(0));
    let fourth = acme.try_lock("k", seconds(10)).await.unwrap().unwrap();
    assert!(fourth.fencing_token() > third.fencing_token());
    // its owner is another by now
    assert!(!third.renew().await.unwrap());
    third.release().await.unwrap();
    assert!(acme.try_lock("k", seconds(10)).await.unwrap().is_none());
    assert!(fourth.renew().await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_renewed_lasts() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let lock = acme.lock("k", seconds(10)).await.unwrap();
    for _ in 0..5 {
        advance(seconds(8)).await;
        assert!(lock.renew().await.unwrap());
        assert!(acme.try_lock("k", seconds(10)).await.unwrap().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_has_it_next_and_tokens_grow() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let inside = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (acme, inside) = (acme.clone(), Arc::clone(&inside));
            tokio::spawn(async move {
                let lock = acme.lock("k", seconds(10)).wait(seconds(600)).await.unwrap();
                assert_eq!(inside.fetch_add(1, SeqCst), 0, "alone");
                tokio::time::sleep(millis(5)).await;
                inside.fetch_sub(1, SeqCst);
                let token = lock.fencing_token();
                lock.release().await.unwrap();
                token
            })
        })
        .collect();
    let mut tokens = Vec::new();
    for task in tasks {
        tokens.push(task.await.unwrap());
    }
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), 50);
}

#[tokio::test]
async fn a_lock_is_no_entry_and_is_apart_from_that_of_others() {
    let cache = cache().await;
    let (acme, other) = (tenant(&cache, "acme"), tenant(&cache, "other"));
    acme.insert("k", 7_u32).await.unwrap();
    let _lock = acme.lock("k", seconds(10)).await.unwrap();
    assert_eq!(acme.get::<u32>("k").await.as_deref(), Some(&7));
    acme.invalidate("k").await.unwrap();
    assert!(acme.try_lock("k", seconds(10)).await.unwrap().is_none(), "it was not the lock that was invalidated");
    assert!(other.try_lock("k", seconds(10)).await.unwrap().is_some());
    assert!(acme.namespace("x").try_lock("k", seconds(10)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_ttl_that_cannot_be_is_refused_and_so_is_a_closed_cache() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    for ttl in [seconds(0), hours(25)] {
        assert_eq!(acme.try_lock("k", ttl).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    let lock = acme.lock("k", seconds(1)).await.unwrap();
    cache.close().await.unwrap();
    assert_eq!(acme.try_lock("k", seconds(1)).await.unwrap_err().kind(), ErrorKind::Closed);
    drop(lock);
}
