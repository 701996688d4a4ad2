//! Nodes that follow a stream on the same Redis, each connection as a user with the least privileges.

use stratacache::{Cache, Namespace, REDIS_ACL, Redis, RedisStream, TenantId, event::EventKind, millis};
use stratacache_testkit::servers::{Program, RedisServer};

use crate::world::LATEST;

const NODE: &str = "node";
const FOLLOWER: &str = "follower";
const SECRET: &str = "hunter2";

async fn grant(server: &RedisServer, user: &str, line: &str) {
    let password = format!(">{SECRET}");
    let words = ["ACL", "SETUSER", user, "reset", "on", &password].into_iter().chain(line.split_whitespace());
    server.command(&words.collect::<Vec<_>>()).await.unwrap();
}

fn url(server: &RedisServer, user: &str) -> String {
    server.url().replace("redis://", &format!("redis://{user}:{SECRET}@"))
}

async fn node(server: &RedisServer) -> (Cache, Namespace) {
    let redis = Redis::builder(url(server, NODE)).deadline(millis(5_000)).build().await.unwrap();
    let cache = Cache::builder().seed(7).tier(redis).build().await.unwrap();
    let acme = cache.tenant(&TenantId::parse("acme").unwrap());
    (cache, acme)
}

async fn stream(server: &RedisServer) -> RedisStream {
    let builder = RedisStream::builder(url(server, FOLLOWER), "changes", "web").deadline(millis(5_000));
    builder.poll(millis(10)).open().await.unwrap()
}

async fn add(server: &RedisServer, tenant: &str, targets: &str) {
    server.command(&["XADD", "changes", "*", "tenant", tenant, "targets", targets]).await.unwrap();
}

async fn has(acme: &Namespace, key: &str) -> bool {
    acme.get::<u32>(key).consistency(LATEST).await.is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_in_a_stream_reaches_every_node_under_the_least_privileges() {
    for program in [Program::Redis, Program::Valkey] {
        let server = RedisServer::builder(program).start().await.unwrap();
        grant(&server, NODE, REDIS_ACL).await;
        let line = RedisStream::builder(server.url(), "changes", "web").acl().unwrap();
        grant(&server, FOLLOWER, &line).await;
        let ((one, a), (two, b)) = (node(&server).await, node(&server).await);
        let mut events = one.events();
        let delivers = one.follow(stream(&server).await).start().unwrap();
        delivers.until(|progress| progress.delivering).await.unwrap();
        let stands_by = two.follow(stream(&server).await).start().unwrap();
        for key in ["tagged", "plain"] {
            a.insert(key, 1_u32).tag(key).await.unwrap();
            assert!(has(&b, key).await);
        }
        add(&server, "acme", r#"{"tag": "tagged"}"#).await;
        add(&server, "../etc", r#"{"tag": "plain"}"#).await;
        delivers.until(|progress| progress.applied == 1 && progress.set_aside == 1).await.unwrap();
        assert!(!has(&a, "tagged").await && !has(&b, "tagged").await);
        assert!(has(&a, "plain").await && has(&b, "plain").await);

        // a permission that is taken away is told to the operator; the change waits, and comes when it is given back
        grant(&server, FOLLOWER, &line.replace(" +xrange", "")).await;
        let failed = delivers.until(|progress| progress.failure.is_some()).await.unwrap();
        assert!(failed.failure.is_some_and(|failure| failure.ends_with(&line)));
        add(&server, "acme", r#"{"key": "plain"}"#).await;
        grant(&server, FOLLOWER, &line).await;
        delivers.until(|progress| progress.applied == 2).await.unwrap();
        assert!(!has(&a, "plain").await && !has(&b, "plain").await);
        let mut told = Vec::new();
        while let Some(Ok(event)) = events.try_next() {
            if let EventKind::SourceFailed { message, .. } = event.kind {
                told.push(message);
            }
        }
        assert!(told.iter().any(|message| message.ends_with(&line)), "{told:?}");

        a.insert("later", 1_u32).await.unwrap();
        one.close().await.unwrap();
        add(&server, "acme", r#"{"everything": true}"#).await;
        stands_by.until(|progress| progress.applied == 1).await.unwrap();
        assert!(!has(&b, "later").await, "the other one has taken over");
        two.close().await.unwrap();
    }
}
