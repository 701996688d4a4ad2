//! Memory over Memcached, as an application has it, on a real server.
#![allow(clippy::unwrap_used)] // everything here is a test

mod support;

use std::{convert::Infallible, time::Duration};

use memcached_tier::MemcachedBuilder;
use stratacache::{
    Cache, CacheBuilder, ErrorKind, Namespace, Policy, Redis, Result, Tag, TenantId, Tiers, Token, millis, minutes,
    seconds,
};
use stratacache_testkit::{
    clock::ManualClock,
    servers::{Program, RedisServer},
};
use support::{Server, until};
use tokio::sync::oneshot;

/// Memory lets go of everything as soon as the clock moves, so that reads go below.
const POLICY: Policy = Policy::ttl(minutes(5)).jitter(0.0).tier_ttl("memory", millis(1));

struct Stage {
    server: Server,
    clock: ManualClock,
    cache: Cache,
}

impl Stage {
    async fn new() -> Self {
        Self::with(|tier| tier, |cache| cache).await
    }

    async fn with(
        tier: impl FnOnce(MemcachedBuilder) -> MemcachedBuilder,
        cache: impl FnOnce(CacheBuilder) -> CacheBuilder,
    ) -> Self {
        let (server, clock) = (Server::start(&[]), ManualClock::new());
        let tier = tier(server.tier("app:").clock(clock.clone())).connect().await.unwrap();
        let builder = Cache::builder().clock(clock.clone()).seed(7).memory(8 << 20).default_policy(POLICY);
        let cache = cache(builder).tier(tier).build().await.unwrap();
        Self { server, clock, cache }
    }

    fn tenant(&self, name: &str) -> Namespace {
        self.cache.tenant(&TenantId::parse(name).unwrap())
    }

    /// A namespace whose entries depend on everything that can be invalidated.
    fn acme(&self) -> Namespace {
        self.tenant("acme").namespace("n").with_tag("t").with_tag(Tag::global("g"))
    }

    fn forget_memory(&self) {
        self.clock.advance(millis(2));
    }

    /// Returns how many reads Memcached has answered.
    fn hits(&self) -> u64 {
        self.cache.stats().tiers[1].hits
    }

    async fn until_stored(&self, entries: usize) {
        until("memcached has the entries", || self.server.dump().len() == entries).await;
    }
}

/// Reads through; the loader returns this value.
async fn read(ns: &Namespace, key: &str, value: &str) -> String {
    let value = value.to_owned();
    ns.get_or_load(key, async move || Ok::<_, Infallible>(value)).await.unwrap().to_string()
}

async fn is_there(ns: &Namespace, key: &str) -> bool {
    ns.get::<String>(key).await.is_some()
}

#[derive(Debug, Clone, Copy)]
enum How {
    Key,
    Tag,
    GlobalTag,
    Namespace,
    Tenant,
}

const ALL: [How; 5] = [How::Key, How::Tag, How::GlobalTag, How::Namespace, How::Tenant];

impl Stage {
    async fn invalidate(&self, how: How) -> Result<Token> {
        match how {
            How::Key => self.acme().invalidate("k").await,
            How::Tag => self.acme().invalidate_tag("t").await,
            How::GlobalTag => self.cache.invalidate_global_tag("g").await,
            How::Namespace => self.acme().clear().await,
            How::Tenant => self.tenant("acme").clear().await,
        }
    }
}

#[tokio::test]
async fn what_memory_let_go_of_comes_from_memcached_without_a_load() {
    let stage = Stage::new().await;
    let acme = stage.acme();
    assert_eq!(read(&acme, "k", "first").await, "first");
    stage.until_stored(1).await;
    stage.forget_memory();
    assert_eq!(read(&acme, "k", "second").await, "first");
    assert_eq!((stage.hits(), stage.cache.stats().loads), (1, 1));
}

#[tokio::test]
async fn two_tenants_with_one_key_have_an_entry_each() {
    let stage = Stage::new().await;
    let (acme, other) = (stage.tenant("acme"), stage.tenant("other"));
    acme.insert("k", "acme's".to_owned()).await.unwrap();
    other.insert("k", "other's".to_owned()).await.unwrap();
    stage.server.keys(2);
    for _ in 0..2 {
        stage.forget_memory();
        assert_eq!(read(&acme, "k", "loaded").await, "acme's");
        assert_eq!(read(&other, "k", "loaded").await, "other's");
    }
    acme.invalidate("k").await.unwrap();
    stage.forget_memory();
    assert!(!is_there(&acme, "k").await);
    assert_eq!(read(&other, "k", "loaded").await, "other's", "an invalidation is of one tenant");

    // whoever copies an entry to the name of another gains nothing
    acme.insert("k", "acme's".to_owned()).await.unwrap();
    let [one, another] = &stage.server.keys(2)[..] else { panic!("two entries") };
    let (of_one, of_another) = (stage.server.value(one).unwrap(), stage.server.value(another).unwrap());
    stage.server.put_back(one, &of_another);
    stage.server.put_back(another, &of_one);
    stage.forget_memory();
    assert!(!is_there(&acme, "k").await && !is_there(&other, "k").await);
    assert_eq!(stage.cache.stats().tiers[1].foreign_envelopes, 2);
}

