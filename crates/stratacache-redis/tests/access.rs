//! Who may connect, to what, and what is never shown.
#![allow(clippy::unwrap_used)] // a test panics where something is wrong

mod common;

use common::{Node, Server, lane, name, patient, prefix, tag};
use stratacache_core::{
    ErrorKind,
    coordinator::Coordinator,
    tier::{GetMany, PutItem, PutMany, RemoveMany, Tier, TierParts},
};
use stratacache_redis::{REDIS_ACL, Redis};
use stratacache_testkit::servers::{Program, RedisCluster, RedisServer};

const SECRET: &str = "hunter2-very-secret";
const USER: &str = "nosy-user-name";

fn restricted() -> stratacache_testkit::servers::RedisBuilder {
    RedisServer::builder(Program::Redis).acl_user(USER, &format!("on >{SECRET} {REDIS_ACL}"))
}

fn login(server: &Server) -> String {
    server.url().replace("redis://", &format!("redis://{USER}:{SECRET}@"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn user_and_password_are_in_no_error_and_no_debug() {
    let server = Server::of(restricted()).await;
    let url = login(&server);
    let mut shown = vec![format!("{:?}", Redis::builder(&url))];
    let redis = patient(&url).prefix("strata").build().await.unwrap();
    shown.push(format!("{redis:?} {:?}", redis.health()));
    let parts = TierParts::from(redis);
    shown.push(format!("{parts:?}"));
    let coordinator = parts.coordinator.unwrap();
    // taken away while it is connected: every operation fails
    server.cli(&["ACL", "SETUSER", USER, "resetkeys", "nocommands"]).await;
    shown.push(format!("{:?}", coordinator.sync(lane(1)).await.unwrap_err()));
    shown.push(format!("{:?}", parts.tier.get_many(GetMany::new(vec![name(1)])).await.unwrap_err()));
    shown.push(format!("{:?}", parts.tier.remove_many(RemoveMany::new(vec![name(1)])).await.unwrap_err()));
    shown.push(format!("{:?}", parts.tier.ping().await.unwrap_err()));
    let bad = [
        url.replace(USER, &format!("{USER}x")), // no such user
        url.replace("127.0.0.1", "no-such-host.invalid"),
        url.replace(&server.0.port().to_string(), "1"),
        url.replace("redis://", "rediss://"),
        url.replace("redis://", "redis-cluster://"),
        url.replace("redis://", "gopher://"),
        format!("{url}/notadatabase"),
    ];
    for url in bad {
        let error = Redis::builder(&url).build().await.unwrap_err();
        shown.push(format!("{error} {error:?}"));
    }
    for shown in shown {
        assert!(!shown.contains(SECRET) && !shown.contains(USER), "{shown}");
    }
}

#[tokio::test]
async fn a_server_that_would_lose_marks_is_refused_with_what_to_set() {
    for policy in ["noeviction", "allkeys-lru"] {
        let server = Server::of(RedisServer::builder(Program::Redis).maxmemory(64 << 20, policy)).await;
        let error = patient(&server.url()).prefix(prefix()).build().await.unwrap_err();
        assert!(error.to_string().contains("CONFIG SET maxmemory-policy volatile-lru"), "{error}");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        server.cli(&["CONFIG", "SET", "maxmemory-policy", "volatile-lru"]).await;
        patient(&server.url()).prefix(prefix()).build().await.unwrap();
    }
}

#[tokio::test]
async fn a_replica_and_the_wrong_kind_of_url_are_refused() {
    let primary = Server::start().await;
    let replica = Server::of(RedisServer::builder(Program::Redis).replica_of(&primary.0)).await;
    let error = patient(&replica.url()).prefix(prefix()).build().await.unwrap_err();
    assert!(error.to_string().contains("primary"), "{error}");
    let cluster = RedisCluster::start(3, 0).await.unwrap();
    let error = patient(&cluster.node(0).url()).prefix(prefix()).build().await.unwrap_err();
    assert!(error.to_string().contains("redis-cluster://"), "{error}");
}

#[tokio::test]
async fn a_certificate_of_somebody_else_is_refused() {
    let server = Server::of(RedisServer::builder(Program::Redis).tls()).await;
    let other = Server::of(RedisServer::builder(Program::Redis).tls()).await;
    let with = |ca: &Server| patient(&server.url()).ca_file(ca.0.ca_path().unwrap()).prefix(prefix());
    with(&server).build().await.unwrap();
    let error = with(&other).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(patient(&server.url()).prefix(prefix()).build().await.is_err(), "nor one that the system does not know");
}

#[tokio::test]
async fn two_prefixes_share_nothing() {
    let server = Server::start().await;
    let (one, two) = (
        Node::connect(patient(&server.url()).prefix("blue")).await,
        Node::connect(patient(&server.url()).prefix("green")).await,
    );
    let item = PutItem::new(name(1), "blue".into(), 1 << 45, None);
    one.tier.put_many(PutMany::new(vec![item])).await.unwrap();
    let got = two.tier.get_many(GetMany::new(vec![name(1)])).await.unwrap().remove(0);
    assert!(got.envelope.is_none());
    let before = two.sync(lane(1)).await;
    one.invalidate(lane(1), vec![tag(1)]).await;
    assert_eq!(two.sync(lane(1)).await, before);
}
