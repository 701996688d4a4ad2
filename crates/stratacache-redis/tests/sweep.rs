//! What an operator's sweep may do, what it leaves alone, and what it says.
#![allow(clippy::unwrap_used)] // a test panics where something is wrong

mod common;

use std::time::Duration;

use common::{Node, Server, lane, name, patient, tag};
use stratacache_core::{
    ErrorKind,
    stamp::Lane,
    tier::{PutItem, PutMany, Tier},
};
use stratacache_redis::{REDIS_ACL, REDIS_SWEEP_ACL, Sweep, SweepBuilder, SweepCursor};
use stratacache_testkit::servers::{Program, RedisServer};

const SECRET: &str = "hunter2-very-secret";
const USER: &str = "nosy-sweeper-name";

async fn server(rules: &str) -> Server {
    Server::of(RedisServer::builder(Program::Redis).acl_user(USER, &format!("on >{SECRET} {rules}"))).await
}

fn sweep(server: &Server) -> SweepBuilder {
    let url = server.url().replace("redis://", &format!("redis://{USER}:{SECRET}@"));
    Sweep::builder(url).deadline(Duration::from_secs(5)).pause(Duration::ZERO)
}

/// Stores entries of the lane 3; those of odd numbers have been invalidated since.
async fn fill(node: &Node, count: u64) {
    let (stamp, global) = (node.sync(lane(3)).await, node.sync(Lane::GLOBAL).await);
    let items = (0..count).map(|n| PutItem::new(name(n), common::envelope(n, stamp, global), 1 << 45, None)).collect();
    node.tier.put_many(PutMany::new(items)).await.unwrap();
    node.invalidate(lane(3), vec![tag(1)]).await;
}

