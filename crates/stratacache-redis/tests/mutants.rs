//! Each rule of the protocol that lives in this crate, switched off: what it prevents must be seen. With all rules in force
//! it must not.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test panics where something is wrong

mod common;

use std::{sync::Arc, time::Duration};

use common::{Node, Server, lane, name, patient, prefix, scope, tag};
use stratacache_core::{
    clock::Millis,
    coordinator::{Coordinator, LeaseReply, LeaseRequest, Marked, ScopeKind, Strength, Subscriber},
    stamp::Position,
    tier::{Fence, GetMany, PutItem, PutMany, PutOutcome, RemoveMany, Tier},
};
use stratacache_redis::{RedisBuilder, Rule};
use stratacache_testkit::proxy::{Command, FaultProxy, Times};

const LANE: usize = 3;
const FAR: Millis = 1 << 45;
/// Long beside what a busy machine needs for one step.
const WHILE: Duration = Duration::from_millis(300);

/// A server, a proxy before it, and how nodes connect.
struct Stage {
    server: Server,
    proxy: FaultProxy,
    prefix: String,
    off: Option<Rule>,
}

impl Stage {
    async fn new(off: Option<Rule>) -> Self {
        let server = Server::start().await;
        let proxy = FaultProxy::start(server.0.addr(), 7).await.unwrap();
        Self { server, proxy, prefix: prefix(), off }
    }

    fn rules(&self, builder: RedisBuilder) -> RedisBuilder {
        match self.off {
            Some(rule) => builder.without_rule(rule),
            None => builder,
        }
    }

    fn near(&self) -> RedisBuilder {
        self.rules(patient(&self.server.url()).prefix(&self.prefix))
    }

    fn far(&self) -> RedisBuilder {
        self.rules(patient(&self.proxy.url()).prefix(&self.prefix))
    }

    fn key(&self, what: &str) -> String {
        format!("{}:{{c{LANE}}}:{what}", self.prefix)
    }

    /// Changes the server's replication id, and leaves its keys.
    async fn fail_over(&self) {
        self.server.cli(&["REPLICAOF", "127.0.0.1", "1"]).await;
        self.server.cli(&["REPLICAOF", "NO", "ONE"]).await;
    }
}

/// Runs a scenario, which tells whether what must not happen did.
async fn without(rule: Rule, scenario: impl AsyncFn(Stage) -> bool) {
    assert!(!scenario(Stage::new(None).await).await, "with all rules in force nothing is wrong");
    // what goes wrong may need one thing to come before another, which a busy machine may be too slow for
    for _ in 0..5 {
        if scenario(Stage::new(Some(rule)).await).await {
            return;
        }
    }
    panic!("without {rule:?} nothing is wrong, either");
}

fn key_mark(n: u64) -> Marked {
    Marked::new(scope(n), ScopeKind::Key, Strength::Hard, 0)
}

fn request() -> LeaseRequest {
    LeaseRequest::new(lane(LANE), name(1), Position::default(), Duration::from_secs(60))
}

async fn lease(node: &Node) -> stratacache_core::coordinator::Lease {
    match node.coordinator.lease(request()).await.unwrap() {
        LeaseReply::Granted(lease) => lease,
        other => panic!("{other:?}"),
    }
}

async fn fill(node: &Node, token: u128) -> PutOutcome {
    let item = PutItem::new(name(1), vec![1; 200].into(), FAR, Some(Fence(token)));
    node.tier.put_many(PutMany::new(vec![item])).await.unwrap().remove(0)
}

async fn stored(node: &Node) -> bool {
    let got = node.tier.get_many(GetMany::new(vec![name(1)]).latest(true)).await;
    got.is_ok_and(|got| got[0].envelope.is_some())
}

