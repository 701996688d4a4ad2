//! What holds after whatever was done.

use stratacache::{Cache, Namespace};

use crate::script::Row;

/// Lets the tasks of loads end: they fill the lower tiers after their callers have gone on.
pub(crate) async fn calm(cache: &Cache) {
    // one is left: the maintenance
    while cache.active_tasks() > 1 {
        tokio::task::yield_now().await;
    }
}

/// Checks a cache at rest: no flight is left, every byte belongs to an entry, nothing foreign or damaged was met.
pub(crate) async fn hold(cache: &Cache, keys: &[(&Namespace, &str)]) {
    calm(cache).await;
    for (ns, key) in keys {
        // what is no longer valid is freed when it is met
        let _ = ns.lookup::<Row>(*key).await;
    }
    calm(cache).await;
    let (mut entries, mut bytes) = (0, 0);
    for (ns, key) in keys {
        let known = ns.inspect::<Row>(*key).await.unwrap();
        let memory = known.tiers.iter().filter(|view| view.tier == "memory");
        memory.for_each(|view| {
            entries += 1;
            bytes += view.weight;
        });
    }
    let stats = cache.stats();
    assert_eq!(stats.loads_in_flight, 0, "flights are empty");
    assert_eq!(stats.entries, Some(entries), "every entry is known");
    // the maps' own blocks are charged too
    let weight = stats.weight.unwrap();
    let blocks = entries * 256 + (16 << 10);
    assert!((bytes..=bytes + blocks).contains(&weight), "bytes accounted are bytes held: {weight} for {bytes}");
    for tier in &stats.tiers {
        assert_eq!((tier.foreign_envelopes, tier.corrupt_envelopes), (0, 0), "{} holds only its own", tier.name);
        assert_eq!((tier.read_failures, tier.write_failures), (0, 0), "{} works", tier.name);
    }
}

/// Clears every tenant, closes the cache, and checks that nothing is left of it.
pub(crate) async fn hold_at_the_end(cache: &Cache, tenants: &[&Namespace]) {
    calm(cache).await;
    for tenant in tenants {
        tenant.clear().await.unwrap();
    }
    let stats = cache.stats();
    assert_eq!(stats.entries, Some(0), "a cleared cache holds nothing");
    assert!(stats.weight.unwrap() <= 16 << 10, "and weighs next to nothing");
    assert_eq!(stats.loads_in_flight, 0);
    cache.close().await.unwrap();
    assert_eq!(cache.active_tasks(), 0, "no task outlives the cache");
}
