//! A server that answers, and takes no writes.

use stratacache::{ErrorKind, millis};
use stratacache_testkit::servers::{Program, RedisServer};

use crate::world::{LATEST, Loads, Node};

/// Nothing old is served while it refuses, errors say what to do, and all goes on when it takes writes again.
async fn an_invalidation_errs_and_nothing_old_is_served(server: &RedisServer, refuse: &[&str], names: &str) -> Node {
    let here = Node::start(server).await;
    let (a, loads) = (here.tenant("acme"), Loads::default());
    assert_eq!(loads.read(&a, "k", LATEST).await, 1);
    assert_eq!(loads.read(&a, "k", LATEST).await, 1);
    server.command(refuse).await.unwrap();
    // a snapshot fails in the background
    let error = loop {
        match a.invalidate("k").await {
            Err(error) => break error,
            Ok(_) => tokio::time::sleep(millis(10)).await,
        }
    };
    assert!(error.to_string().contains(names), "{error}");
    let error = a.invalidate_tag("all").await.unwrap_err();
    assert!(error.to_string().contains(names), "{error}");
    let before = loads.count();
    assert!(loads.read(&a, "k", LATEST).await > before, "what may be old is loaded");
    here
}

async fn all_goes_on(server: &RedisServer, here: &Node, allow: &[&str]) {
    server.command(allow).await.unwrap();
    let (a, loads) = (here.tenant("acme"), Loads::default());
    while a.invalidate("k").await.is_err() {
        tokio::time::sleep(millis(10)).await;
    }
    let read = loads.read(&a, "k", LATEST).await;
    a.invalidate_tag("all").await.unwrap();
    assert!(loads.read(&a, "k", LATEST).await > read);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_full_is_named_and_serves_nothing_old() {
    let server = RedisServer::start().await.unwrap();
    let full = ["CONFIG", "SET", "maxmemory", "1"];
    let here = an_invalidation_errs_and_nothing_old_is_served(&server, &full, "raise maxmemory").await;
    let kind = here.tenant("acme").invalidate("k").await.unwrap_err().kind();
    assert_eq!(kind, ErrorKind::Full);
    all_goes_on(&server, &here, &["CONFIG", "SET", "maxmemory", "0"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_cannot_save_is_named_and_serves_nothing_old() {
    let saves = RedisServer::builder(Program::Redis).config("save", "3600 1000000").config("dbfilename", "snapshot");
    let server = saves.start().await.unwrap();
    // a folder is where its snapshot should be
    let folder = server.command(&["CONFIG", "GET", "dir"]).await.unwrap().elements()[1].text().unwrap();
    std::fs::create_dir(std::path::Path::new(&folder).join("snapshot")).unwrap();
    let here = an_invalidation_errs_and_nothing_old_is_served(&server, &["BGSAVE"], "cannot save").await;
    all_goes_on(&server, &here, &["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_misses_its_replicas_is_named_and_serves_nothing_old() {
    let server = RedisServer::start().await.unwrap();
    let lonely = ["CONFIG", "SET", "min-replicas-to-write", "1"];
    let here = an_invalidation_errs_and_nothing_old_is_served(&server, &lonely, "min-replicas-to-write").await;
    all_goes_on(&server, &here, &["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
}
