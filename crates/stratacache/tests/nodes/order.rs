//! In which order an invalidation happens, and by which clock: by none.

use stratacache::{Consistency, minutes};
use stratacache_testkit::{
    clock::SimulatedClock,
    shared::{At, SharedStore, Step},
};
use tokio::time::advance;

use crate::{
    kit::{ALL, How, PLAIN, Peer, Source, spawn},
    support::settle,
};

const HOUR: i64 = 3_600_000;

/// R7: who hears of it and reads again finds nothing old below.
#[tokio::test(start_paused = true)]
async fn a_key_has_left_the_store_before_anybody_hears_of_its_invalidation() {
    let (store, source) = (SharedStore::new(1), Source::new());
    let (here, there) = (Peer::deaf(&store).await, Peer::new(&store).await);
    assert_eq!(here.read(&source).await, 1);
    settle().await;
    assert_eq!(store.entries().len(), 1);
    let announcement = there.node.hold(Step::Invalidate, At::Before);
    let change = {
        let (there, source) = (there.clone(), source.clone());
        spawn(async move { How::Key.change(&there, &PLAIN, &source).await })
    };
    while announcement.held() == 0 {
        settle().await;
    }
    assert_eq!((store.entries().len(), here.node.deliver()), (0, 0));
    announcement.release();
    let token = change.await.unwrap();
    assert_eq!(here.node.deliver(), 1);
    assert_eq!(here.read_as(&PLAIN, &source, Consistency::Since(token)).await, 2);
}

/// R22: it never returned `Ok`, so nothing was promised; said again, by whomever, it holds everywhere.
#[tokio::test(start_paused = true)]
async fn a_node_that_is_lost_between_removal_and_announcement_has_promised_nothing_and_another_may_say_it_again() {
    let (store, source) = (SharedStore::new(1), Source::new());
    let (here, there, third) = (Peer::new(&store).await, Peer::new(&store).await, Peer::new(&store).await);
    assert_eq!(here.read(&source).await, 1);
    settle().await;
    let announcement = there.node.hold(Step::Invalidate, At::Before);
    source.write();
    let told = {
        let (there, source) = (there.clone(), source.clone());
        spawn(async move { How::Key.tell(&there, &PLAIN, &source).await })
    };
    while announcement.held() == 0 {
        settle().await;
    }
    assert!(told.await.unwrap().is_err(), "it never gets through, and is given up");
    announcement.release();
    assert_eq!(here.get(Consistency::Latest).await, Some(1), "nobody has heard of it");
    How::Key.tell(&third, &PLAIN, &source).await.unwrap();
    for peer in [&here, &third, &Peer::new(&store).await] {
        assert_eq!(peer.latest(&source).await, 2);
    }
    assert_eq!(source.loads(), 2);
}

/// R17: the order is that of positions, and lives are measured, not read off a clock on the wall.
#[tokio::test(start_paused = true)]
async fn wall_clocks_that_are_an_hour_wrong_or_jump_neither_keep_nor_end_anything() {
    for skew in [-HOUR, HOUR] {
        for jumps in [false, true] {
            for how in ALL {
                let case = format!("{how:?}, {skew} ms, jumps {jumps}");
                let (store, source) = (SharedStore::new(1), Source::new());
                let here = Peer::new(&store).await;
                let clock = SimulatedClock::new();
                if !jumps {
                    clock.jump_wall(skew);
                }
                let there = Peer::with(&store, |node, builder| builder.clock(clock.clone()).tier(node.parts())).await;
                if jumps {
                    clock.jump_wall(skew);
                }
                assert_eq!(here.read(&source).await, 1, "{case}");
                settle().await;
                assert_eq!(there.get(Consistency::Latest).await, Some(1), "{case}");
                let token = how.change(&there, &PLAIN, &source).await;
                for peer in [&here, &there] {
                    assert_eq!(peer.read_as(&PLAIN, &source, Consistency::Since(token)).await, 2, "{case}");
                }
                advance(minutes(4)).await;
                assert_eq!(there.get(Consistency::Latest).await, Some(2), "{case}: five minutes are five minutes");
                advance(minutes(2)).await;
                for peer in [&here, &there] {
                    assert_eq!(peer.get(Consistency::Latest).await, None, "{case}: expired");
                }
            }
        }
    }
}
