//! Following a source of changes: what is applied, in which order, what is acknowledged, and what becomes of the rest.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use stratacache::{
    Cache, Follower, Keyspace, Policy, Tag,
    event::EventKind,
    follow::{ChangeTarget, Position},
    minutes,
};
use stratacache_testkit::{
    faulty::{Fault, FaultyTier, On},
    outbox::MemorySource,
    tiers::MemoryTier,
};
use support::{builder, cache, tenant};

const CONTACTS: Keyspace<u64, String> = Keyspace::new("contacts", Policy::ttl(minutes(5))).version(2);
const SALES: Keyspace<(u32, u16), String> = Keyspace::new("sales", Policy::ttl(minutes(5))).prefixes(1);

async fn applied(follower: &Follower, outbox: &MemorySource) {
    let all = outbox.waiting();
    if all > 0 {
        let last = Position::new(outbox.acknowledged().major() + all as u64, 0);
        follower.until(|progress| progress.acknowledged >= Some(last)).await.unwrap();
    }
}

async fn has(cache: &Cache, whose: &str, key: &str) -> bool {
    tenant(cache, whose).get::<u32>(key).await.is_some()
}

#[tokio::test(start_paused = true)]
async fn what_changed_is_invalidated_and_nothing_else() {
    let cache = cache().await;
    let outbox = MemorySource::new("outbox");
    let follower = cache.follow(outbox.clone()).keyspace(&CONTACTS).keyspace(&SALES).start().unwrap();
    let (acme, other) = (tenant(&cache, "acme"), tenant(&cache, "other"));
    let settings = acme.namespace(("user", 42)).namespace("settings");
    for ns in [&acme, &other] {
        ns.insert("tagged", 1_u32).tag(("contacts", 42)).await.unwrap();
        ns.insert("plain", 1_u32).await.unwrap();
        ns.insert(CONTACTS.key(&42), "Ada".to_owned()).await.unwrap();
        ns.insert(SALES.key(&(1, 2026)), "much".to_owned()).await.unwrap();
        ns.insert(SALES.key(&(2, 2026)), "more".to_owned()).await.unwrap();
    }
    settings.insert("theme", 1_u32).await.unwrap();
    outbox
        .write_json(Some("acme"), r#"[{"tag": ["contacts", 42]}, {"key": "theme", "in": [["user", 42], "settings"]}]"#);
    outbox.write_json(Some("acme"), r#"{"key": 42, "keyspace": "contacts"}"#);
    outbox.write_json(Some("acme"), r#"{"prefix": [1], "keyspace": "sales"}"#);
    applied(&follower, &outbox).await;
    assert!(!has(&cache, "acme", "tagged").await && has(&cache, "acme", "plain").await);
    assert!(settings.get::<u32>("theme").await.is_none());
    assert!(acme.get(CONTACTS.key(&42)).await.is_none());
    assert!(acme.get(SALES.key(&(1, 2026))).await.is_none() && acme.get(SALES.key(&(2, 2026))).await.is_some());
    assert!(has(&cache, "other", "tagged").await && other.get(SALES.key(&(1, 2026))).await.is_some());

    outbox.write(Some("acme"), &[ChangeTarget::everything()]);
    applied(&follower, &outbox).await;
    assert!(!has(&cache, "acme", "plain").await && has(&cache, "other", "plain").await);
    let progress = follower.progress();
    assert_eq!((progress.applied, progress.waiting, progress.set_aside), (4, 0, 0));
    assert_eq!(cache.stats().changes_applied, Some(4));
    cache.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_namespace_goes_with_all_below_it_and_a_change_of_no_tenant_is_about_global_data() {
    let cache = cache().await;
    let outbox = MemorySource::new("outbox");
    let follower = cache.follow(outbox.clone()).start().unwrap();
    let acme = tenant(&cache, "acme");
    let user = acme.namespace(("user", 42));
    user.namespace("settings").insert("theme", 1_u32).await.unwrap();
    acme.insert("offer", 1_u32).tag(Tag::global("prices")).await.unwrap();
    acme.insert("mine", 1_u32).tag("prices").await.unwrap();
    cache.global().namespace("rates").insert("eur", 1_u32).await.unwrap();
    outbox.write(Some("acme"), &[ChangeTarget::everything().within(("user", 42))]);
    outbox.write(None, &[ChangeTarget::tag("prices"), ChangeTarget::key("eur").within("rates")]);
    applied(&follower, &outbox).await;
    assert!(user.namespace("settings").get::<u32>("theme").await.is_none());
    assert!(!has(&cache, "acme", "offer").await && has(&cache, "acme", "mine").await);
    assert!(cache.global().namespace("rates").get::<u32>("eur").await.is_none());
    cache.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_nobody_can_apply_is_set_aside_counted_and_an_event() {
    let cache = cache().await;
    let mut events = cache.events();
    let outbox = MemorySource::new("outbox");
    let follower = cache.follow(outbox.clone()).start().unwrap();
    tenant(&cache, "acme").insert("k", 1_u32).await.unwrap();
    let deep = format!("{{\"key\": 1, \"in\": [{}]}}", ["\"x\""; 9].join(","));
    let poison = [
        (Some("../etc"), r#"{"tag": 1}"#),
        (Some(""), r#"{"tag": 1}"#),
        (Some(".global"), r#"{"tag": 1}"#),
        (Some("acme"), "secret"),
        (Some("acme"), "[]"),
        (Some("acme"), deep.as_str()),
        (Some("acme"), r#"{"prefix": [1], "keyspace": "unknown"}"#),
    ];
    for (tenant, targets) in poison {
        outbox.write_json(tenant, targets);
    }
    outbox.write(Some("acme"), &[ChangeTarget::key("k")]);
    applied(&follower, &outbox).await;
    assert!(!has(&cache, "acme", "k").await, "what is valid is applied");
    let aside = outbox.set_aside_so_far();
    assert_eq!((aside.len(), follower.progress().set_aside, cache.stats().changes_set_aside), (7, 7, Some(7)));
    assert!(aside.iter().all(|one| !one.reason.contains("secret")), "{aside:?}");
    let mut told = 0;
    while let Some(Ok(event)) = events.try_next() {
        if let EventKind::ChangesSetAside { count, .. } = event.kind {
            told += count;
        }
    }
    assert_eq!(told, 7);
    cache.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_not_acknowledged_is_applied_again_by_the_next() {
    let outbox = MemorySource::new("outbox");
    outbox.write(Some("acme"), &[ChangeTarget::key("k")]);
    let (disk, faults) = FaultyTier::new(MemoryTier::new("disk"), 1);
    let first = builder().tier(disk).build().await.unwrap();
    faults.always(On::Any, Fault::Hang);
    let follower = first.follow(outbox.clone()).start().unwrap();
    follower.until(|progress| progress.retries > 2).await.unwrap();
    assert_eq!((follower.progress().applied, outbox.waiting()), (0, 1), "not acknowledged before it was applied");
    let _ = first.close().await;
    assert!(follower.progress().ended);

    let second = cache().await;
    tenant(&second, "acme").insert("k", 1_u32).await.unwrap();
    let follower = second.follow(outbox.reopened()).start().unwrap();
    applied(&follower, &outbox).await;
    assert!(!has(&second, "acme", "k").await);
    second.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_tenant_over_its_limit_holds_up_no_other_and_is_not_forgotten() {
    let cache = builder().invalidations_per_s(1).build().await.unwrap();
    let outbox = MemorySource::new("outbox");
    let follower = cache.follow(outbox.clone()).batch(1).start().unwrap();
    tenant(&cache, "quiet").insert("k", 1_u32).await.unwrap();
    tenant(&cache, "noisy").insert("last", 1_u32).await.unwrap();
    for n in 0..50_u64 {
        outbox.write(Some("noisy"), &[ChangeTarget::key(n)]);
    }
    outbox.write(Some("noisy"), &[ChangeTarget::key("last")]);
    outbox.write(Some("quiet"), &[ChangeTarget::key("k")]);
    follower.until(|progress| progress.read == Some(Position::new(52, 0)) && progress.applied >= 2).await.unwrap();
    assert!(!has(&cache, "quiet", "k").await);
    assert!(outbox.waiting() > 0, "the noisy one's changes are not acknowledged yet");
    applied(&follower, &outbox).await;
    assert!(!has(&cache, "noisy", "last").await);
    let progress = follower.progress();
    assert!(progress.retries > 0 && progress.applied == 52, "{progress:?}");
    cache.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_is_asked_again_and_both_turns_are_told() {
    let cache = cache().await;
    let mut events = cache.events();
    let outbox = MemorySource::new("outbox");
    outbox.fail(5);
    let follower = cache.follow(outbox.clone()).start().unwrap();
    tenant(&cache, "acme").insert("k", 1_u32).await.unwrap();
    outbox.write(Some("acme"), &[ChangeTarget::key("k")]);
    applied(&follower, &outbox).await;
    assert!(!has(&cache, "acme", "k").await);
    assert!(follower.progress().source_failures > 0 && follower.progress().failure.is_none());
    let mut kinds = Vec::new();
    while let Some(Ok(event)) = events.try_next() {
        kinds.push(event.kind);
    }
    assert_eq!(kinds.iter().filter(|kind| matches!(kind, EventKind::SourceFailed { .. })).count(), 1);
    assert_eq!(kinds.iter().filter(|kind| matches!(kind, EventKind::SourceRestored { .. })).count(), 1);
    cache.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn lost_changes_clear_every_tenant() {
    let cache = cache().await;
    let outbox = MemorySource::new("outbox");
    let follower = cache.follow(outbox.clone()).start().unwrap();
    for whose in ["acme", "other"] {
        tenant(&cache, whose).insert("k", 1_u32).await.unwrap();
    }
    cache.global().insert("g", 1_u32).await.unwrap();
    outbox.lose("the stream was trimmed");
    outbox.write(Some("acme"), &[ChangeTarget::key("k")]);
    applied(&follower, &outbox).await;
    assert!(!has(&cache, "acme", "k").await && !has(&cache, "other", "k").await);
    assert!(cache.global().get::<u32>("g").await.is_none());
    assert_eq!((follower.progress().gaps, cache.stats().change_gaps), (1, Some(1)));
    cache.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn closing_ends_it_within_a_bounded_time_even_where_the_source_hangs() {
    let cache = cache().await;
    let outbox = MemorySource::new("outbox");
    let follower = cache.follow(outbox.clone()).start().unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    outbox.hang(true);
    let began = tokio::time::Instant::now();
    cache.close().await.unwrap();
    assert!(began.elapsed() <= Duration::from_secs(10));
    assert!(follower.progress().ended);
    assert_eq!(cache.active_tasks(), 0);
    assert!(cache.follow(outbox).start().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_handle_stops_nothing_and_stop_acknowledges_what_was_applied() {
    let cache = cache().await;
    let outbox = MemorySource::new("outbox");
    drop(cache.follow(outbox.clone()).start().unwrap());
    outbox.write(Some("acme"), &[ChangeTarget::key("k")]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(outbox.waiting(), 0);
    let second = cache.follow(outbox.reopened()).start().unwrap();
    second.stop().await;
    assert!(second.progress().ended && outbox.closed() == 1);
    cache.close().await.unwrap();
    assert_eq!(outbox.closed(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_is_dropped_is_not_kept_by_its_followers() {
    let outbox = MemorySource::new("outbox");
    let cache = cache().await;
    let follower = cache.follow(outbox.clone()).start().unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(cache);
    follower.until(|_| false).await;
    assert!(follower.progress().ended);
}

#[tokio::test(start_paused = true)]
async fn standing_by_and_the_lag_are_seen() {
    let cache = cache().await;
    let outbox = MemorySource::new("outbox");
    outbox.stand_by(true);
    outbox.write(Some("acme"), &[ChangeTarget::key("k")]);
    let follower = cache.follow(outbox.clone()).start().unwrap();
    let progress = follower.until(|progress| progress.standby && progress.lag.is_some()).await.unwrap();
    assert_eq!((progress.lag.unwrap().changes, progress.applied), (1, 0));
    outbox.stand_by(false);
    follower.until(|progress| progress.applied == 1 && !progress.standby).await.unwrap();
    follower.until(|progress| progress.lag.is_some_and(|lag| lag.changes == 0)).await.unwrap();
    cache.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn knobs_that_make_no_sense_are_refused_by_name() {
    let cache = cache().await;
    let follow = || cache.follow(MemorySource::new("outbox"));
    for (refused, knob) in [
        (follow().batch(0).start(), "batch"),
        (follow().concurrency(1000).start(), "concurrency"),
        (follow().lag_every(Duration::ZERO).start(), "lag_every"),
    ] {
        assert!(refused.unwrap_err().to_string().contains(knob));
    }
    cache.close().await.unwrap();
}
