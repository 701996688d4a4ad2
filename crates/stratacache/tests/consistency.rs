//! How new an answer must be, where nodes share a coordinator: what the call, the keyspace or the namespace says.

#![allow(clippy::unwrap_used)] // helpers of tests may panic

mod support;

use std::convert::Infallible;

use stratacache::{Cache, Consistency, Keyspace, Lookup, Namespace, Policy, millis, minutes};
use stratacache_testkit::shared::{SharedNode, SharedStore};
use support::{builder, tenant};

const POLICY: Policy = Policy::ttl(minutes(5));
const LATEST: Keyspace<str, u32> = Keyspace::new("latest", POLICY.consistency(Consistency::Latest));
const BOUNDED: Keyspace<str, u32> = Keyspace::new("bounded", POLICY.consistency(Consistency::Bounded(millis(100))));
const SILENT: Keyspace<str, u32> = Keyspace::new("silent", POLICY);

/// A cache on a node that hears of the others only when it asks.
async fn node(store: &SharedStore, default: Policy) -> (Cache, Asked) {
    let node = store.node();
    let cache = builder().deployment_secret([7; 16]).default_policy(default).tier(node.parts()).build().await.unwrap();
    node.tail(false);
    (cache, Asked { node, before: 0.into() })
}

/// How often a node asked; a read asks for its lane and for the global one.
struct Asked {
    node: SharedNode,
    before: std::cell::Cell<u64>,
}

impl Asked {
    /// Returns how often since the last call.
    fn asked(&self) -> u64 {
        let now = self.node.syncs();
        (now - self.before.replace(now)) / 2
    }
}

/// Reads what memory has in every way there is, and tells how often the coordinator was asked.
async fn asked(ns: &Namespace, node: &Asked, keyspace: &'static Keyspace<str, u32>) -> Vec<u64> {
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
    let store = SharedStore::new(7);
    let ((here, _), (there, _)) = (node(&store, POLICY).await, node(&store, POLICY).await);
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
    let (cache, node) = node(&SharedStore::new(7), POLICY).await;
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
    tokio::time::advance(millis(100)).await;
    assert_eq!(read(&plain, POLICY.consistency(Consistency::Bounded(millis(10)))).await, 1, "or a smaller bound");
    tokio::time::advance(millis(100)).await;
    assert_eq!(read(&plain, POLICY.consistency(Consistency::Bounded(millis(200)))).await, 0);
    plain.get(LATEST.key("k")).consistency(Consistency::Inherit).await.unwrap();
    assert_eq!(node.asked(), 1);
    plain.get(LATEST.key("k")).consistency(Consistency::Bounded(millis(1))).await.unwrap();
    assert_eq!(node.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_reads_since_a_token_asks_only_until_it_has_heard_of_it() {
    let store = SharedStore::new(7);
    let ((here, node_here), (there, _)) = (node(&store, POLICY).await, node(&store, POLICY).await);
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
    let (cache, node) = node(&SharedStore::new(7), POLICY.consistency(Consistency::Latest)).await;
    let acme = tenant(&cache, "acme");
    assert_eq!(asked(&acme, &node, &SILENT).await, [1; 5]);
    assert_eq!(asked(&acme.namespace("n"), &node, &SILENT).await, [1; 5]);
}
