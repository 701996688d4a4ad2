//! How new an answer must be, where nodes share a coordinator: what the call, the keyspace or the namespace says.

#![allow(clippy::unwrap_used)] // helpers of tests may panic

mod support;

use std::{
    convert::Infallible,
    future::Future,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use stratacache::{Cache, Consistency, Keyspace, Lookup, Namespace, Policy, millis, minutes, tier::TierParts};
use stratacache_core::{
    EntryName, Result,
    clock::Millis,
    coordinator::{Applied, Coordinator, Invalidate, LaneSnapshot, Lease, LeaseReply, LeaseRequest, Subscriber},
    stamp::{Incarnation, LANES, Lane, Position},
};
use stratacache_testkit::tiers::MemoryTier;
use support::{builder, tenant};

/// The order that nodes share: for each lane the messages, whose positions begin at 2.
type Bus = Arc<Vec<Mutex<Vec<Applied>>>>;

/// A node that hears of the others only when it asks.
#[derive(Clone)]
struct Node(Arc<State>);

struct State {
    bus: Bus,
    heard: Vec<Mutex<usize>>,
    subscriber: OnceLock<Arc<dyn Subscriber>>,
    syncs: AtomicUsize,
}

impl Node {
    fn new(bus: &Bus) -> Self {
        let heard = (0..=LANES).map(|_| Mutex::new(0)).collect();
        Self(Arc::new(State { bus: bus.clone(), heard, subscriber: OnceLock::new(), syncs: AtomicUsize::new(0) }))
    }

    /// Returns how often it asked since the last call; a read asks for its lane and for the global one.
    fn asked(&self) -> usize {
        self.0.syncs.swap(0, SeqCst) / 2
    }

    fn hear(&self, lane: Lane) -> Position {
        let mut heard = self.0.heard[lane.index()].lock().unwrap();
        let messages = self.0.bus[lane.index()].lock().unwrap().clone();
        messages[*heard..].iter().for_each(|message| self.0.subscriber.get().unwrap().apply(message));
        *heard = messages.len();
        at(messages.len())
    }
}

fn at(messages: usize) -> Position {
    Position { incarnation: Incarnation(5), seq: messages as u64 + 1 }
}

impl Coordinator for Node {
    fn name(&self) -> &str {
        "bus"
    }
    fn is_shared(&self) -> bool {
        true
    }
    async fn time(&self) -> Result<Option<Millis>> {
        Ok(None)
    }
    async fn subscribe(&self, subscriber: Arc<dyn Subscriber>) -> Result<()> {
        Lane::all().for_each(|lane| subscriber.snapshot(LaneSnapshot::empty(lane, Incarnation(5))));
        assert!(self.0.subscriber.set(subscriber).is_ok());
        Ok(())
    }
    async fn position(&self, lane: Lane) -> Result<Position> {
        Ok(at(self.0.bus[lane.index()].lock().unwrap().len()))
    }
    async fn keep_key_marks(&self) -> Result<()> {
        Ok(())
    }
    async fn sync(&self, lane: Lane) -> Result<Position> {
        self.0.syncs.fetch_add(1, SeqCst);
        Ok(self.hear(lane))
    }
    async fn invalidate(&self, request: Invalidate) -> Result<Position> {
        {
            let mut messages = self.0.bus[request.lane.index()].lock().unwrap();
            let position = at(messages.len() + 1);
            messages.push(Applied::new(request.lane, position, request.scopes, request.at));
        }
        Ok(self.hear(request.lane))
    }
    fn watch(&self, _: EntryName) -> impl Future<Output = ()> + Send + 'static {
        std::future::pending()
    }
    async fn lease(&self, request: LeaseRequest) -> Result<LeaseReply> {
        Ok(LeaseReply::Granted(Lease { lane: request.lane, name: request.name, token: 1, life: request.life }))
    }
    async fn renew(&self, _: Lease) -> Result<bool> {
        Ok(true)
    }
    async fn release(&self, _: Lease) -> Result<()> {
        Ok(())
    }
    async fn tick(&self, _: Millis, _: Millis) -> Result<()> {
        Ok(())
    }
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

const POLICY: Policy = Policy::ttl(minutes(5));
const LATEST: Keyspace<str, u32> = Keyspace::new("latest", POLICY.consistency(Consistency::Latest));
const BOUNDED: Keyspace<str, u32> = Keyspace::new("bounded", POLICY.consistency(Consistency::Bounded(millis(100))));
const SILENT: Keyspace<str, u32> = Keyspace::new("silent", POLICY);

async fn node(bus: &Bus, default: Policy) -> (Cache, Node) {
    let node = Node::new(bus);
    let parts = TierParts::new(MemoryTier::new("own")).with_coordinator(node.clone());
    let cache = builder().deployment_secret([7; 16]).default_policy(default).tier(parts).build().await.unwrap();
    (cache, node)
}

fn bus() -> Bus {
    Arc::new((0..=LANES).map(|_| Mutex::default()).collect())
}

/// Reads what memory has in every way there is, and tells how often the coordinator was asked.
async fn asked(ns: &Namespace, node: &Node, keyspace: &'static Keyspace<str, u32>) -> Vec<usize> {
    ns.insert(keyspace.key("k"), 1).await.unwrap();
    node.asked();
    let mut asked = Vec::new();
    assert!(ns.get(keyspace.key("k")).await.is_some());
    asked.push(node.asked());
    assert!(ns.contains(keyspace.key("k")).await);
    asked.push(node.asked());
    assert!(matches!(ns.lookup(keyspace.key("k")).await, Lookup::Hit(_)));
    asked.push(node.asked());
    let load = async || Ok::<_, Infallible>(2);
    assert_eq!(*ns.get_or_load(keyspace.key("k"), load).await.unwrap(), 1);
    asked.push(node.asked());
    assert!(ns.get_many([SILENT.key("other"), keyspace.key("k")]).await[1].is_some());
    asked.push(node.asked());
    asked
}

#[tokio::test(start_paused = true)]
async fn a_keyspace_that_wants_the_latest_never_misses_what_another_node_invalidated() {
    let bus = bus();
    let ((here, _), (there, _)) = (node(&bus, POLICY).await, node(&bus, POLICY).await);
    let (here, there) = (tenant(&here, "acme"), tenant(&there, "acme"));
    for keyspace in [&LATEST, &SILENT] {
        here.insert(keyspace.key("k"), 1).tag("t").await.unwrap();
    }
    there.invalidate_tag("t").await.unwrap();
    assert!(here.get(SILENT.key("k")).await.is_some(), "within its bound");
    assert!(here.get(LATEST.key("k")).await.is_none());
    let loaded = async || Ok::<_, Infallible>(2);
    here.insert(LATEST.key("k"), 1).tag("t").await.unwrap();
    there.invalidate_tag("t").await.unwrap();
    assert_eq!(*here.get_or_load(LATEST.key("k"), loaded).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_said_nearest_to_the_call_wins_and_saying_nothing_inherits() {
    let (cache, node) = node(&bus(), POLICY).await;
    let plain = tenant(&cache, "acme");
    let latest = plain.with_policy(POLICY.consistency(Consistency::Latest));
    assert_eq!(asked(&plain, &node, &SILENT).await, [0; 5], "a usual hit asks nobody");
    assert_eq!(asked(&plain, &node, &BOUNDED).await, [0; 5]);
    assert_eq!(asked(&plain, &node, &LATEST).await, [1; 5]);
    assert_eq!(asked(&latest, &node, &SILENT).await, [1; 5], "the namespace");
    assert_eq!(asked(&latest.namespace("n").with_policy(POLICY), &node, &SILENT).await, [1; 5], "the outer one");
    assert_eq!(asked(&latest, &node, &BOUNDED).await[..4], [0; 4], "the keyspace is nearer");
    let load = async || Ok::<_, Infallible>(2);
    let read = async |ns: &Namespace, policy: Policy| {
        ns.get_or_load(SILENT.key("k"), load).policy(policy).await.unwrap();
        node.asked()
    };
    assert_eq!(read(&plain, POLICY.consistency(Consistency::Latest)).await, 1, "the policy of the call");
    assert_eq!(read(&latest, POLICY.consistency(Consistency::Bounded(millis(1)))).await, 0);
    assert_eq!(read(&latest, POLICY).await, 1, "which may say nothing");
    plain.get(LATEST.key("k")).consistency(Consistency::Inherit).await.unwrap();
    assert_eq!(node.asked(), 1);
    plain.get(LATEST.key("k")).consistency(Consistency::Bounded(millis(1))).await.unwrap();
    assert_eq!(node.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_reads_since_a_token_asks_only_until_it_has_heard_of_it() {
    let bus = bus();
    let ((here, node_here), (there, _)) = (node(&bus, POLICY).await, node(&bus, POLICY).await);
    let (here, there) = (tenant(&here, "acme"), tenant(&there, "acme"));
    here.insert(SILENT.key("k"), 1).tag("t").await.unwrap();
    let token = there.invalidate_tag("t").await.unwrap();
    let since = here.with_policy(POLICY.consistency(Consistency::Since(token)));
    node_here.asked();
    assert!(since.get(SILENT.key("k")).await.is_none());
    assert_eq!(node_here.asked(), 1);
    assert!(since.get(SILENT.key("k")).await.is_none());
    assert_eq!(node_here.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_default_policy_of_the_cache_can_want_the_latest() {
    let (cache, node) = node(&bus(), POLICY.consistency(Consistency::Latest)).await;
    let acme = tenant(&cache, "acme");
    assert_eq!(asked(&acme, &node, &SILENT).await, [1; 5]);
    assert_eq!(asked(&acme.namespace("n"), &node, &SILENT).await, [1; 5]);
}