#[tokio::test]
async fn an_invalidation_during_a_load_wins() {
    for how in ALL {
        let stage = Stage::new().await;
        let acme = stage.acme();
        let ((started, start), (release, released)) = (oneshot::channel(), oneshot::channel());
        let loading = async {
            let old = async move || {
                started.send(()).unwrap();
                released.await.map(|()| "old".to_owned())
            };
            acme.get_or_load("k", old).await.unwrap().to_string()
        };
        let invalidating = async {
            start.await.unwrap();
            stage.invalidate(how).await.unwrap();
            release.send(()).unwrap();
        };
        let (loaded, ()) = tokio::join!(loading, invalidating);
        assert_eq!(loaded, "old", "whoever asked before has it");
        assert!(!is_there(&acme, "k").await, "{how:?}: memory has the overtaken value");
        stage.forget_memory();
        assert!(!is_there(&acme, "k").await, "{how:?}: memcached has the overtaken value");
        assert_eq!(read(&acme, "k", "new").await, "new");
        stage.until_stored(1).await;
        stage.forget_memory();
        assert_eq!(read(&acme, "k", "newer").await, "new", "{how:?}: what was loaded after is kept below");
    }
}

#[tokio::test]
async fn an_old_value_put_back_is_not_served() {
    for how in ALL {
        for reloaded in [false, true] {
            let stage = Stage::new().await;
            let acme = stage.acme();
            acme.insert("k", "old".to_owned()).await.unwrap();
            let [key] = &stage.server.keys(1)[..] else { panic!("one entry") };
            let backup = stage.server.value(key).unwrap();
            // it is good as long as nothing was invalidated
            stage.server.put_back(key, &backup);
            stage.forget_memory();
            assert_eq!(read(&acme, "k", "loaded").await, "old");
            stage.invalidate(how).await.unwrap();
            if reloaded {
                acme.insert("k", "new".to_owned()).await.unwrap();
            }
            stage.server.put_back(key, &backup);
            stage.forget_memory();
            assert!(!is_there(&acme, "k").await, "{how:?}, reloaded {reloaded}");
            assert_eq!(read(&acme, "k", "newer").await, "newer");
        }
    }
}

#[tokio::test]
async fn a_memcached_that_was_flushed_or_restarted_is_cold_and_fills_again() {
    let stage = Stage::new().await;
    let acme = stage.acme();
    for (round, restarted) in [false, true, true].into_iter().enumerate() {
        let (before, after) = (format!("before {round}"), format!("after {round}"));
        acme.insert("k", before).await.unwrap();
        if restarted {
            stage.server.restart();
        } else {
            assert_eq!(stage.server.say("flush_all"), "OK");
        }
        stage.forget_memory();
        assert!(!is_there(&acme, "k").await);
        assert_eq!(read(&acme, "k", &after).await, after);
        // every entry of before is gone, and there may be such that have ended in the dump
        until("memcached has it again", || stage.server.dump().iter().any(|key| stage.server.value(key).is_some()))
            .await;
        let hits = stage.hits();
        stage.forget_memory();
        assert_eq!(read(&acme, "k", "loaded").await, after);
        assert_eq!(stage.hits(), hits + 1);
    }
    assert_eq!(stage.cache.stats().tiers[1].read_failures, 0, "a connection of before is no failure");
}

