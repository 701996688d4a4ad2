//! What is written and what is read, with all keys at hand.

use std::convert::Infallible;

use stratacache::{Keyspace, Lookup, MemoryKeys, Policy, WriteMode, event::EventKind, minutes};
use stratacache_testkit::tiers::MemoryTier;

use crate::{
    kit::{CANARY, acme, disk, get, load, only_name, over, policy, restarted, sings, stats},
    support::{builder, settle, tenant},
};

const BULK: Keyspace<String, String> = Keyspace::new("bulk", Policy::ttl(minutes(5)));

#[tokio::test(start_paused = true)]
async fn no_byte_of_a_value_or_etag_is_readable_in_any_tier_below_whatever_the_write_mode() {
    for mode in [WriteMode::Through, WriteMode::Behind] {
        let (upper, lower) = (disk(), MemoryTier::unfenced("object"));
        let builder = builder().tier(upper.with_journal()).tier(lower.clone()).encryption(MemoryKeys::new());
        let cache = builder.default_policy(policy().write(mode)).build().await.unwrap();
        assert_eq!(load(&acme(&cache), "loaded").await, CANARY);
        acme(&cache).insert("inserted", CANARY.to_owned()).await.unwrap();
        cache.global().insert("global", CANARY.to_owned()).await.unwrap();
        let keys = ["a".to_owned(), "b".to_owned()];
        acme(&cache)
            .get_or_load_many(&BULK, keys, async |missing: Vec<String>| {
                Ok::<_, Infallible>(missing.into_iter().map(|key| (key, CANARY.to_owned())).collect::<Vec<_>>())
            })
            .policy(policy().write(mode))
            .await
            .unwrap();
        settle().await;
        assert_eq!((upper.names().len(), lower.names().len()), (5, 5), "{mode:?}");
        assert!(!sings(&upper) && !sings(&lower), "{mode:?}");
        cache.close().await.unwrap();
    }
    let clear = disk();
    let cache = builder().tier(clear.with_journal()).default_policy(policy()).build().await.unwrap();
    load(&acme(&cache), "k").await;
    assert!(sings(&clear), "without encryption it is");
}

#[tokio::test(start_paused = true)]
async fn a_restart_with_the_same_keys_reads_what_was_written() {
    let (disk, keys) = (disk(), MemoryKeys::new());
    let cache = over(&disk, keys.clone()).await;
    load(&acme(&cache), "k").await;
    acme(&cache).get_or_load_optional::<u32, _>("absent", async || Ok::<_, Infallible>(None)).await.unwrap();
    settle().await;
    let cache = restarted(cache, &disk, keys).await;
    assert_eq!(get(&acme(&cache), "k").await.as_deref(), Some(CANARY));
    assert!(matches!(acme(&cache).lookup::<u32>("absent").await, Lookup::Absent), "absences are sealed, too");
    assert_eq!(stats(&cache, "disk").hits, 2);
}

