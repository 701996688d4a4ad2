//! Invalidations that wait while the server is away.

use std::time::Duration;

use stratacache::{
    Consistency, Invalidation, Namespace, OnDisconnect, Policy, Queued, Target, millis, minutes, seconds,
};
use stratacache_testkit::servers::{Persistence, Program, RedisServer};
use tokio::time::{Instant, sleep, timeout};

use crate::world::{LATEST, Loads, Node};

/// Nothing of staleness would make a node look for news.
const LOOSE: Policy = Policy::ttl(minutes(5))
    .consistency(Consistency::Bounded(minutes(5)))
    .on_disconnect(OnDisconnect::ServeStale(minutes(5)))
    .stale_while_revalidate(minutes(5))
    .stale_if_error(minutes(5));
const BOUNDED: Consistency = Consistency::Inherit;

async fn invalidate(a: &Namespace, round: usize) -> Invalidation {
    let outcome = match round % 4 {
        0 => a.invalidate("k").or_queue().await,
        1 => a.invalidate_tag("all").or_queue().await,
        2 => a.clear().or_queue().await,
        _ => a.invalidate([Target::key("k"), Target::tag("other")]).or_queue().await,
    };
    outcome.unwrap()
}

fn waiting(outcome: Invalidation) -> Queued {
    match outcome {
        Invalidation::Queued(queued) => queued,
        Invalidation::Applied(token) => panic!("applied where nobody answers: {token}"),
    }
}

/// Within seconds: pauses between attempts and that of a breaker.
async fn applied(queued: &Queued) {
    timeout(seconds(60), queued.applied()).await.unwrap().unwrap();
}

/// What is read afterwards is newer than what was there before, on the node that was asked at once, on both in the end.
async fn survives(server: &RedisServer, down: impl AsyncFn(), up: impl AsyncFn()) {
    let (here, there) = (Node::with_policy(server, LOOSE).await, Node::with_policy(server, LOOSE).await);
    let (a, b) = (here.tenant("acme"), there.tenant("acme"));
    let loads = Loads::default();
    for round in 0..4 {
        let old = loads.read(&a, "k", LATEST).await;
        assert_eq!(loads.read(&b, "k", LATEST).await, old, "round {round}");
        assert_eq!(a.get::<usize>("k").await.as_deref(), Some(&old), "round {round}");
        down().await;
        let queued = waiting(invalidate(&a, round).await);
        assert!(a.get::<usize>("k").await.is_none(), "round {round}: neither from memory nor from below");
        sleep(millis(2)).await;
        let new = loads.read(&a, "k", BOUNDED).await;
        assert!(new > old, "round {round}");
        assert_eq!(loads.read(&a, "k", BOUNDED).await, new, "round {round}: it is kept meanwhile");
        assert!(queued.is_waiting(), "round {round}");
        up().await;
        assert!(a.get::<usize>("k").await.is_none_or(|value| *value > old), "round {round}");
        applied(&queued).await;
        // the other node's connection may take a moment longer, and until then the policy lets it serve what it has
        while b.invalidate_tag("nobody").await.is_err() {
            sleep(millis(20)).await;
        }
        for ns in [&b, &a] {
            assert!(loads.read(ns, "k", LATEST).await > old, "round {round}");
            assert!(ns.get::<usize>("k").await.is_none_or(|value| *value > old), "round {round}");
        }
        assert_eq!(here.cache.stats().invalidations_waiting, Some(0), "round {round}");
        // both are back
        while a.invalidate("k").await.is_err() || b.invalidate("k").await.is_err() {
            sleep(millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delete_queued_while_redis_is_frozen_never_comes_back() {
    let server = RedisServer::start().await.unwrap();
    survives(&server, async || server.pause().await.unwrap(), async || server.resume().await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delete_queued_while_redis_is_dead_never_comes_back_with_its_data() {
    let server = RedisServer::builder(Program::Redis).persistence(Persistence::Aof).start().await.unwrap();
    survives(&server, async || server.kill().await.unwrap(), async || server.restart().await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delete_queued_while_redis_is_dead_is_known_to_one_that_comes_back_empty() {
    let server = RedisServer::start().await.unwrap();
    survives(&server, async || server.kill().await.unwrap(), async || server.restart().await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delete_queued_by_a_node_that_is_cut_off_holds_there_at_once_and_everywhere_once_applied() {
    let server = RedisServer::start().await.unwrap();
    let (here, there) = (Node::with_policy(&server, LOOSE).await, Node::with_policy(&server, LOOSE).await);
    let (a, b) = (here.tenant("acme"), there.tenant("acme"));
    let loads = Loads::default();
    for round in 0..4 {
        let old = loads.read(&a, "k", LATEST).await;
        assert_eq!(loads.read(&b, "k", LATEST).await, old);
        here.proxy.refuse(true);
        here.proxy.cut().await;
        let queued = waiting(invalidate(&a, round).await);
        assert_eq!(loads.read(&b, "k", LATEST).await, old, "the other node knows nothing yet");
        assert!(loads.read(&a, "k", BOUNDED).await > old, "this one does");
        here.proxy.refuse(false);
        applied(&queued).await;
        assert!(loads.read(&b, "k", LATEST).await > old);
        while a.invalidate("k").await.is_err() {
            sleep(millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_while_redis_is_frozen_takes_seconds_and_says_what_is_lost() {
    let server = RedisServer::start().await.unwrap();
    let here = Node::start(&server).await;
    let a = here.tenant("acme");
    server.pause().await.unwrap();
    let queued = waiting(a.invalidate_tag("t").or_queue().await.unwrap());
    let began = Instant::now();
    let error = here.cache.close().await.unwrap_err();
    assert!(error.to_string().contains("1 queued invalidations"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(queued.applied().await.is_err());
    server.resume().await.unwrap();
}
