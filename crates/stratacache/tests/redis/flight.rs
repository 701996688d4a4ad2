//! One load among all nodes.

use stratacache::{millis, seconds};
use stratacache_testkit::{proxy::Times, servers::RedisServer};

use crate::world::{LATEST, Loads, Node};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_with_3_000_waiters_each_load_a_cold_key_once() {
    let server = RedisServer::start().await.unwrap();
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(Node::start(&server).await);
    }
    let loads = Loads::default();
    let mut readers = tokio::task::JoinSet::new();
    for n in 0..9_000 {
        let (ns, loads) = (nodes[n % 3].tenant("acme"), loads.clone());
        readers.spawn(async move { loads.read_slowly(&ns, "k", LATEST, millis(200)).await });
    }
    while let Some(read) = readers.join_next().await {
        assert_eq!(read.unwrap(), 1);
    }
    assert_eq!(loads.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_longer_than_its_lease_stays_the_only_one_since_the_lease_is_renewed() {
    let server = RedisServer::start().await.unwrap();
    let policy = stratacache::Policy::ttl(seconds(60)).lease(millis(300));
    let (here, there) = (Node::with_policy(&server, policy).await, Node::with_policy(&server, policy).await);
    let loads = Loads::default();
    let (a, b) = (here.tenant("acme"), there.tenant("acme"));
    let slow = loads.read_slowly(&a, "k", LATEST, millis(1_200));
    let other = async {
        tokio::time::sleep(millis(100)).await;
        loads.read(&b, "k", LATEST).await
    };
    assert_eq!(tokio::join!(slow, other), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_notice_of_a_fill_costs_its_waiter_time_and_nothing_else() {
    let server = RedisServer::start().await.unwrap();
    let (here, there) = (Node::start(&server).await, Node::start(&server).await);
    let loads = Loads::default();
    let (a, b) = (here.tenant("acme"), there.tenant("acme"));
    let mut lost = 0;
    // the connection that brings notices may be on its way at first
    for n in 1..=50 {
        there.proxy.drop_messages(Times::Always);
        let key = format!("k{n}");
        let slow = loads.read_slowly(&a, &key, LATEST, millis(200));
        let other = async {
            tokio::time::sleep(millis(50)).await;
            loads.read(&b, &key, LATEST).await
        };
        assert_eq!(tokio::join!(slow, other), (n, n), "both have the value of the one load");
        lost = there.proxy.dropped_messages();
        if lost > 0 {
            break;
        }
    }
    assert!(lost > 0, "no notice was sent");
}
