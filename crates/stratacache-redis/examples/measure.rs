//! What things cost on a Redis that is started for it: `cargo run --release -p stratacache-redis --example measure`.
//!
//! Ratios of one run say something, absolute figures little.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // a program that measures and prints

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use redis::AsyncConnectionConfig;
use stratacache_core::{
    EntryName, Scope,
    clock::Millis,
    coordinator::{
        Applied, Coordinator, Finding, Invalidate, LaneSnapshot, Marked, Question, ScopeKind, Strength, Subscriber,
    },
    stamp::Lane,
    tier::{GetMany, PutItem, PutMany, Tier, TierParts},
};
use stratacache_redis::Redis;
use stratacache_testkit::servers::RedisServer;

const TASKS: u64 = 64;
const WHILE: Duration = Duration::from_secs(2);

struct Deaf;

impl Subscriber for Deaf {
    fn snapshot(&self, _: LaneSnapshot) {}
    fn apply(&self, _: &Applied) {}
    fn up_to_date(&self, _: Lane, _: Millis) {}
    fn answer(&self, _: &Question) -> Option<Finding> {
        None
    }
    fn now(&self) -> Millis {
        0
    }
}

/// Runs an operation in many tasks for a while, and returns how many were done in a second.
async fn rate<F: Future<Output = ()> + Send>(tasks: u64, operation: impl Fn(u64) -> F + Send + Sync + 'static) -> f64 {
    let (operation, start) = (Arc::new(operation), Instant::now());
    let mut set = tokio::task::JoinSet::new();
    for task in 0..tasks {
        let operation = Arc::clone(&operation);
        set.spawn(async move {
            let mut done = 0_u64;
            while start.elapsed() < WHILE {
                operation(task * 1_000 + done % 100).await;
                done += 1;
            }
            done
        });
    }
    set.join_all().await.iter().sum::<u64>() as f64 / start.elapsed().as_secs_f64()
}

fn name(n: u64) -> EntryName {
    EntryName::from_bytes(u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_le_bytes())
}

fn mark(n: u64) -> Marked {
    Marked::new(Scope::from_bytes(name(n).to_bytes()), ScopeKind::Tag, Strength::Hard, 0)
}

#[tokio::main]
async fn main() {
    let server = RedisServer::start().await.unwrap();
    let builder = || Redis::builder(server.url()).deadline(Duration::from_secs(5)).max_marks(1_000_000);
    let parts = TierParts::from(builder().build().await.unwrap());
    let (tier, coordinator) = (parts.tier, parts.coordinator.unwrap());
    let client = redis::Client::open(server.url()).unwrap();
    let config = AsyncConnectionConfig::new().set_pipeline_buffer_size(1024);
    let bare = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();

    for size in [100, 10_000] {
        for task in 0..TASKS {
            let items =
                (0..100).map(|n| PutItem::new(name(task * 1_000 + n), Bytes::from(vec![7; size]), 1 << 45, None));
            tier.put_many(PutMany::new(items.collect())).await.unwrap();
            for n in 0..100 {
                let key = format!("bare:{}", task * 1_000 + n);
                let () = redis::cmd("SET").arg(key).arg(vec![7_u8; size]).query_async(&mut bare.clone()).await.unwrap();
            }
        }
        for round in 1..=3 {
            let connection = bare.clone();
            let theirs = rate(TASKS, move |n| {
                let mut connection = connection.clone();
                async move {
                    let found: Option<Vec<u8>> =
                        redis::cmd("GET").arg(format!("bare:{n}")).query_async(&mut connection).await.unwrap();
                    assert!(found.is_some());
                }
            })
            .await;
            let reader = tier.clone();
            let ours = rate(TASKS, move |n| {
                let reader = reader.clone();
                async move {
                    let got = reader.get_many(GetMany::new(vec![name(n)])).await.unwrap();
                    assert!(got[0].envelope.is_some());
                }
            })
            .await;
            println!(
                "hit, {TASKS} tasks, {size} B, round {round}: bare {theirs:.0}/s, tier {ours:.0}/s = {:.2} x",
                ours / theirs
            );
        }
    }

    coordinator.subscribe(Arc::new(Deaf)).await.unwrap();
    let lane = Lane::from_index(3).unwrap();
    for tasks in [1, TASKS] {
        let asked = coordinator.clone();
        let ordered = rate(tasks, move |n| {
            let asked = asked.clone();
            async move {
                asked.invalidate(Invalidate::new(lane, vec![mark(n), mark(n + 1)], 1)).await.unwrap();
            }
        })
        .await;
        println!("invalidations of two scopes in one lane, {tasks} tasks: {ordered:.0}/s");
    }
    let asked = coordinator.clone();
    let synced = rate(TASKS, move |_| {
        let asked = asked.clone();
        async move {
            asked.sync(lane).await.unwrap();
        }
    })
    .await;
    println!("syncs of one lane, {TASKS} tasks: {synced:.0}/s");

    for n in 0..100 {
        let marks = (n * 1_000..(n + 1) * 1_000).map(|n| mark(1 << 40 | n)).collect();
        coordinator.invalidate(Invalidate::new(Lane::GLOBAL, marks, 1)).await.unwrap();
    }
    let start = Instant::now();
    let fresh = TierParts::from(builder().build().await.unwrap()).coordinator.unwrap();
    fresh.subscribe(Arc::new(Deaf)).await.unwrap();
    println!("connecting and a snapshot of all lanes with 100,000 marks in one: {:?}", start.elapsed());
}
