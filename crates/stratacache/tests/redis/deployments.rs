//! Several independent caches in one process and on one Redis: each deployment has its prefix, and its own data,
//! invalidations and leases.

use std::{convert::Infallible, sync::Arc};

use stratacache::{Cache, Consistency, Namespace, Policy, Redis, Tag, TenantId, WriteMode, minutes};
use stratacache_testkit::servers::RedisServer;
use tokio::{sync::Semaphore, task::JoinSet};

use crate::world::{LATEST, Loads, entries, until_stored};

const POLICY: Policy = Policy::ttl(minutes(5));

async fn node(server: &RedisServer, prefix: &str, policy: Policy) -> Cache {
    let redis = Redis::builder(server.url()).prefix(prefix).build().await.unwrap();
    // the same seed and the same secret: nothing but the prefix tells them apart
    Cache::builder().seed(7).default_policy(policy).tier(redis).build().await.unwrap()
}

fn acme(cache: &Cache) -> Namespace {
    cache.tenant(&TenantId::parse("acme").unwrap()).namespace("n").with_tag("t").with_tag(Tag::global("g"))
}

async fn get(cache: &Cache, how: Consistency) -> Option<u32> {
    acme(cache).get::<u32>("k").consistency(how).await.map(|value| *value)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_deployments_never_see_each_others_data() {
    for write in [WriteMode::Through, WriteMode::Behind] {
        let server = RedisServer::start().await.unwrap();
        let policy = POLICY.write(write);
        let (shop, blog) = (node(&server, "shop", policy).await, node(&server, "blog", policy).await);
        acme(&shop).insert("k", 1_u32).await.unwrap();
        until_stored(&server, 1).await;
        assert_eq!(get(&blog, LATEST).await, None);
        acme(&blog).insert("k", 2_u32).await.unwrap();
        until_stored(&server, 2).await;
        let (shop_too, blog_too) = (node(&server, "shop", policy).await, node(&server, "blog", policy).await);
        for (cache, value) in [(&shop, 1), (&shop_too, 1), (&blog, 2), (&blog_too, 2)] {
            assert_eq!(get(cache, LATEST).await, Some(value), "{write:?}");
            assert_eq!(cache.stats().tiers[1].foreign_envelopes, 0);
        }
        let keys = server.command(&["KEYS", "*"]).await.unwrap();
        for key in keys.elements() {
            let key = key.text().unwrap();
            assert!(key.starts_with("shop:") || key.starts_with("blog:"), "{key}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalidation_of_one_deployment_leaves_the_other_alone() {
    let server = RedisServer::start().await.unwrap();
    let (shop, blog) = (node(&server, "shop", POLICY).await, node(&server, "blog", POLICY).await);
    let shop_too = node(&server, "shop", POLICY).await;
    acme(&shop).insert("k", 1_u32).await.unwrap();
    assert_eq!(get(&shop_too, LATEST).await, Some(1));
    let tenant = blog.tenant(&TenantId::parse("acme").unwrap());
    let applied = async |cache: &Cache| acme(cache).inspect::<u32>("k").await.unwrap().applied;
    let before = applied(&shop).await;
    for _ in 0..3 {
        acme(&blog).invalidate("k").await.unwrap();
        tenant.invalidate_tag("t").await.unwrap();
        acme(&blog).clear().await.unwrap();
        tenant.clear().await.unwrap();
        blog.invalidate_global_tag("g").await.unwrap();
        acme(&blog).insert("k", 9_u32).await.unwrap();
    }
    for cache in [&shop, &shop_too] {
        assert_eq!(get(cache, LATEST).await, Some(1));
        assert_eq!(applied(cache).await, before, "the order of the other is not its own");
    }
    // below memory, too
    assert_eq!(get(&node(&server, "shop", POLICY).await, LATEST).await, Some(1));
    acme(&shop).invalidate("k").await.unwrap();
    assert_eq!((get(&shop_too, LATEST).await, get(&blog, LATEST).await), (None, Some(9)));
    // what is pending when one closes is its own
    shop.close().await.unwrap();
    assert_eq!(get(&blog, LATEST).await, Some(9));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_of_one_deployment_holds_nobody_up_in_the_other() {
    let server = RedisServer::start().await.unwrap();
    let (shop, blog) = (node(&server, "shop", POLICY).await, node(&server, "blog", POLICY).await);
    let (go, begun) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let mut slow = JoinSet::new();
    slow.spawn({
        let (ns, go, begun) = (acme(&shop), Arc::clone(&go), Arc::clone(&begun));
        async move {
            let load = async move || {
                begun.add_permits(1);
                go.acquire().await.unwrap().forget();
                Ok::<_, Infallible>(1_usize)
            };
            *ns.get_or_load("k", load).await.unwrap()
        }
    });
    begun.acquire().await.unwrap().forget();
    let loads = Loads::default();
    assert_eq!(loads.read(&acme(&blog), "k", LATEST).await, 1, "it loads while the other holds its lease");
    assert_eq!((loads.count(), blog.stats().lease_waits), (1, 0));
    until_stored(&server, 1).await;
    go.add_permits(1);
    assert_eq!(slow.join_next().await.unwrap().unwrap(), 1);
    until_stored(&server, 2).await;
    assert_eq!(entries(&server).await, 2, "each has stored its own");
}

/// One on Redis, one on its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_caches_in_one_process_are_independent() {
    let server = RedisServer::start().await.unwrap();
    let (shop, alone) = (node(&server, "shop", POLICY).await, Cache::builder().build().await.unwrap());
    acme(&shop).insert("k", 1_u32).await.unwrap();
    acme(&alone).insert("k", 2_u32).await.unwrap();
    acme(&alone).invalidate("other").await.unwrap();
    assert_eq!((get(&shop, LATEST).await, get(&alone, LATEST).await), (Some(1), Some(2)));
    alone.close().await.unwrap();
    assert_eq!(get(&shop, LATEST).await, Some(1));
    assert_eq!((shop.stats().inserts, alone.stats().inserts), (1, 1));
}
