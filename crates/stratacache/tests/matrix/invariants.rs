//! What holds after whatever was done.

use std::time::Duration;

use stratacache::Cache;
use stratacache_testkit::faulty::On;

use crate::script::Play;

/// Waits for the tasks of loads, which fill the lower tiers after their callers have gone on, and for writes behind.
pub(crate) async fn calm(cache: &Cache) {
    // the maintenance is left
    let busy = || cache.active_tasks() > 1 || cache.stats().tiers.iter().any(|tier| tier.writes_waiting > 0);
    let mut asked = 0;
    while busy() {
        asked += 1;
        if asked % 32 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        } else {
            tokio::task::yield_now().await;
        }
    }
}

/// Checks a cache at rest: no flight is left, every byte belongs to an entry, nothing foreign or damaged was met, and the tiers
/// hold nothing that is nobody's.
pub(crate) async fn hold(play: &Play) {
    let Play { stack, opened, acme, globex } = play;
    let known: Vec<_> = acme.known().into_iter().chain(globex.known()).collect();
    play.calm().await;
    for (source, key) in &known {
        // what is no longer valid is freed when it is met
        let _ = source.look(key).await;
    }
    play.calm().await;
    let (mut entries, mut bytes) = (0, 0);
    let mut below = vec![0; stack.case.order.below.len()];
    for (source, key) in &known {
        for view in source.held(key).await {
            match stack.case.order.below.iter().position(|level| level.name() == view.tier) {
                Some(place) => below[place] += 1,
                None => {
                    entries += 1;
                    bytes += view.weight;
                }
            }
        }
    }
    let stats = opened.cache.stats();
    assert_eq!(stats.loads_in_flight, 0, "flights are empty");
    assert_eq!(stats.entries, Some(entries), "every entry is known");
    // the maps' own blocks are charged too
    let weight = stats.weight.unwrap();
    let blocks = entries * 64 + 512;
    assert!((bytes..=bytes + blocks).contains(&weight), "bytes accounted are bytes held: {weight} for {bytes}");
    for ((tier, faults), (level, held)) in
        stats.tiers.iter().skip(1).zip(&opened.faults).zip(stack.case.order.below.iter().zip(below))
    {
        let name = &tier.name;
        assert_eq!((tier.foreign_envelopes, tier.corrupt_envelopes, tier.unknown_envelopes), (0, 0, 0), "{name}");
        assert_eq!((tier.read_failures, tier.breaker_opens, tier.writes_waiting), (0, 0, 0), "{name}");
        assert_eq!(tier.write_failures, faults.injected(On::Put), "{name} fails when the script says so");
        if let Some(counted) = stack.count(*level).await {
            assert_eq!(counted, held, "{name} holds nothing that is nobody's");
        }
    }
    assert_eq!((stats.overloads, stats.type_changes), (0, 0));
    for tenant in [acme, globex] {
        let own = tenant.tenant().tenant_stats();
        assert!(own.entries <= stats.entries && own.weight <= stats.weight);
    }
}

/// Clears every tenant, closes the cache, and checks that nothing is left of it.
pub(crate) async fn hold_at_the_end(play: &Play) {
    let Play { opened, acme, globex, .. } = play;
    play.calm().await;
    for tenant in [acme, globex] {
        tenant.tenant().clear().await.unwrap();
    }
    let stats = opened.cache.stats();
    assert_eq!(stats.entries, Some(0), "a cleared cache holds nothing");
    assert!(stats.weight.unwrap() <= 1 << 10, "and weighs next to nothing");
    assert_eq!(stats.loads_in_flight, 0);
    for (source, key) in acme.known().into_iter().chain(globex.known()) {
        assert!(source.views(&key).await.is_empty(), "{key}: no tier serves what was cleared");
    }
    opened.cache.close().await.unwrap();
    assert_eq!(opened.cache.active_tasks(), 0, "no task outlives the cache");
}
