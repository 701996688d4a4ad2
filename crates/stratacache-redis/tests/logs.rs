//! What is logged at the finest level, while logging in, failing to, being cut and being sent elsewhere: no user and no password.
#![allow(clippy::unwrap_used)] // a test panics where something is wrong

mod common;

use std::time::Duration;

use common::{Node, eventually, lane, name, patient, tag};
use stratacache_core::{
    coordinator::{Coordinator, Invalidate},
    tier::{GetMany, Tier},
};
use stratacache_redis::{REDIS_ACL, REDIS_SWEEP_ACL, Redis, Sweep};
use stratacache_testkit::{
    logs::Log,
    proxy::FaultProxy,
    servers::{Program, RedisCluster, RedisServer},
};

const SECRET: &str = "hunter2-very-secret";
const USER: &str = "nosy-user-name";

fn login(host: &str) -> String {
    format!("{USER}:{SECRET}@{host}")
}

/// The only test of this program: what tasks on other threads log is caught as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn neither_user_nor_password_is_in_any_line_of_the_finest_log() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.writer()).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let rules = |list: &str| format!("on >{SECRET} {list}");
    let server = RedisServer::builder(Program::Redis).acl_user(USER, &rules(REDIS_ACL)).start().await.unwrap();
    let proxy = FaultProxy::start(server.addr(), 7).await.unwrap();
    let url = format!("redis://{}", login(&proxy.addr().to_string()));
    let node = Node::connect(Redis::builder(&url).breaker_window(Duration::from_millis(50))).await;
    let works = async || node.coordinator.invalidate(Invalidate::new(lane(1), vec![tag(1)], 1)).await.is_ok();
    assert!(works().await);
    // cut and refused, frozen, then let in again
    proxy.refuse(true);
    proxy.cut().await;
    assert!(!works().await);
    eventually("it is said that connections were cut", || log.text().contains("is cut and connects again")).await;
    proxy.heal();
    while !works().await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    proxy.hang(true);
    assert!(!works().await);
    proxy.heal();
    eventually("it is said that nobody answered", || log.text().contains("redis does not answer")).await;
    // a login that is refused: at first, and when it connects again
    for wrong in [url.replace(SECRET, "hunter2-very-wrong"), url.replace(USER, "nosy-user-name-wrong")] {
        Redis::connect(wrong).await.unwrap_err();
    }
    server.command(&["ACL", "SETUSER", USER, "resetpass", ">another"]).await.unwrap();
    proxy.cut().await;
    eventually("the login is refused", || log.text().contains("the login was refused")).await;
    server.command(&["ACL", "DELUSER", USER]).await.unwrap();
    assert!(!works().await);

    // sent elsewhere
    let cluster = RedisCluster::start(3, 0).await.unwrap();
    for node in cluster.nodes() {
        for (user, list) in [(USER, REDIS_ACL), ("nosy-sweeper", REDIS_SWEEP_ACL)] {
            let rules = rules(list);
            let words: Vec<&str> = ["ACL", "SETUSER", user].into_iter().chain(rules.split_whitespace()).collect();
            node.command(&words).await.unwrap();
        }
    }
    let hosts: Vec<String> = cluster.nodes().iter().map(|node| node.addr().to_string()).collect();
    let url = format!("redis-cluster://{}", login(&hosts.join(",")));
    let node = Node::connect(patient(&url)).await;
    let slot = cluster.slot_of("strata:{c1}:h").await.unwrap();
    for _ in 0..3 {
        let from = cluster.owner_of(slot).await.unwrap();
        cluster.migrate_slot(slot, from, (from + 1) % 3).await.unwrap();
        node.invalidate(lane(1), vec![tag(1)]).await;
        node.tier.get_many(GetMany::new((0..50).map(name).collect()).latest(true)).await.unwrap();
    }
    let sweep = Sweep::builder(url.replace(USER, "nosy-sweeper")).build().await.unwrap();
    sweep.run().await.unwrap();
    node.coordinator.close().await.unwrap();

    let text = log.text();
    assert!(text.lines().count() > 5, "{text}");
    for line in text.lines() {
        for hidden in ["hunter2", "nosy", "another", "redis://", "redis-cluster://"] {
            assert!(!line.contains(hidden), "{hidden}: {line}");
        }
        assert!(!line.contains('@'), "{line}");
    }
}