#[tokio::test(start_paused = true)]
async fn with_other_keys_everything_is_a_miss_with_an_event_and_is_loaded_anew() {
    let disk = disk();
    let cache = over(&disk, MemoryKeys::new()).await;
    load(&acme(&cache), "k").await;
    let cache = restarted(cache, &disk, MemoryKeys::new()).await;
    let mut events = cache.events();
    assert_eq!(get(&acme(&cache), "k").await, None);
    let stats = stats(&cache, "disk");
    assert_eq!((stats.unknown_envelopes, stats.corrupt_envelopes, stats.foreign_envelopes), (1, 0, 0));
    let mut seen = Vec::new();
    while let Some(Ok(event)) = events.try_next() {
        seen.push(event.kind);
    }
    assert!(seen.iter().any(|kind| matches!(kind, EventKind::UnknownEnvelope { .. })), "{seen:?}");
    assert_eq!(load(&acme(&cache), "k").await, CANARY);
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_encrypts_takes_nothing_unencrypted_and_the_other_way_round() {
    let keys = MemoryKeys::new();
    let clear =
        async |disk: &MemoryTier| builder().tier(disk.with_journal()).default_policy(policy()).build().await.unwrap();
    let disk_of_clear = disk();
    let cache = clear(&disk_of_clear).await;
    load(&acme(&cache), "k").await;
    let cache = restarted(cache, &disk_of_clear, keys.clone()).await;
    assert_eq!(get(&acme(&cache), "k").await, None, "whoever can write there could else plant values");
    assert_eq!(stats(&cache, "disk").unknown_envelopes, 1);
    let disk_of_sealed = disk();
    let cache = over(&disk_of_sealed, keys).await;
    load(&acme(&cache), "k").await;
    cache.close().await.unwrap();
    let cache = clear(&disk_of_sealed).await;
    assert_eq!(get(&acme(&cache), "k").await, None);
    assert_eq!(stats(&cache, "disk").unknown_envelopes, 1);
}

#[tokio::test(start_paused = true)]
async fn a_rotated_key_encrypts_what_comes_and_nothing_is_flushed() {
    let (disk, keys) = (disk(), MemoryKeys::new());
    let cache = over(&disk, keys.clone()).await;
    load(&acme(&cache), "before").await;
    let before = only_name(&disk);
    let old = stratacache_core::envelope::sealed_by(&disk.raw(before).unwrap()).unwrap();
    acme(&cache).rotate_key().await.unwrap();
    load(&acme(&cache), "after").await;
    let after = disk.names().into_iter().find(|name| *name != before).unwrap();
    let new = stratacache_core::envelope::sealed_by(&disk.raw(after).unwrap()).unwrap();
    assert_ne!(old, new);
    let cache = restarted(cache, &disk, keys).await;
    for key in ["before", "after"] {
        assert_eq!(get(&acme(&cache), key).await.as_deref(), Some(CANARY), "{key}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_rotated_elsewhere_is_fetched_when_an_entry_under_it_is_met() {
    let (disk, keys) = (disk(), MemoryKeys::new());
    let cache = over(&disk, keys.clone()).await;
    load(&acme(&cache), "k").await;
    // the other node: its own order, but the same names
    let (other_disk, name) = (crate::kit::disk(), only_name(&disk));
    let other = over(&other_disk, keys.clone()).await;
    acme(&other).rotate_key().await.unwrap();
    load(&acme(&other), "k").await;
    disk.put_raw(name, other_disk.raw(name).unwrap());
    tokio::time::sleep(minutes(1)).await;
    let reads = async || {
        acme(&cache).inspect::<String>("k").await.unwrap().tiers.iter().filter(|view| view.tier == "disk").count()
    };
    assert_eq!(reads().await, 1, "it can be read");
}

#[tokio::test(start_paused = true)]
async fn of_many_entries_that_are_read_together_one_under_a_key_rotated_elsewhere_makes_the_node_ask() {
    let (disk, other_disk, keys) = (disk(), crate::kit::disk(), MemoryKeys::new());
    let cache = over(&disk, keys.clone()).await;
    acme(&cache).insert(0_u32, 0_u32).await.unwrap();
    let name = only_name(&disk);
    for n in 1..50_u32 {
        acme(&cache).insert(n, n).await.unwrap();
    }
    let cache = restarted(cache, &disk, keys.clone()).await;
    acme(&cache).insert("fetches the keys", 0_u32).await.unwrap();
    tokio::time::sleep(minutes(1)).await;
    // the other node: its own order, but the same names
    let other = over(&other_disk, keys).await;
    acme(&other).rotate_key().await.unwrap();
    acme(&other).insert(0_u32, 0_u32).await.unwrap();
    disk.put_raw(name, other_disk.raw(name).unwrap());
    let found = acme(&cache).get_many((0..50_u32).map(stratacache::Key::<u32>::new)).await;
    assert_eq!(found.into_iter().flatten().count(), 49, "that one is of another order");
    assert_eq!(stats(&cache, "disk").unknown_envelopes, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_promoted_is_sealed_for_the_tier_that_it_comes_to() {
    let (upper, lower, keys) = (disk(), MemoryTier::new("object").persistent(true), MemoryKeys::new());
    let build = async || {
        let builder = builder().tier(upper.with_journal()).tier(lower.clone()).encryption(keys.clone());
        builder.default_policy(policy()).build().await.unwrap()
    };
    let cache = build().await;
    load(&acme(&cache), "k").await;
    let name = only_name(&upper);
    assert_ne!(upper.raw(name), lower.raw(name));
    cache.close().await.unwrap();
    let lowest = lower.raw(name).unwrap();
    // the upper one has lost it
    upper.put_raw(name, bytes::Bytes::new());
    let cache = build().await;
    assert_eq!(get(&acme(&cache), "k").await.as_deref(), Some(CANARY));
    let promoted = upper.raw(name).unwrap();
    assert!(!promoted.is_empty() && promoted != lowest && !sings(&upper));
    assert_eq!(stats(&cache, "object").hits, 1);
    cache.close().await.unwrap();
    let cache = build().await;
    assert_eq!(get(&acme(&cache), "k").await.as_deref(), Some(CANARY));
    assert_eq!((stats(&cache, "disk").hits, stats(&cache, "object").hits), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_only_fits_unencrypted_is_not_given_to_a_tier() {
    let small = |weight| MemoryTier::new("disk").max_weight(weight);
    let plain = MemoryTier::new("disk");
    let cache = builder().tier(plain.clone()).default_policy(policy()).build().await.unwrap();
    load(&acme(&cache), "k").await;
    let length = plain.raw(only_name(&plain)).unwrap().len() as u64;
    for (room, stored) in [(length + 35, 0), (length + 36, 1)] {
        let tier = small(room);
        let builder = builder().tier(tier.clone()).encryption(MemoryKeys::new());
        let cache = builder.default_policy(policy()).build().await.unwrap();
        assert_eq!(load(&acme(&cache), "k").await, CANARY);
        assert_eq!((tier.names().len(), tier.refused()), (stored, 0), "{room} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn each_tenant_has_keys_of_its_own_and_so_has_global_data() {
    let (disk, keys) = (disk(), MemoryKeys::new());
    let cache = over(&disk, keys).await;
    for ns in [acme(&cache), tenant(&cache, "globex"), cache.global()] {
        ns.insert("k", CANARY.to_owned()).await.unwrap();
    }
    let ids: std::collections::BTreeSet<_> = disk
        .names()
        .into_iter()
        .map(|name| stratacache_core::envelope::sealed_by(&disk.raw(name).unwrap()).unwrap())
        .collect();
    assert_eq!(ids.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_idle_entry_that_is_touched_below_stays_sealed() {
    let (disk, keys) = (disk(), MemoryKeys::new());
    let builder = builder().tier(disk.with_journal()).encryption(keys);
    let idle = Policy::ttl(minutes(50)).jitter(0.0).idle_ttl(minutes(4));
    let cache = builder.default_policy(idle).build().await.unwrap();
    load(&acme(&cache), "k").await;
    let writes = disk.writes();
    tokio::time::sleep(minutes(2)).await;
    assert_eq!(get(&acme(&cache), "k").await.as_deref(), Some(CANARY));
    settle().await;
    assert!(disk.writes() > writes, "it was written again");
    assert!(!sings(&disk));
}
