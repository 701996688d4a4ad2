//! What an operation costs, counted at the proxy.

use stratacache::{Consistency, seconds};
use stratacache_testkit::servers::RedisServer;

use crate::world::{Loads, Node, entries, until_stored};

const BOUNDED: Consistency = Consistency::Bounded(seconds(60));

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_miss_costs_three_round_trips_a_hit_below_memory_one_and_a_hit_in_memory_none() {
    let server = RedisServer::start().await.unwrap();
    let (here, there) = (Node::start(&server).await, Node::start(&server).await);
    let (a, b) = (here.tenant("acme"), there.tenant("acme"));
    let loads = Loads::default();
    loads.read(&a, "warm", BOUNDED).await; // every script is known to the server
    loads.read(&b, "warm", BOUNDED).await;
    // behind the reply to the fill, on the same connection: what is sent while that is under way costs no trip of its own
    assert!(a.get::<usize>("nothing").await.is_none());
    here.count_from_now();
    loads.read(&a, "k", BOUNDED).await;
    here.proxy.until_round_trips(3).await; // the last is behind the answer
    until_stored(&server, 2).await;
    assert_eq!(here.proxy.round_trips(), 3, "{:?}", here.proxy.counts());
    here.proxy.reset_counts();
    loads.read(&a, "k", BOUNDED).await;
    assert_eq!(here.proxy.round_trips(), 0, "{:?}", here.proxy.counts());
    there.count_from_now();
    loads.read(&b, "k", BOUNDED).await;
    assert_eq!(there.proxy.round_trips(), 1, "{:?}", there.proxy.counts());
    assert_eq!(loads.count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalidation_costs_one_round_trip_and_that_of_a_key_two() {
    let server = RedisServer::start().await.unwrap();
    let here = Node::start(&server).await;
    let a = here.tenant("acme");
    a.invalidate_tag("warm").await.unwrap();
    a.invalidate("warm").await.unwrap();
    here.count_from_now();
    a.invalidate_tag("t").await.unwrap();
    assert_eq!(here.proxy.round_trips(), 1, "a tag: {:?}", here.proxy.counts());
    here.proxy.reset_counts();
    a.namespace("n").clear().await.unwrap();
    assert_eq!(here.proxy.round_trips(), 1, "a namespace: {:?}", here.proxy.counts());
    here.proxy.reset_counts();
    a.clear().await.unwrap();
    assert_eq!(here.proxy.round_trips(), 1, "a tenant: {:?}", here.proxy.counts());
    here.proxy.reset_counts();
    a.invalidate("k").await.unwrap();
    assert_eq!(here.proxy.round_trips(), 2, "a key: {:?}", here.proxy.counts());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clearing_a_tenant_of_20_000_entries_is_one_round_trip_and_leaves_the_neighbours_theirs() {
    const MANY: u32 = 20_000;
    let server = RedisServer::start().await.unwrap();
    let here = Node::start(&server).await;
    let (a, b) = (here.tenant("acme"), here.tenant("globex"));
    a.invalidate_tag("warm").await.unwrap();
    a.insert_many((0..MANY).map(|n| (n, n))).await.unwrap();
    b.insert_many((0..100_u32).map(|n| (n, n))).await.unwrap();
    let all = MANY as usize + 100;
    assert_eq!(entries(&server).await, all);
    let there = Node::start(&server).await;
    here.count_from_now();
    a.clear().await.unwrap();
    assert_eq!(here.proxy.round_trips(), 1, "{:?}", here.proxy.counts());
    assert_eq!(entries(&server).await, all, "they stay where they are");
    for ns in [&a, &there.tenant("acme")] {
        for n in (0..MANY).step_by(97) {
            assert!(ns.get::<u32>(n).consistency(Consistency::Latest).await.is_none(), "{n}");
        }
    }
    for n in 0..100_u32 {
        assert_eq!(b.get::<u32>(n).await.as_deref(), Some(&n));
    }
}
