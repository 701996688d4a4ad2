//! A node that follows a source, and others that do not: what was lost is forgotten by all, whatever the one has met.

use std::convert::Infallible;

use stratacache::{Cache, Consistency, Namespace, TenantId, follow::ChangeTarget};
use stratacache_testkit::{outbox::MemorySource, shared::SharedStore};

use crate::{
    kit::{PLAIN, Peer, Source, spawn},
    support::settle,
};

/// A tenant that only one node has met; what it holds has no tag.
fn beta(cache: &Cache) -> Namespace {
    cache.tenant(&TenantId::parse("beta").unwrap())
}

async fn load(ns: Namespace, source: &Source) -> usize {
    let source = source.clone();
    let load = async move || Ok::<_, Infallible>(source.load().await);
    *ns.get_or_load(PLAIN.key(&1), load).consistency(Consistency::Latest).await.unwrap()
}

async fn has(ns: Namespace) -> bool {
    ns.get(PLAIN.key(&1)).consistency(Consistency::Latest).await.is_some()
}

#[tokio::test(start_paused = true)]
async fn a_gap_that_one_node_notices_clears_the_tenants_that_only_others_know() {
    let (store, source, outbox) = (SharedStore::new(1), Source::new(), MemorySource::new("outbox"));
    let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
    let follower = here.cache.follow(outbox.clone()).start().unwrap();
    load(beta(&there.cache), &source).await;
    load(there.cache.global(), &source).await;
    settle().await;
    assert!(has(beta(&Peer::new(&store).await.cache)).await, "the store has it");

    // one that is under way at the gap is not kept either
    source.stop(1);
    let late = spawn({
        let (ns, source) = (beta(&there.cache).namespace("late"), source.clone());
        async move { load(ns, &source).await }
    });
    source.until_stopped(1).await;
    outbox.lose("the stream was trimmed");
    let end = outbox.write(Some("acme"), &[ChangeTarget::key("k")]);
    follower.until(|progress| progress.acknowledged >= Some(end)).await.unwrap();
    source.go();
    late.await.unwrap();
    settle().await;
    for cache in [&there.cache, &Peer::new(&store).await.cache] {
        assert!(!has(beta(cache)).await && !has(cache.global()).await && !has(beta(cache).namespace("late")).await);
    }
    assert_eq!((follower.progress().gaps, follower.progress().waiting), (1, 0));
    source.write();
    assert_eq!((load(beta(&there.cache), &source).await, load(beta(&here.cache), &source).await), (2, 2));
    settle().await;
    assert!(has(beta(&there.cache)).await, "what was loaded after it stays");
}

#[tokio::test(start_paused = true)]
async fn all_tenants_are_named_by_a_change_of_no_tenant_only() {
    let (store, source, outbox) = (SharedStore::new(1), Source::new(), MemorySource::new("outbox"));
    let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
    let follower = here.cache.follow(outbox.clone()).start().unwrap();
    load(beta(&there.cache), &source).await;
    let refused = outbox.write_json(Some("acme"), r#"{"all_tenants": true}"#);
    follower.until(|progress| progress.acknowledged >= Some(refused)).await.unwrap();
    assert!(has(beta(&there.cache)).await);
    assert!(outbox.set_aside_so_far()[0].reason.contains("everything"));
    let applied = outbox.write_json(None, r#"[{"tag": "x"}, {"all_tenants": true}]"#);
    follower.until(|progress| progress.acknowledged >= Some(applied)).await.unwrap();
    assert!(!has(beta(&there.cache)).await);
    assert_eq!((follower.progress().applied, follower.progress().set_aside), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_gap_is_not_acknowledged_before_the_order_has_it() {
    let (store, source, outbox) = (SharedStore::new(1), Source::new(), MemorySource::new("outbox"));
    let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
    let follower = here.cache.follow(outbox.clone()).start().unwrap();
    load(beta(&there.cache), &source).await;
    here.node.away(true);
    outbox.lose("the stream was trimmed");
    let end = outbox.write(Some("acme"), &[ChangeTarget::key("k")]);
    follower.until(|progress| progress.gaps == 1 && progress.retries > 3).await.unwrap();
    assert_eq!(follower.progress().acknowledged, None);
    here.node.away(false);
    follower.until(|progress| progress.acknowledged >= Some(end)).await.unwrap();
    assert!(!has(beta(&there.cache)).await);
}
