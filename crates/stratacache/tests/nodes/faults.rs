//! What the store loses, and when.

use stratacache::{Consistency, Tag};
use stratacache_core::{
    coordinator::{Coordinator, Invalidate, Marked, ScopeKind, Strength},
    stamp::Lane,
};
use stratacache_testkit::shared::{At, SharedStore, Step};

use crate::{
    kit::{ALL, How, PLAIN, Peer, Source, Stop, lane, spawn},
    ops::Op,
    support::settle,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    TrimStreams,
    LoseEverything,
    LoseLane,
    LoseGlobalLane,
    FailOver,
    FailOverData,
    DropGeneration,
}

const FAULTS: [Fault; 8] = [
    Fault::None,
    Fault::TrimStreams,
    Fault::LoseEverything,
    Fault::LoseLane,
    Fault::LoseGlobalLane,
    Fault::FailOver,
    Fault::FailOverData,
    Fault::DropGeneration,
];

impl Fault {
    fn strike(self, store: &SharedStore) {
        match self {
            Self::None => {}
            Self::TrimStreams => store.trim_streams(),
            Self::LoseEverything => store.lose_everything(),
            Self::LoseLane => store.lose_lane(lane()),
            Self::LoseGlobalLane => store.lose_lane(Lane::GLOBAL),
            Self::FailOver => store.fail_over(),
            Self::FailOverData => store.fail_over_data(),
            Self::DropGeneration => [lane(), Lane::GLOBAL].into_iter().for_each(|lane| store.drop_generation(lane)),
        }
    }
}

/// Moves the lanes on, so that what is of an older history looks neither older nor newer by its number alone.
fn advance_lanes(store: &SharedStore, by: u64) {
    for lane in [lane(), Lane::GLOBAL] {
        for _ in 0..by {
            let other = Tag::new("other").scope(&stratacache_core::Deployment::new([9; 16]), &"acme".parse().unwrap());
            let marked = Marked::new(other, ScopeKind::Tag, Strength::Hard, 0);
            store.invalidate(&Invalidate::new(lane, vec![marked], store.now()));
        }
    }
}

/// Where the faults come: before the invalidation, while it is between its two calls, or after it.
async fn survives(op: Op, how: How, faults: [Fault; 3], deaf: bool, more: u64) {
    let when = format!("{op:?}, {how:?}, {faults:?}, deaf {deaf}, {more} more");
    let (store, source) = (SharedStore::new(1), Source::new());
    let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
    advance_lanes(&store, 5);
    op.prepare(&here, &there, &source).await;
    // memory of both nodes, and the replica, have the old version
    for peer in [&here, &there] {
        peer.read_as(op.row(), &source, Consistency::Latest).await;
    }
    settle().await;
    store.checkpoint();
    [&here, &there].iter().for_each(|peer| peer.node.tail(!deaf));
    // a load is under way that has read the old version, and one that has not
    let in_load = Stop::Load.set(&here, &source);
    let filling = spawn(Op::Refresh.run(here.clone(), source.clone()));
    assert!(in_load.reached(&filling).await);
    source.write();
    faults[0].strike(&store);
    advance_lanes(&store, more);
    let hold = Stop::At(Step::Invalidate, At::Late).set(&there, &source);
    let telling = spawn({
        let (there, source) = (there.clone(), source.clone());
        async move { how.tell(&there, op.row(), &source).await }
    });
    assert!(hold.reached(&telling).await);
    faults[1].strike(&store);
    hold.release();
    telling.await.unwrap().unwrap();
    faults[2].strike(&store);
    advance_lanes(&store, more);
    in_load.release();
    filling.await.unwrap();
    settle().await;
    op.check_all(&[&here, &there], &store, &source, &when).await;
}

/// R14, R16, R18, R19, R20, R30, R34: one fault, at any of three places.
#[tokio::test(start_paused = true)]
async fn one_fault_never_brings_back_what_was_invalidated() {
    for how in ALL {
        for deaf in [false, true] {
            for more in [0, 1, 7] {
                for fault in FAULTS {
                    for place in 0..3 {
                        let mut faults = [Fault::None; 3];
                        faults[place] = fault;
                        survives(Op::Load, how, faults, deaf, more).await;
                    }
                }
            }
        }
    }
}

/// R20 and the model's P8 to P10: two and three faults.
#[tokio::test(start_paused = true)]
async fn several_faults_never_bring_back_what_was_invalidated() {
    for how in [How::Key, How::Tag, How::GlobalTag, How::AllTenants, How::Insert] {
        for first in FAULTS {
            for second in FAULTS {
                for third in FAULTS {
                    survives(Op::Load, how, [first, second, third], true, 3).await;
                }
            }
        }
    }
}

/// R18, R19: every fill, while the store loses what it knows at one of the fill's steps.
#[tokio::test(start_paused = true)]
async fn a_fill_that_is_under_way_when_the_store_loses_its_history_is_never_served_over_what_comes_after() {
    for op in [
        Op::Load,
        Op::Promotion,
        Op::Get,
        Op::Refresh,
        Op::Behind,
        Op::Negative,
        Op::Bulk,
        Op::BulkPromotion,
        Op::Insert,
        Op::StampedInsert,
        Op::Touch,
    ] {
        for how in ALL {
            for stop in op.stops() {
                for fault in FAULTS {
                    for before in [false, true] {
                        for deaf in [false, true] {
                            let when = format!("{op:?} at {stop:?}, {fault:?}, {how:?}, before {before}, deaf {deaf}");
                            let (store, source) = (SharedStore::new(1), Source::new());
                            let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
                            advance_lanes(&store, 6);
                            op.prepare(&here, &there, &source).await;
                            store.checkpoint();
                            here.node.tail(!deaf);
                            let stopped = stop.set(&here, &source);
                            let filling = spawn(op.run(here.clone(), source.clone()));
                            assert!(stopped.reached(&filling).await, "{when}: it never came there");
                            if before {
                                fault.strike(&store);
                                // the node goes over to the new history before there is anything in it
                                here.get(Consistency::Latest).await;
                            }
                            how.change(&there, op.row(), &source).await;
                            if !before {
                                fault.strike(&store);
                            }
                            advance_lanes(&store, 1);
                            settle().await;
                            stopped.release();
                            filling.await.unwrap();
                            settle().await;
                            op.check_all(&[&here, &there], &store, &source, &when).await;
                        }
                    }
                }
            }
        }
    }
}

/// R18: an envelope says of which history it is. It is written a moment after the entry was judged, and that history may
/// have ended in between.
#[tokio::test(start_paused = true)]
async fn what_was_loaded_in_one_history_is_never_written_below_as_of_the_next() {
    let (store, source) = (SharedStore::new(1), Source::new());
    let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
    advance_lanes(&store, 9);
    settle().await;
    let in_load = Stop::Load.set(&here, &source);
    let reading = spawn({
        let (here, source, store) = (here.clone(), source.clone(), store.clone());
        async move {
            assert_eq!(here.read(&source).await, 1);
            assert!(store.entries().is_empty(), "the reader is awake, and what it read is not below yet");
            store.lose_lane(lane());
            here.node.coordinator().sync(lane()).await.unwrap();
            assert!(store.entries().is_empty(), "nothing else came to its turn");
        }
    });
    assert!(in_load.reached(&reading).await);
    in_load.release();
    reading.await.unwrap();
    settle().await;
    // by its number alone, what was loaded is newer than this
    How::Tag.change(&there, &PLAIN, &source).await;
    Op::Load.check_all(&[&here, &there], &store, &source, "another history").await;
}
