//! A node's own tier that outlives it, under an order that all share. DESIGN 5.3 (BELOW), R31.

use stratacache::{Consistency, Key, millis, minutes, tier::TierErrorKind};
use stratacache_core::{coordinator::Coordinator, stamp::Lane};
use stratacache_testkit::{
    faulty::{Fault, FaultyTier, On},
    shared::{SharedStore, Step},
    tiers::MemoryTier,
};
use tokio::time::{Instant, sleep};

use crate::{
    kit::{ALL, How, PLAIN, Peer, Source, lane, spawn},
    ops::Op,
    support::{builder, settle},
};

/// Which is asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    DiskFirst,
    SharedFirst,
}

const ORDERS: [Order; 2] = [Order::DiskFirst, Order::SharedFirst];

fn disk() -> MemoryTier {
    MemoryTier::new("disk").persistent(true)
}

async fn over(store: &SharedStore, disk: &MemoryTier, order: Order) -> Peer {
    Peer::with(store, |node, builder| match order {
        Order::DiskFirst => builder.tier(disk.clone()).tier(node.parts()),
        Order::SharedFirst => builder.tier(node.parts()).tier(disk.clone()),
    })
    .await
}

/// What the store does to what it holds while the node is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meanwhile {
    Nothing,
    TrimStreams,
    LoseLane,
    LoseEverything,
    FailOver,
    FailOverData,
    DropGeneration,
}

impl Meanwhile {
    pub const ALL: [Self; 7] = [
        Self::Nothing,
        Self::TrimStreams,
        Self::LoseLane,
        Self::LoseEverything,
        Self::FailOver,
        Self::FailOverData,
        Self::DropGeneration,
    ];

    pub fn happens(self, store: &SharedStore) {
        match self {
            Self::Nothing => {}
            Self::TrimStreams => store.trim_streams(),
            Self::LoseLane => store.lose_lane(lane()),
            Self::LoseEverything => store.lose_everything(),
            Self::FailOver => store.fail_over(),
            Self::FailOverData => store.fail_over_data(),
            Self::DropGeneration => [lane(), Lane::GLOBAL].into_iter().for_each(|lane| store.drop_generation(lane)),
        }
    }
}

/// R31, R18, R20: whatever the others said and the store lost while the node was down.
#[tokio::test(start_paused = true)]
async fn a_disk_never_brings_back_what_was_invalidated_while_its_node_was_down() {
    for order in ORDERS {
        for how in ALL {
            for before in Meanwhile::ALL {
                for after in Meanwhile::ALL {
                    let when = format!("{order:?}, {how:?}, before {before:?}, after {after:?}");
                    let (store, source, disk) = (SharedStore::new(1), Source::new(), disk());
                    let (here, there) = (over(&store, &disk, order).await, Peer::new(&store).await);
                    here.read(&source).await;
                    settle().await;
                    assert_eq!(disk.names().len(), 1, "{when}");
                    here.cache.close().await.unwrap();
                    before.happens(&store);
                    how.change(&there, &PLAIN, &source).await;
                    after.happens(&store);
                    let again = over(&store, &disk, order).await;
                    assert!(again.get(Consistency::Inherit).await.is_none_or(|version| version == 2), "{when}");
                    Op::Load.check_all(&[&again, &there], &store, &source, &when).await;
                }
            }
        }
    }
}

/// The same, for a node that is up and has not heard of it, or was cut off when it was said.
#[tokio::test(start_paused = true)]
async fn a_disk_never_brings_back_what_was_invalidated_while_its_node_was_deaf() {
    for order in ORDERS {
        for how in ALL {
            for meanwhile in Meanwhile::ALL {
                let when = format!("{order:?}, {how:?}, {meanwhile:?}");
                let (store, source, disk) = (SharedStore::new(1), Source::new(), disk());
                let (here, there) = (over(&store, &disk, order).await, Peer::new(&store).await);
                here.read(&source).await;
                settle().await;
                here.node.tail(false);
                here.node.away(true);
                how.change(&there, &PLAIN, &source).await;
                meanwhile.happens(&store);
                here.node.away(false);
                Op::Load.check(&here, &source, &when).await;
                here.cache.close().await.unwrap();
                let again = over(&store, &disk, order).await;
                Op::Load.check_all(&[&again, &there], &store, &source, &when).await;
            }
        }
    }
}

/// R11, R31: every fill, overtaken at each of its steps; then the node starts again, and only its disk has anything.
#[tokio::test(start_paused = true)]
async fn a_disk_never_keeps_a_fill_that_was_overtaken() {
    let ops = [
        Op::Load,
        Op::Promotion,
        Op::Get,
        Op::Refresh,
        Op::Bulk,
        Op::BulkPromotion,
        Op::Insert,
        Op::StampedInsert,
        Op::LoadBehind,
        Op::InsertBehind,
    ];
    for order in ORDERS {
        for op in ops {
            for stop in op.stops() {
                for how in ALL {
                    for deaf in [false, true] {
                        let when = format!("{order:?}, {op:?} at {stop:?}, {how:?}, deaf {deaf}");
                        let (store, source, disk) = (SharedStore::new(1), Source::new(), disk());
                        let (here, there) = (over(&store, &disk, order).await, Peer::new(&store).await);
                        op.prepare(&here, &there, &source).await;
                        here.node.tail(!deaf);
                        let stopped = stop.set(&here, &source);
                        let filling = spawn(op.run(here.clone(), source.clone()));
                        assert!(stopped.reached(&filling).await, "{when}: it never came there");
                        how.change(&there, op.row(), &source).await;
                        settle().await;
                        stopped.release();
                        filling.await.unwrap();
                        settle().await;
                        op.check(&here, &source, &when).await;
                        here.cache.close().await.unwrap();
                        store.fail_over_data();
                        let again = over(&store, &disk, order).await;
                        op.check_all(&[&again, &there], &store, &source, &when).await;
                    }
                }
            }
        }
    }
}

