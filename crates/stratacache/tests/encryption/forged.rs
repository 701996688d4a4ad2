//! Entries that were changed or moved: refused, and counted.

use bytes::Bytes;
use stratacache::{
    Cache, MemoryKeys, Namespace,
    tier::{RemoveMany, Tier},
};
use stratacache_core::EntryName;
use stratacache_testkit::tiers::MemoryTier;
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    kit::{CANARY, acme, disk, get, load, only_name, over, policy, restarted, stats},
    support::{builder, tenant},
};

/// The same bytes with a checksum that fits them: what somebody makes who wants to be believed.
fn with_checksum(mut bytes: Vec<u8>) -> Bytes {
    let end = bytes.len() - 8;
    let sum = xxh3_64(&bytes[..end]);
    bytes[end..].copy_from_slice(&sum.to_le_bytes());
    bytes.into()
}

#[tokio::test(start_paused = true)]
async fn every_single_bit_flip_is_refused_and_counted_also_under_a_checksum_that_fits() {
    let (disk, keys) = (disk(), MemoryKeys::new());
    let cache = over(&disk, keys.clone()).await;
    load(&acme(&cache), "k").await;
    let name = only_name(&disk);
    let good = disk.raw(name).unwrap();
    let cache = restarted(cache, &disk, keys).await;
    let mut refused = 0;
    for fits in [false, true] {
        // the checksum itself is covered by the first round
        let bytes = if fits { good.len() - 8 } else { good.len() };
        for bit in 0..bytes * 8 {
            let mut bad = good.to_vec();
            bad[bit / 8] ^= 1 << (bit % 8);
            disk.put_raw(name, if fits { with_checksum(bad) } else { bad.into() });
            assert_eq!(get(&acme(&cache), "k").await, None, "bit {bit}, fits {fits}");
            refused += 1;
        }
        assert!(fits || stats(&cache, "disk").foreign_envelopes == 0, "damage is told from forgery");
    }
    let stats = stats(&cache, "disk");
    let counted = stats.corrupt_envelopes + stats.foreign_envelopes + stats.unknown_envelopes;
    assert_eq!(counted, refused, "each is counted once");
    assert!(stats.foreign_envelopes > (good.len() as u64 - 150) * 8, "whole, but not authentic: {stats:?}");
    disk.put_raw(name, good);
    assert_eq!(get(&acme(&cache), "k").await.as_deref(), Some(CANARY), "the one that was written is served");
}

/// Two tenants, two namespaces, two keys, and what each entry is called in both tiers.
struct Places {
    upper: MemoryTier,
    lower: MemoryTier,
    keys: MemoryKeys,
}

impl Places {
    async fn cache(&self) -> Cache {
        let builder = builder().tier(self.upper.with_journal()).tier(self.lower.clone());
        builder.encryption(self.keys.clone()).default_policy(policy()).build().await.unwrap()
    }

    fn doors(cache: &Cache) -> Vec<(Namespace, &'static str)> {
        let tenants = [acme(cache), tenant(cache, "globex")];
        let spaces = tenants.into_iter().flat_map(|tenant| [tenant.namespace("n"), tenant.namespace("m"), tenant]);
        spaces.flat_map(|ns| ["k", "l"].map(|key| (ns.clone(), key))).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_moved_to_another_tenant_namespace_key_or_tier_is_never_served_and_counted() {
    let places = Places {
        upper: disk(),
        lower: MemoryTier::unfenced("object").persistent(true).shared(true),
        keys: MemoryKeys::new(),
    };
    let cache = places.cache().await;
    let mut names: Vec<EntryName> = Vec::new();
    for (ns, key) in Places::doors(&cache) {
        load(&ns, key).await;
        names.extend(places.upper.names().into_iter().filter(|name| !names.contains(name)).collect::<Vec<_>>());
    }
    assert_eq!(names.len(), 12);
    cache.close().await.unwrap();
    let held: Vec<[Bytes; 2]> =
        names.iter().map(|name| [places.upper.raw(*name).unwrap(), places.lower.raw(*name).unwrap()]).collect();
    let mut moved = 0;
    for (place, name) in names.iter().enumerate() {
        for (from, bytes) in held.iter().enumerate() {
            for (tier, other) in [(0, 1), (1, 0)] {
                // of another place, and where the place is the same, of the other tier
                let copies = if from == place { vec![&bytes[other]] } else { bytes.iter().collect() };
                for copy in copies {
                    for emptied in [&places.upper, &places.lower] {
                        emptied.remove_many(RemoveMany::new(names.clone())).await.unwrap();
                    }
                    let target = if tier == 0 { &places.upper } else { &places.lower };
                    target.put_raw(*name, copy.clone());
                    let cache = places.cache().await;
                    let (ns, key) = &Places::doors(&cache)[place];
                    assert_eq!(get(ns, key).await, None, "from {from} to {place}, tier {tier}");
                    assert_eq!(
                        stats(&cache, target.name()).foreign_envelopes,
                        1,
                        "from {from} to {place}, tier {tier}"
                    );
                    cache.close().await.unwrap();
                    moved += 1;
                }
            }
        }
    }
    assert_eq!(moved, 12 * 11 * 4 + 12 * 2);
}

#[tokio::test(start_paused = true)]
async fn a_stamp_a_time_or_a_tag_that_was_changed_is_refused() {
    let (disk, keys) = (disk(), MemoryKeys::new());
    let cache = over(&disk, keys.clone()).await;
    load(&acme(&cache), "k").await;
    let name = only_name(&disk);
    let old = disk.raw(name).unwrap();
    // it is invalidated, and somebody puts it back as if it were newer, and as if it lived for ever
    acme(&cache).invalidate("k").await.unwrap();
    for fields in [vec![40], vec![48], vec![40, 48], vec![80, 88, 96, 104]] {
        let mut bad = old.to_vec();
        for at in &fields {
            bad[*at] = bad[*at].wrapping_add(100);
        }
        disk.put_raw(name, with_checksum(bad));
        assert_eq!(get(&acme(&cache), "k").await, None, "{fields:?}");
    }
    assert_eq!(stats(&cache, "disk").foreign_envelopes, 4);
    disk.put_raw(name, old);
    assert_eq!(get(&acme(&cache), "k").await, None, "nor as it was: it is authentic, and invalid");
}
