//! A stream of changes on a real Redis.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use stratacache_core::{
    ErrorKind,
    follow::{Batch, ChangeTarget, InvalidationSource as _, NextChanges, Position, SetAside},
    millis,
};
use stratacache_redis::RedisStream;
use stratacache_testkit::servers::{RedisCluster, RedisServer};

const SOON: NextChanges = NextChanges::new(100, Duration::from_millis(300));
const LATER: NextChanges = NextChanges::new(100, Duration::from_secs(20));

async fn open(server: &RedisServer, consumer: &str) -> RedisStream {
    RedisStream::builder(server.url(), "changes", consumer).poll(millis(10)).open().await.unwrap()
}

async fn add(server: &RedisServer, tenant: &str) {
    let words = ["XADD", "changes", "*", "tenant", tenant, "targets", r#"{"tag": 1}"#];
    server.command(&words).await.unwrap();
}

/// Waits for a batch with changes: one that begins to deliver says so first.
async fn changes(of: &RedisStream) -> Batch {
    loop {
        let batch = of.next(LATER).await.unwrap();
        if !batch.changes.is_empty() || batch.gap.is_some() {
            return batch;
        }
    }
}

fn tenants(batch: &Batch) -> Vec<String> {
    batch.changes.iter().map(|change| change.tenant.as_deref().unwrap_or("-").to_owned()).collect()
}

fn last(batch: &Batch) -> Position {
    batch.changes.last().unwrap().position
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_come_in_order_and_once_and_a_new_one_begins_after_what_was_acknowledged() {
    let server = RedisServer::start().await.unwrap();
    for tenant in ["a", "b", "c"] {
        add(&server, tenant).await;
    }
    let first = open(&server, "web").await;
    let batch = changes(&first).await;
    assert_eq!(tenants(&batch), ["a", "b", "c"]);
    assert!(batch.gap.is_none());
    assert!(batch.changes.iter().all(|change| change.targets.as_ref().unwrap() == &[ChangeTarget::tag(1)]));
    assert!(first.next(SOON).await.unwrap().changes.is_empty(), "nothing twice");
    assert_eq!(first.lag().await.unwrap().changes, 3);
    add(&server, "d").await;
    let more = changes(&first).await;
    first.acknowledge(last(&batch)).await.unwrap();
    assert_eq!(first.lag().await.unwrap().changes, 1);
    first.close().await.unwrap();
    assert_eq!(first.next(SOON).await.unwrap_err().kind(), ErrorKind::Closed);

    let second = open(&server, "web").await;
    let batch = changes(&second).await;
    assert_eq!((tenants(&batch), last(&batch)), (vec!["d".to_owned()], last(&more)));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_a_name_delivers_and_another_takes_over() {
    let server = RedisServer::start().await.unwrap();
    let (first, second, other) = (open(&server, "web").await, open(&server, "web").await, open(&server, "jobs").await);
    add(&server, "a").await;
    let batch = changes(&first).await;
    assert!(second.next(SOON).await.unwrap().standby);
    assert_eq!(tenants(&changes(&other).await), ["a"], "another consumer gets all");
    first.acknowledge(last(&batch)).await.unwrap();
    first.close().await.unwrap();
    add(&server, "b").await;
    assert_eq!(tenants(&changes(&second).await), ["b"]);
    // the lock of one that stood still is gone: it notices, and notes nothing over the other
    server.command(&["SET", "{changes}:strata:web:lock", "somebody"]).await.unwrap();
    assert!(second.next(SOON).await.unwrap().standby);
    second.acknowledge(Position::new(u64::MAX, 0)).await.unwrap();
    let noted = server.command(&["HGET", "{changes}:strata:web", "position"]).await.unwrap();
    assert_eq!(noted.text().unwrap(), last(&batch).to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_were_trimmed_before_they_were_read_are_a_gap() {
    let server = RedisServer::start().await.unwrap();
    let stream = open(&server, "web").await;
    add(&server, "a").await;
    let batch = changes(&stream).await;
    stream.acknowledge(last(&batch)).await.unwrap();
    server.command(&["XTRIM", "changes", "MAXLEN", "0"]).await.unwrap();
    add(&server, "b").await;
    let batch = changes(&stream).await;
    assert!(batch.gap.is_none() && tenants(&batch) == ["b"], "what was read may go");
    for tenant in ["c", "d"] {
        add(&server, tenant).await;
    }
    server.command(&["XTRIM", "changes", "MAXLEN", "1"]).await.unwrap();
    let batch = changes(&stream).await;
    assert!(batch.gap.is_some());
    assert_eq!(tenants(&batch), ["d"]);
    add(&server, "e").await;
    let batch = changes(&stream).await;
    assert!(batch.gap.is_none() && tenants(&batch) == ["e"]);
    stream.acknowledge(last(&batch)).await.unwrap();

    // gone altogether, as after an empty restart; the next one notices too
    stream.close().await.unwrap();
    server.command(&["DEL", "changes"]).await.unwrap();
    add(&server, "f").await;
    let batch = changes(&open(&server, "web").await).await;
    assert!(batch.gap.is_some());
    assert_eq!(tenants(&batch), ["f"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_is_kept_with_its_reason_and_the_rest_goes_on() {
    let server = RedisServer::start().await.unwrap();
    let long = format!("{{\"tag\": \"{}\"}}", "x".repeat(300_000));
    let entries: [&[&[u8]]; 5] = [
        &[b"tenant", b"a", b"targets", b"nonsense"],
        &[b"tenant", b"b"],
        &[b"tenant", b"\xff", b"targets", b"{\"tag\": 1}"],
        &[b"tenant", b"d", b"targets", long.as_bytes()],
        &[b"more", b"x", b"targets", b"{\"tag\": 1}"],
    ];
    for fields in entries {
        let mut words: Vec<&[u8]> = vec![b"XADD", b"changes", b"*"];
        words.extend(fields);
        server.command(&words).await.unwrap();
    }
    let stream = open(&server, "web").await;
    let batch = changes(&stream).await;
    let fine: Vec<bool> = batch.changes.iter().map(|change| change.targets.is_ok()).collect();
    assert_eq!(fine, [false, false, false, false, true]);
    assert!(batch.changes[4].tenant.is_none());
    let aside: Vec<SetAside> = batch.changes[..4].iter().map(|c| SetAside::new(c.position, "because")).collect();
    stream.set_aside(aside.clone()).await.unwrap();
    stream.set_aside(aside).await.unwrap();
    let kept = server.command(&["XLEN", "{changes}:strata:web:poison"]).await.unwrap();
    assert_eq!(format!("{kept:?}"), "Integer(4)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_made_again_and_nothing_is_returned_twice() {
    let server = RedisServer::start().await.unwrap();
    let stream = open(&server, "web").await;
    add(&server, "a").await;
    changes(&stream).await;
    server.command(&["CLIENT", "KILL", "TYPE", "normal"]).await.unwrap();
    add(&server, "b").await;
    let batch = loop {
        match stream.next(LATER).await {
            Ok(batch) if !batch.changes.is_empty() => break batch,
            _ => tokio::time::sleep(millis(20)).await,
        }
    };
    assert_eq!(tenants(&batch), ["b"]);
    server.pause().await.unwrap();
    assert!(stream.lag().await.is_err(), "a server that hangs costs a deadline");
    server.resume().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_keys_of_a_stream_are_in_one_slot_of_a_cluster() {
    let cluster = RedisCluster::start(3, 0).await.unwrap();
    let url = cluster.urls()[0].replace("redis://", "redis-cluster://");
    for key in ["changes", "{app}:changes"] {
        let stream = RedisStream::builder(&url, key, "web").poll(millis(10)).open().await.unwrap();
        assert!(stream.next(SOON).await.unwrap().changes.is_empty());
        assert_eq!(stream.lag().await.unwrap().changes, 0);
        stream.close().await.unwrap();
    }
    for key in ["a}b", "{}changes"] {
        let error = RedisStream::builder(&url, key, "web").open().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("braces"), "{error}");
    }
}

#[tokio::test]
async fn no_password_is_shown_and_knobs_are_refused_by_name() {
    let builder = || RedisStream::builder("redis://me:hunter2@127.0.0.1:1", "changes", "web");
    assert!(!format!("{:?}", builder()).contains("hunter2"));
    let error = builder().open().await.unwrap_err();
    assert!(!format!("{error:?}").contains("hunter2"));
    for (refused, knob) in [
        (builder().poll(Duration::ZERO), "poll"),
        (builder().deadline(Duration::from_secs(60)), "deadline"),
        (RedisStream::builder("redis://127.0.0.1:1", "changes", "a:b"), "consumer"),
        (RedisStream::builder("redis://127.0.0.1:1", "", "web"), "key"),
    ] {
        assert!(refused.open().await.unwrap_err().to_string().contains(knob));
    }
}
