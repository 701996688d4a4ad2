//! Writes of nodes that share the order, while it is out of reach.

use stratacache::{Cache, Consistency, Resource, resource::WriteError};
use stratacache_testkit::shared::{SharedNode, SharedStore};

use crate::{
    kit::{Contacts, ROWS, contact},
    support::{builder, settle, tenant},
};

struct Peer {
    node: SharedNode,
    _cache: Cache,
    contacts: Resource<Contacts>,
}

async fn two() -> (Contacts, Peer, Peer) {
    let (store, source) = (SharedStore::new(1), Contacts::new(&ROWS));
    let peer = async |seed| {
        let node = store.node();
        let cache = builder().seed(seed).deployment_secret([7; 16]).tier(node.parts()).build().await.unwrap();
        let contacts = Resource::new(&tenant(&cache, "acme"), source.clone());
        Peer { node, _cache: cache, contacts }
    };
    let (here, there) = (peer(1 << 32).await, peer(2 << 32).await);
    (source.clone(), here, there)
}

async fn name(peer: &Peer) -> String {
    peer.contacts.one(1).consistency(Consistency::Latest).await.unwrap().unwrap().name.clone()
}

#[tokio::test(start_paused = true)]
async fn a_save_is_seen_by_whoever_reads_with_its_token_on_another_node() {
    let (_source, here, there) = two().await;
    for (n, through) in [(1, false), (2, true)] {
        assert!(!name(&here).await.is_empty() && !name(&there).await.is_empty());
        let saved = here.contacts.save(contact(1, "Bonn", &n.to_string())).through(through).await.unwrap();
        let since = Consistency::Since(saved.token().unwrap());
        let seen = there.contacts.one(1).consistency(since).await.unwrap().unwrap();
        assert_eq!(seen.name, n.to_string(), "through: {through}");
        let bonn = there.contacts.partition("Bonn".to_owned()).consistency(since).await.unwrap();
        assert_eq!(bonn[0].name, n.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_invalidation_is_unknown_says_that_it_is_written_and_may_be_invalidated_again() {
    for through in [false, true] {
        let (source, here, there) = two().await;
        assert_eq!((name(&here).await, name(&there).await), ("old".to_owned(), "old".to_owned()));
        here.node.away(true);
        let error = here.contacts.save(contact(1, "Bonn", "new")).through(through).await.unwrap_err();
        assert!(error.is_written(), "{error}");
        assert_eq!(source.row(1).unwrap().name, "new");
        let WriteError::NotForgotten(failed) = error else { panic!("{error}") };
        assert!(failed.error.is_transient(), "{}", failed.error);
        assert_eq!(failed.outcome.unwrap().unwrap().name, "new");
        assert_eq!(name(&there).await, "old", "nobody told it");
        here.node.away(false);
        for _ in 0..2 {
            here.contacts.invalidate(failed.scope.clone()).await.unwrap();
        }
        assert_eq!((name(&here).await, name(&there).await), ("new".to_owned(), "new".to_owned()), "through: {through}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_may_queue_is_forgotten_here_at_once_and_everywhere_when_it_settles() {
    for through in [false, true] {
        let (_source, here, there) = two().await;
        assert_eq!((name(&here).await, name(&there).await), ("old".to_owned(), "old".to_owned()));
        here.node.away(true);
        let saved = here.contacts.save(contact(1, "Bonn", "new")).through(through).or_queue().await.unwrap();
        assert!(saved.queued().is_some_and(stratacache::Queued::is_waiting) && saved.token().is_none());
        assert_eq!(here.contacts.one(1).await.unwrap().unwrap().name, "new", "this node knows");
        here.node.away(false);
        let token = saved.settled().await.unwrap().expect("the token of its invalidation");
        settle().await;
        let seen = there.contacts.one(1).consistency(Consistency::Since(token)).await.unwrap().unwrap();
        assert_eq!(seen.name, "new", "through: {through}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_may_have_written_and_cannot_be_forgotten_says_both() {
    let (source, here, _there) = two().await;
    name(&here).await;
    source.writing(crate::kit::Writing::Breaks);
    here.node.away(true);
    let error = here.contacts.save(contact(1, "Bonn", "new")).await.unwrap_err();
    assert_eq!(error.source_error().map(String::as_str), Some("broken"));
    assert!(!error.is_written() && error.to_string().contains("invalidate the scope"), "{error}");
    let WriteError::NotForgotten(failed) = error else { panic!("{error}") };
    here.node.away(false);
    here.contacts.invalidate(failed.scope).await.unwrap();
    assert_eq!(name(&here).await, "new");
}
