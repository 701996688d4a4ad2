//! What a test does to a node's connection.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
};

use stratacache_core::{ErrorKind, tier::TierErrorKind};

use super::*;
use crate::shared::Step;

async fn is_ready(future: &mut Pin<&mut impl Future>) -> bool {
    settle().await;
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await
}

#[tokio::test(start_paused = true)]
async fn with_the_tail_on_the_others_messages_come_by_themselves_and_with_it_off_when_the_test_says() {
    let store = SharedStore::new(1);
    let (here, there) = (store.node(), store.node());
    there.tail(false);
    let ((_, near), (_, far)) = (subscribed(&here).await, subscribed(&there).await);
    invalidate(&store, 3);
    settle().await;
    assert_eq!((near.messages(), far.messages()), (vec![2, 3, 4], vec![]));
    assert!(there.deliver_one(lane()));
    assert_eq!(far.messages(), [2]);
    assert_eq!(there.deliver(), 2);
    assert!(!there.deliver_one(lane()));
    assert_eq!(far.messages(), [3, 4]);
    store.invalidate(&tag());
    there.tail(true);
    settle().await;
    assert_eq!(far.messages(), [5], "it goes on from where it was");
}

#[tokio::test(start_paused = true)]
async fn every_call_of_a_node_that_is_away_fails_at_once_and_changes_nothing() {
    let store = SharedStore::new(1);
    let (node, other) = (store.node(), store.node());
    let (coordinator, recorder) = subscribed(&node).await;
    recorder.told();
    store.restore_entry(name(1), envelope(1));
    node.away(true);
    let tier = node.tier();
    let refused = [
        coordinator.time().await.map(drop),
        coordinator.subscribe(recorder.clone()).await,
        coordinator.keep_key_marks().await,
        coordinator.position(lane()).await.map(drop),
        coordinator.sync(lane()).await.map(drop),
        coordinator.invalidate(tag()).await.map(drop),
        coordinator.lease(request(&store, 2)).await.map(drop),
    ];
    assert!(refused.iter().all(|r| r.as_ref().is_err_and(|e| e.kind() == ErrorKind::Unavailable)), "{refused:?}");
    let refused = [
        tier.get_many(GetMany::new(vec![name(1)])).await.map(drop),
        tier.get_many(GetMany::fences(vec![name(1)])).await.map(drop),
        tier.put_many(PutMany::new(vec![item(1, 2, 3)])).await.map(drop),
        tier.remove_many(RemoveMany::new(vec![name(1)])).await.map(drop),
        tier.ping().await,
    ];
    assert!(refused.iter().all(|r| r.as_ref().is_err_and(|e| e.kind() == TierErrorKind::Unavailable)), "{refused:?}");
    assert_eq!((store.position(lane()).seq, store.get(name(1))), (1, Some(envelope(1))));
    assert!(other.tier().ping().await.is_ok(), "the others are not concerned");
    store.invalidate(&tag());
    settle().await;
    assert_eq!(recorder.told(), [], "no message comes");
    node.away(false);
    settle().await;
    assert_eq!(recorder.messages(), [2]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_never_returns_and_never_takes_effect() {
    let store = SharedStore::new(1);
    let node = store.node();
    let (coordinator, recorder) = subscribed(&node).await;
    node.hang(true);
    let mut hanging = pin!(coordinator.invalidate(tag()));
    assert!(!is_ready(&mut hanging).await);
    node.hang(false);
    assert!(!is_ready(&mut hanging).await, "also when others get through again");
    assert_eq!(store.position(lane()).seq, 1);
    coordinator.invalidate(tag()).await.unwrap();
    assert_eq!(recorder.messages(), [2]);
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_reply_is_lost_takes_effect_and_fails() {
    let store = SharedStore::new(1);
    let node = store.node();
    node.tail(false);
    let (coordinator, recorder) = subscribed(&node).await;
    let tier = node.tier();
    node.lose_reply(2);
    node.lose_reply_of(Step::Lease, 1);
    let lost = coordinator.invalidate(tag()).await.unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::WriteUnknown);
    assert_eq!((store.position(lane()).seq, recorder.messages()), (2, vec![]), "its own node does not know either");
    let put = PutMany::new(vec![PutItem::new(name(1), envelope(1), NEVER, None)]);
    assert_eq!(tier.put_many(put).await.unwrap_err().kind(), TierErrorKind::ReplyLost);
    assert_eq!(store.get(name(1)), Some(envelope(1)));
    assert!(tier.ping().await.is_ok());
    assert!(coordinator.lease(request(&store, 2)).await.is_err());
    assert!(store.is_leased(name(2)));
    assert_eq!(coordinator.lease(request(&store, 2)).await.unwrap(), LeaseReply::Busy);
}

#[tokio::test(start_paused = true)]
async fn calls_are_counted_by_step_and_node_whatever_becomes_of_them() {
    let store = SharedStore::new(1);
    let (node, other) = (store.node(), store.node());
    let (coordinator, _) = subscribed(&node).await;
    coordinator.sync(lane()).await.unwrap();
    coordinator.sync(Lane::GLOBAL).await.unwrap();
    let tier = node.tier();
    tier.get_many(GetMany::new((0..9).map(name).collect())).await.unwrap();
    node.away(true);
    assert!(tier.get_many(GetMany::new(vec![name(1)])).await.is_err());
    assert_eq!(
        (node.syncs(), node.calls(Step::Get), node.calls(Step::Subscribe), node.calls(Step::Take)),
        (2, 2, 1, 0)
    );
    assert_eq!((other.syncs(), other.calls(Step::Get)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_when_a_lease_of_its_name_is_filled_released_or_removed() {
    let store = SharedStore::new(1);
    let (node, other) = (store.node(), store.node());
    let coordinator = node.coordinator();
    let ends: [fn(&SharedStore, Lease); 3] = [
        |store, lease| assert!(store.fill(item(1, 1, lease.token))),
        |store, lease| store.release(lease),
        |store, lease| store.del_fence(lease.name),
    ];
    for end in ends {
        store.del_fence(name(1));
        let lease = granted(other.coordinator().lease(request(&store, 1)).await.unwrap());
        let (mut watch, mut of_another) = (pin!(coordinator.watch(name(1))), pin!(coordinator.watch(name(2))));
        assert!(!is_ready(&mut watch).await);
        end(&store, lease);
        assert!(is_ready(&mut watch).await);
        assert!(!is_ready(&mut of_another).await);
    }
    let lease = granted(store.lease(&request(&store, 1)));
    let mut watch = pin!(coordinator.watch(name(1)));
    node.away(true);
    store.release(lease);
    node.away(false);
    assert!(!is_ready(&mut watch).await, "a notice that did not get through is lost");
}