#[tokio::test]
async fn a_memcached_killed_in_mid_use_costs_loads_and_comes_back() {
    let stage = Stage::new().await;
    let acme = stage.acme();
    for n in 0..50 {
        acme.insert(n.to_string().as_str(), "warm".to_owned()).await.unwrap();
    }
    stage.forget_memory();
    for n in 0..50 {
        if n == 20 {
            stage.server.kill();
            stage.clock.advance(seconds(6)); // what went well before counts no more
        }
        let wanted = if n < 20 { "warm" } else { "loaded" };
        assert_eq!(read(&acme, n.to_string().as_str(), "loaded").await, wanted);
    }
    let stats = stage.cache.stats();
    assert!(stats.tiers[1].read_failures >= 5 && stats.tiers[1].breaker_opens == 1, "{stats:?}");
    // memory goes on, and whoever needs the tier hears that it is not there
    assert_eq!(read(&acme, "49", "again").await, "loaded");
    let refused = acme.invalidate("7").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    acme.invalidate_tag("t").await.unwrap();
    assert!(!is_there(&acme, "49").await, "tags need nothing of the tier");

    stage.server.restart();
    stage.clock.advance(seconds(6)); // the breaker looks again
    assert_eq!(read(&acme, "7", "new").await, "new");
    stage.until_stored(1).await; // behind the reader: a tier without fences might get it after what is inserted next
    acme.invalidate("7").await.unwrap();
    acme.insert("7", "newer".to_owned()).await.unwrap();
    stage.forget_memory();
    assert_eq!(read(&acme, "7", "loaded").await, "newer");
}

#[tokio::test]
async fn a_memcached_that_hangs_costs_its_deadline_once() {
    let deadline = Duration::from_millis(200);
    let stage = Stage::with(|tier| tier, |cache| cache.tier_deadline("memcached", deadline)).await;
    let acme = stage.acme();
    // on a busy machine some may take longer than the deadline; then the clock moves on, and they are tried again
    let stored = |stage: &Stage| stage.server.dump().len() == 2;
    for n in 0_u32.. {
        assert!(n < 100, "memcached never answered in time");
        let a = acme.insert("a", "in memcached".to_owned()).await;
        let b = acme.insert("b", "in memcached".to_owned()).await;
        if a.is_ok() && b.is_ok() && stored(&stage) {
            break;
        }
        stage.clock.advance(seconds(6));
    }
    stage.server.freeze();
    stage.forget_memory();
    let timeouts = |stage: &Stage| stage.cache.stats().tiers[1].read_failures;
    let before = (timeouts(&stage), stage.cache.stats().tiers[1].breaker_opens);
    assert_eq!(read(&acme, "a", "loaded").await, "loaded");
    for n in 0..1_000 {
        assert_eq!(read(&acme, n.to_string().as_str(), "loaded").await, "loaded");
    }
    let after = stage.cache.stats().tiers[1].clone();
    assert_eq!(after.breaker_opens, before.1 + 1, "one that hung opens the breaker, and 1,000 did not wait");
    stage.server.thaw();
    let served = async || {
        stage.clock.advance(seconds(6));
        read(&acme, "b", "loaded anew").await
    };
    // the replies of before are nobody's
    for _ in 0..20 {
        let value = served().await;
        assert!(["in memcached", "loaded anew"].contains(&value.as_str()), "{value}");
    }
}

#[tokio::test]
async fn with_redis_other_nodes_find_memcached_warm_and_nothing_that_was_invalidated() {
    const BELOW: Tiers = Tiers::memory_only().and("memcached");
    let (redis, server) = (RedisServer::builder(Program::Redis).start().await.unwrap(), Server::start(&[]));
    let node = async || {
        let order = Redis::builder(redis.url()).build().await.unwrap();
        let tier = server.tier("app:").connect().await.unwrap();
        let policy = Policy::ttl(minutes(5)).tiers(BELOW);
        let builder = Cache::builder().memory(8 << 20).default_policy(policy);
        let cache = builder.tier(order).tier(tier).build().await.unwrap();
        let acme = cache.tenant(&TenantId::parse("acme").unwrap());
        (cache, acme.with_tag("t"))
    };
    for by_key in [true, false] {
        let (first, acme) = node().await;
        acme.insert("k", "old".to_owned()).await.unwrap();
        let keys = server.keys(1);
        let [key] = &keys[..] else { panic!("one entry: {keys:?}") };
        let backup = server.value(key).unwrap();
        first.close().await.unwrap();

        let (second, acme) = node().await;
        assert_eq!(acme.get::<String>("k").await.as_deref().map(String::as_str), Some("old"), "it outlives its node");
        if by_key {
            acme.invalidate("k").await.unwrap()
        } else {
            acme.invalidate_tag("t").await.unwrap()
        };
        second.close().await.unwrap();

        // a node that never heard of the invalidation itself
        server.put_back(key, &backup);
        let (third, acme) = node().await;
        assert!(!is_there(&acme, "k").await, "by key: {by_key}");
        acme.invalidate("k").await.unwrap();
        third.close().await.unwrap();
    }
}
