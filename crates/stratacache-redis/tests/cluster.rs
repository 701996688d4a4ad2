//! Clusters: failover and slots that move, under load.
#![allow(clippy::unwrap_used)] // a test panics where something is wrong

mod common;

use std::time::Duration;

use common::{Node, eventually, lane, name, patient, prefix, scope, tag};
use stratacache_core::{
    coordinator::{Coordinator, Invalidate},
    stamp::Lane,
    tier::{GetMany, PutItem, PutMany, PutOutcome, RemoveMany, Tier},
};
use stratacache_redis::RedisBuilder;
use stratacache_testkit::servers::{Failover, RedisCluster};

const LANE: usize = 3;

fn url(cluster: &RedisCluster) -> String {
    let hosts: Vec<String> = cluster.nodes().iter().map(|node| node.addr().to_string()).collect();
    let scheme = if cluster.node(0).ca_path().is_some() { "rediss-cluster" } else { "redis-cluster" };
    format!("{scheme}://{}", hosts.join(","))
}

/// Returns how a client of the cluster is made, whether that speaks TLS or not.
fn client(cluster: &RedisCluster) -> RedisBuilder {
    let builder = patient(&url(cluster));
    match cluster.node(0).ca_path() {
        Some(authority) => builder.ca_file(authority),
        None => builder,
    }
}

async fn put(node: &Node, n: u64) -> bool {
    let item = PutItem::new(name(n), format!("{n}").into(), 1 << 45, None);
    match node.tier.put_many(PutMany::new(vec![item])).await {
        Ok(outcomes) => matches!(outcomes[0], PutOutcome::Stored),
        Err(_) => false,
    }
}

async fn slot_of(cluster: &RedisCluster, prefix: &str, index: usize) -> u16 {
    cluster.slot_of(format!("{prefix}:{{c{index}}}:h")).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_nodes_agree_on_a_cluster_and_a_bulk_read_covers_all_slots() {
    let cluster = RedisCluster::start(3, 0).await.unwrap();
    let prefix = prefix();
    let builder = client(&cluster).prefix(&prefix);
    let (one, two) = (Node::connect(builder.clone()).await, Node::connect(builder).await);
    for lane in Lane::all() {
        let at = one.invalidate(lane, vec![tag(1)]).await;
        eventually("the pulse brings it", || two.seen.lane(lane).position == at).await;
    }
    let items = (0..300).map(|n| PutItem::new(name(n), format!("{n}").into(), 1 << 45, None)).collect();
    one.tier.put_many(PutMany::new(items)).await.unwrap();
    let got = two.tier.get_many(GetMany::new((0..301).map(name).collect())).await.unwrap();
    for (n, got) in got.iter().enumerate() {
        assert_eq!(got.envelope.is_some(), n < 300);
    }
    for removed in two.tier.remove_many(RemoveMany::new((0..300).map(name).collect())).await.unwrap() {
        removed.unwrap();
    }
    for node in [&one, &two] {
        assert_eq!(node.ask().await.len(), 1, "probes get through, whichever servers the nodes listen to");
    }
    assert!(one.redis.health().alive);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_a_failover_the_lanes_of_the_dead_master_have_new_histories_and_all_goes_on() {
    let cluster = RedisCluster::start(3, 3).await.unwrap();
    all_goes_on_after_a_failover(&cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn over_tls_after_a_failover_the_lanes_of_the_dead_master_have_new_histories_and_all_goes_on() {
    let cluster = RedisCluster::builder(3, 3).tls().start().await.unwrap();
    all_goes_on_after_a_failover(&cluster).await;
}

async fn all_goes_on_after_a_failover(cluster: &RedisCluster) {
    let prefix = prefix();
    let builder = client(cluster).prefix(&prefix).deadline(Duration::from_millis(500));
    let node = Node::connect(builder).await;
    let before = node.invalidate(lane(LANE), vec![tag(1)]).await;
    let owner = cluster.owner_of(slot_of(cluster, &prefix, LANE).await).await.unwrap();
    cluster.node(owner).kill().await.unwrap();
    cluster.failover(owner + 3, Failover::Force).await.unwrap();
    eventually("the pulse follows the failover", || {
        node.seen.lane(lane(LANE)).position.incarnation != before.incarnation
    })
    .await;
    let known = node.seen.lane(lane(LANE));
    assert!(!known.judges_valid(before, scope(7)), "nobody knows what was lost, so nothing of before is valid");
    let mut at = None;
    for _ in 0..500 {
        at = node.coordinator.invalidate(Invalidate::new(lane(LANE), vec![tag(2)], 1)).await.ok();
        if at.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(Some(node.seen.lane(lane(LANE)).position), at);
    for n in 0..50 {
        let mut stored = false;
        for _ in 0..200 {
            stored = put(&node, n).await;
            if stored {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(stored, "every slot has an owner again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn slots_that_move_under_load_lose_no_invalidation() {
    let cluster = RedisCluster::start(3, 0).await.unwrap();
    nothing_is_lost_by_moving_slots(&cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn over_tls_slots_that_move_under_load_lose_no_invalidation() {
    let cluster = RedisCluster::builder(3, 0).tls().start().await.unwrap();
    nothing_is_lost_by_moving_slots(&cluster).await;
}

async fn nothing_is_lost_by_moving_slots(cluster: &RedisCluster) {
    let prefix = prefix();
    let builder = client(cluster).prefix(&prefix);
    let (one, two) = (Node::connect(builder.clone()).await, Node::connect(builder).await);
    let slot = slot_of(cluster, &prefix, LANE).await;
    let data = cluster.slot_of(format!("{prefix}:{{{}}}:e", hex(1))).await.unwrap();
    let mut moves = 0;
    for n in 0..60_u64 {
        if n % 10 == 5 {
            for slot in [slot, data] {
                let from = cluster.owner_of(slot).await.unwrap();
                let migration = cluster.begin_migration(slot, from, (from + 1) % 3).await.unwrap();
                // in the middle of it: ASK and TRYAGAIN; a call may fail, and is repeated
                let _ = one.coordinator.invalidate(Invalidate::new(lane(LANE), vec![tag(900)], 1)).await;
                put(&one, 1).await;
                two.tier.get_many(GetMany::new(vec![name(1), name(2)])).await.ok();
                migration.finish().await.unwrap();
                moves += 1;
            }
        }
        let stamp = two.seen.lane(lane(LANE)).position;
        let mut ordered = None;
        for _ in 0..500 {
            ordered = one.coordinator.invalidate(Invalidate::new(lane(LANE), vec![tag(n)], 1)).await.ok();
            if ordered.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let at = ordered.expect("the lane works again after its slot has moved");
        let reached = loop {
            match two.coordinator.sync(lane(LANE)).await {
                Ok(reached) => break reached,
                Err(error) => assert!(error.is_transient(), "{error}"),
            }
        };
        assert!(reached.incarnation != at.incarnation || reached.seq >= at.seq);
        assert!(!two.seen.lane(lane(LANE)).judges_valid(stamp, scope(n)), "an invalidation was lost by a moving slot");
        put(&one, 1).await;
        two.tier.remove_many(RemoveMany::new(vec![name(1)])).await.unwrap()[0].clone().unwrap();
        let got = one.tier.get_many(GetMany::new(vec![name(1)]).latest(true)).await.unwrap();
        assert!(got[0].envelope.is_none(), "a removed entry came back");
    }
    assert_eq!(moves, 12);
}

fn hex(n: u64) -> String {
    name(n).to_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}
