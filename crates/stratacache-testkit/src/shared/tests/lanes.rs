//! Marks, streams, and what subscribers are told.

use super::*;

fn keys(keys: Seq) -> Floors {
    Floors { marks: 0, keys }
}

#[tokio::test(start_paused = true)]
async fn marks_of_keys_are_kept_once_they_are_asked_for_and_the_floor_says_since_when() {
    let store = SharedStore::new(1);
    let node = store.node();
    let (coordinator, _) = subscribed(&node).await;
    let key = mark(ScopeKind::Key, Strength::Hard);
    store.invalidate(&key);
    let snapshot = store.sync(lane());
    assert_eq!((snapshot.floors, snapshot.marks.len()), (keys(2), 0), "the floor is the position");
    store.invalidate(&mark(ScopeKind::Key, Strength::Soft));
    assert_eq!(store.sync(lane()).marks.len(), 1, "an expiry is judged like a tag, and always kept");
    coordinator.keep_key_marks().await.unwrap();
    store.invalidate(&key);
    store.invalidate(&key);
    let snapshot = store.sync(lane());
    assert_eq!((snapshot.floors, snapshot.marks.len()), (keys(3), 2));
    assert_eq!(snapshot.marks.iter().map(|m| m.seq).max(), Some(5), "a scope has its newest mark");
}

#[tokio::test(start_paused = true)]
async fn a_sync_delivers_all_there_is_then_the_time_at_which_it_was_asked_and_no_floors() {
    let store = SharedStore::new(1);
    let node = store.node();
    node.tail(false);
    let start = store.now();
    let (coordinator, recorder) = subscribed(&node).await;
    assert_eq!(recorder.told(), [Told::Snapshot(1, keys(1), 0), Told::UpToDate(start)]);
    store.invalidate(&tag());
    store.invalidate(&tag());
    store.drop_generation(lane());
    assert_eq!(store.sync(lane()).marks, []);
    tokio::time::advance(LIFE).await;
    let position = coordinator.sync(lane()).await.unwrap();
    assert_eq!(position, store.position(lane()));
    let asked = start + LIFE.as_millis() as Millis;
    let all = [Told::Message(2), Told::Message(3), Told::UpToDate(asked)];
    assert_eq!(recorder.told(), all);
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_of_ones_own_returns_with_everything_before_it_applied() {
    let store = SharedStore::new(1);
    let node = store.node();
    node.tail(false);
    let (coordinator, recorder) = subscribed(&node).await;
    recorder.told();
    store.invalidate(&tag());
    let position = coordinator.invalidate(tag()).await.unwrap();
    assert_eq!(position.seq, 3);
    assert_eq!(recorder.told(), [Told::Message(2), Told::Message(3)], "it says nothing of the time");
}

#[tokio::test(start_paused = true)]
async fn whoever_had_not_read_a_trimmed_message_takes_a_snapshot() {
    let store = SharedStore::new(1);
    let (read, unread) = (store.node(), store.node());
    unread.tail(false);
    let ((_, reader), (coordinator, late)) = (subscribed(&read).await, subscribed(&unread).await);
    store.invalidate(&tag());
    settle().await;
    store.trim_streams();
    store.invalidate(&tag());
    settle().await;
    assert_eq!(reader.messages(), [2, 3]);
    late.told();
    assert_eq!(unread.deliver(), 1);
    assert_eq!(late.told(), [Told::Snapshot(3, keys(3), 1)]);
    assert_eq!((read.snapshots(), unread.snapshots()), (17, 18));
    coordinator.sync(lane()).await.unwrap();
    assert!(matches!(late.told()[..], [Told::UpToDate(_)]), "there is nothing new");
}

#[tokio::test(start_paused = true)]
async fn a_lost_lane_is_noticed_by_a_sync_and_by_the_tail_only_when_a_higher_message_comes() {
    let store = SharedStore::new(1);
    let (tailing, asking) = (store.node(), store.node());
    let ((_, tail), (coordinator, sync)) = (subscribed(&tailing).await, subscribed(&asking).await);
    invalidate(&store, 3);
    settle().await;
    tail.told();
    sync.told();
    store.lose_lane(lane());
    coordinator.sync(lane()).await.unwrap();
    assert_eq!(sync.told()[0], Told::Snapshot(1, keys(1), 0));
    invalidate(&store, 3);
    settle().await;
    assert_eq!(tail.told(), [], "ids up to 4 are behind it");
    assert_eq!(sync.messages(), [2, 3, 4]);
    store.invalidate(&tag());
    settle().await;
    assert_eq!(tail.told(), [Told::Snapshot(5, keys(5), 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_asked_for_marks_of_keys_asks_each_new_history() {
    let store = SharedStore::new(1);
    let (coordinator, recorder) = subscribed(&store.node()).await;
    coordinator.keep_key_marks().await.unwrap();
    store.lose_everything();
    store.invalidate(&mark(ScopeKind::Key, Strength::Hard));
    recorder.told();
    coordinator.sync(lane()).await.unwrap();
    assert_eq!(recorder.told()[0], Told::Snapshot(2, keys(2), 0), "what came before is below the floor");
    store.invalidate(&mark(ScopeKind::Key, Strength::Hard));
    let snapshot = store.sync(lane());
    assert_eq!((snapshot.floors, snapshot.marks.len()), (keys(2), 1));
}

#[tokio::test(start_paused = true)]
async fn a_restarted_node_begins_with_snapshots_and_the_end_of_the_old_one_does_not_stop_it() {
    let store = SharedStore::new(1);
    let node = store.node();
    let (old, before) = subscribed(&node).await;
    store.invalidate(&tag());
    let (new, after) = subscribed(&node).await;
    old.close().await.unwrap();
    settle().await;
    before.told();
    assert_eq!(after.told()[0], Told::Snapshot(2, keys(2), 1));
    store.invalidate(&tag());
    settle().await;
    assert_eq!((before.messages(), after.messages()), (vec![], vec![3]));
    new.close().await.unwrap();
    store.invalidate(&tag());
    settle().await;
    assert_eq!(after.told(), []);
    assert_eq!(new.sync(lane()).await.unwrap_err().kind(), stratacache_core::ErrorKind::Closed);
}
