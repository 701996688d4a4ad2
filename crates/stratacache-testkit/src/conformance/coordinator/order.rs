//! Positions.

use std::{collections::BTreeSet, sync::Arc};

use stratacache_core::{
    coordinator::Coordinator,
    stamp::{Lane, Position},
};

use super::steps::{invalidate, lane, mark, subscribed};
use crate::spawn::Tasks;

/// Positions grow by one from the snapshot on, within one history.
pub async fn positions_are_dense_from_the_snapshot_on<C: Coordinator>(make: impl AsyncFn() -> C) {
    let (coordinator, recorder) = subscribed(&make).await;
    for lane in Lane::all() {
        let mut last = recorder.lane(lane).snapshot.expect("every lane has its snapshot when subscribe returns");
        for n in 0..20 {
            let position = invalidate(&*coordinator, lane, vec![mark(n)]).await;
            let next = Position { seq: last.seq + 1, ..last };
            assert_eq!(position, next, "positions of lane {} are dense from its snapshot on", lane.index());
            last = position;
        }
    }
}

/// All scopes of one invalidation share one position and come in one message.
pub async fn many_scopes_share_one_position<C: Coordinator>(make: impl AsyncFn() -> C) {
    let (coordinator, recorder) = subscribed(&make).await;
    let before = invalidate(&*coordinator, lane(2), vec![mark(0)]).await;
    let scopes: Vec<_> = (1..=200).map(mark).collect();
    let position = invalidate(&*coordinator, lane(2), scopes).await;
    assert_eq!(position.seq, before.seq + 1, "an invalidation of many scopes takes one position");
    let record = recorder.lane(lane(2));
    let message = record.messages.last().expect("the subscriber has applied the invalidation");
    assert_eq!((message.position, message.scopes.len()), (position, 200), "its scopes come in one message");
}

/// An invalidation in one lane moves no other.
pub async fn each_lane_is_independent<C: Coordinator>(make: impl AsyncFn() -> C) {
    let (coordinator, recorder) = subscribed(&make).await;
    for moved in Lane::all() {
        let before: Vec<Position> = Lane::all().map(|lane| recorder.lane(lane).reached).collect();
        invalidate(&*coordinator, moved, vec![mark(1)]).await;
        for (lane, before) in Lane::all().zip(before) {
            let moves = recorder.lane(lane).reached.seq - before.seq;
            assert_eq!(moves, u64::from(lane == moved), "an invalidation moves its own lane by one and no other");
        }
    }
}

/// `position` and `sync` reach at least what was invalidated before them.
pub async fn position_and_sync_reach_what_was_invalidated<C: Coordinator>(make: impl AsyncFn() -> C) {
    let (coordinator, recorder) = subscribed(&make).await;
    for n in 0..10 {
        for lane in [lane(7), Lane::GLOBAL] {
            let position = invalidate(&*coordinator, lane, vec![mark(n)]).await;
            let own = coordinator.position(lane).await.unwrap_or_else(|e| panic!("position failed: {e}"));
            let synced = coordinator.sync(lane).await.unwrap_or_else(|e| panic!("sync failed: {e}"));
            for (call, reached) in
                [("position", own), ("sync", synced), ("the subscriber", recorder.lane(lane).reached)]
            {
                assert!(
                    reached.incarnation == position.incarnation && reached.seq >= position.seq,
                    "{call} reaches what was invalidated before"
                );
            }
        }
    }
}

/// Invalidations from many tasks get different dense positions, and are applied in order, one at a time in each lane.
pub async fn concurrent_invalidations_are_applied_in_order_one_at_a_time<C: Coordinator>(make: impl AsyncFn() -> C) {
    const TASKS: u64 = 8;
    const EACH: u64 = 60;
    let (coordinator, recorder) = subscribed(&make).await;
    let lanes = [lane(1), lane(15), Lane::GLOBAL];
    let first = lanes.map(|lane| recorder.lane(lane).reached.seq + 1);
    let returned: Arc<std::sync::Mutex<BTreeSet<(Lane, u64)>>> = Arc::default();
    let mut tasks = Tasks::default();
    for task in 0..TASKS {
        let (coordinator, recorder, returned) = (coordinator.clone(), recorder.clone(), returned.clone());
        tasks.start(async move {
            for n in 0..EACH {
                let lane = lanes[((task + n) % 3) as usize];
                let position = invalidate(&*coordinator, lane, vec![mark(task * EACH + n)]).await;
                let reached = recorder.lane(lane).reached.seq;
                assert!(reached >= position.seq, "when invalidate returns, the subscriber has applied it");
                let new = returned.lock().expect("no task panicked").insert((lane, position.seq));
                assert!(new, "no two invalidations of a lane get the same position");
                if n % 5 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        });
    }
    tasks.join().await;
    let returned = returned.lock().expect("no task panicked");
    for (lane, first) in lanes.into_iter().zip(first) {
        let record = recorder.lane(lane);
        let delivered: Vec<u64> = record.messages.iter().map(|message| message.position.seq).collect();
        let ours: Vec<u64> = returned.iter().filter(|(of, _)| *of == lane).map(|(_, seq)| *seq).collect();
        let dense: Vec<u64> = (first..first + ours.len() as u64).collect();
        assert_eq!(ours, dense, "concurrent invalidations of a lane get dense positions");
        assert_eq!(delivered, dense, "concurrent invalidations of a lane are applied in order, each once");
    }
}
