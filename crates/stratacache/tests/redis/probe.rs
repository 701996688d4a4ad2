//! Nodes on a real Redis that probe each other.

use stratacache::{Cache, Consistency, Policy, Redis, RedisBuilder, TenantId, minutes, seconds};
use stratacache_testkit::servers::RedisServer;

use crate::world::{LATEST, Loads};

/// A cache that probes everything, and its connection.
async fn probing(redis: RedisBuilder) -> (Cache, Redis) {
    let redis = redis.build().await.unwrap();
    let policy = Policy::ttl(minutes(5)).consistency(Consistency::Bounded(seconds(1)));
    let cache = Cache::builder().seed(7).default_policy(policy).tier(redis.clone()).probe(1).build().await.unwrap();
    (cache, redis)
}

/// Waits until so many probes are at their end: nothing is asserted about how long that takes.
async fn until_asked(cache: &Cache, redis: &Redis, probes: u64) {
    while cache.stats().probes < probes || cache.active_tasks() > 1 {
        assert!(redis.health().alive);
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_answer_each_other_and_serve_nothing_old() {
    let server = RedisServer::start().await.unwrap();
    let (here, redis) = probing(Redis::builder(server.url())).await;
    let (there, other) = probing(Redis::builder(server.url())).await;
    let acme = TenantId::parse("acme").unwrap();
    let (a, b) = (here.tenant(&acme), there.tenant(&acme));
    let loads = Loads::default();
    // noise on the channels of the prefix is ignored, and counted
    until_heard(&server, 4).await;
    for noise in ["", "noise", &"x".repeat(1 << 16)] {
        server.command(&["PUBLISH", "strata:asks", noise]).await.unwrap();
    }
    loads.read(&b, "k", LATEST).await;
    a.invalidate("k").await.unwrap();
    loads.read(&b, "k", LATEST).await;
    a.invalidate_tag("all").await.unwrap();
    loads.read(&b, "k", LATEST).await;
    a.clear().await.unwrap();
    loads.read(&b, "k", LATEST).await;
    here.invalidate_global_tag("g").await.unwrap();
    until_asked(&here, &redis, 4).await;
    let stats = here.stats();
    assert_eq!((stats.probes, stats.probes_unanswered, stats.coherence_violations), (4, 0, 0));
    assert_eq!((redis.health().garbled, other.health().garbled), (3, 3));
}

/// Waits until so many channels have a listener besides that of fills.
async fn until_heard(server: &RedisServer, channels: usize) {
    while server.command(&["PUBSUB", "CHANNELS", "strata:*"]).await.unwrap().elements().len() < channels {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// A node that takes a gap for nothing serves what was invalidated in it.
#[cfg(feature = "mutants")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_a_rule_that_serves_something_old_is_counted() {
    use stratacache::event::EventKind;
    use stratacache_core::stamp::Lane;
    use stratacache_testkit::proxy::FaultProxy;

    let server = RedisServer::start().await.unwrap();
    let proxy = FaultProxy::start(server.addr(), 7).await.unwrap();
    let (here, redis) = probing(Redis::builder(server.url())).await;
    let broken = Redis::builder(proxy.url()).breaker_window(std::time::Duration::from_millis(50));
    let (there, _) = probing(broken.without_rule(stratacache_redis::Rule::NoticeGap)).await;
    let acme = TenantId::parse("acme").unwrap();
    let longer = Policy::ttl(minutes(5)).consistency(Consistency::Bounded(seconds(5)));
    let (a, b) = (here.tenant(&acme).with_policy(longer), there.tenant(&acme));
    let mut events = here.events();
    let loads = Loads::default();
    assert_eq!(loads.read(&b, "k", LATEST).await, 1);
    until_heard(&server, 4).await;
    // what is invalidated while it is away is trimmed before it is back
    proxy.refuse(true);
    proxy.cut().await;
    let token = a.invalidate_tag("all").await.unwrap();
    server.command(&["XTRIM", &format!("strata:{{c{}}}:s", Lane::of(&acme).index()), "MAXLEN", "0"]).await.unwrap();
    proxy.heal();
    until_asked(&here, &redis, 1).await;
    let stats = here.stats();
    assert_eq!((stats.probes, stats.coherence_violations), (1, 1), "{} unanswered", stats.probes_unanswered);
    assert_eq!(loads.read(&b, "k", LATEST).await, 1, "it is really served");
    let mut seen = false;
    while let Some(Ok(event)) = events.try_next() {
        seen |= matches!(event.kind, EventKind::CoherenceViolation { seq, .. } if seq == token.position().seq);
    }
    assert!(seen);
}