/// DESIGN 5.3 (BELOW): marks of keys are kept as long as a disk may need them, and that is what makes it worth something.
#[tokio::test(start_paused = true)]
async fn a_disk_serves_after_a_restart_what_nobody_invalidated() {
    for order in ORDERS {
        let (store, source, disk) = (SharedStore::new(1), Source::new(), disk());
        let (here, there) = (over(&store, &disk, order).await, Peer::new(&store).await);
        here.read(&source).await;
        settle().await;
        here.cache.close().await.unwrap();
        there.ns().invalidate("another").await.unwrap();
        there.acme().invalidate_tag("another").await.unwrap();
        store.fail_over_data();
        let again = over(&store, &disk, order).await;
        assert_eq!(again.get(Consistency::Latest).await, Some(1), "{order:?}");
        assert_eq!(again.read(&source).await, 1);
        assert_eq!(source.loads(), 1);
    }
}

/// kfloor: a node that had to forget marks of keys trusts nothing on its disk that they may have been about.
#[tokio::test(start_paused = true)]
async fn a_disk_never_brings_back_what_a_forgotten_mark_was_about() {
    for order in ORDERS {
        for restarts in [false, true] {
            for how in [How::Key, How::Insert] {
                let (store, source, disk) = (SharedStore::new(1), Source::new(), disk());
                let small = async || {
                    Peer::with(&store, |node, builder| {
                        match order {
                            Order::DiskFirst => builder.tier(disk.clone()).tier(node.parts()),
                            Order::SharedFirst => builder.tier(node.parts()).tier(disk.clone()),
                        }
                        .max_marks(64)
                    })
                    .await
                };
                let (here, there) = (small().await, Peer::new(&store).await);
                here.read(&source).await;
                settle().await;
                how.change(&there, &PLAIN, &source).await;
                for n in 0..3_000 {
                    there.ns().invalidate(Key::<()>::new(format!("other {n}"))).await.unwrap();
                }
                settle().await;
                store.fail_over_data();
                let node = if restarts {
                    here.cache.close().await.unwrap();
                    small().await
                } else {
                    here
                };
                assert!(disk.names().len() == 1);
                assert!(node.get(Consistency::Inherit).await.is_none(), "{order:?}, restarts {restarts}, {how:?}");
                assert_eq!(node.latest(&source).await, 2);
            }
        }
    }
}

/// A node without a disk says nothing of keys; the first one with a disk trusts nothing older than itself.
#[tokio::test(start_paused = true)]
async fn a_disk_that_joins_late_trusts_nothing_from_before_marks_of_keys_were_kept() {
    let (store, source, disk) = (SharedStore::new(1), Source::new(), disk());
    let there = Peer::new(&store).await;
    there.read(&source).await;
    settle().await;
    // as a disk would have it that was last used under another order
    let name = store.entries()[0];
    disk.put_raw(name, store.get(name).unwrap());
    How::Key.change(&there, &PLAIN, &source).await;
    let here = over(&store, &disk, Order::DiskFirst).await;
    assert_eq!(here.node.calls(Step::KeepKeyMarks), 1);
    assert!(here.get(Consistency::Inherit).await.is_none());
    assert_eq!(here.latest(&source).await, 2);
}

/// A cache that cannot tell whether marks of keys are kept does not open its disk.
#[tokio::test(start_paused = true)]
async fn a_cache_with_a_disk_is_not_built_when_it_is_not_known_whether_marks_of_keys_are_kept() {
    let store = SharedStore::new(1);
    let node = store.node();
    node.lose_reply_of(Step::KeepKeyMarks, 1);
    let disk = disk();
    assert!(builder().tier(node.parts()).tier(disk.clone()).build().await.is_err());
    assert!(builder().tier(node.parts()).tier(disk.clone()).build().await.is_ok());
    drop(node.coordinator().close().await);
}

/// DESIGN 5.3: an invalidation removes its keys from the disk of its own node before it is ordered.
#[tokio::test(start_paused = true)]
async fn an_invalidation_leaves_nothing_on_the_disk_of_its_own_node() {
    for order in ORDERS {
        let (store, source, disk) = (SharedStore::new(1), Source::new(), disk());
        let here = over(&store, &disk, order).await;
        here.read(&source).await;
        settle().await;
        How::Key.change(&here, &PLAIN, &source).await;
        assert!(disk.names().is_empty() && store.entries().is_empty());
        sleep(minutes(1)).await;
        assert_eq!(here.read(&source).await, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn an_insert_that_fails_before_it_is_ordered_keeps_nobody_waiting() {
    let (store, source) = (SharedStore::new(1), Source::new());
    let (disk, faults) = FaultyTier::new(disk(), 5);
    let here = Peer::with(&store, |node, builder| builder.tier(node.parts()).tier(disk)).await;
    let there = Peer::new(&store).await;
    faults.next(1, On::Get, Fault::Error(TierErrorKind::Unavailable)); // the disk does not say its fence
    here.ns().insert(PLAIN.key(&1), 7).await.unwrap_err();
    let began = Instant::now();
    assert_eq!(there.read(&source).await, 1);
    assert_eq!((began.elapsed(), there.cache.stats().lease_waits), (millis(0), 0));
}
