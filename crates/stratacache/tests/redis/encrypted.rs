//! Encryption over Redis: what a dump of it holds, and what a dump from before is worth once a tenant was destroyed.

use stratacache::{Cache, MemoryKeys, Namespace, Policy, Redis, TenantId, minutes};
use stratacache_testkit::servers::{Persistence, Program, RedisServer};

use crate::world::until_stored;

const CANARY: &str = "the canary sings in the clear";

async fn node(server: &RedisServer, keys: &MemoryKeys) -> Cache {
    let redis = Redis::connect(server.url()).await.unwrap();
    let builder = Cache::builder().tier(redis).encryption(keys.clone());
    builder.default_policy(Policy::ttl(minutes(30))).build().await.unwrap()
}

fn tenant(cache: &Cache, name: &str) -> Namespace {
    cache.tenant(&TenantId::parse(name).unwrap())
}

async fn get(cache: &Cache, name: &str) -> Option<String> {
    tenant(cache, name).get::<String>("k").await.map(|value| value.to_string())
}

async fn dump(server: &RedisServer) -> Vec<u8> {
    server.command(&["SAVE"]).await.unwrap();
    let folder = server.command(&["CONFIG", "GET", "dir"]).await.unwrap();
    let folder = folder.elements()[1].text().unwrap();
    std::fs::read(std::path::Path::new(&folder).join("dump.rdb")).unwrap()
}

/// A server that begins with a dump.
async fn of_dump(bytes: &[u8]) -> RedisServer {
    let server = RedisServer::builder(Program::Redis).persistence(Persistence::Rdb).start().await.unwrap();
    let folder = server.command(&["CONFIG", "GET", "dir"]).await.unwrap();
    let file = std::path::Path::new(&folder.elements()[1].text().unwrap()).join("dump.rdb");
    server.kill().await.unwrap();
    std::fs::write(file, bytes).unwrap();
    server.restart().await.unwrap();
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_with_the_same_keys_share_entries_and_a_dump_holds_nothing_in_the_clear() {
    let server = RedisServer::builder(Program::Redis).persistence(Persistence::Rdb).start().await.unwrap();
    let keys = MemoryKeys::new();
    let (here, there) = (node(&server, &keys).await, node(&server, &keys).await);
    tenant(&here, "acme").insert("k", CANARY.to_owned()).await.unwrap();
    until_stored(&server, 1).await;
    assert_eq!(get(&there, "acme").await.as_deref(), Some(CANARY));
    assert_eq!(there.stats().tiers[1].hits, 1);
    assert!(!dump(&server).await.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_from_before_is_unreadable_after_a_tenant_was_destroyed() {
    let server = RedisServer::builder(Program::Redis).persistence(Persistence::Rdb).start().await.unwrap();
    let keys = MemoryKeys::new();
    let (here, there) = (node(&server, &keys).await, node(&server, &keys).await);
    for name in ["acme", "globex"] {
        tenant(&here, name).insert("k", CANARY.to_owned()).await.unwrap();
        assert_eq!(get(&there, name).await.as_deref(), Some(CANARY));
    }
    let before = dump(&server).await;
    let token = tenant(&here, "acme").destroy().await.unwrap();
    let since = stratacache::Consistency::Since(token);
    assert!(tenant(&there, "acme").get::<String>("k").consistency(since).await.is_none(), "on the other node, too");

    // the dump alone, and the keys that are left: the server's history is of before, so what is in it would be valid
    let old = of_dump(&before).await;
    let entries = old.command(&["KEYS", "*:e"]).await.unwrap().elements().len();
    assert_eq!(entries, 2, "the dump has both");
    let reader = node(&old, &keys).await;
    assert_eq!(get(&reader, "acme").await, None);
    for key in old.command(&["KEYS", "*:e"]).await.unwrap().elements() {
        let bytes = old.command(&["GET", &key.text().unwrap()]).await.unwrap();
        let bytes = bytes.bytes().unwrap();
        assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));
    }
}
