//! What one node invalidates is gone on the other.

use stratacache::{Consistency, Target, millis};
use stratacache_testkit::servers::RedisServer;

use crate::world::{LATEST, Loads, Node};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_invalidates_the_other_never_reads_again() {
    let server = RedisServer::start().await.unwrap();
    let (here, there) = (Node::start(&server).await, Node::start(&server).await);
    let (a, b) = (here.tenant("acme"), there.tenant("acme"));
    let loads = Loads::default();
    let mut expected = 0;
    for round in 0..40 {
        expected += 1;
        assert_eq!(loads.read(&a, "k", LATEST).await, expected);
        assert_eq!(loads.read(&b, "k", LATEST).await, expected, "one load for both nodes");
        match round % 4 {
            0 => a.invalidate("k").await.unwrap(),
            1 => b.invalidate_tag("all").await.unwrap(),
            2 => b.clear().await.unwrap(),
            _ => a.invalidate([Target::key("k"), Target::tag("other")]).await.unwrap(),
        };
    }
    assert_eq!(loads.count(), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_makes_another_node_read_what_was_written() {
    let server = RedisServer::start().await.unwrap();
    let (here, there) = (Node::start(&server).await, Node::start(&server).await);
    let (a, b) = (here.tenant("acme"), there.tenant("acme"));
    for n in 0..50_u32 {
        let token = a.insert("k", n).await.unwrap();
        let read = b.get::<u32>("k").consistency(Consistency::Since(token)).await;
        assert_eq!(read.map(|value| *value), Some(n));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_settled_entry_of_another_nodes_memory_goes_by_itself_when_its_key_is_invalidated() {
    let server = RedisServer::start().await.unwrap();
    let (here, there) = (Node::start(&server).await, Node::start(&server).await);
    let (a, b) = (here.tenant("acme"), there.tenant("acme"));
    let loads = Loads::default();
    let bounded = Consistency::Bounded(millis(60_000));
    for n in 1..20 {
        assert_eq!(loads.read(&b, "k", bounded).await, n);
        assert_eq!(loads.read(&b, "k", bounded).await, n);
        a.invalidate("k").await.unwrap();
        // the tail brings it; nothing asks
        while there.cache.stats().entries != Some(0) {
            tokio::time::sleep(millis(1)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_comes_later_reads_what_the_others_have_and_nothing_older() {
    let server = RedisServer::start().await.unwrap();
    let here = Node::start(&server).await;
    let a = here.tenant("acme");
    let loads = Loads::default();
    assert_eq!(loads.read(&a, "kept", LATEST).await, 1);
    assert_eq!(loads.read(&a, "gone", LATEST).await, 2);
    a.invalidate("gone").await.unwrap();
    let later = Node::start(&server).await;
    let b = later.tenant("acme");
    assert_eq!(loads.read(&b, "kept", LATEST).await, 1);
    assert_eq!(loads.read(&b, "gone", LATEST).await, 3);
    a.invalidate_tag("all").await.unwrap();
    let latest = Node::start(&server).await;
    assert_eq!(loads.read(&latest.tenant("acme"), "kept", LATEST).await, 4);
}
