//! Leases: who loads, who stores, and who is told.
#![allow(clippy::unwrap_used)] // a test panics where something is wrong

mod common;

use std::time::Duration;

use common::{Node, Server, lane, name, patient, prefix};
use stratacache_core::{
    EntryName,
    clock::Millis,
    coordinator::{Coordinator, Lease, LeaseReply, LeaseRequest},
    stamp::{Incarnation, Position},
    tier::{Fence, GetMany, PutItem, PutMany, PutOutcome, RemoveMany, Tier},
};

const FAR: Millis = 1 << 45;
const LIFE: Duration = Duration::from_secs(60);

async fn pair() -> (Server, Node, Node) {
    let (server, prefix) = (Server::start().await, prefix());
    let builder = patient(&server.url()).prefix(prefix);
    let nodes = (Node::connect(builder.clone()).await, Node::connect(builder).await);
    (server, nodes.0, nodes.1)
}

fn request(at: EntryName, stamp: Position) -> LeaseRequest {
    LeaseRequest::new(lane(1), at, stamp, LIFE)
}

async fn granted(node: &Node, request: LeaseRequest) -> Lease {
    match node.coordinator.lease(request).await.unwrap() {
        LeaseReply::Granted(lease) => lease,
        other => panic!("the lease was {other:?}"),
    }
}

/// An envelope of at least a head, with an id where envelopes have it.
fn envelope(id: u64) -> Vec<u8> {
    let mut bytes = vec![7; 128];
    bytes[24..32].copy_from_slice(&id.to_le_bytes());
    bytes
}

async fn put(node: &Node, at: EntryName, id: u64, token: u128) -> PutOutcome {
    let item = PutItem::new(at, envelope(id).into(), FAR, Some(Fence(token)));
    node.tier.put_many(PutMany::new(vec![item])).await.unwrap().remove(0)
}

async fn get(node: &Node, at: EntryName) -> Option<bytes::Bytes> {
    node.tier.get_many(GetMany::new(vec![at])).await.unwrap().remove(0).envelope
}

const STAMP: Position = Position { incarnation: Incarnation(9), seq: 5 };

#[tokio::test]
async fn a_load_is_stored_under_its_lease_and_wakes_who_waits() {
    let (_server, one, two) = pair().await;
    let lease = granted(&one, request(name(1), STAMP)).await;
    let ended = two.coordinator.watch(name(1));
    assert_eq!(two.coordinator.lease(request(name(1), STAMP)).await.unwrap(), LeaseReply::Busy);
    assert!(matches!(put(&one, name(1), 77, lease.token).await, PutOutcome::Stored));
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("the fill wakes the waiter on the other node");
    assert_eq!(two.coordinator.lease(request(name(1), STAMP)).await.unwrap(), LeaseReply::Filled);
    assert_eq!(get(&two, name(1)).await.unwrap(), envelope(77));
    let mut seen = request(name(1), STAMP);
    seen.seen = Some(77);
    granted(&two, seen).await; // who could not use what is there loads
}

#[tokio::test]
async fn a_lease_that_is_released_wakes_who_waits_and_can_be_had() {
    let (_server, one, two) = pair().await;
    let lease = granted(&one, request(name(1), STAMP)).await;
    let ended = two.coordinator.watch(name(1));
    assert_eq!(two.coordinator.lease(request(name(1), STAMP)).await.unwrap(), LeaseReply::Busy);
    one.coordinator.release(lease).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("the release wakes the waiter");
    granted(&two, request(name(1), STAMP)).await;
}

#[tokio::test]
async fn an_expired_lease_is_had_by_the_next_and_the_late_fill_is_refused() {
    let (_server, one, two) = pair().await;
    let mut short = request(name(1), STAMP);
    short.life = Duration::from_millis(1);
    let late = granted(&one, short).await;
    let next = loop {
        match two.coordinator.lease(request(name(1), STAMP)).await.unwrap() {
            LeaseReply::Granted(lease) => break lease,
            LeaseReply::Busy => tokio::task::yield_now().await,
            other => panic!("{other:?}"),
        }
    };
    assert!(!one.coordinator.renew(late).await.unwrap(), "a lease that is gone is not renewed");
    assert!(matches!(put(&one, name(1), 1, late.token).await, PutOutcome::Fenced));
    assert_eq!(get(&one, name(1)).await, None);
    assert!(matches!(put(&two, name(1), 2, next.token).await, PutOutcome::Stored));
    assert_eq!(get(&one, name(1)).await.unwrap(), envelope(2));
}

/// The clock of a node may be behind that of the server: what was taken is gone all the same.
#[tokio::test]
async fn what_has_no_life_left_takes_the_place_of_what_was_there_and_ends_the_lease() {
    let (_server, one, two) = pair().await;
    let first = granted(&one, request(name(1), STAMP)).await;
    assert!(matches!(put(&one, name(1), 1, first.token).await, PutOutcome::Stored));
    let mut seen = request(name(1), STAMP);
    seen.seen = Some(1);
    let lease = granted(&one, seen.clone()).await;
    let over = PutItem::new(name(1), envelope(2).into(), 1, Some(Fence(lease.token)));
    let stored = one.tier.put_many(PutMany::new(vec![over])).await.unwrap().remove(0);
    assert!(matches!(stored, PutOutcome::Stored));
    assert_eq!(get(&two, name(1)).await, None);
    granted(&two, seen).await;
}

