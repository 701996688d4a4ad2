//! Key providers that fail, hang or answer slowly: calm, and never in the clear.

use std::convert::Infallible;

use stratacache::{Cached, ErrorKind, OnWriteError, event::EventKind, minutes, seconds};
use tokio::time::{Instant, sleep};

use crate::{
    kit::{CANARY, Mood, Provider, acme, disk, get, load, over, restarted, stats},
    support::{settle, tenant},
};

#[tokio::test(start_paused = true)]
async fn however_many_need_the_keys_they_are_asked_for_once() {
    let provider = Provider::new();
    let cache = over(&disk(), provider.clone()).await;
    let tasks: Vec<_> = (0..1_000)
        .map(|n| {
            let ns = acme(&cache);
            tokio::spawn(async move {
                let value: Cached<u32> = ns.get_or_load(n, async move || Ok::<_, Infallible>(n)).await.unwrap();
                *value
            })
        })
        .collect();
    for (n, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await.unwrap() as usize, n);
    }
    assert_eq!(provider.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_while_keys_are_asked_for_takes_them_from_nobody() {
    let provider = Provider::new();
    let cache = over(&disk(), provider.clone()).await;
    let ns = acme(&cache);
    let goes = tokio::spawn(async move { ns.insert("gone", 1_u32).await });
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
    goes.abort();
    acme(&cache).insert("k", 2_u32).await.unwrap();
    assert!(provider.asked() <= 1);
}

#[tokio::test(start_paused = true)]
async fn without_keys_values_are_loaded_and_kept_in_memory_and_nothing_is_written_below() {
    for mood in [Mood::Fails, Mood::Hangs] {
        let (disk, provider) = (disk(), Provider::new());
        provider.set(mood);
        let cache = over(&disk, provider.clone()).await;
        let mut events = cache.events();
        assert_eq!(load(&acme(&cache), "k").await, CANARY);
        assert_eq!(get(&acme(&cache), "k").await.as_deref(), Some(CANARY), "memory has it");
        assert_eq!(disk.names(), []);
        assert!(cache.stats().key_failures >= 1);
        let mut told = false;
        while let Some(Ok(event)) = events.try_next() {
            told |= matches!(event.kind, EventKind::KeysUnavailable { .. });
        }
        assert!(told);
        provider.set(Mood::Answers);
        sleep(minutes(1)).await;
        load(&acme(&cache), "later").await;
        assert_eq!(disk.names().len(), 1, "as soon as there are keys it goes on");
    }
}

#[tokio::test(start_paused = true)]
async fn without_keys_what_is_below_is_a_miss_and_is_read_again_later() {
    let (disk, provider) = (disk(), Provider::new());
    let cache = over(&disk, provider.clone()).await;
    load(&acme(&cache), "k").await;
    provider.set(Mood::Fails);
    let cache = restarted(cache, &disk, provider.clone()).await;
    assert_eq!(get(&acme(&cache), "k").await, None);
    let refused = stats(&cache, "disk");
    assert_eq!((refused.unknown_envelopes, refused.foreign_envelopes, refused.corrupt_envelopes), (0, 0, 0));
    provider.set(Mood::Answers);
    sleep(minutes(1)).await;
    assert_eq!(get(&acme(&cache), "k").await.as_deref(), Some(CANARY));
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_costs_its_deadline_once_and_then_nothing_for_a_while_for_any_tenant() {
    let (disk, provider) = (disk(), Provider::new());
    provider.set(Mood::Hangs);
    let cache = over(&disk, provider.clone()).await;
    let began = Instant::now();
    load(&acme(&cache), "k").await;
    assert_eq!(began.elapsed(), seconds(2));
    for n in 0..100 {
        let began = Instant::now();
        load(&tenant(&cache, &format!("t{n}")), "k").await;
        assert_eq!(began.elapsed(), seconds(0), "tenant {n}");
    }
    assert_eq!(provider.asked(), 1);
    // the rests grow: at most half a minute between two requests
    for _ in 0..200 {
        sleep(seconds(1)).await;
        load(&acme(&cache), &format!("{:?}", Instant::now())).await;
    }
    assert!((7..=14).contains(&provider.asked()), "{}", provider.asked());
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_refuses_one_tenant_or_panics_over_it_answers_for_the_others() {
    for mood in [Mood::Fails, Mood::Panics] {
        let (disk, provider) = (disk(), Provider::new());
        provider.set(mood);
        provider.only_for("acme");
        let cache = over(&disk, provider.clone()).await;
        for n in 0..100 {
            assert_eq!(load(&acme(&cache), &format!("k{n}")).await, CANARY);
        }
        assert_eq!((provider.asked(), disk.names().len()), (1, 0), "left alone for a while");
        load(&tenant(&cache, "globex"), "k").await;
        assert_eq!(disk.names().len(), 1);
        provider.set(Mood::Answers);
        sleep(minutes(1)).await;
        load(&acme(&cache), "later").await;
        assert_eq!(disk.names().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_strict_insert_without_keys_fails_and_changes_nothing() {
    let (disk, provider) = (disk(), Provider::new());
    let cache = over(&disk, provider.clone()).await;
    acme(&cache).insert("k", 1_u32).await.unwrap();
    let cache = restarted(cache, &disk, provider.clone()).await;
    provider.set(Mood::Fails);
    let error = acme(&cache).insert("k", 2_u32).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("keys of the tenant"), "{error}");
    let policy = crate::kit::policy().on_write_error(OnWriteError::BestEffort);
    acme(&cache).insert("other", 3_u32).policy(policy).await.expect("memory is enough for it");
    provider.set(Mood::Answers);
    sleep(minutes(1)).await;
    assert_eq!(acme(&cache).get::<u32>("k").await.as_deref(), Some(&1));
}

#[tokio::test(start_paused = true)]
async fn keys_are_asked_for_again_behind_their_users_every_five_minutes() {
    let provider = Provider::new();
    let cache = over(&disk(), provider.clone()).await;
    load(&acme(&cache), "a").await;
    sleep(seconds(299)).await;
    load(&acme(&cache), "b").await;
    assert_eq!(provider.asked(), 1);
    sleep(seconds(2)).await;
    provider.set(Mood::Hangs);
    let began = Instant::now();
    load(&acme(&cache), "c").await;
    settle().await;
    assert_eq!((began.elapsed(), provider.asked()), (seconds(0), 2), "nobody waits for it");
    provider.set(Mood::Fails);
    sleep(minutes(60)).await;
    load(&acme(&cache), "d").await;
    assert_eq!(stats(&cache, "disk").write_failures, 0, "the old ones are good while new ones cannot be had");
}
