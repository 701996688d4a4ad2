use rand::{RngExt, SeedableRng, rngs::StdRng};
use stratacache_core::{
    NamespacePath, Stamp,
    stamp::{Incarnation, Position},
};

use super::*;
use crate::memory::{Entry, EntryScopes, Held, Inserted, LookupKey, MapKey, NamespacePrefix, SlotRef, Times};

const BUDGET: u64 = 16 << 20;
const FREELY: Quota = Quota { reserve: 0, limit: u64::MAX };

fn key(n: u64) -> MapKey {
    let prefix = NamespacePrefix::new(NamespacePath::default());
    MapKey::from(LookupKey { prefix: &prefix, key: &n.to_le_bytes() })
}

fn slot(n: u64, weight: u32) -> SlotRef {
    let nowhere = Position { incarnation: Incarnation(0), seq: 0 };
    let stamp = Stamp { lane: nowhere, global: nowhere, mep: 0, tenant: 0 };
    let scopes = Arc::new(EntryScopes::default());
    let mut entry = Entry::new(key(n), &stamp, 0, Times::default(), scopes, None, Held::Own(0_u64));
    entry.meta.weight = weight;
    Arc::new(entry)
}

/// Puts an entry in as the engine does.
fn put(arbiter: &Arbiter, partition: &Arc<Partition>, n: u64, weight: u32) {
    if !partition.has_room(u64::from(weight)) && partition.may_ask() {
        arbiter.grow(partition, Partition::needed_for(u64::from(weight)));
    }
    if partition.insert(slot(n, weight)) == Inserted::TooHeavy && partition.may_ask() {
        arbiter.grow(partition, Partition::needed_for(u64::from(weight)));
        partition.insert(slot(n, weight));
    }
}

fn admit(arbiter: &Arbiter, quota: Quota) -> Arc<Partition> {
    arbiter.admit(quota).0
}

/// Writes the same `bytes` worth of keys over and over, with a pass now and then.
fn demand(arbiter: &Arbiter, partitions: &[(&Arc<Partition>, u64)], rounds: u64) {
    for round in 0..rounds {
        for (partition, bytes) in partitions {
            for n in 0..bytes / 1000 {
                put(arbiter, partition, n, 1000);
                if (n + round).is_multiple_of(500) {
                    arbiter.pass();
                }
            }
        }
    }
}

#[track_caller]
fn check(arbiter: &Arbiter, partitions: &[(Arc<Partition>, Quota)]) {
    let (handed, free, _) = arbiter.handed_out();
    let budget = arbiter.budget();
    assert!(handed + free <= budget, "{handed} and {free} of {budget}");
    for (partition, quota) in partitions {
        let (_, used) = partition.usage();
        assert!(used <= quota.limit.max(256), "{used} over the limit {}", quota.limit);
    }
    let used: u64 = partitions.iter().map(|(p, _)| p.usage().1).sum();
    assert!(used <= budget, "{used} of {budget}");
}

#[test]
fn the_sum_of_all_capacities_is_within_the_budget_after_every_step() {
    for seed in 0..20 {
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let arbiter = Arbiter::new(BUDGET);
        let mut partitions: Vec<(Arc<Partition>, Quota)> = Vec::new();
        for _ in 0..2_000 {
            match random.random_range(0..100) {
                0..10 => {
                    let reserve = [0, 0, 1 << 20][random.random_range(0..3)];
                    let limit = [u64::MAX, 2 << 20][random.random_range(0..2)];
                    let quota = Quota { reserve, limit };
                    partitions.push((admit(&arbiter, quota), quota));
                }
                10..13 if !partitions.is_empty() => {
                    partitions.swap_remove(random.random_range(0..partitions.len()));
                }
                13..18 => arbiter.pass(),
                18..21 => arbiter.resize(random.random_range(1 << 20..=32 << 20)),
                _ if !partitions.is_empty() => {
                    let (partition, _) = &partitions[random.random_range(0..partitions.len())];
                    let weight = [200, 1_000, 20_000][random.random_range(0..3)];
                    for _ in 0..random.random_range(1..200) {
                        put(&arbiter, partition, random.random_range(0..5_000), weight);
                    }
                }
                _ => {}
            }
            check(&arbiter, &partitions);
        }
    }
}

#[test]
fn capacity_is_shared_to_a_common_level_where_demands_do_not_fit() {
    let budget = 90 << 20;
    let arbiter = Arbiter::new(budget);
    let [a, b, c] = [10, 30, 100].map(|mb| (admit(&arbiter, FREELY), mb << 20));
    demand(&arbiter, &[(&a.0, a.1), (&b.0, b.1), (&c.0, c.1)], 6);
    let used = [&a, &b, &c].map(|(p, _)| p.usage().1 as f64 / f64::from(1 << 20));
    println!("10, 30 and 100 of 90: {used:.1?}");
    assert!((9.5..12.0).contains(&used[0]) && (28.5..34.0).contains(&used[1]), "{used:?}");
    assert!((38.0..50.0).contains(&used[2]), "{used:?}");
}

