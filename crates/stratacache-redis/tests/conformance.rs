//! The contracts of tiers and coordinators, on a real server.
#![allow(clippy::unwrap_used)] // a test panics where something is wrong

mod common;

use std::time::Duration;

use common::{Server, patient, prefix};
use stratacache_core::tier::TierParts;
use stratacache_redis::Redis;
use stratacache_testkit::{
    conformance,
    proxy::FaultProxy,
    servers::{Program, RedisCluster, RedisServer},
};

async fn parts(url: &str) -> TierParts {
    TierParts::from(patient(url).prefix(prefix()).build().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_tier_keeps_the_contract() {
    let server = Server::start().await;
    conformance::tier(async || parts(&server.url()).await.tier).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_tier_guards_itself() {
    let server = Server::start().await;
    let builder = Redis::builder(server.url()).prefix(prefix()).breaker_window(Duration::from_secs(600));
    let make = async || TierParts::from(builder.clone().build().await.unwrap()).tier;
    conformance::tier::a_tier_that_guards_itself_ends_what_hangs_and_refuses_what_follows(make, async || {
        server.0.pause().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_coordinator_keeps_the_contract() {
    let server = Server::start().await;
    conformance::coordinator(async || parts(&server.url()).await.coordinator.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn both_keep_it_over_a_unix_socket() {
    let server = Server::of(RedisServer::builder(Program::Redis).unix_socket()).await;
    let url = format!("unix://{}", server.0.socket_path().unwrap().display());
    conformance::tier(async || parts(&url).await.tier).await;
    conformance::coordinator(async || parts(&url).await.coordinator.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_tier_keeps_it_over_several_connections() {
    let server = Server::start().await;
    let make = async || TierParts::from(patient(&server.url()).connections(3).prefix(prefix()).build().await.unwrap());
    conformance::tier(async || make().await.tier).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn both_keep_it_over_tls() {
    let server = Server::of(RedisServer::builder(Program::Redis).tls()).await;
    let make = async || {
        let builder = patient(&server.url()).ca_file(server.0.ca_path().unwrap()).prefix(prefix());
        TierParts::from(builder.build().await.unwrap())
    };
    conformance::tier(async || make().await.tier).await;
    conformance::coordinator(async || make().await.coordinator.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn both_keep_it_when_replies_come_in_pieces() {
    let server = Server::start().await;
    let proxy = FaultProxy::start(server.0.addr(), 1).await.unwrap();
    proxy.split_bytes(true);
    conformance::coordinator(async || parts(&proxy.url()).await.coordinator.unwrap()).await;
    conformance::tier::a_fence_is_void_after_a_removal(async || parts(&proxy.url()).await.tier).await;
    conformance::tier::what_was_never_put_is_absent(async || parts(&proxy.url()).await.tier).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn both_keep_it_on_valkey() {
    let server = Server::of(RedisServer::builder(Program::Valkey)).await;
    conformance::tier(async || parts(&server.url()).await.tier).await;
    conformance::coordinator(async || parts(&server.url()).await.coordinator.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn both_keep_it_on_a_cluster() {
    let cluster = RedisCluster::start(3, 0).await.unwrap();
    let hosts: Vec<String> = cluster.nodes().iter().map(|node| node.addr().to_string()).collect();
    let url = format!("redis-cluster://{}", hosts.join(","));
    conformance::tier(async || parts(&url).await.tier).await;
    conformance::coordinator(async || parts(&url).await.coordinator.unwrap()).await;
}
