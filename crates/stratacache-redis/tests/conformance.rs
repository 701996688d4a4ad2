//! The contracts of tiers and coordinators, on a real server.

mod common;

use common::{Server, patient, prefix};
use stratacache_core::tier::TierParts;
use stratacache_testkit::conformance;

async fn parts(url: &str) -> TierParts {
    TierParts::from(patient(url).prefix(prefix()).build().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_tier_keeps_the_contract() {
    let server = Server::start();
    conformance::tier(async || parts(&server.url()).await.tier).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_coordinator_keeps_the_contract() {
    let server = Server::start();
    conformance::coordinator(async || parts(&server.url()).await.coordinator.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn both_keep_it_over_a_unix_socket() {
    let server = Server::start();
    let url = format!("unix://{}", server.socket().display());
    conformance::tier(async || parts(&url).await.tier).await;
    conformance::coordinator(async || parts(&url).await.coordinator.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_tier_keeps_it_over_several_connections() {
    let server = Server::start();
    let make = async || TierParts::from(patient(&server.url()).connections(3).prefix(prefix()).build().await.unwrap());
    conformance::tier(async || make().await.tier).await;
}
