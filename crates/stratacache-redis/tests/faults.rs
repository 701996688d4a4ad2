//! What happens when the connection or the server fails.
#![allow(clippy::unwrap_used)] // a test panics where something is wrong

mod common;

use std::time::Duration;

use common::{Node, Server, eventually, lane, name, patient, prefix, scope, tag};
use stratacache_core::{
    ErrorKind,
    clock::Millis,
    coordinator::{Coordinator, Invalidate, LeaseReply, LeaseRequest, ScopeKind},
    stamp::Position,
    tier::{GetMany, PutItem, PutMany, PutOutcome, RemoveMany, Tier, TierErrorKind},
};
use stratacache_redis::Redis;
use stratacache_testkit::proxy::{Command, FaultProxy, Times};
use tokio::task::JoinSet;

const LANE: usize = 3;
const FAR: Millis = 1 << 45;

async fn store(node: &Node, n: u64) {
    let item = PutItem::new(name(n), format!("envelope {n}").into(), FAR, None);
    let outcome = node.tier.put_many(PutMany::new(vec![item])).await.unwrap().remove(0);
    assert!(matches!(outcome, PutOutcome::Stored), "{outcome:?}");
}

fn request(n: u64) -> Invalidate {
    Invalidate::new(lane(LANE), vec![tag(n)], 1_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_come_back_and_nothing_was_missed() {
    let (server, prefix) = (Server::start().await, prefix());
    let proxy = FaultProxy::start(server.0.addr(), 1).await.unwrap();
    let far = Node::connect(patient(&proxy.url()).prefix(&prefix)).await;
    let near = Node::connect(patient(&server.url()).prefix(&prefix)).await;
    for n in 0..20 {
        proxy.cut().await;
        let at = near.invalidate(lane(LANE), vec![tag(n)]).await;
        eventually("the cut node hears of it", || far.seen.lane(lane(LANE)).position == at).await;
    }
    assert_eq!(far.seen.lane(lane(LANE)).marks, near.seen.lane(lane(LANE)).marks);
    assert_eq!(far.seen.lane(lane(LANE)).snapshots, 1, "it went on from where it was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_that_the_server_forgot_is_sent_again() {
    let server = Server::start().await;
    let node = Node::connect(patient(&server.url()).prefix(prefix())).await;
    for n in 0..5 {
        server.cli(&["SCRIPT", "FLUSH"]).await;
        let at = node.invalidate(lane(LANE), vec![tag(n)]).await;
        assert_eq!(node.seen.lane(lane(LANE)).position, at);
        server.cli(&["SCRIPT", "FLUSH"]).await;
        store(&node, n).await;
        let got = node.tier.get_many(GetMany::new(vec![name(n)]).latest(true)).await.unwrap().remove(0);
        assert!(got.envelope.is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalidation_whose_reply_is_lost_is_unknown_and_safe_to_repeat() {
    let (server, prefix) = (Server::start().await, prefix());
    let proxy = FaultProxy::start(server.0.addr(), 1).await.unwrap();
    let node = Node::connect(patient(&proxy.url()).prefix(&prefix)).await;
    let before = node.invalidate(lane(LANE), vec![tag(1)]).await; // from now on the server knows the script
    let bytes = scope(77).to_bytes();
    let inval = Command::matching(move |words| words.iter().any(|word| word.windows(16).any(|w| w == bytes)));
    proxy.drop_reply(inval, Times::Next(1));
    let lost = node.coordinator.invalidate(request(77)).await.unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::WriteUnknown, "{lost}");
    let at = loop {
        match node.coordinator.invalidate(request(77)).await {
            Ok(at) => break at,
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
    };
    assert_eq!(at.seq, before.seq + 2, "both were ordered");
    let known = node.seen.lane(lane(LANE));
    assert_eq!((known.position, known.marks[&(scope(77), ScopeKind::Tag)]), (at, at.seq));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_tail_is_noticed_and_nodes_still_learn_of_invalidations() {
    let (server, prefix) = (Server::start().await, prefix());
    let proxy = FaultProxy::start(server.0.addr(), 1).await.unwrap();
    let deaf = Node::connect_only(patient(&proxy.url()).prefix(&prefix)).await;
    proxy.drop_request(Command::named("XREAD"), Times::Always);
    deaf.subscribe().await;
    let near = Node::connect(patient(&server.url()).prefix(&prefix)).await;
    for n in 0..3 {
        let at = near.invalidate(lane(LANE), vec![tag(n)]).await;
        eventually("the pulse brings it", || deaf.seen.lane(lane(LANE)).position == at).await;
    }
    eventually("the canary dies", || deaf.redis.health().bus_silent).await;
    assert!(!near.redis.health().bus_silent && near.redis.health().beats > 0);
    proxy.heal();
    eventually("and lives again", || !deaf.redis.health().bus_silent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_stay_up_to_date_while_nothing_happens() {
    let server = Server::start().await;
    let node = Node::connect(patient(&server.url()).prefix(prefix())).await;
    let first = node.seen.lane(lane(LANE)).as_of;
    eventually("the pulse says so again and again", || node.seen.lane(lane(LANE)).as_of > first + 500).await;
    assert!(node.redis.health().alive);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_server_is_unavailable_at_once_and_is_found_again() {
    let server = Server::start().await;
    let node = Node::connect(patient(&server.url()).prefix(prefix())).await;
    store(&node, 1).await;
    server.0.kill().await.unwrap();
    for _ in 0..50 {
        let kind = node.coordinator.invalidate(request(1)).await.unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::Unavailable | ErrorKind::WriteUnknown), "{kind:?}");
        let error = node.tier.get_many(GetMany::new(vec![name(1)])).await.unwrap_err();
        assert!(matches!(error.kind(), TierErrorKind::Unavailable | TierErrorKind::ReplyLost), "{error:?}");
        assert!(node.tier.put_many(PutMany::new(vec![PutItem::new(name(1), "x".into(), FAR, None)])).await.is_err());
        assert!(node.tier.remove_many(RemoveMany::new(vec![name(1)])).await.is_err());
    }
    server.0.restart().await.unwrap();
    let old = node.seen.lane(lane(LANE)).position.incarnation;
    eventually("the pulse finds it", || node.seen.lane(lane(LANE)).position.incarnation != old).await;
    let got = node.tier.get_many(GetMany::new(vec![name(1)])).await.unwrap().remove(0);
    assert!(got.envelope.is_none(), "it came back empty");
    node.invalidate(lane(LANE), vec![tag(1)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_server_costs_one_deadline_and_then_nothing_until_the_probe() {
    let server = Server::start().await;
    let builder = Redis::builder(server.url()).prefix(prefix()).breaker_window(Duration::from_secs(5));
    let redis = builder.build().await.unwrap();
    let parts = stratacache_core::tier::TierParts::from(redis.clone());
    let coordinator = parts.coordinator.unwrap();
    server.0.pause().await.unwrap();
    let first = coordinator.invalidate(request(1)).await.unwrap_err();
    assert_eq!(first.kind(), ErrorKind::Timeout, "{first}");
    assert!(!redis.health().alive);
    // refused by the breaker, which tier and coordinator share: none of these waits
    for _ in 0..200 {
        let error = parts.tier.get_many(GetMany::new(vec![name(1)])).await.unwrap_err();
        assert_eq!(error.kind(), TierErrorKind::Unavailable);
        assert_eq!(coordinator.invalidate(request(1)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    server.0.resume().await.unwrap();
    for _ in 0..2_000 {
        if coordinator.invalidate(request(1)).await.is_ok() {
            assert!(redis.health().alive);
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the probe did not find it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_thing_costs_the_round_trips_that_are_promised() {
    let server = Server::start().await;
    let proxy = FaultProxy::start(server.0.addr(), 1).await.unwrap();
    let redis = patient(&proxy.url()).prefix(prefix()).build().await.unwrap();
    // without a subscriber there is nothing in the background
    let parts = stratacache_core::tier::TierParts::from(redis);
    let (tier, coordinator) = (parts.tier, parts.coordinator.unwrap());
    let read = async || tier.get_many(GetMany::new(vec![name(1)])).await.unwrap().remove(0).envelope;
    let lease = async || {
        let request = LeaseRequest::new(lane(LANE), name(1), Position::default(), Duration::from_secs(9));
        match coordinator.lease(request).await.unwrap() {
            LeaseReply::Granted(lease) => lease.token,
            other => panic!("{other:?}"),
        }
    };
    let fill = async |token: u128| {
        let fence = Some(stratacache_core::tier::Fence(token));
        let item = PutItem::new(name(1), vec![1; 100].into(), FAR, fence);
        tier.put_many(PutMany::new(vec![item])).await.unwrap()
    };
    // once, so that the server knows the scripts
    fill(lease().await).await;
    coordinator.invalidate(request(1)).await.unwrap();
    tier.remove_many(RemoveMany::new(vec![name(1)])).await.unwrap();
    proxy.reset_counts();
    assert_eq!(read().await, None);
    fill(lease().await).await;
    assert_eq!(proxy.round_trips(), 3, "a miss");
    proxy.reset_counts();
    assert!(read().await.is_some());
    assert_eq!(proxy.round_trips(), 1, "a hit");
    proxy.reset_counts();
    tier.get_many(GetMany::new(vec![name(1)]).latest(true)).await.unwrap();
    assert_eq!(proxy.round_trips(), 1, "a hit that asks for the history of the store");
    proxy.reset_counts();
    coordinator.invalidate(request(2)).await.unwrap();
    assert_eq!(proxy.round_trips(), 1, "the invalidation of a tag, namespace or tenant");
    proxy.reset_counts();
    tier.remove_many(RemoveMany::new(vec![name(1)])).await.unwrap();
    coordinator.invalidate(request(3)).await.unwrap();
    assert_eq!(proxy.round_trips(), 2, "the invalidation of a key");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_side_by_side_share_pipelines() {
    let server = Server::start().await;
    let proxy = FaultProxy::start(server.0.addr(), 1).await.unwrap();
    let redis = patient(&proxy.url()).prefix(prefix()).build().await.unwrap();
    let tier = stratacache_core::tier::TierParts::from(redis).tier;
    let items = (0..64).map(|n| PutItem::new(name(n), format!("{n}").into(), FAR, None)).collect();
    tier.put_many(PutMany::new(items)).await.unwrap();
    proxy.reset_counts();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..64 {
        let tier = tier.clone();
        tasks.spawn(async move {
            for _ in 0..20 {
                let got = tier.get_many(GetMany::new(vec![name(n)])).await.unwrap().remove(0);
                assert_eq!(got.envelope.unwrap(), format!("{n}"), "everybody gets what it asked for");
            }
        });
    }
    tasks.join_all().await;
    assert!(proxy.count("DEL") + proxy.count("EVALSHA") < 64 * 20 / 2, "{:?}", proxy.counts());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_serves_all_who_asked_before_it_was_sent() {
    let server = Server::start().await;
    let proxy = FaultProxy::start(server.0.addr(), 1).await.unwrap();
    let node = Node::connect(patient(&proxy.url()).prefix(prefix())).await;
    let before = node.redis.health().syncs;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..500 {
        let coordinator = node.coordinator.clone();
        tasks.spawn(async move { coordinator.sync(lane(LANE)).await.unwrap() });
    }
    tasks.join_all().await;
    let syncs = node.redis.health().syncs - before;
    assert!(syncs < 250, "500 callers cost {syncs} questions");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn closing_leaves_nobody_waiting() {
    let server = Server::start().await;
    for round in 0..20 {
        let node = Node::connect(patient(&server.url()).prefix(prefix())).await;
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..32 {
            let (coordinator, tier) = (node.coordinator.clone(), node.tier.clone());
            tasks.spawn(async move {
                loop {
                    let failed = match n % 3 {
                        0 => coordinator.invalidate(request(n)).await.err().map(|e| e.kind()),
                        1 => coordinator.sync(lane(LANE)).await.err().map(|e| e.kind()),
                        _ => tier.get_many(GetMany::new(vec![name(n)])).await.err().map(|e| match e.kind() {
                            TierErrorKind::Closed => ErrorKind::Closed,
                            _ => ErrorKind::Internal,
                        }),
                    };
                    if let Some(kind) = failed {
                        assert_eq!(kind, ErrorKind::Closed);
                        return;
                    }
                }
            });
        }
        for _ in 0..round * 10 {
            tokio::task::yield_now().await;
        }
        node.coordinator.close().await.unwrap();
        node.tier.close().await.unwrap();
        tokio::time::timeout(Duration::from_secs(20), tasks.join_all()).await.expect("everybody is told");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_coordinator_can_be_closed_before_the_tier() {
    let server = Server::start().await;
    let node = Node::connect(patient(&server.url()).prefix(prefix())).await;
    node.coordinator.close().await.unwrap();
    store(&node, 1).await;
    assert!(node.tier.get_many(GetMany::new(vec![name(1)])).await.unwrap()[0].envelope.is_some());
}

/// Connects many nodes by one proxy.
async fn herd(proxy: &FaultProxy, prefix: &str, count: usize) -> Vec<Node> {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..count {
        let builder = patient(&proxy.url()).prefix(prefix);
        tasks.spawn(Node::connect(builder));
    }
    tasks.join_all().await
}

const HERD: usize = 24;
const LANES: u64 = 17;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_herd_that_only_lost_its_connections_fetches_no_marks_when_it_comes_back() {
    let (server, prefix) = (Server::start().await, prefix());
    let proxy = FaultProxy::start(server.0.addr(), 1).await.unwrap();
    let nodes = herd(&proxy, &prefix, HERD).await;
    let near = Node::connect(patient(&server.url()).prefix(&prefix)).await;
    let before: u64 = nodes.iter().map(|node| node.redis.health().resnapshots).sum();
    proxy.refuse(true);
    proxy.cut().await;
    let mut last = Position::default();
    for n in 0..20 {
        last = near.invalidate(lane(LANE), vec![tag(n)]).await;
    }
    proxy.reset_counts();
    proxy.refuse(false);
    eventually("everybody has heard", || nodes.iter().all(|node| node.seen.lane(lane(LANE)).position == last)).await;
    let after: u64 = nodes.iter().map(|node| node.redis.health().resnapshots).sum();
    assert_eq!((after, proxy.count("HSCAN")), (before, 0), "each went on from where it was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_herd_whose_server_forgot_everything_fetches_each_lane_once() {
    let (server, prefix) = (Server::start().await, prefix());
    let proxy = FaultProxy::start(server.0.addr(), 1).await.unwrap();
    let nodes = herd(&proxy, &prefix, HERD).await;
    let count = || nodes.iter().map(|node| node.redis.health().resnapshots).collect::<Vec<_>>();
    let (before, old) = (count(), nodes[0].seen.lane(lane(LANE)).position.incarnation);
    proxy.reset_counts();
    server.0.kill().await.unwrap();
    server.0.restart().await.unwrap();
    let back = |node: &Node| (0..17).all(|at| node.seen.lane(lane(at)).snapshots == 2);
    eventually("everybody has the new history", || nodes.iter().all(back)).await;
    for (node, before) in nodes.iter().zip(before) {
        assert_ne!(node.seen.lane(lane(LANE)).position.incarnation, old);
        assert_eq!(node.redis.health().resnapshots - before, LANES, "each lane once");
    }
    // both generations of marks of each lane; a fetch that its connection did not survive is begun again
    let most = HERD as u64 * LANES * 2 * 2;
    assert!(proxy.count("HSCAN") <= most, "{} HSCAN of {HERD} nodes", proxy.count("HSCAN"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_answers_others_meanwhile_is_slow_and_not_left_alone() {
    let server = Server::start().await;
    let proxy = FaultProxy::start(server.0.addr(), 1).await.unwrap();
    let redis = Redis::builder(proxy.url()).prefix(prefix()).connections(2).build().await.unwrap();
    let tier = stratacache_core::tier::TierParts::from(redis.clone()).tier;
    let read = async |n| tier.get_many(GetMany::new(vec![name(n)])).await;
    read(1).await.unwrap();
    let key = |words: &[bytes::Bytes]| words.len() == 2 && words[0].eq_ignore_ascii_case(b"GET");
    proxy.delay_replies(Command::matching(key), Duration::from_secs(2)..=Duration::from_secs(2));
    let slow = async {
        let error = read(1).await.unwrap_err();
        proxy.heal();
        error
    };
    // every second one goes to the other connection, and waits for none of those behind the slow one
    let others = async {
        let mut pings = JoinSet::new();
        let mut beat = tokio::time::interval(Duration::from_millis(20));
        loop {
            beat.tick().await;
            let tier = tier.clone();
            pings.spawn(async move { tier.ping().await });
        }
    };
    let error = tokio::select! {
        error = slow => error,
        () = others => unreachable!("it goes on"),
    };
    assert_eq!(error.kind(), TierErrorKind::Timeout);
    assert!(redis.health().alive, "one slow answer says nothing of the others");
}

/// On a runtime of one thread, which somebody blocks for longer than the deadline.
#[tokio::test]
async fn a_node_that_stood_still_takes_the_answer_that_came_meanwhile_and_does_not_blame_the_server() {
    let server = Server::start().await;
    let redis = Redis::builder(server.url()).prefix(prefix()).build().await.unwrap();
    let tier = stratacache_core::tier::TierParts::from(redis.clone()).tier;
    for _ in 0..5 {
        let stands_still = async {
            tokio::task::yield_now().await;
            #[allow(clippy::disallowed_methods)] // it is about just that
            std::thread::sleep(Duration::from_millis(400));
        };
        let (read, ()) = tokio::join!(tier.get_many(GetMany::new(vec![name(1)])), stands_still);
        assert!(read.is_ok(), "{read:?}");
        assert!(redis.health().alive);
    }
}
