//! The least privileges: everything runs under them, and what is missing is named.
#![allow(clippy::unwrap_used)] // a test panics where something is wrong

mod common;
#[path = "acl/streams.rs"]
mod streams;

use std::{future::Future, time::Duration};

use common::{Node, eventually, lane, name, patient, prefix, tag};
use redis::{ErrorKind as Kind, ServerErrorKind};
use stratacache_core::{
    coordinator::{Coordinator, Invalidate, LeaseReply, LeaseRequest},
    stamp::{Lane, Position},
    tier::{Fence, GetMany, PutItem, PutMany, PutOutcome, RemoveMany, Tier, TierParts},
};
use stratacache_redis::{REDIS_ACL, REDIS_SWEEP_ACL, Redis, RedisBuilder, Sweep, SweepBuilder};
use stratacache_testkit::{
    conformance,
    servers::{Program, RedisCluster, RedisServer},
};

const SECRET: &str = "hunter2-very-secret";

/// Where the users are.
enum Place {
    Server(RedisServer),
    Cluster(RedisCluster),
}

impl Place {
    async fn server(program: Program) -> Self {
        Self::Server(RedisServer::builder(program).start().await.unwrap())
    }

    async fn cluster() -> Self {
        Self::Cluster(RedisCluster::start(3, 3).await.unwrap())
    }

    fn nodes(&self) -> &[RedisServer] {
        match self {
            Self::Server(server) => std::slice::from_ref(server),
            Self::Cluster(cluster) => cluster.nodes(),
        }
    }

    /// Makes a user anew, on every node.
    async fn grant(&self, user: &str, rules: &str) {
        let password = format!(">{SECRET}");
        let words = ["ACL", "SETUSER", user, "reset", "on", &password].into_iter().chain(rules.split_whitespace());
        let words: Vec<&str> = words.collect();
        for node in self.nodes() {
            node.command(&words).await.unwrap();
        }
    }

    fn url(&self, user: &str) -> String {
        let scheme = if matches!(self, Self::Cluster(_)) { "redis-cluster" } else { "redis" };
        let hosts: Vec<String> = self.nodes().iter().map(|node| node.addr().to_string()).collect();
        format!("{scheme}://{user}:{SECRET}@{}", hosts.join(","))
    }

    fn builder(&self, user: &str, prefix: &str) -> RedisBuilder {
        patient(&self.url(user)).prefix(prefix)
    }

    /// Connects with a prefix of its own, as a user that may do what the list for it says.
    async fn fresh(&self) -> TierParts {
        let prefix = prefix();
        let builder = self.builder(&format!("user-{prefix}"), &prefix);
        self.grant(&format!("user-{prefix}"), &builder.acl().unwrap()).await;
        TierParts::from(builder.build().await.unwrap())
    }

    fn sweep(&self, user: &str, prefix: &str) -> SweepBuilder {
        Sweep::builder(self.url(user)).prefix(prefix).deadline(Duration::from_secs(5)).pause(Duration::ZERO)
    }

    /// Sends commands as a user, to every node: all are refused for want of a permission.
    async fn refuses(&self, user: &str, commands: &[&[&str]]) {
        for node in self.nodes() {
            let client = redis::Client::open(format!("redis://{user}:{SECRET}@{}", node.addr())).unwrap();
            for words in commands {
                // SUBSCRIBE of a second protocol leaves a connection for nothing else
                let mut connection = client.get_multiplexed_async_connection().await.unwrap();
                let mut command = redis::cmd(words[0]);
                command.arg(&words[1..]);
                let error = command.query_async::<redis::Value>(&mut connection).await.unwrap_err();
                assert_eq!(error.kind(), Kind::Server(ServerErrorKind::NoPerm), "{words:?}: {error}");
            }
        }
    }
}