#[tokio::test]
async fn a_removal_ends_the_lease() {
    let (_server, one, two) = pair().await;
    let lease = granted(&one, request(name(1), STAMP)).await;
    two.tier.remove_many(RemoveMany::new(vec![name(1)])).await.unwrap();
    assert!(!one.coordinator.renew(lease).await.unwrap());
    assert!(matches!(put(&one, name(1), 1, lease.token).await, PutOutcome::Fenced));
    one.coordinator.release(lease).await.unwrap(); // nothing to release, and no error
    granted(&two, request(name(1), STAMP)).await;
}

#[tokio::test]
async fn a_lease_of_a_load_that_is_of_no_use_any_more_is_taken_over() {
    let (_server, one, two) = pair().await;
    let old = granted(&one, request(name(1), STAMP)).await;
    let later = Position { seq: 9, ..STAMP };
    assert_eq!(
        two.coordinator.lease(request(name(1), later)).await.unwrap(),
        LeaseReply::Busy,
        "no newer mark is known"
    );
    let mut knows = request(name(1), later);
    knows.newest = 6;
    let new = granted(&two, knows.clone()).await;
    assert!(matches!(put(&one, name(1), 1, old.token).await, PutOutcome::Fenced), "the old load stores nothing");
    let mut another = request(name(1), Position { incarnation: Incarnation(10), seq: 2 });
    another.newest = 0;
    let newest = granted(&one, another).await; // the lease was of another history
    assert!(matches!(put(&two, name(1), 1, new.token).await, PutOutcome::Fenced));
    assert!(matches!(put(&one, name(1), 3, newest.token).await, PutOutcome::Stored));
    assert_eq!(one.redis.health().takeovers + two.redis.health().takeovers, 2);
}

#[tokio::test]
async fn the_lease_of_an_insert_is_taken_over_by_nobody() {
    let (_server, one, two) = pair().await;
    let loading = granted(&one, request(name(1), STAMP)).await;
    let fence = two.tier.get_many(GetMany::fences(vec![name(1)])).await.unwrap().remove(0).fence.unwrap();
    assert!(matches!(put(&one, name(1), 1, loading.token).await, PutOutcome::Fenced), "the insert has the lease now");
    for (incarnation, newest) in [(9, 1 << 50), (10, 0)] {
        let mut ask = request(name(1), Position { incarnation: Incarnation(incarnation), seq: 1 << 50 });
        ask.newest = newest;
        assert_eq!(one.coordinator.lease(ask).await.unwrap(), LeaseReply::Busy);
    }
    assert!(matches!(put(&two, name(1), 4, fence.0).await, PutOutcome::Stored));
}

#[tokio::test]
async fn a_lease_granted_before_a_failover_is_void_after_it() {
    let (server, one, _two) = pair().await;
    let lease = granted(&one, request(name(1), STAMP)).await;
    assert!(matches!(
        put(&one, name(2), 5, granted(&one, request(name(2), STAMP)).await.token).await,
        PutOutcome::Stored
    ));
    // the same keys under another replication id, as after a failover that may have lost a removal
    server.cli(&["REPLICAOF", "127.0.0.1", "1"]).await;
    server.cli(&["REPLICAOF", "NO", "ONE"]).await;
    assert!(!one.coordinator.renew(lease).await.unwrap());
    assert!(matches!(put(&one, name(1), 1, lease.token).await, PutOutcome::Fenced));
    let latest = one.tier.get_many(GetMany::new(vec![name(2)]).latest(true)).await.unwrap().remove(0);
    assert_eq!(latest.envelope, None, "what was stored in another history is absent");
    // and whoever looks for it can load it
    granted(&one, request(name(2), STAMP)).await;
    granted(&one, request(name(1), STAMP)).await;
}

#[tokio::test]
async fn entries_of_another_history_are_absent_within_a_second_without_asking_for_the_latest() {
    let (server, one, _two) = pair().await;
    assert!(matches!(
        put(&one, name(2), 5, granted(&one, request(name(2), STAMP)).await.token).await,
        PutOutcome::Stored
    ));
    assert!(get(&one, name(2)).await.is_some());
    server.cli(&["REPLICAOF", "127.0.0.1", "1"]).await;
    server.cli(&["REPLICAOF", "NO", "ONE"]).await;
    for _ in 0..400 {
        if get(&one, name(2)).await.is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the heartbeat did not notice");
}

#[tokio::test]
async fn a_demoted_primary_answers_with_errors_and_never_with_data() {
    let (server, one, _two) = pair().await;
    assert!(matches!(
        put(&one, name(2), 5, granted(&one, request(name(2), STAMP)).await.token).await,
        PutOutcome::Stored
    ));
    server.cli(&["REPLICAOF", "127.0.0.1", "1"]).await;
    server.cli(&["CONFIG", "SET", "replica-serve-stale-data", "yes"]).await;
    assert!(server.cli(&["GET", "nothing"]).await.is_empty(), "it still reads");
    for latest in [false, true] {
        let got = one.tier.get_many(GetMany::new(vec![name(2)]).latest(latest)).await;
        assert!(got.is_err(), "a demoted primary is not believed: {got:?}");
    }
    assert!(one.coordinator.sync(lane(1)).await.is_err());
}
