//! Fills against what another node invalidates: at every step of the one, and at every step of the other.

use stratacache_testkit::shared::{At, SharedStore, Step};

use crate::{
    kit::{ALL, How, Peer, Source, Stop, spawn},
    ops::Op,
    support::settle,
};

/// The fill is stopped, all of the invalidation happens, and the fill goes on.
async fn overtaken(op: Op, stop: Stop, how: How, deaf: bool) {
    let when = format!("{op:?} at {stop:?}, {how:?}, deaf {deaf}");
    let (store, source) = (SharedStore::new(1), Source::new());
    let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
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
    op.check_all(&[&here, &there], &store, &source, &when).await;
}

/// As above, but others read while the fill is stopped: they neither wait for it for ever nor get what it had.
async fn overtaken_before_readers(op: Op, stop: Stop, how: How, deaf: bool) {
    let when = format!("readers during {op:?} at {stop:?}, {how:?}, deaf {deaf}");
    let (store, source) = (SharedStore::new(1), Source::new());
    let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
    op.prepare(&here, &there, &source).await;
    here.node.tail(!deaf);
    let stopped = stop.set(&here, &source);
    let filling = spawn(op.run(here.clone(), source.clone()));
    assert!(stopped.reached(&filling).await, "{when}: it never came there");
    how.change(&there, op.row(), &source).await;
    op.check_all(&[&here, &there], &store, &source, &format!("before, {when}")).await;
    stopped.release();
    filling.await.unwrap();
    settle().await;
    op.check_all(&[&here, &there], &store, &source, &when).await;
}

/// The invalidation is stopped after the change is committed, a fill that read before it happens, and it goes on.
async fn overtaking(op: Op, step: Step, at: At, how: How, deaf: bool) -> bool {
    let when = format!("{op:?} while {how:?} is at {step:?} {at:?}, deaf {deaf}");
    let (store, source) = (SharedStore::new(1), Source::new());
    let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
    op.prepare(&here, &there, &source).await;
    here.node.tail(!deaf);
    let begin = op.stops()[0];
    let loading = op.stops().contains(&Stop::Load);
    let in_load = (if loading { Stop::Load } else { begin }).set(&here, &source);
    let filling = spawn(op.run(here.clone(), source.clone()));
    assert!(in_load.reached(&filling).await, "{when}: it does not load");
    source.write();
    let hold = Stop::At(step, at).set(&there, &source);
    let telling = spawn({
        let (there, source) = (there.clone(), source.clone());
        async move { how.tell(&there, op.row(), &source).await }
    });
    let reached = hold.reached(&telling).await;
    in_load.release();
    settle().await;
    hold.release();
    telling.await.unwrap().unwrap();
    filling.await.unwrap();
    settle().await;
    op.check_all(&[&here, &there], &store, &source, &when).await;
    reached
}

async fn every_order(op: Op) {
    for how in ALL {
        for deaf in [false, true] {
            for stop in op.stops() {
                overtaken(op, stop, how, deaf).await;
                overtaken_before_readers(op, stop, how, deaf).await;
            }
            for (step, of_all) in
                [(Step::DelFence, false), (Step::Take, false), (Step::Invalidate, true), (Step::Fill, false)]
            {
                for at in [At::Late, At::After] {
                    let reached = overtaking(op, step, at, how, deaf).await;
                    assert_eq!(
                        reached,
                        of_all
                            || how == How::Insert
                            || (step == Step::DelFence && how == How::Key)
                            || (step == Step::DelFence && how == How::Mixed),
                        "{how:?} {step:?}"
                    );
                }
            }
        }
    }
}

/// R1, R2, R4, R5, R7, R22, R24, R27: whichever of the two is first.
#[tokio::test(start_paused = true)]
async fn a_load_never_outlives_what_another_node_invalidates_meanwhile() {
    every_order(Op::Load).await;
}

/// R3, R11.
#[tokio::test(start_paused = true)]
async fn a_promotion_never_outlives_what_another_node_invalidates_meanwhile() {
    every_order(Op::Promotion).await;
}

/// R3, R11, for reads without a loader.
#[tokio::test(start_paused = true)]
async fn a_plain_read_never_keeps_what_another_node_invalidates_meanwhile() {
    every_order(Op::Get).await;
}

/// R1 for forced loads, which take the lease whoever has it.
#[tokio::test(start_paused = true)]
async fn a_forced_load_never_outlives_what_another_node_invalidates_meanwhile() {
    every_order(Op::Refresh).await;
}

/// R9.
#[tokio::test(start_paused = true)]
async fn a_refresh_behind_never_outlives_what_another_node_invalidates_meanwhile() {
    every_order(Op::Behind).await;
}

/// R13.
#[tokio::test(start_paused = true)]
async fn an_absence_never_outlives_what_another_node_invalidates_meanwhile() {
    every_order(Op::Negative).await;
}

/// R12, R1.
#[tokio::test(start_paused = true)]
async fn a_bulk_load_never_outlives_what_another_node_invalidates_meanwhile() {
    every_order(Op::Bulk).await;
}

/// R3, R11, R12.
#[tokio::test(start_paused = true)]
async fn a_bulk_read_never_keeps_what_another_node_invalidates_meanwhile() {
    every_order(Op::BulkPromotion).await;
}

/// R27: against invalidations, loads and inserts of another node.
#[tokio::test(start_paused = true)]
async fn an_insert_never_outlives_what_another_node_says_after_it_was_called() {
    every_order(Op::Insert).await;
}

/// R27, with the position taken before the source was read.
#[tokio::test(start_paused = true)]
async fn a_stamped_insert_never_outlives_what_another_node_says_after_its_stamp() {
    every_order(Op::StampedInsert).await;
}

/// R11, DESIGN 4 (`idle_ttl`): what is read while it is idle is written below again.
#[tokio::test(start_paused = true)]
async fn a_touch_never_brings_back_what_another_node_invalidates_meanwhile() {
    every_order(Op::Touch).await;
}

/// R2: a write that waits carries its lease, and DEL_FENCE voids it. DESIGN 5.3 (WRITES).
#[tokio::test(start_paused = true)]
async fn a_load_written_behind_never_outlives_what_another_node_invalidates_meanwhile() {
    every_order(Op::LoadBehind).await;
}

/// R1, R2.
#[tokio::test(start_paused = true)]
async fn a_forced_load_written_behind_never_outlives_what_another_node_invalidates_meanwhile() {
    every_order(Op::RefreshBehind).await;
}

/// R27.
#[tokio::test(start_paused = true)]
async fn an_insert_written_behind_never_outlives_what_another_node_says_after_it_was_called() {
    every_order(Op::InsertBehind).await;
}

/// R27.
#[tokio::test(start_paused = true)]
async fn a_stamped_insert_written_behind_never_outlives_what_another_node_says_after_its_stamp() {
    every_order(Op::StampedInsertBehind).await;
}