/// What a node does that a suite of one connection does not see.
async fn nodes_work_together(place: &Place, user: &str, prefix: &str) {
    let builder = place.builder(user, prefix).max_marks(5).max_tenant_marks(3);
    let (one, two) = (Node::connect(builder.clone()).await, Node::connect(builder).await);
    one.coordinator.keep_key_marks().await.unwrap();
    for n in 0..30 {
        let at = one.invalidate(lane(1), vec![tag(n)]).await;
        eventually("it is told", || two.seen.lane(lane(1)).position == at).await;
        assert_eq!(two.sync(lane(1)).await, at);
    }
    let ask = |at| LeaseRequest::new(lane(1), at, Position::default(), Duration::from_secs(9));
    let LeaseReply::Granted(lease) = one.coordinator.lease(ask(name(1))).await.unwrap() else { panic!("not granted") };
    let ended = two.coordinator.watch(name(1));
    assert_eq!(two.coordinator.lease(ask(name(1))).await.unwrap(), LeaseReply::Busy);
    assert!(one.coordinator.renew(lease).await.unwrap());
    let item = PutItem::new(name(1), vec![1; 200].into(), 1 << 45, Some(Fence(lease.token)));
    let stored = one.tier.put_many(PutMany::new(vec![item])).await.unwrap().remove(0);
    assert!(matches!(stored, PutOutcome::Stored), "{stored:?}");
    ended.await;
    two.tier.get_many(GetMany::new((0..50).map(name).collect()).latest(true)).await.unwrap();
    two.tier.get_many(GetMany::fences(vec![name(2)])).await.unwrap();
    let LeaseReply::Granted(lease) = one.coordinator.lease(ask(name(3))).await.unwrap() else { panic!("not granted") };
    one.coordinator.release(lease).await.unwrap();
    for removed in two.tier.remove_many(RemoveMany::new((0..50).map(name).collect())).await.unwrap() {
        removed.unwrap();
    }
    two.tier.ping().await.unwrap();
    assert_eq!(one.ask().await.len(), 1, "the other one answers, and not oneself");
    if matches!(place, Place::Server(_)) {
        eventually("the tail and the canary live", || one.redis.health().beats > 0).await;
        assert!(!one.redis.health().bus_silent);
    }
}

/// Everything that a node does, and live refusals of everything else.
async fn works_under_its_list(place: &Place) {
    let (tier, coordinator) = (async || place.fresh().await.tier, async || place.fresh().await.coordinator.unwrap());
    conformance::tier(tier).await;
    conformance::coordinator(coordinator).await;
    place.grant("node", REDIS_ACL).await;
    nodes_work_together(place, "node", "strata").await;
    place
        .refuses(
            "node",
            &[
                &["KEYS", "*"],
                &["SCAN", "0"],
                &["FLUSHALL"],
                &["FLUSHDB"],
                &["CONFIG", "GET", "*"],
                &["CONFIG", "SET", "maxmemory", "1"],
                &["ACL", "LIST"],
                &["SHUTDOWN"],
                &["SCRIPT", "FLUSH"],
                &["CLUSTER", "NODES"],
                &["GET", "other:{a}:e"],
                &["SET", "other:{a}:e", "1"],
                &["UNLINK", "stratax:{a}:e"],
                &["HGET", "other:{c1}:h", "inc"],
                &["XREAD", "STREAMS", "other:{c1}:s", "0"],
                &["EVAL", "return redis.call('GET', KEYS[1])", "1", "other:{a}:e"],
                &["PUBLISH", "other:fills", "1"],
                &["SUBSCRIBE", "other:fills"],
            ],
        )
        .await;
}

