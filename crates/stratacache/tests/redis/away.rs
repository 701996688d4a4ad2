//! When the server is away.

use stratacache::{
    Cache, Consistency, LoadError, OnDisconnect, Policy, Redis, event::EventKind, millis, minutes, seconds,
};
use stratacache_testkit::{
    clock::ManualClock,
    proxy::{Command, FaultProxy, Times},
    servers::RedisServer,
};

use crate::world::{LATEST, Loads, Node};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delete_made_while_redis_is_away_errs_and_nothing_old_is_served_after_it_was_repeated() {
    let server = RedisServer::start().await.unwrap();
    let here = Node::start(&server).await;
    let a = here.tenant("acme");
    let loads = Loads::default();
    assert_eq!(loads.read(&a, "k", LATEST).await, 1);
    here.proxy.hang(true);
    assert!(a.invalidate("k").await.is_err());
    assert!(a.invalidate_tag("all").await.is_err());
    assert_eq!(loads.read(&a, "k", LATEST).await, 2, "loaded past the cache");
    here.proxy.hang(false);
    here.proxy.cut().await;
    while a.invalidate("k").await.is_err() {
        tokio::time::sleep(millis(20)).await;
    }
    assert_eq!(loads.read(&a, "k", LATEST).await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_can_fail_when_nobody_knows_what_was_invalidated() {
    let server = RedisServer::start().await.unwrap();
    let here = Node::with_policy(&server, Policy::ttl(minutes(5)).on_disconnect(OnDisconnect::Fail)).await;
    let a = here.tenant("acme");
    here.proxy.refuse(true);
    here.proxy.cut().await;
    let read = a.get_or_load("k", async || Ok::<u32, std::io::Error>(1)).consistency(LATEST).await;
    assert!(matches!(read, Err(LoadError::Unavailable(_))), "{read:?}");
    assert!(a.get::<u32>("k").consistency(LATEST).await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_redis_without_its_data_leaves_nothing_that_was_invalidated() {
    let server = RedisServer::start().await.unwrap();
    let (here, there) = (Node::start(&server).await, Node::start(&server).await);
    let (a, b) = (here.tenant("acme"), there.tenant("acme"));
    let loads = Loads::default();
    for n in 0..4 {
        let before = loads.count();
        let read = loads.read(&a, "k", LATEST).await;
        assert_eq!(loads.read(&b, "k", LATEST).await, read);
        assert!(read > before || n == 0);
        server.kill().await.unwrap();
        server.restart().await.unwrap();
        while b.invalidate_tag("all").await.is_err() {
            tokio::time::sleep(millis(20)).await;
        }
        assert!(loads.read(&a, "k", LATEST).await > read, "what the old server knew is gone");
        assert!(loads.read(&a, "k", Consistency::Bounded(millis(1_000))).await > read);
        a.invalidate("k").await.unwrap();
    }
}

/// Two breakers in a row would each wait for the other: the cache has none around Redis. The clock of the cache stands still,
/// so that a breaker of its own would never let anything through again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_time_out_only_the_breaker_of_redis_decides_when_keys_are_invalidated_again() {
    let server = RedisServer::start().await.unwrap();
    let proxy = FaultProxy::start(server.addr(), 7).await.unwrap();
    let redis = Redis::builder(proxy.url()).breaker_window(millis(50)).build().await.unwrap();
    let cache = Cache::builder().clock(ManualClock::new()).seed(7).tier(redis.clone()).build().await.unwrap();
    let (a, mut events) = (cache.tenant(&stratacache::TenantId::parse("acme").unwrap()), cache.events());
    a.invalidate("k").await.unwrap();
    for round in 1..=5 {
        proxy.hang(true);
        assert!(a.invalidate("k").await.is_err());
        proxy.heal();
        proxy.cut().await;
        let mut tries = 0;
        while a.invalidate("k").await.is_err() {
            tries += 1;
            assert!(tries < 6_000, "round {round}: still refused though Redis answers: {:?}", redis.health());
            tokio::time::sleep(millis(5)).await;
        }
    }
    let opens = cache.stats().tiers[1].breaker_opens;
    assert!(opens >= 5, "each of them opened the breaker of Redis, and that is seen: {opens}");
    let opened = std::iter::from_fn(|| events.try_next())
        .filter(|event| matches!(event.as_ref().unwrap().kind, EventKind::BreakerOpened { .. }));
    assert_eq!(opened.count() as u64, opens, "one event for each");
}

/// What an invalidation applies here comes with its own answer: the tail makes other nodes quick, and nothing waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalidations_succeed_and_are_seen_here_while_the_tail_is_dead() {
    let server = RedisServer::start().await.unwrap();
    let proxy = FaultProxy::start(server.addr(), 7).await.unwrap();
    let patient = |url: String| Redis::builder(url).deadline(seconds(5));
    let redis = patient(proxy.url()).build().await.unwrap();
    let cache = Cache::builder().seed(7).tier(redis.clone()).build().await.unwrap();
    let other = Cache::builder().seed(8).tier(patient(server.url()).build().await.unwrap()).build().await.unwrap();
    let acme = |cache: &Cache| cache.tenant(&stratacache::TenantId::parse("acme").unwrap());
    let (a, b, loads) = (acme(&cache), acme(&other), Loads::default());
    let tail = || Command::named("XREAD");
    let faults: [(&str, &dyn Fn()); 4] = [
        ("it hears nothing", &|| proxy.drop_reply(tail(), Times::Always)),
        ("its questions are lost", &|| proxy.drop_request(tail(), Times::Always)),
        ("half of them are", &|| proxy.drop_request(tail(), Times::Chance(0.5))),
        ("it is late", &|| proxy.delay_replies(tail(), millis(20)..=millis(600))),
    ];
    for (what, begin) in faults {
        let before = redis.health();
        begin();
        for round in 0..60 {
            let read = loads.read(&a, "k", Consistency::Inherit).await;
            if round % 3 == 0 {
                b.invalidate_tag("others").await.unwrap(); // what comes between is part of the answer
            }
            let told = match round % 4 {
                0 => a.invalidate("k").await,
                1 => a.invalidate_tag("all").await,
                2 => a.clear().await,
                _ => a.insert("k", loads.next()).await,
            };
            assert!(told.is_ok(), "{what}, round {round}: {told:?}");
            let now = loads.read(&a, "k", Consistency::Inherit).await;
            assert!(now > read, "{what}, round {round}: read {now} after {read} was invalidated");
        }
        let after = redis.health();
        assert_eq!((after.gaps, after.resnapshots), (before.gaps, before.resnapshots), "{what}: nothing was missed");
        proxy.heal();
    }
}
