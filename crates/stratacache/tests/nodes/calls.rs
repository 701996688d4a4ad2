//! How often a node asks the store. DESIGN 5.3 and 10.

use stratacache::{Consistency, seconds};
use stratacache_testkit::shared::SharedStore;
use tokio::time::advance;

use crate::{
    kit::{How, PLAIN, Peer, Source},
    support::settle,
};

/// Calls by kind: sync, get, take, lease, renew, release, fill, removal with fence, invalidation.
#[tokio::test(start_paused = true)]
async fn a_miss_is_three_calls_a_hit_below_one_and_a_hit_in_memory_none() {
    let (store, source) = (SharedStore::new(1), Source::new());
    let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
    let before = here.calls();
    assert_eq!(here.read(&source).await, 1);
    settle().await;
    assert_eq!(here.calls().since(before), [0, 1, 0, 1, 0, 0, 1, 0, 0], "a miss");
    let before = here.calls();
    assert_eq!(here.read(&source).await, 1);
    assert_eq!(here.get(Consistency::Inherit).await, Some(1));
    assert_eq!(here.calls().since(before), [0; 9], "hits in memory");
    let before = there.calls();
    assert_eq!(there.read(&source).await, 1);
    settle().await;
    assert_eq!(there.calls().since(before), [0, 1, 0, 0, 0, 0, 0, 0, 0], "a hit below");
    let before = there.calls();
    assert_eq!(there.read(&source).await, 1);
    assert_eq!(there.calls().since(before), [0; 9], "it was promoted");
    assert_eq!(source.loads(), 1);
}

/// The latest costs a question for each of the two lanes, at the same time.
#[tokio::test(start_paused = true)]
async fn a_read_of_the_latest_asks_both_lanes_and_memory_then_answers() {
    let (store, source) = (SharedStore::new(1), Source::new());
    let here = Peer::new(&store).await;
    here.read(&source).await;
    settle().await;
    let before = here.calls();
    assert_eq!(here.latest(&source).await, 1);
    assert_eq!(here.calls().since(before), [2, 0, 0, 0, 0, 0, 0, 0, 0]);
    advance(seconds(2)).await;
    let before = here.calls();
    assert_eq!(here.read(&source).await, 1);
    assert_eq!(here.read(&source).await, 1);
    assert_eq!(here.calls().since(before), [2, 0, 0, 0, 0, 0, 0, 0, 0], "the bound had passed, once");
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_is_one_call_and_two_where_keys_are_meant() {
    for (how, calls) in [
        (How::Key, [0, 0, 0, 0, 0, 0, 0, 1, 1]),
        (How::Mixed, [0, 0, 0, 0, 0, 0, 0, 1, 1]),
        (How::Tag, [0, 0, 0, 0, 0, 0, 0, 0, 1]),
        (How::GlobalTag, [0, 0, 0, 0, 0, 0, 0, 0, 1]),
        (How::AllTenants, [0, 0, 0, 0, 0, 0, 0, 0, 1]),
        (How::Namespace, [0, 0, 0, 0, 0, 0, 0, 0, 1]),
        (How::Tenant, [0, 0, 0, 0, 0, 0, 0, 0, 1]),
        (How::Insert, [0, 0, 1, 0, 0, 0, 1, 1, 1]),
    ] {
        let (store, source) = (SharedStore::new(1), Source::new());
        let here = Peer::new(&store).await;
        let before = here.calls();
        how.tell(&here, &PLAIN, &source).await.unwrap();
        settle().await;
        assert_eq!(here.calls().since(before), calls, "{how:?}");
    }
    let store = SharedStore::new(1);
    let here = Peer::new(&store).await;
    let before = here.calls();
    here.acme().expire("k").await.unwrap();
    assert_eq!(here.calls().since(before), [0, 0, 0, 0, 0, 0, 0, 0, 1], "to expire is to mark");
    here.acme().invalidate_tags(["a", "b", "c"]).await.unwrap();
    assert_eq!(here.calls().since(before), [0, 0, 0, 0, 0, 0, 0, 0, 2], "many scopes, one position");
}

/// What the guide says of the rest: a refresh takes the right to load without looking, several inserts are as many calls as one.
#[tokio::test(start_paused = true)]
async fn a_refresh_is_two_calls_and_inserts_together_are_four() {
    let (store, source) = (SharedStore::new(1), Source::new());
    let here = Peer::new(&store).await;
    here.read(&source).await;
    settle().await;
    let before = here.calls();
    let again = source.clone();
    let load = async move || Ok::<_, std::convert::Infallible>(again.load().await);
    assert_eq!(*here.ns().refresh(PLAIN.key(&1), load).await.unwrap(), 1);
    settle().await;
    assert_eq!(here.calls().since(before), [0, 0, 1, 0, 0, 0, 1, 0, 0], "a refresh");
    let before = here.calls();
    here.acme().insert_many((0..100_u32).map(|n| (n, n))).await.unwrap();
    assert_eq!(here.calls().since(before), [0, 0, 1, 0, 0, 0, 1, 1, 1], "inserts");
}

/// A bulk load is as many calls as a load: one batch each.
#[tokio::test(start_paused = true)]
async fn a_bulk_load_is_three_calls_for_all_keys() {
    let (store, source) = (SharedStore::new(1), Source::new());
    let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
    for (peer, calls) in [(&here, [0, 1, 1, 0, 0, 0, 1, 0, 0]), (&there, [0, 1, 0, 0, 0, 0, 0, 0, 0])] {
        let before = peer.calls();
        let source = source.clone();
        let load = async move |ids: Vec<u32>| {
            let version = source.load().await;
            Ok::<_, std::convert::Infallible>(ids.into_iter().map(|id| (id, version)).collect::<Vec<_>>())
        };
        let many = peer.ns().get_or_load_many(&PLAIN, 0..100, load).await.unwrap();
        assert_eq!(many.len(), 100);
        settle().await;
        assert_eq!(peer.calls().since(before), calls);
    }
    assert_eq!(source.loads(), 1);
}