/// The sweep of another user than the nodes'.
async fn sweeps_under_its_list(place: &Place) {
    let prefix = "strata";
    place.grant("node", REDIS_ACL).await;
    place.grant("sweeper", REDIS_SWEEP_ACL).await;
    let node = Node::connect(place.builder("node", prefix)).await;
    let (stamp, global) = (node.sync(lane(3)).await, node.sync(Lane::GLOBAL).await);
    let item = |n| PutItem::new(name(n), common::envelope(n, stamp, global), 1 << 45, None);
    node.tier.put_many(PutMany::new((0..40).map(item).collect())).await.unwrap();
    node.invalidate(lane(3), vec![tag(1)]).await;
    let report = place.sweep("sweeper", prefix).build().await.unwrap().run().await.unwrap();
    assert_eq!((report.scanned, report.judged, report.unlinked), (40, 40, 20), "{report}");
    place
        .refuses(
            "sweeper",
            &[
                &["KEYS", "*"],
                &["FLUSHALL"],
                &["CONFIG", "GET", "*"],
                &["PING"],
                &["SET", "strata:{0f}:e", "1"],
                &["DEL", "strata:{0f}:e"],
                &["GETRANGE", "other:{0f}:e", "0", "9"],
                &["UNLINK", "other:{0f}:e"],
                &["UNLINK", "strata:{0f}:l"],
                &["UNLINK", "strata:{c3}:h"],
                &["UNLINK", "strata:{c3}:s"],
                &["EVAL", "return redis.call('UNLINK', KEYS[1])", "1", "strata:{c3}:h"],
            ],
        )
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_runs_under_the_least_privilege_on_redis() {
    let place = Place::server(Program::Redis).await;
    works_under_its_list(&place).await;
    sweeps_under_its_list(&Place::server(Program::Redis).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_runs_under_the_least_privilege_on_valkey() {
    let place = Place::server(Program::Valkey).await;
    works_under_its_list(&place).await;
    sweeps_under_its_list(&Place::server(Program::Valkey).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everything_runs_under_the_least_privilege_on_a_cluster() {
    let place = Place::cluster().await;
    works_under_its_list(&place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sweep_runs_under_the_least_privilege_on_a_cluster() {
    sweeps_under_its_list(&Place::cluster().await).await;
}

/// Until it is done: in the middle of a move a call may fail.
async fn done<T, F: Future<Output = Option<T>>>(mut attempt: impl FnMut() -> F) -> T {
    for _ in 0..1_000 {
        if let Some(done) = attempt().await {
            return done;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it is never done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn slots_move_under_the_least_privilege() {
    let place = Place::cluster().await;
    let Place::Cluster(cluster) = &place else { panic!("no cluster") };
    place.grant("node", REDIS_ACL).await;
    let builder = place.builder("node", "strata");
    let (one, two) = (Node::connect(builder.clone()).await, Node::connect(builder).await);
    for n in 0..6_u64 {
        // a lease on its way: all that there is of it is at the new server already, to which clients are sent with ASK
        let request = LeaseRequest::new(lane(3), name(n), Position::default(), Duration::from_secs(60));
        let LeaseReply::Granted(lease) = one.coordinator.lease(request).await.unwrap() else { panic!("not granted") };
        let hex: String = name(n).to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let slot = cluster.slot_of(format!("strata:{{{hex}}}:l")).await.unwrap();
        let from = cluster.owner_of(slot).await.unwrap();
        let to = (from + 1) % 3;
        let migration = cluster.begin_migration(slot, from, to).await.unwrap();
        while migration.move_keys(100).await.unwrap() > 0 {}
        let before = asking(cluster.node(to)).await;
        // the answer is no: a server with another history does not know what became of the lease. But it is an answer
        assert!(!one.coordinator.renew(lease).await.unwrap());
        assert!(asking(cluster.node(to)).await > before, "ASKING was sent, and allowed");
        migration.finish().await.unwrap();
        assert!(!done(|| async { one.coordinator.renew(lease).await.ok() }).await);

        // and the slot of the lane
        let slot = cluster.slot_of("strata:{c3}:h").await.unwrap();
        let from = cluster.owner_of(slot).await.unwrap();
        let sync = || async { two.coordinator.sync(lane(3)).await.ok() };
        let stamp = done(sync).await;
        cluster.migrate_slot(slot, from, (from + 1) % 3).await.unwrap();
        let invalidate = || async { one.coordinator.invalidate(Invalidate::new(lane(3), vec![tag(n)], 1)).await.ok() };
        let at = done(invalidate).await;
        let reached = done(sync).await;
        assert!(reached.incarnation != at.incarnation || reached.seq >= at.seq, "{reached:?} {at:?}");
        assert!(!two.seen.lane(lane(3)).judges_valid(stamp, common::scope(n)));
    }
}

/// How often a node was told that its client was sent by another one.
async fn asking(node: &RedisServer) -> u64 {
    let info = node.command(&["INFO", "commandstats"]).await.unwrap().text().unwrap_or_default();
    let calls =
        info.lines().find_map(|line| line.strip_prefix("cmdstat_asking:calls=")?.split(',').next()?.parse().ok());
    calls.unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_that_is_missing_is_noticed_at_start_and_named() {
    for program in [Program::Redis, Program::Valkey] {
        let place = Place::server(program).await;
        each_is_named(&place, REDIS_ACL, async |prefix| place.builder("u", prefix).build().await.map(drop)).await;
        // a sweep needs a deployment
        place.grant("node", REDIS_ACL).await;
        place.builder("node", "strata").build().await.unwrap();
        each_is_named(&place, REDIS_SWEEP_ACL, async |prefix| place.sweep("u", prefix).build().await.map(drop)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_a_cluster_too() {
    let place = Place::cluster().await;
    each_is_named(&place, REDIS_ACL, async |prefix| place.builder("u", prefix).build().await.map(drop)).await;
}

async fn each_is_named(place: &Place, list: &str, connect: impl AsyncFn(&str) -> stratacache_core::Result<()>) {
    let is_cluster = matches!(place, Place::Cluster(_));
    for granted in list.split_whitespace().filter_map(|word| word.strip_prefix('+')) {
        if !is_cluster && ["cluster|slots", "asking"].contains(&granted) {
            continue;
        }
        let less: Vec<&str> = list.split_whitespace().filter(|word| word.strip_prefix('+') != Some(granted)).collect();
        place.grant("u", &less.join(" ")).await;
        let Err(error) = connect("strata").await else { panic!("without {granted} it connects") };
        let shown = format!("{error} {error:?}");
        let named = format!("may not run {};", granted.to_uppercase());
        assert!(shown.contains(&named) && shown.contains(&format!("ACL SETUSER <user> {list}")), "{granted}: {shown}");
    }
    place.grant("u", list).await;
    connect("strata").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_recommends_the_line_for_the_prefix_in_use_and_that_line_is_enough() {
    for program in [Program::Redis, Program::Valkey] {
        let place = Place::server(program).await;
        place.grant("u", REDIS_ACL).await;
        place.grant("sweeper", REDIS_SWEEP_ACL).await;
        let shop = place.builder("u", "shop");
        let line = shop.acl().unwrap();
        let error = shop.clone().build().await.unwrap_err().to_string();
        assert!(error.contains("has no access to a key of the prefix `shop`"), "{error}");
        assert!(error.contains(&line) && !error.contains("strata"), "{error}");
        place.grant("u", &line.replace("&shop", "&other")).await;
        let error = shop.clone().build().await.unwrap_err().to_string();
        assert!(error.contains("has no access to a channel of the prefix `shop`") && error.contains(&line), "{error}");
        place.grant("u", &line).await;
        let node = Node::connect(shop).await;
        node.invalidate(lane(1), vec![tag(1)]).await;

        let sweep = place.sweep("sweeper", "shop");
        let line = sweep.acl().unwrap();
        let error = sweep.clone().build().await.unwrap_err().to_string();
        assert!(
            error.contains("of the prefix `shop`") && error.contains(&line) && !error.contains("strata"),
            "{error}"
        );
        place.grant("sweeper", &line).await;
        let sweep = sweep.build().await.unwrap();
        sweep.run().await.unwrap();
        // taken away later
        place.grant("sweeper", &line.replace("+scan", "")).await;
        let error = sweep.run().await.unwrap_err().to_string();
        assert!(error.contains("may not run SCAN") && error.contains(&line), "{error}");
    }
    assert_eq!(Redis::builder("redis://localhost").acl().unwrap(), REDIS_ACL);
    assert_eq!(Sweep::builder("redis://localhost").acl().unwrap(), REDIS_SWEEP_ACL);
}