async fn keys(server: &Server, pattern: &str) -> usize {
    server.0.command(&["KEYS", pattern]).await.unwrap().elements().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_works_under_the_least_privilege_that_the_docs_name_and_may_do_nothing_else() {
    const CONTROL: &str = "strata:{c*}:[hms]*";
    let server = server(REDIS_SWEEP_ACL).await;
    let node = Node::connect(patient(&server.url()).prefix("strata")).await;
    fill(&node, 40).await;
    let control = keys(&server, CONTROL).await;
    let report = sweep(&server).build().await.unwrap().run().await.unwrap();
    assert_eq!((report.scanned, report.judged, report.unlinked), (40, 40, 20), "{report}");
    assert_eq!((keys(&server, "*:e").await, keys(&server, CONTROL).await), (20, control));

    let dry = async |words: &[&str]| {
        let words = [&["ACL", "DRYRUN", USER], words].concat();
        server.0.command(&words).await.unwrap().text().unwrap_or_default()
    };
    assert_eq!(dry(&["GETRANGE", "strata:{0f}:e", "0", "9"]).await, "OK");
    for refused in [
        &["KEYS", "*"][..],
        &["FLUSHALL"],
        &["FLUSHDB"],
        &["CONFIG", "GET", "*"],
        &["ACL", "LIST"],
        &["SCRIPT", "FLUSH"],
        &["SET", "strata:{0f}:e", "1"],
        &["DEL", "strata:{0f}:e"],
        &["GET", "strata:{0f}:e"],
        // foreign prefixes
        &["GETRANGE", "other:{0f}:e", "0", "9"],
        &["UNLINK", "other:{0f}:e"],
        &["UNLINK", "stratax:{0f}:e"],
        // leases and what orders invalidations
        &["UNLINK", "strata:{0f}:l"],
        &["GETRANGE", "strata:{0f}:l", "0", "9"],
        &["UNLINK", "strata:{c3}:h"],
        &["UNLINK", "strata:{c3}:m0"],
        &["UNLINK", "strata:{c3}:s"],
        &["EVAL", "return 1", "1", "strata:{c3}:h"],
        &["PUBLISH", "strata:fills", "1"],
        &["SUBSCRIBE", "strata:fills"],
    ] {
        let said = dry(refused).await;
        assert!(said.contains("no permissions"), "{refused:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_user_of_the_nodes_may_not_sweep_and_is_told_which_permissions_that_takes() {
    let ordinary = server(REDIS_ACL).await;
    drop(Node::connect(patient(&ordinary.url()).prefix("strata")).await);
    let mut errors = vec![("SCAN", sweep(&ordinary).build().await.unwrap_err())];
    for (less, named) in [
        ("-info", "INFO"),
        ("-getrange", "GETRANGE"),
        ("-unlink", "UNLINK"),
        ("-hmget", "HMGET"),
        ("-hscan", "HSCAN"),
        ("-evalsha", "EVALSHA"),
    ] {
        let server = server(&format!("{REDIS_SWEEP_ACL} {less}")).await;
        drop(Node::connect(patient(&server.url()).prefix("strata")).await);
        errors.push((named, sweep(&server).build().await.unwrap_err()));
    }
    for (named, error) in errors {
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("ACL SETUSER") && shown.contains(REDIS_SWEEP_ACL), "{named}: {shown}");
        assert!(shown.contains(named), "{named}: {shown}");
        assert!(!shown.contains(USER) && !shown.contains(SECRET), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strange_values_are_skipped_and_counted_and_other_keys_are_not_looked_at() {
    let server = server(REDIS_SWEEP_ACL).await;
    let node = Node::connect(patient(&server.url()).prefix("strata")).await;
    fill(&node, 10).await;
    let strange = |n: u8| format!("strata:{{{n:032x}}}:e");
    server.cli(&["LPUSH", &strange(1), "a"]).await;
    server.cli(&["HSET", &strange(2), "a", "b"]).await;
    server.cli(&["SET", &strange(3), "x"]).await;
    server.cli(&["SET", &strange(4), &"S".repeat(500)]).await;
    // a whole head that promises tags which are not there, in a value of the store's present history
    let some = server.0.command(&["KEYS", "strata:*:e"]).await.unwrap();
    let good = some.elements().iter().filter_map(|key| key.text()).find(|key| !key.contains("{000000000000"));
    let bytes = server.0.command(&["GETRANGE", &good.unwrap(), "0", "140"]).await.unwrap().bytes().unwrap().to_vec();
    server.0.command(&[b"SET", strange(5).as_bytes(), &bytes]).await.unwrap();
    let mut next = bytes.clone();
    next[10] = 2; // the version
    server.0.command(&[b"SET", strange(6).as_bytes(), &next]).await.unwrap();
    for other in ["other:{0}:e", "strata:{c1}:e", "strata:{}:e", "stratax:{00}:e"] {
        server.cli(&["SET", other, "x"]).await;
    }
    let before = keys(&server, "*").await;
    let report = sweep(&server).build().await.unwrap().run().await.unwrap();
    assert_eq!((report.scanned, report.judged, report.skipped, report.unlinked), (16, 10, 6, 5), "{report}");
    assert_eq!(keys(&server, "*").await, before - 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deployments_with_other_prefixes_on_the_same_server_are_left_alone() {
    let server = server(&REDIS_SWEEP_ACL.replace("strata", "blue")).await;
    for prefix in ["blue", "green", "blue-2"] {
        fill(&Node::connect(patient(&server.url()).prefix(prefix)).await, 20).await;
    }
    let report = sweep(&server).prefix("blue").build().await.unwrap().run().await.unwrap();
    assert_eq!((report.scanned, report.unlinked), (20, 10), "{report}");
    let left = async |prefix: &str| keys(&server, &format!("{prefix}:*:e")).await;
    assert_eq!((left("blue").await, left("green").await, left("blue-2").await), (10, 20, 20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_that_cannot_be_is_refused_with_what_to_do_and_without_the_password() {
    let server = server("~* &* +@all").await;
    let mut errors = vec![
        (sweep(&server).prefix("nobody").build().await.unwrap_err(), "no node of a deployment"),
        (sweep(&server).prefix("a:b").build().await.unwrap_err(), "prefix"),
        (sweep(&server).batch(0).build().await.unwrap_err(), "`batch`"),
        (sweep(&server).most(0).build().await.unwrap_err(), "`most`"),
        (sweep(&server).deadline(Duration::ZERO).build().await.unwrap_err(), "`deadline`"),
        ("12".parse::<SweepCursor>().unwrap_err(), "cursor"),
    ];
    for (error, says) in &errors {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    let node = Node::connect(patient(&server.url()).prefix("strata")).await;
    fill(&node, 10).await;
    let connected = sweep(&server).build().await.unwrap();
    let mut shown = vec![format!("{:?} {connected:?}", sweep(&server))];
    // taken away while it is connected
    server.cli(&["ACL", "SETUSER", USER, "-scan"]).await;
    let stopped = connected.run().await.unwrap_err();
    assert!(stopped.to_string().contains("may not run SCAN") && stopped.report().cursor.is_some(), "{stopped}");
    server.cli(&["ACL", "SETUSER", USER, "+scan"]).await;
    let cursor = stopped.report().cursor.clone().unwrap();
    assert_eq!(connected.resume(cursor).await.unwrap().unlinked, 5);
    shown.push(format!("{stopped} {stopped:?}"));
    server.0.kill().await.unwrap();
    errors.push((connected.run().await.unwrap_err().into(), ""));
    errors.push((sweep(&server).build().await.unwrap_err(), ""));
    shown.extend(errors.iter().map(|(error, _)| format!("{error} {error:?}")));
    for shown in shown {
        assert!(!shown.contains(USER) && !shown.contains(SECRET), "{shown}");
    }
}
