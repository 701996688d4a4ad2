//! Entries and leases.

use super::*;
use crate::shared::FENCE_LIFE;

#[tokio::test(start_paused = true)]
async fn an_entry_is_there_until_its_expiry() {
    let store = SharedStore::new(1);
    store.fill(PutItem::new(name(1), envelope(1), store.now() + 1_000, None));
    tokio::time::advance(Duration::from_millis(999)).await;
    assert_eq!((store.get(name(1)), store.entries()), (Some(envelope(1)), vec![name(1)]));
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!((store.get(name(1)), store.stored(name(1)), store.entries()), (None, None, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_lease_keeps_others_off_until_it_is_released_or_its_life_ends() {
    let store = SharedStore::new(1);
    let first = granted(store.lease(&request(&store, 1)));
    assert_eq!(store.lease(&request(&store, 1)), LeaseReply::Busy);
    tokio::time::advance(LIFE - Duration::from_millis(1)).await;
    assert!(store.renew(first));
    tokio::time::advance(LIFE - Duration::from_millis(1)).await;
    assert_eq!(store.lease(&request(&store, 1)), LeaseReply::Busy, "it was renewed");
    store.release(first);
    let second = granted(store.lease(&request(&store, 1)));
    store.release(first); // no longer its own
    assert!(store.is_leased(name(1)));
    tokio::time::advance(LIFE).await;
    assert!(!store.is_leased(name(1)));
    assert!(!store.renew(second), "nothing renews what is gone");
    assert!(!store.fill(item(1, 1, second.token)), "nor fills under it");
    assert_eq!(store.stored(name(1)), None);
}

#[tokio::test(start_paused = true)]
async fn only_an_entry_that_the_caller_has_not_seen_answers_as_filled() {
    let store = SharedStore::new(1);
    store.restore_entry(name(1), envelope(5));
    let reply = |seen| {
        let mut ask = request(&store, 1);
        ask.seen = seen;
        store.lease(&ask)
    };
    assert_eq!(reply(None), LeaseReply::Filled);
    assert_eq!(reply(Some(4)), LeaseReply::Filled);
    granted(reply(Some(5)));
    store.restore_entry(name(2), "too short for an id");
    granted(store.lease(&request(&store, 2)));
}

#[tokio::test(start_paused = true)]
async fn a_lease_below_a_newer_mark_or_of_another_history_is_taken_over() {
    let store = SharedStore::new(1);
    let below = granted(store.lease(&request(&store, 1)));
    let position = store.invalidate(&tag());
    let mut ask = request(&store, 1);
    assert_eq!(store.lease(&ask), LeaseReply::Busy, "the caller knows of no mark");
    ask.newest = position.seq;
    let above = granted(store.lease(&ask));
    assert!(!store.renew(below));
    assert!(!store.fill(item(1, 1, below.token)));
    assert_eq!(store.lease(&ask), LeaseReply::Busy, "taken at the mark, it is of use");
    store.lose_lane(lane());
    let foreign = granted(store.lease(&request(&store, 1)));
    assert!(!store.fill(item(1, 1, above.token)));
    assert!(store.fill(item(1, 2, foreign.token)));
    assert_eq!(store.get(name(1)), Some(envelope(2)));
}

#[tokio::test(start_paused = true)]
async fn a_fence_voids_the_lease_keeps_the_entry_and_is_taken_over_by_no_lease() {
    let store = SharedStore::new(1);
    let lease = granted(store.lease(&request(&store, 1)));
    store.restore_entry(name(1), envelope(1));
    let Fence(token) = store.take(name(1));
    assert!(store.stored(name(1)).is_some());
    assert!(!store.fill(item(1, 2, lease.token)), "it overwrites the lease");
    let position = store.invalidate(&tag());
    let mut ask = request(&store, 1);
    ask.stamp.seq = 1;
    ask.newest = position.seq;
    ask.seen = stratacache_core::envelope::id_of(&envelope(1));
    assert_eq!(store.lease(&ask), LeaseReply::Busy);
    assert!(store.fill(item(1, 3, token)));
    let Fence(token) = store.take(name(1));
    tokio::time::advance(FENCE_LIFE).await;
    assert!(!store.fill(item(1, 4, token)), "its life has ended");
}

#[tokio::test(start_paused = true)]
async fn an_entry_from_before_a_failover_is_absent_and_so_is_one_filled_under_an_older_permission() {
    let store = SharedStore::new(1);
    store.restore_entry(name(1), envelope(1));
    let lease = granted(store.lease(&request(&store, 2)));
    store.checkpoint();
    store.del_fence(name(1));
    store.del_fence(name(2));
    store.fill(PutItem::new(name(3), envelope(3), NEVER, None));
    let before = store.position(lane());
    store.fail_over();
    assert_eq!(store.entries(), [name(1)], "the replica had it still, and lacked the later one");
    assert_eq!(store.get(name(1)), None, "but it is of an older history");
    assert!(store.fill(item(2, 2, lease.token)), "the replica had the lease still");
    assert_eq!((store.get(name(2)), store.stored(name(2))), (None, Some(envelope(2))));
    assert_ne!(store.position(lane()).incarnation, before.incarnation);
    assert_eq!(granted(store.lease(&request(&store, 2))).name, name(2), "what is absent is not filled");
    store.fail_over_data();
    store.restore_entry(name(1), envelope(1));
    assert_eq!(store.get(name(1)), Some(envelope(1)), "what is restored is of the present history");
}

#[tokio::test(start_paused = true)]
async fn losing_everything_takes_entries_leases_and_marks_and_losing_a_lane_only_its_marks() {
    let store = SharedStore::new(1);
    store.restore_entry(name(1), envelope(1));
    let lease = granted(store.lease(&request(&store, 2)));
    let position = store.invalidate(&tag());
    let elsewhere = store.position(Lane::GLOBAL);
    store.lose_lane(lane());
    assert_ne!(store.position(lane()).incarnation, position.incarnation);
    assert_eq!((store.position(lane()).seq, store.sync(lane()).marks), (1, Vec::new()));
    assert_eq!(store.position(Lane::GLOBAL), elsewhere);
    assert!(store.get(name(1)).is_some() && store.renew(lease));
    store.lose_everything();
    assert_ne!(store.position(Lane::GLOBAL).incarnation, elsewhere.incarnation);
    assert!(store.entries().is_empty() && !store.is_leased(name(2)));
}
