//! Counters and locks on a cluster: on every master, over a failover, while slots move.

#![allow(clippy::disallowed_methods)] // tests, with tasks of their own and real time

use std::time::Duration;

use stratacache::{Cache, ErrorKind, LockGuard, Namespace, millis, seconds};
use stratacache_testkit::servers::{Failover, RedisCluster};

use crate::{
    update::{Counter, counter, node},
    world::LATEST,
};

fn url(cluster: &RedisCluster) -> String {
    let hosts: Vec<String> = cluster.nodes().iter().map(|node| node.addr().to_string()).collect();
    format!("redis-cluster://{}", hosts.join(","))
}

async fn nodes(cluster: &RedisCluster, count: u64) -> Vec<(Cache, Namespace)> {
    let mut nodes = Vec::new();
    for seed in 1..=count {
        nodes.push(node(&url(cluster), seed).await);
    }
    nodes
}

async fn close(nodes: Vec<(Cache, Namespace)>) {
    for (cache, _) in nodes {
        cache.close().await.unwrap();
    }
}

/// The keys of entries (`e`) or leases (`l`) that each master has.
async fn keys(cluster: &RedisCluster, what: char) -> Vec<(usize, Vec<String>)> {
    let mut all = Vec::new();
    for master in cluster.masters().await.unwrap() {
        let reply = cluster.node(master).command(&["KEYS".to_owned(), format!("*:{what}")]).await.unwrap();
        all.push((master, reply.elements().iter().filter_map(|key| key.text()).collect()));
    }
    all
}