/// Whether a node that knows nothing yet would serve what was stamped before an invalidation of a scope.
async fn forgotten(stage: &Stage, stamp: Position, n: u64) -> bool {
    let fresh = Node::connect(stage.near()).await;
    fresh.seen.lane(lane(LANE)).judges_valid(stamp, scope(n))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fill_needs_its_token() {
    without(Rule::FillNeedsToken, async |stage| {
        let node = Node::connect(stage.near()).await;
        let lease = lease(&node).await;
        node.tier.remove_many(RemoveMany::new(vec![name(1)])).await.unwrap();
        fill(&node, lease.token).await;
        stored(&node).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renew_does_nothing_for_who_has_no_lease() {
    without(Rule::RenewOnlyOwn, async |stage| {
        let node = Node::connect(stage.near()).await;
        let lease = lease(&node).await;
        node.tier.remove_many(RemoveMany::new(vec![name(1)])).await.unwrap();
        let _ = node.coordinator.renew(lease).await.unwrap();
        fill(&node, lease.token).await;
        stored(&node).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_belong_to_the_history_of_their_store() {
    without(Rule::DataIncarnation, async |stage| {
        let node = Node::connect(stage.near()).await;
        let lease = lease(&node).await;
        assert!(matches!(fill(&node, lease.token).await, PutOutcome::Stored));
        stage.fail_over().await;
        stored(&node).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_come_with_a_write() {
    without(Rule::ShardWrites, async |stage| {
        let node = Node::connect(stage.near()).await;
        let lease = lease(&node).await;
        assert!(matches!(fill(&node, lease.token).await, PutOutcome::Stored));
        stage.server.cli(&["REPLICAOF", "127.0.0.1", "1"]).await;
        stored(&node).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_writes() {
    without(Rule::SyncWrites, async |stage| {
        let node = Node::connect(stage.near()).await;
        stage.server.cli(&["REPLICAOF", "127.0.0.1", "1"]).await;
        node.coordinator.sync(lane(LANE)).await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_is_noticed() {
    without(Rule::NoticeGap, async |stage| {
        let node = Node::connect(stage.near()).await;
        let stamp = node.seen.lane(lane(LANE)).position;
        // an invalidation whose message was trimmed before anybody read it
        let script: &[u8] = b"local clk = redis.call('HINCRBY', KEYS[1], 'clk', 1) \
            redis.call('HSET', KEYS[2], ARGV[1] .. '\\1\\0', string.rep('\\0', 16) .. string.format('%.0f', clk))";
        let (header, marks) = (stage.key("h"), stage.key("m1"));
        let scope_bytes = scope(5).to_bytes();
        let words: [&[u8]; 6] = [b"EVAL", script, b"2", header.as_bytes(), marks.as_bytes(), &scope_bytes];
        stage.server.0.command(&words).await.unwrap();
        node.sync(lane(LANE)).await;
        node.seen.lane(lane(LANE)).judges_valid(stamp, scope(5))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_are_told_apart() {
    without(Rule::Incarnation, async |stage| {
        let node = Node::connect(stage.near()).await;
        let stamp = node.invalidate(lane(LANE), vec![tag(9)]).await;
        stage.server.cli(&["FLUSHALL"]).await;
        // the new history reaches the same position, with another invalidation
        let other = Node::connect_only(patient(&stage.server.url()).prefix(&stage.prefix)).await;
        assert_eq!(other.invalidate(lane(LANE), vec![tag(1)]).await.seq, stamp.seq);
        node.sync(lane(LANE)).await;
        node.seen.lane(lane(LANE)).judges_valid(stamp, scope(1))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stream_names_its_history() {
    without(Rule::StreamCarriesIncarnation, async |stage| {
        let node = Node::connect(stage.near()).await;
        let other = Node::connect_only(patient(&stage.server.url()).prefix(&stage.prefix)).await;
        for _ in 0..40 {
            let stamp = node.invalidate(lane(LANE), vec![tag(9)]).await;
            let (header, marks, stream) = (stage.key("h"), stage.key("m1"), stage.key("s"));
            stage.server.cli(&["DEL", &header, &marks, &stream]).await;
            // the pulse may be first, and then there is nothing to see: again
            while other.invalidate(lane(LANE), vec![tag(1)]).await.seq <= stamp.seq {}
            for _ in 0..100 {
                let known = node.seen.lane(lane(LANE));
                if known.position.incarnation != stamp.incarnation {
                    break;
                }
                if known.position.seq > stamp.seq {
                    return true; // what it applied is of another history
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            node.sync(lane(LANE)).await;
        }
        false
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn up_to_date_is_when_it_was_asked() {
    without(Rule::AsOfWhenSent, async |stage| {
        let node = Node::connect(stage.far()).await;
        stage.proxy.delay(Some(WHILE..=WHILE));
        let begun = node.seen.now();
        let known = node.seen.lane(lane(LANE)).as_ofs.len();
        let (coordinator, trips) = (node.coordinator.clone(), stage.proxy.round_trips());
        let sync = tokio::spawn(async move { coordinator.sync(lane(LANE)).await.unwrap() });
        stage.proxy.until_round_trips(trips + 1).await;
        tokio::time::sleep(WHILE / 3).await;
        let sent = node.seen.now();
        sync.await.unwrap();
        let said = node.seen.lane(lane(LANE)).as_ofs.split_off(known);
        !said.iter().any(|(at, _)| (begun..=sent).contains(at))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn up_to_date_is_only_who_has_reached_the_clock() {
    without(Rule::AsOfAtClock, async |stage| {
        let node = Node::connect(stage.far()).await;
        let near = Node::connect_only(patient(&stage.server.url()).prefix(&stage.prefix)).await;
        stage.proxy.drop_request(Command::named("XREAD"), Times::Always);
        stage.proxy.hang(true);
        let before = node.seen.lane(lane(LANE));
        for n in 0..700 {
            near.invalidate(lane(LANE), vec![tag(n)]).await;
        }
        stage.proxy.hang(false);
        let last = node.sync(lane(LANE)).await.seq;
        let said = node.seen.lane(lane(LANE)).as_ofs.split_off(before.as_ofs.len());
        said.iter().any(|(_, seq)| *seq > before.position.seq && *seq < last)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_serves_nobody_who_asked_after_it_was_sent() {
    without(Rule::AskBeforeSent, async |stage| {
        let node = Node::connect(stage.far()).await;
        let near = Node::connect_only(patient(&stage.server.url()).prefix(&stage.prefix)).await;
        stage.proxy.drop_request(Command::named("XREAD"), Times::Always);
        for _ in 0..20 {
            stage.proxy.delay(Some(WHILE..=WHILE));
            let trips = stage.proxy.round_trips();
            let (first, second) = (node.coordinator.clone(), node.coordinator.clone());
            let first = tokio::spawn(async move { first.sync(lane(LANE)).await.unwrap() });
            stage.proxy.until_round_trips(trips + 1).await;
            tokio::time::sleep(WHILE / 6).await;
            let at = near.invalidate(lane(LANE), vec![tag(1)]).await;
            let second = tokio::spawn(async move { second.sync(lane(LANE)).await.unwrap() });
            first.await.unwrap();
            if second.await.unwrap().seq < at.seq {
                return true;
            }
            if stage.off.is_none() {
                return false;
            }
        }
        false
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_replays_what_came_while_it_was_read() {
    without(Rule::ReplayAfterScan, async |stage| {
        let near = Node::connect(stage.near()).await;
        let stamp = near.sync(lane(LANE)).await;
        let node = Arc::new(Node::connect_only(stage.far()).await);
        stage.proxy.reset_counts();
        stage.proxy.delay_replies(Command::named("HSCAN"), WHILE..=WHILE);
        let subscribing = Arc::clone(&node);
        let subscribing = tokio::spawn(async move { subscribing.subscribe().await });
        while stage.proxy.count("HSCAN") < 34 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        near.invalidate(lane(LANE), vec![tag(5)]).await;
        subscribing.await.unwrap();
        node.seen.lane(lane(LANE)).position.seq > stamp.seq && node.seen.lane(lane(LANE)).judges_valid(stamp, scope(5))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_floors_of_a_snapshot_are_read_after_the_marks() {
    without(Rule::FloorAfterScan, async |stage| {
        let near = Node::connect(stage.near().max_marks(5)).await;
        let stamp = near.sync(lane(LANE)).await;
        near.invalidate(lane(LANE), vec![tag(5)]).await;
        let node = Arc::new(Node::connect_only(stage.far()).await);
        stage.proxy.reset_counts();
        stage.proxy.delay_replies(Command::named("EVALSHA"), WHILE..=WHILE);
        let subscribing = Arc::clone(&node);
        let subscribing = tokio::spawn(async move { subscribing.subscribe().await });
        while stage.proxy.count("EVALSHA") < 17 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(WHILE / 6).await;
        // the first question is answered, the marks are not read yet: two generations end
        for n in 100..130 {
            near.invalidate(lane(LANE), vec![tag(n)]).await;
        }
        subscribing.await.unwrap();
        node.seen.lane(lane(LANE)).judges_valid(stamp, scope(5))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marks_name_their_history() {
    without(Rule::MarksCarryIncarnation, async |stage| {
        let node = Node::connect_only(stage.near()).await;
        let stamp = node.sync(lane(LANE)).await;
        node.invalidate(lane(LANE), vec![tag(5)]).await;
        stage.server.cli(&["DEL", &stage.key("m1")]).await;
        forgotten(&stage, stamp, 5).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_header_names_the_servers_history() {
    without(Rule::HeaderReplid, async |stage| {
        let node = Node::connect_only(stage.near()).await;
        let before = node.invalidate(lane(LANE), vec![tag(5)]).await;
        stage.fail_over().await; // and what was lost by it, nobody knows
        node.sync(lane(LANE)).await.incarnation == before.incarnation
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_history_begins_empty() {
    without(Rule::DeleteTogether, async |stage| {
        let node = Node::connect_only(stage.near()).await;
        node.invalidate(lane(LANE), vec![tag(5)]).await;
        stage.server.cli(&["DEL", &stage.key("h")]).await;
        let fresh = Node::connect(stage.near()).await;
        !fresh.seen.lane(lane(LANE)).marks.is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_marks_raises_the_floor() {
    without(Rule::DropRaisesFloor, async |stage| {
        let node = Node::connect_only(stage.near().max_marks(5)).await;
        let stamp = node.sync(lane(LANE)).await;
        for n in 5..40 {
            node.invalidate(lane(LANE), vec![tag(n)]).await;
        }
        forgotten(&stage, stamp, 5).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_marks_of_keys_raises_their_floor() {
    without(Rule::DropRaisesKfloor, async |stage| {
        let node = Node::connect_only(stage.near().max_marks(5)).await;
        node.coordinator.keep_key_marks().await.unwrap();
        let at = node.invalidate(lane(LANE), vec![key_mark(5)]).await;
        for n in 6..40 {
            node.invalidate(lane(LANE), vec![key_mark(n)]).await;
        }
        let known = Node::connect(stage.near()).await.seen.lane(lane(LANE));
        known.floors.keys < at.seq && !known.marks.contains_key(&(scope(5), ScopeKind::Key))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeping_marks_of_keys_raises_their_floor_to_the_clock() {
    without(Rule::FlagRaisesKfloor, async |stage| {
        let node = Node::connect_only(stage.near()).await;
        let at = node.invalidate(lane(LANE), vec![key_mark(5)]).await;
        node.coordinator.keep_key_marks().await.unwrap();
        let known = Node::connect(stage.near()).await.seen.lane(lane(LANE));
        known.floors.keys < at.seq && !known.marks.contains_key(&(scope(5), ScopeKind::Key))
    })
    .await;
}