#[test]
fn a_flood_takes_nothing_of_a_reserve_nor_of_quiet_tenants_below_their_share() {
    let arbiter = Arbiter::new(BUDGET);
    let reserved = admit(&arbiter, Quota { reserve: 4 << 20, limit: u64::MAX });
    let quiet = admit(&arbiter, FREELY);
    demand(&arbiter, &[(&reserved, 3_500_000), (&quiet, 2 << 20)], 1);
    let before = [reserved.usage(), quiet.usage()];
    let flood = admit(&arbiter, FREELY);
    demand(&arbiter, &[(&flood, 64 << 20)], 2);
    assert_eq!([reserved.usage(), quiet.usage()], before);
    assert_eq!([reserved.evicted(), quiet.evicted()], [0, 0]);
    assert!(flood.usage().1 > 7 << 20, "the rest is lent: {:?}", flood.usage());
}

#[test]
fn a_reserve_is_there_when_its_tenant_wakes_up_after_a_flood() {
    let arbiter = Arbiter::new(BUDGET);
    let flood = admit(&arbiter, FREELY);
    demand(&arbiter, &[(&flood, 64 << 20)], 1);
    let late = admit(&arbiter, Quota { reserve: 8 << 20, limit: u64::MAX });
    for n in 0..7_000 {
        put(&arbiter, &late, n, 1000);
    }
    assert_eq!((late.usage().0, late.evicted()), (7_000, 0));
}

#[test]
fn a_waking_tenant_gets_room_before_any_pass() {
    let arbiter = Arbiter::new(BUDGET);
    let flood = admit(&arbiter, FREELY);
    demand(&arbiter, &[(&flood, 64 << 20)], 2);
    arbiter.pass();
    let waking = admit(&arbiter, FREELY);
    for n in 0..500 {
        put(&arbiter, &waking, n, 1000);
    }
    assert_eq!((waking.usage().0, waking.evicted()), (500, 0));
}

#[test]
fn tenants_that_are_gone_give_their_capacity_back() {
    let arbiter = Arbiter::new(BUDGET);
    let partitions: Vec<_> = (0..50).map(|_| admit(&arbiter, FREELY)).collect();
    drop(partitions);
    (0..LOOK_FOR_GONE).for_each(|_| arbiter.pass());
    assert_eq!(arbiter.handed_out(), (0, BUDGET, 0));
}

#[test]
fn reserves_that_do_not_all_fit_are_kept_in_proportion() {
    let arbiter = Arbiter::new(BUDGET);
    let quota = Quota { reserve: 4 << 20, limit: u64::MAX };
    let partitions: Vec<_> = (0..16).map(|_| (admit(&arbiter, quota), quota)).collect();
    for _ in 0..3 {
        arbiter.resize(BUDGET);
        check(&arbiter, &partitions);
    }
    let (handed, _, _) = arbiter.handed_out();
    assert!(handed >= BUDGET * 9 / 10, "{handed}");
}

#[test]
fn a_pass_looks_at_no_partition_unless_somebody_asks() {
    let arbiter = Arbiter::new(64 << 20);
    let partitions: Vec<_> = (0..10_000).map(|_| admit(&arbiter, FREELY)).collect();
    for (n, partition) in partitions.iter().enumerate() {
        put(&arbiter, partition, n as u64, 500);
    }
    arbiter.pass();
    arbiter.pass();
    let before = arbiter.looked_at();
    (0..100).for_each(|_| arbiter.pass());
    let idle = arbiter.looked_at() - before;
    arbiter.pressure.fetch_add(1, Relaxed);
    arbiter.pass();
    assert_eq!((idle, arbiter.looked_at() - before), (0, 10_000), "and then at each once");
}

#[test]
fn entries_unevenly_spread_over_the_shards_stay_when_the_capacity_shrinks_to_little_more_than_they_take() {
    let arbiter = Arbiter::new(64 << 20);
    let partition = admit(&arbiter, FREELY);
    // wide from the start: what growing costs is another test's subject
    arbiter.grow(&partition, 32 << 20);
    for n in 0..40 {
        put(&arbiter, &partition, n, 100_000);
    }
    arbiter.resize(8 << 20);
    assert_eq!((partition.usage().0, partition.evicted()), (40, 0));
}

#[test]
fn a_partition_that_was_large_and_idle_fills_again() {
    let arbiter = Arbiter::new(64 << 20);
    let partition = admit(&arbiter, FREELY);
    let other = admit(&arbiter, FREELY);
    demand(&arbiter, &[(&other, 64 << 20)], 2);
    assert_eq!(partition.usage(), (0, 0));
    for n in 0..2_000 {
        put(&arbiter, &partition, n, 1000);
    }
    assert_eq!((partition.usage().0, partition.evicted()), (2_000, 0));
}