/// The master of the only entry or lease, and its slot.
async fn place_of(cluster: &RedisCluster, what: char) -> (usize, u16) {
    let mut all =
        keys(cluster, what).await.into_iter().flat_map(|(master, keys)| keys.into_iter().map(move |k| (master, k)));
    let (master, key) = all.next().expect("there is one");
    assert!(all.next().is_none(), "there is one only");
    (master, cluster.slot_of(key).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_of_four_processes_are_exact_on_every_master() {
    const COUNTERS: usize = 24;
    let cluster = RedisCluster::start(3, 0).await.unwrap();
    let url_of_all = url(&cluster);
    let mut processes: Vec<Counter> = (0..4).map(|_| Counter::start(&url_of_all, "24x20x24")).collect();
    tokio::task::spawn_blocking(move || processes.iter_mut().for_each(Counter::finish)).await.unwrap();
    for (master, keys) in keys(&cluster, 'e').await {
        assert!(!keys.is_empty(), "master {master} has none of the counters");
    }
    let nodes = nodes(&cluster, 1).await;
    for n in 0..COUNTERS {
        let acme = &nodes[0].1;
        // a plain read of a node that came later misses what was written before
        let count = acme.update::<u64>(counter(n), |_| None).await.unwrap();
        assert_eq!(count.as_deref(), Some(&80), "counter {n}");
        assert_eq!(acme.increment(counter(n), 1_u64).await.unwrap(), 81);
    }
    close(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_callers_on_three_masters_one_inserts_and_one_takes() {
    let cluster = RedisCluster::start(3, 0).await.unwrap();
    let nodes = nodes(&cluster, 4).await;
    for key in 0..24_u64 {
        let inserting = (0..8_usize).map(|caller| {
            let (acme, value) = (nodes[caller % 4].1.clone(), caller as u64);
            tokio::spawn(async move { acme.insert_if_absent(key, value).await.unwrap().then_some(value) })
        });
        let inserted = winners(inserting.collect()).await;
        assert_eq!(inserted.len(), 1, "key {key} was inserted by {inserted:?}");
        let taking = (0..8).map(|caller| {
            let acme = nodes[caller % 4].1.clone();
            tokio::spawn(async move { acme.take::<u64>(key).await.unwrap().map(|value| *value) })
        });
        assert_eq!(winners(taking.collect()).await, inserted, "key {key}");
        assert_eq!(nodes[0].1.get::<u64>(key).consistency(LATEST).await.as_deref(), None);
    }
    close(nodes).await;
}

async fn winners(calls: Vec<tokio::task::JoinHandle<Option<u64>>>) -> Vec<u64> {
    let mut won = Vec::new();
    for call in calls {
        won.extend(call.await.unwrap());
    }
    won
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_on_a_cluster_is_held_by_one_renewed_by_its_holder_and_released() {
    let cluster = RedisCluster::start(3, 0).await.unwrap();
    let nodes = nodes(&cluster, 2).await;
    let (acme, other) = (&nodes[0].1, &nodes[1].1);
    for key in 0..12_u64 {
        let first = acme.try_lock(key, seconds(60)).await.unwrap().expect("nobody has it");
        assert!(other.try_lock(key, seconds(60)).await.unwrap().is_none());
        assert!(first.renew().await.unwrap());
        let token = first.fencing_token();
        first.release().await.unwrap();
        let second = other.lock(key, millis(300)).await.unwrap();
        assert!(second.fencing_token() > token);
        // its time ends
        let third = acme.lock(key, seconds(60)).wait(seconds(30)).await.unwrap();
        assert!(third.fencing_token() > second.fencing_token());
        assert!(!second.renew().await.unwrap());
        second.release().await.unwrap();
        assert!(third.renew().await.unwrap(), "only its owner releases it");
        third.release().await.unwrap();
    }
    close(nodes).await;
}

/// Takes a lock, and again where the cluster is not whole yet.
async fn in_the_end(acme: &Namespace) -> LockGuard {
    let mut last = None;
    for _ in 0..300 {
        // shorter than the lock of before has yet: one that was not wholly taken may be left for its ttl
        match acme.try_lock("k", seconds(20)).await {
            Ok(Some(lock)) => return lock,
            Ok(None) => {}
            Err(error) => {
                assert!(error.is_transient() || error.kind() == ErrorKind::WriteUnknown, "{error}");
                last = Some(error);
            }
        }
        tokio::time::sleep(millis(100)).await;
    }
    panic!("no lock, though nobody holds it: {last:?}");
}

/// Whatever is lost with a master: the lock, or the last token.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fencing_tokens_grow_over_the_failover_of_a_master() {
    for lost in ['l', 'e'] {
        let cluster = RedisCluster::start(3, 3).await.unwrap();
        let nodes = nodes(&cluster, 2).await;
        let (acme, other) = (&nodes[0].1, &nodes[1].1);
        let first = acme.lock("k", seconds(120)).await.unwrap();
        let ((owner, _), (lock_at, _)) = (place_of(&cluster, lost).await, place_of(&cluster, 'l').await);
        cluster.node(owner).kill().await.unwrap();
        cluster.failover(owner + 3, Failover::Force).await.unwrap();
        cluster.until_well().await.unwrap();
        let mut token = first.fencing_token();
        if lock_at == owner {
            // its replica may have it: of another history, and nobody's
            let second = in_the_end(other).await;
            assert!(second.fencing_token() > token, "the token went back");
            token = second.fencing_token();
            assert!(!renewed(&first).await, "the lock of before is lost");
            first.release().await.unwrap();
            assert!(second.renew().await.unwrap(), "only its owner releases it");
            second.release().await.unwrap();
        } else {
            assert!(renewed(&first).await, "its own master lives");
            first.release().await.unwrap();
        }
        let third = in_the_end(other).await;
        assert!(third.fencing_token() > token, "the token went back");
        third.release().await.unwrap();
        close(nodes).await;
    }
}

/// Renews a lock, and again where the cluster does not answer yet.
async fn renewed(lock: &LockGuard) -> bool {
    for _ in 0..300 {
        match lock.renew().await {
            Ok(renewed) => return renewed,
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
        tokio::time::sleep(millis(100)).await;
    }
    panic!("no answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_whose_slot_moves_is_lost_and_the_next_token_is_larger() {
    let cluster = RedisCluster::start(3, 0).await.unwrap();
    let nodes = nodes(&cluster, 2).await;
    let (acme, other) = (&nodes[0].1, &nodes[1].1);
    let mut token = 0;
    for what in ['l', 'e', 'l'] {
        let first = acme.lock("k", seconds(120)).wait(seconds(30)).await.unwrap();
        assert!(first.fencing_token() > token);
        let (from, slot) = place_of(&cluster, what).await;
        cluster.migrate_slot(slot, from, (from + 1) % 3).await.unwrap();
        if what == 'l' {
            assert!(!renewed(&first).await, "it is of another server now");
        }
        let second = match what {
            'l' => in_the_end(other).await,
            _ => {
                assert!(renewed(&first).await);
                assert!(other.try_lock("k", seconds(120)).await.unwrap().is_none());
                first.release().await.unwrap();
                in_the_end(other).await
            }
        };
        token = second.fencing_token();
        second.release().await.unwrap();
    }
    close(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_counter_whose_slot_moves_begins_anew_and_counts_exactly_from_there() {
    let cluster = RedisCluster::start(3, 0).await.unwrap();
    let nodes = nodes(&cluster, 3).await;
    let acme = &nodes[0].1;
    assert_eq!(acme.increment(counter(0), 7_u64).await.unwrap(), 7);
    let (from, slot) = place_of(&cluster, 'e').await;
    let migration = cluster.begin_migration(slot, from, (from + 1) % 3).await.unwrap();
    // in the middle of it a step is made, or reported as not made
    let between = acme.increment(counter(0), 1_u64).await;
    if let Err(error) = &between {
        assert!(error.is_transient() || error.kind() == ErrorKind::WriteUnknown, "{error}");
    }
    migration.finish().await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let steps: Vec<_> = (0..90)
        .map(|n| {
            let acme = nodes[n % 3].1.clone();
            tokio::spawn(async move { acme.increment(counter(0), 1_u64).await.ok() })
        })
        .collect();
    let mut counts = winners(steps).await;
    counts.sort_unstable();
    // what is in the slot is of another server now: cold, and never stale
    assert!(counts.iter().copied().eq(1..=90), "{between:?}, then {counts:?}");
    close(nodes).await;
}
