//! An operator's scan beside nodes at work: it finds the keys of one tenant, writes nothing, and has a user of its own.

use std::{future::IntoFuture as _, time::Duration};

use stratacache::{
    Cache, ErrorKind, Glob, Keyspace, MemoryKeys, Policy, REDIS_ACL, REDIS_SCAN_ACL, Redis, RedisScan,
    RedisScanBuilder, ScanCursor, TenantId, minutes,
};
use stratacache_testkit::servers::{Program, RedisCluster, RedisServer};

use crate::world::{Node, entries, until_stored};

const PAGES: Keyspace<(String, u32), u32> = Keyspace::new("pages", Policy::ttl(minutes(5))).scannable();
const SECRET: &str = "hunter2-very-secret";
const USER: &str = "nosy-operator-name";

fn glob(pattern: &str) -> Glob {
    Glob::new(pattern).unwrap()
}

async fn server(rules: &str) -> RedisServer {
    let server = RedisServer::builder(Program::Redis).acl_user(USER, &format!("on >{SECRET} {rules}"));
    server.start().await.unwrap()
}

fn scan(server: &RedisServer) -> RedisScanBuilder {
    let url = server.url().replace("redis://", &format!("redis://{USER}:{SECRET}@"));
    RedisScan::builder(url).deadline(Duration::from_secs(10))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_found_on_a_node_that_never_read_them_and_are_gone_on_all_after_they_were_invalidated() {
    let server = server(REDIS_SCAN_ACL).await;
    let (here, there) = (Node::start(&server).await, Node::start(&server).await);
    let long = "l".repeat(3_000);
    for name in ["acme", "globex"] {
        let ns = there.tenant(name);
        for n in 0..60 {
            ns.insert(PAGES.key(&(["a", "b"][n as usize % 2].to_owned(), n)), n).await.unwrap();
        }
        // a key, and tags, that need a second look
        ns.insert(PAGES.key(&(long.clone(), 1)), 1).await.unwrap();
        ns.insert(PAGES.key(&("many".to_owned(), 1)), 1).tags((0..30).map(|tag| format!("tag-{tag}"))).await.unwrap();
        ns.insert("of no keyspace", 1_u32).await.unwrap();
    }
    until_stored(&server, 126).await;
    let strange = |n: u8| format!("strata:{{{n:032x}}}:e");
    server.command(&["LPUSH", &strange(1), "a"]).await.unwrap();
    server.command(&["SET", &strange(2), "x"]).await.unwrap();
    let scan = scan(&server).build().await.unwrap();
    let acme = here.tenant("acme");
    let found = acme.scan_keys(&scan, glob("b/*")).batch(20).pause(Duration::ZERO).await.unwrap();
    assert_eq!((found.keys.len(), found.skipped, found.cursor.is_none()), (30, 2, true));
    for (pattern, key) in [("ll*/1", format!("{long}/1")), ("many/1", "many/1".to_owned())] {
        let found = acme.scan_keys(&scan, glob(pattern)).await.unwrap();
        assert_eq!(found.keys.iter().map(|key| &key.shown).collect::<Vec<_>>(), [&key]);
    }
    assert_eq!(entries(&server).await, 128, "a look");
    acme.invalidate(found).await.unwrap();
    assert_eq!(entries(&server).await, 98);
    assert_eq!(acme.scan_keys(&scan, glob("*/*")).await.unwrap().keys.len(), 32);
    let globex = here.tenant("globex").scan_keys(&scan, glob("*/*")).await.unwrap();
    assert_eq!(globex.keys.len(), 62);
    let one = PAGES.key(&("b".to_owned(), 1));
    assert!(there.tenant("globex").get(&one).await.is_some());
    let again = stratacache::Consistency::Latest;
    assert!(there.tenant("acme").get(&one).consistency(again).await.is_none(), "on the other node, too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_works_under_the_least_privilege_that_the_docs_name_and_may_do_nothing_else() {
    let server = server(REDIS_SCAN_ACL).await;
    let error = scan(&server).build().await.unwrap_err();
    assert!(error.to_string().contains("ever connected"), "{error}");
    let here = Node::start(&server).await;
    here.tenant("acme").insert(PAGES.key(&("a".to_owned(), 1)), 1).await.unwrap();
    until_stored(&server, 1).await;
    let scan = scan(&server).build().await.unwrap();
    assert_eq!(here.tenant("acme").scan_keys(&scan, glob("**")).await.unwrap().keys.len(), 1);
    let shown = format!("{scan:?}");
    assert!(!shown.contains(SECRET) && !shown.contains(USER), "{shown}");
    for refused in [
        &["KEYS", "*"][..],
        &["FLUSHALL"],
        &["CONFIG", "GET", "*"],
        &["ACL", "LIST"],
        &["GET", "strata:{0f}:e"],
        &["SET", "strata:{0f}:e", "1"],
        &["DEL", "strata:{0f}:e"],
        &["UNLINK", "strata:{0f}:e"],
        &["EXPIRE", "strata:{0f}:e", "1"],
        &["EVAL", "return 1", "0"],
        &["GETRANGE", "other:{0f}:e", "0", "9"],
        &["GETRANGE", "strata:{0f}:l", "0", "9"],
        &["GETRANGE", "strata:{c3}:m0", "0", "9"],
        &["HGETALL", "strata:{c3}:h"],
        &["XRANGE", "strata:{c3}:s", "-", "+"],
        &["PUBLISH", "strata:fills", "1"],
        &["SUBSCRIBE", "strata:fills"],
    ] {
        let words = [&["ACL", "DRYRUN", USER], refused].concat();
        let said = server.command(&words).await.unwrap().text().unwrap_or_default().to_owned();
        assert!(said.contains("no permissions"), "{refused:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_user_of_the_nodes_may_not_scan_and_is_told_which_permissions_that_takes() {
    for (rules, named) in [
        (REDIS_ACL.to_owned(), "SCAN"),
        (format!("{REDIS_SCAN_ACL} -info"), "INFO"),
        (format!("{REDIS_SCAN_ACL} -getrange"), "GETRANGE"),
        (format!("{REDIS_SCAN_ACL} -exists"), "EXISTS"),
    ] {
        let server = server(&rules).await;
        let _here = Node::start(&server).await;
        let error = scan(&server).build().await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("ACL SETUSER") && shown.contains(REDIS_SCAN_ACL), "{named}: {shown}");
        assert!(shown.contains(named), "{named}: {shown}");
        assert!(!shown.contains(USER) && !shown.contains(SECRET), "{shown}");
    }
    // taken away while it is used
    let server = server(REDIS_SCAN_ACL).await;
    let here = Node::start(&server).await;
    let scan = scan(&server).build().await.unwrap();
    server.command(&["ACL", "SETUSER", USER, "-scan"]).await.unwrap();
    let error = here.tenant("acme").scan_keys(&scan, glob("**")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains(REDIS_SCAN_ACL), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encrypted_entries_are_found_by_who_has_the_keys() {
    let server = RedisServer::start().await.unwrap();
    let keys = MemoryKeys::new();
    let node = async |keys: MemoryKeys| {
        let redis = Redis::connect(server.url()).await.unwrap();
        Cache::builder().tier(redis).encryption(keys).build().await.unwrap()
    };
    let (here, stranger) = (node(keys.clone()).await, node(MemoryKeys::new()).await);
    let acme = TenantId::parse("acme").unwrap();
    here.tenant(&acme).insert(PAGES.key(&("canary".to_owned(), 1)), 1).await.unwrap();
    until_stored(&server, 1).await;
    let scan = RedisScan::builder(server.url()).build().await.unwrap();
    let found = here.tenant(&acme).scan_keys(&scan, glob("canary/*")).await.unwrap();
    assert_eq!(found.keys.len(), 1);
    let found = stranger.tenant(&acme).scan_keys(&scan, glob("**")).await.unwrap();
    assert_eq!((found.keys.len(), found.skipped), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_master_of_a_cluster_is_walked_and_a_scan_goes_on_where_it_ended() {
    let cluster = RedisCluster::start(3, 0).await.unwrap();
    let hosts: Vec<String> = cluster.nodes().iter().map(|node| node.addr().to_string()).collect();
    let url = format!("redis-cluster://{}", hosts.join(","));
    let redis = Redis::builder(&url).deadline(Duration::from_secs(5)).build().await.unwrap();
    let cache = Cache::builder().tier(redis).build().await.unwrap();
    let acme = cache.tenant(&TenantId::parse("acme").unwrap());
    acme.insert_many((0..200).map(|n| (PAGES.key(&("a".to_owned(), n)), n))).await.unwrap();
    let scan = RedisScan::builder(&url).deadline(Duration::from_secs(10)).build().await.unwrap();
    let all = acme.scan_keys(&scan, glob("a/*")).await.unwrap();
    assert_eq!((all.keys.len(), all.cursor), (200, None));
    let (mut keys, mut from) = (std::collections::BTreeSet::new(), None::<ScanCursor>);
    loop {
        let run = acme.scan_keys(&scan, glob("a/*")).batch(10).examine(30).pause(Duration::ZERO);
        let found = match from.take() {
            Some(cursor) => run.resume(cursor.to_string().parse().unwrap()).await.unwrap(),
            None => run.await.unwrap(),
        };
        keys.extend(found.keys.into_iter().map(|key| key.shown));
        match found.cursor {
            Some(cursor) => from = Some(cursor),
            None => break,
        }
    }
    assert_eq!(keys.len(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_server_is_an_error_within_a_bounded_time() {
    let server = RedisServer::start().await.unwrap();
    let here = Node::start(&server).await;
    let scan = RedisScan::builder(server.url()).deadline(Duration::from_millis(300)).build().await.unwrap();
    server.kill().await.unwrap();
    let acme = here.tenant("acme");
    let scanned = acme.scan_keys(&scan, glob("**")).into_future();
    let error = tokio::time::timeout(Duration::from_secs(60), scanned).await.unwrap().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::WriteUnknown), "{error:?}");
}
