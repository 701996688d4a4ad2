//! The order of invalidations: gaps, losses, bounds, and that all nodes agree.
#![allow(clippy::unwrap_used)] // a test panics where something is wrong

mod common;

use common::{Node, Server, eventually, lane, patient, prefix, scope, tag};
use stratacache_core::{
    Scope,
    coordinator::{Coordinator, Invalidate, Marked, ScopeKind, Strength},
    stamp::{Lane, Position},
};

const LANE: usize = 3;

fn keys(prefix: &str) -> [String; 4] {
    ["h", "m0", "m1", "s"].map(|what| format!("{prefix}:{{c{LANE}}}:{what}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalidation_on_one_node_is_applied_on_the_others() {
    let (server, prefix) = (Server::start().await, prefix());
    let builder = patient(&server.url()).prefix(&prefix);
    let (one, two) = (Node::connect(builder.clone()).await, Node::connect(builder).await);
    for n in 0..50 {
        let at = one.invalidate(lane(LANE), vec![tag(n)]).await;
        assert!(one.seen.lane(lane(LANE)).position == at, "applied where it was called when it returns");
        eventually("the tail brings it to the other node", || two.seen.lane(lane(LANE)).position == at).await;
        let back = two.invalidate(Lane::GLOBAL, vec![tag(n)]).await;
        assert_eq!(one.sync(Lane::GLOBAL).await, back, "a sync brings it at once");
        assert_eq!(one.seen.lane(Lane::GLOBAL).position, back);
    }
    let (a, b) = (one.seen.lane(lane(LANE)), two.seen.lane(lane(LANE)));
    assert_eq!((a.marks, a.snapshots), (b.marks, b.snapshots), "nobody needed another snapshot");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalidations_of_many_nodes_and_tasks_are_applied_everywhere_in_one_order() {
    let (server, prefix) = (Server::start().await, prefix());
    let builder = patient(&server.url()).prefix(&prefix);
    let nodes =
        [Node::connect(builder.clone()).await, Node::connect(builder.clone()).await, Node::connect(builder).await];
    let mut tasks = tokio::task::JoinSet::new();
    for (who, node) in nodes.iter().enumerate() {
        for task in 0..4 {
            let (coordinator, seen) = (node.coordinator.clone(), node.seen.clone());
            tasks.spawn(async move {
                for n in 0..60 {
                    let scopes = vec![tag((who * 1_000 + task * 100 + n) as u64)];
                    let at = coordinator.invalidate(Invalidate::new(lane(LANE), scopes, 1)).await.unwrap();
                    assert!(seen.lane(lane(LANE)).position.seq >= at.seq);
                }
            });
        }
    }
    tasks.join_all().await;
    for node in &nodes {
        assert_eq!(node.sync(lane(LANE)).await.seq, 1 + 3 * 4 * 60, "positions are dense over all nodes");
        assert_eq!(node.seen.lane(lane(LANE)).marks, nodes[0].seen.lane(lane(LANE)).marks);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trimmed_stream_is_a_gap_that_a_snapshot_closes() {
    let (server, prefix) = (Server::start().await, prefix());
    let builder = patient(&server.url()).prefix(&prefix);
    let one = Node::connect(builder.clone()).await;
    let stream = &keys(&prefix)[3];
    let two = Node::connect(builder).await;
    let before = two.seen.lane(lane(LANE));
    // in one transaction, so that the tail cannot see the message in between
    let script =
        "for i = 1, 3 do redis.call('HINCRBY', KEYS[1], 'clk', 1) end redis.call('XTRIM', KEYS[2], 'MAXLEN', 0)";
    server.cli(&["EVAL", script, "2", &keys(&prefix)[0], stream]).await;
    let at = two.sync(lane(LANE)).await;
    assert_eq!(at.seq, before.position.seq + 3);
    let after = two.seen.lane(lane(LANE));
    assert_eq!((after.position, after.snapshots), (at, before.snapshots + 1), "what cannot be replayed is a gap");
    // and through invalidate alone
    server.cli(&["XTRIM", stream, "MAXLEN", "0"]).await;
    let at = one.invalidate(lane(LANE), vec![tag(7)]).await;
    assert_eq!(one.seen.lane(lane(LANE)).position, at);
    assert_eq!(one.seen.lane(lane(LANE)).marks[&(scope(7), ScopeKind::Tag)], at.seq);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_control_key_that_is_lost_begins_a_new_history_or_is_replayed_right() {
    let (server, prefix) = (Server::start().await, prefix());
    let builder = patient(&server.url()).prefix(&prefix).max_marks(20);
    let node = Node::connect(builder.clone()).await;
    for n in 0..60 {
        node.invalidate(lane(LANE), vec![tag(n)]).await; // two generations of marks
    }
    for (which, key) in keys(&prefix).iter().enumerate() {
        let stamp = node.sync(lane(LANE)).await;
        let at = node.invalidate(lane(LANE), vec![tag(100)]).await;
        let known = node.seen.lane(lane(LANE));
        assert!(!known.judges_valid(stamp, scope(100)));
        assert_eq!(server.cli(&["DEL", key]).await, "1", "{key}");
        // another node that knows nothing yet, and this one
        let fresh = Node::connect(builder.clone()).await;
        let now = node.sync(lane(LANE)).await;
        for (who, node) in [("old", &node), ("fresh", &fresh)] {
            let known = node.seen.lane(lane(LANE));
            assert!(!known.judges_valid(stamp, scope(100)), "{key}: the {who} node forgot an invalidation");
        }
        match which {
            3 => assert_eq!(now, at, "the stream alone is no loss: the marks are there"),
            _ => {
                assert_ne!(
                    now.incarnation, at.incarnation,
                    "{key}: what was lost cannot be told, so a new history begins"
                );
                assert_eq!(fresh.seen.lane(lane(LANE)).position.incarnation, now.incarnation);
            }
        }
        for n in 0..60 {
            node.invalidate(lane(LANE), vec![tag(n)]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_flushall_nothing_of_before_is_valid_and_nodes_agree() {
    let (server, prefix) = (Server::start().await, prefix());
    let builder = patient(&server.url()).prefix(&prefix);
    let (one, two) = (Node::connect(builder.clone()).await, Node::connect(builder).await);
    let before = one.invalidate(lane(LANE), vec![tag(1)]).await;
    server.cli(&["FLUSHALL"]).await;
    let after = one.invalidate(lane(LANE), vec![tag(2)]).await;
    assert_ne!(before.incarnation, after.incarnation);
    assert_eq!(two.sync(lane(LANE)).await, after);
    for node in [&one, &two] {
        let known = node.seen.lane(lane(LANE));
        assert_eq!(known.position, after);
        assert!(!known.judges_valid(before, scope(9)), "another history");
        assert!(!known.judges_valid(Position { seq: after.seq - 1, ..after }, scope(2)));
        assert!(known.judges_valid(after, scope(2)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_restarts_empty_begins_new_histories_and_the_nodes_follow_by_themselves() {
    let (server, prefix) = (Server::start().await, prefix());
    let node = Node::connect(patient(&server.url()).prefix(&prefix)).await;
    let before = node.invalidate(lane(LANE), vec![tag(1)]).await;
    server.0.kill().await.unwrap();
    server.0.restart().await.unwrap();
    eventually("the pulse finds the new history of every lane", || {
        let known = node.seen.lane(lane(LANE));
        known.position.incarnation != before.incarnation && known.position.incarnation.0 != 0
    })
    .await;
    let after = node.invalidate(lane(LANE), vec![tag(2)]).await;
    assert_eq!(node.seen.lane(lane(LANE)).position, after);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_written_under_another_replication_id_begins_a_new_history() {
    let (server, prefix) = (Server::start().await, prefix());
    let node = Node::connect(patient(&server.url()).prefix(&prefix)).await;
    let before = node.invalidate(lane(LANE), vec![tag(1)]).await;
    // becoming a replica and a primary again gives the server another id, and leaves the keys
    server.cli(&["REPLICAOF", "127.0.0.1", "1"]).await;
    server.cli(&["REPLICAOF", "NO", "ONE"]).await;
    let after = node.sync(lane(LANE)).await;
    assert_ne!(before.incarnation, after.incarnation);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generations_rotate_and_the_floor_rises_to_what_was_dropped() {
    let (server, prefix) = (Server::start().await, prefix());
    let builder = patient(&server.url()).prefix(&prefix).max_marks(10);
    let node = Node::connect(builder.clone()).await;
    let mut stamps = Vec::new();
    for n in 0..100 {
        stamps.push((node.seen.lane(lane(LANE)).position, n));
        node.invalidate(lane(LANE), vec![tag(n)]).await;
        // what was marked stays invalid, for who was there and for who comes now, although its mark may be gone
        let fresh = if n % 9 == 0 { Some(Node::connect(builder.clone()).await) } else { None };
        for node in std::iter::once(&node).chain(&fresh) {
            let known = node.seen.lane(lane(LANE));
            for (stamp, n) in &stamps {
                assert!(!known.judges_valid(*stamp, scope(*n)), "mark {n} was forgotten without a trace");
            }
            assert!(known.judges_valid(known.position, scope(1_000)), "what is new is valid");
        }
        if let Some(fresh) = fresh {
            let marks = fresh.seen.lane(lane(LANE)).marks.len();
            assert!(marks <= 24, "two generations of at most 11 marks, not {marks}");
        }
    }
    assert_eq!(node.seen.lane(lane(LANE)).floors.marks, 0, "who was there has heard of all, and forgets nothing");
    let floors = Node::connect(builder).await.seen.lane(lane(LANE)).floors;
    assert!(floors.marks > 60 && floors.keys >= floors.marks, "the floors rose: {floors:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generation_ends_by_age_too() {
    let (server, prefix) = (Server::start().await, prefix());
    let builder = patient(&server.url()).prefix(&prefix).marks_kept(std::time::Duration::from_secs(3_600));
    let node = Node::connect(builder.clone()).await;
    let stamp = node.invalidate(lane(LANE), vec![tag(1)]).await;
    for _ in 0..2 {
        server.cli(&["HSET", &keys(&prefix)[0], "opened_at", "1000"]).await;
        node.invalidate(lane(LANE), vec![tag(2)]).await;
    }
    let fresh = Node::connect(builder).await;
    assert!(fresh.seen.lane(lane(LANE)).floors.marks >= stamp.seq);
    assert_eq!(server.cli(&["HLEN", &keys(&prefix)[1]]).await, "2", "the name of the history, and the mark of now");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_over_its_share_is_widened_to_its_own_mark_and_neighbours_are_not() {
    let (server, prefix) = (Server::start().await, prefix());
    let builder = patient(&server.url()).prefix(&prefix).max_tenant_marks(5);
    let node = Node::connect(builder.clone()).await;
    let tenant = |n: u128| Scope::from_bytes((n << 64 | n).to_le_bytes());
    let mark = |who: Scope, n| Marked::new(scope(n), ScopeKind::Tag, Strength::Hard, who.low());
    let (greedy, modest) = (tenant(11), tenant(12));
    let before = node.sync(lane(LANE)).await;
    let say = async |who: Scope, scopes: Vec<Marked>| {
        let request = Invalidate::new(lane(LANE), scopes, 1).of_tenant(who);
        node.coordinator.invalidate(request).await.unwrap()
    };
    say(modest, vec![mark(modest, 500)]).await;
    for n in 0..5 {
        say(greedy, vec![mark(greedy, n)]).await;
    }
    let wide = (greedy, ScopeKind::Namespace);
    assert!(!node.seen.lane(lane(LANE)).marks.contains_key(&wide), "its share is its own");
    say(greedy, vec![mark(greedy, 2)]).await;
    assert!(!node.seen.lane(lane(LANE)).marks.contains_key(&wide), "a tag that has a mark takes no more room");
    let at = say(greedy, vec![mark(greedy, 5), mark(greedy, 6)]).await;
    let fresh = Node::connect(builder).await;
    for node in [&node, &fresh] {
        let marks = node.seen.lane(lane(LANE)).marks;
        assert_eq!(marks.get(&wide), Some(&at.seq), "what is too much invalidates all of the tenant");
        assert!(!marks.contains_key(&(scope(5), ScopeKind::Tag)), "and takes no room");
        assert!(!marks.contains_key(&(modest, ScopeKind::Namespace)));
    }
    say(modest, vec![mark(modest, 501)]).await;
    let known = node.seen.lane(lane(LANE));
    assert!(known.judges_valid(before, scope(502)), "neighbours pay nothing");
    assert!(known.marks.contains_key(&(scope(501), ScopeKind::Tag)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marks_of_keys_are_kept_from_when_somebody_asks_and_the_floor_says_since_when() {
    let (server, prefix) = (Server::start().await, prefix());
    let builder = patient(&server.url()).prefix(&prefix);
    let node = Node::connect(builder.clone()).await;
    let key = |n| Marked::new(scope(n), ScopeKind::Key, Strength::Hard, 0);
    node.invalidate(lane(LANE), vec![key(1)]).await;
    let fresh = Node::connect(builder.clone()).await.seen.lane(lane(LANE));
    assert_eq!(fresh.floors.keys, fresh.position.seq, "no marks of keys are kept, and a snapshot says so");
    assert!(fresh.marks.is_empty());
    node.coordinator.keep_key_marks().await.unwrap();
    let flagged = Node::connect(builder.clone()).await.seen.lane(lane(LANE)).floors.keys;
    assert_eq!(flagged, node.seen.lane(lane(LANE)).position.seq, "those of before were not kept");
    let at = node.invalidate(lane(LANE), vec![key(2)]).await;
    let fresh = Node::connect(builder.clone()).await.seen.lane(lane(LANE));
    assert_eq!((fresh.floors.keys, fresh.marks[&(scope(2), ScopeKind::Key)]), (flagged, at.seq));
    // a loss forgets the flag, and the node that needs it sets it again
    server.cli(&["DEL", &keys(&prefix)[0]]).await;
    node.sync(lane(LANE)).await;
    let at = node.invalidate(lane(LANE), vec![key(3)]).await;
    let fresh = Node::connect(builder).await.seen.lane(lane(LANE));
    assert_eq!(fresh.marks[&(scope(3), ScopeKind::Key)], at.seq);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_soft_mark_of_a_key_is_kept_always() {
    let (server, prefix) = (Server::start().await, prefix());
    let builder = patient(&server.url()).prefix(&prefix);
    let node = Node::connect(builder.clone()).await;
    let at = node.invalidate(lane(LANE), vec![Marked::new(scope(1), ScopeKind::Key, Strength::Soft, 0)]).await;
    let fresh = Node::connect(builder).await.seen.lane(lane(LANE));
    assert_eq!(fresh.marks[&(scope(1), ScopeKind::Key)], at.seq, "the entry is still there, and must not seem fresh");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_of_many_marks_is_whole() {
    let (server, prefix) = (Server::start().await, prefix());
    let builder = patient(&server.url()).prefix(&prefix);
    let node = Node::connect(builder.clone()).await;
    for n in 0..20 {
        node.invalidate(lane(LANE), (n * 500..n * 500 + 500).map(tag).collect()).await;
    }
    let fresh = Node::connect(builder).await;
    assert_eq!(fresh.seen.lane(lane(LANE)).marks.len(), 10_000);
    assert_eq!(fresh.seen.lane(lane(LANE)).marks, node.seen.lane(lane(LANE)).marks);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_far_behind_catches_up_by_the_stream_or_by_a_snapshot() {
    let (server, prefix) = (Server::start().await, prefix());
    let builder = patient(&server.url()).prefix(&prefix);
    let far = Node::connect(builder.clone()).await;
    let node = Node::connect(builder).await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8_u64 {
        let coordinator = node.coordinator.clone();
        tasks.spawn(async move {
            for n in 0..400 {
                coordinator.invalidate(Invalidate::new(lane(LANE), vec![tag(task * 1_000 + n)], 1)).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(far.sync(lane(LANE)).await.seq, 3_201);
    assert_eq!(far.seen.lane(lane(LANE)).marks.len(), 3_200);
}
