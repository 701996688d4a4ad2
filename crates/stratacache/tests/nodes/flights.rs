//! One load for each key among nodes. DESIGN 5.3 (READ, FLIGHT) and 4 (`lease`, `lease_wait`).

use std::convert::Infallible;

use stratacache::{Consistency, Keyspace, LoadError, Loaded, WriteMode, millis, minutes, seconds};
use stratacache_testkit::shared::{At, SharedStore, Step};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::{
    kit::{How, PLAIN, POLICY, Peer, Row, Source, spawn},
    support::settle,
};

/// Others wait as long as it takes.
const PATIENT: Row = Keyspace::new("patient", POLICY.lease_wait(minutes(30)).load_timeout(minutes(30)));
const HASTY: Row = Keyspace::new("hasty", POLICY.lease_wait(seconds(1)));
const UPPER: Row = Keyspace::new("upper", POLICY.write(WriteMode::MemoryOnly));

async fn three() -> (SharedStore, Source, [Peer; 3]) {
    let store = SharedStore::new(1);
    let peers = [Peer::new(&store).await, Peer::new(&store).await, Peer::new(&store).await];
    (store, Source::new(), peers)
}

fn read(peer: &Peer, row: &'static Row, source: &Source) -> JoinHandle<usize> {
    let (peer, source) = (peer.clone(), source.clone());
    spawn(async move { peer.read_as(row, &source, Consistency::Inherit).await })
}

/// Starts a read whose load stops after it has read the source.
async fn leading(peer: &Peer, row: &'static Row, source: &Source) -> JoinHandle<usize> {
    source.stop(1);
    let leader = read(peer, row, source);
    source.until_stopped(1).await;
    leader
}

/// R26: one load for all of them, and those who wait are woken, they do not poll hard.
#[tokio::test(start_paused = true)]
async fn three_thousand_waiters_on_three_nodes_load_once() {
    let (_store, source, peers) = three().await;
    source.stop(1);
    let readers: Vec<_> = (0..1_000).flat_map(|_| peers.each_ref()).map(|peer| read(peer, &PATIENT, &source)).collect();
    source.until_stopped(1).await;
    sleep(millis(1_000)).await;
    source.go();
    let began = Instant::now();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), 1);
    }
    assert_eq!(began.elapsed(), millis(0), "woken by the fill");
    assert_eq!(source.loads(), 1);
    let count = |step| peers.iter().map(|peer| peer.node.calls(step)).sum::<u64>();
    assert_eq!(count(Step::Fill), 1);
    // two nodes wait for a second with pauses of 20 to 500 ms that double
    assert!((3..=20).contains(&count(Step::Lease)), "{}", count(Step::Lease));
    assert!((3..=22).contains(&count(Step::Get)), "{}", count(Step::Get));
}

/// The same for a fill that comes before anybody had to look again.
#[tokio::test(start_paused = true)]
async fn a_waiter_is_woken_by_the_fill_with_one_more_look() {
    let (_store, source, [here, there, _]) = three().await;
    let leader = leading(&here, &PLAIN, &source).await;
    let waiter = read(&there, &PLAIN, &source);
    settle().await;
    let began = Instant::now();
    source.go();
    assert_eq!((leader.await.unwrap(), waiter.await.unwrap()), (1, 1));
    assert_eq!(began.elapsed(), millis(0));
    assert_eq!(there.calls().since(Peer::new(&SharedStore::new(2)).await.calls())[..4], [0, 2, 0, 1]);
    assert_eq!(there.ns().stats().lease_waits, 1);
    assert_eq!((there.ns().stats().loads, here.ns().stats().loads), (0, 1));
}

/// R25, R24: the leader's node goes away; when its lease ends the next loads, and what the first brings is refused.
#[tokio::test(start_paused = true)]
async fn when_the_leaders_node_goes_away_another_takes_over_and_the_late_fill_is_refused() {
    for hangs in [false, true] {
        let (store, source, [here, there, third]) = three().await;
        let leader = leading(&here, &PATIENT, &source).await;
        let waiters = [read(&there, &PATIENT, &source), read(&third, &PATIENT, &source)];
        sleep(seconds(7)).await;
        assert_eq!(source.loads(), 1, "renewed");
        if hangs {
            here.node.hang(true)
        } else {
            here.node.away(true)
        }
        source.write(); // without a word to the caches: which load it was can be told
        let began = Instant::now();
        for waiter in waiters {
            assert_eq!(waiter.await.unwrap(), 2);
        }
        assert!(began.elapsed() > seconds(1) && began.elapsed() < millis(3_800), "{:?}", began.elapsed());
        assert_eq!(source.loads(), 2, "one of the two");
        here.node.hang(false);
        here.node.away(false);
        source.go();
        assert_eq!(leader.await.unwrap(), 1, "its own callers get what it loaded");
        settle().await;
        let fresh = Peer::new(&store).await;
        assert_eq!(fresh.read_as(&PATIENT, &source, Consistency::Inherit).await, 2, "what is below is the second's");
        assert_eq!(source.loads(), 2);
    }
}

/// DESIGN 5.3 (READ): leases are short, and renewed while the load runs.
#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_during_a_long_load() {
    let (store, source, [here, there, _]) = three().await;
    let leader = leading(&here, &PATIENT, &source).await;
    let waiter = read(&there, &PATIENT, &source);
    sleep(minutes(2)).await;
    assert_eq!(source.loads(), 1);
    assert!((100..=130).contains(&here.node.calls(Step::Renew)), "{}", here.node.calls(Step::Renew));
    source.go();
    assert_eq!((leader.await.unwrap(), waiter.await.unwrap()), (1, 1));
    settle().await;
    assert_eq!((source.loads(), store.entries().len()), (1, 1));
}

/// DESIGN 4 (`lease_wait`): who has waited long enough loads for itself, and keeps it in memory only.
#[tokio::test(start_paused = true)]
async fn who_waited_for_lease_wait_loads_for_itself_and_for_memory_only() {
    let (store, source, [here, there, third]) = three().await;
    let leader = leading(&here, &HASTY, &source).await;
    source.write();
    let began = Instant::now();
    assert_eq!(there.read_as(&HASTY, &source, Consistency::Inherit).await, 2);
    assert_eq!(began.elapsed(), seconds(1));
    settle().await;
    assert!(store.entries().is_empty());
    assert_eq!(there.read_as(&HASTY, &source, Consistency::Inherit).await, 2, "from memory");
    assert_eq!((there.node.calls(Step::Fill), source.loads()), (0, 2));
    source.go();
    assert_eq!(leader.await.unwrap(), 1);
    settle().await;
    assert_eq!(third.read_as(&HASTY, &source, Consistency::Inherit).await, 1, "the first had the right to fill");
}

/// A load that brings nothing to store gives its right back: those who wait go on at once.
#[tokio::test(start_paused = true)]
async fn a_load_that_fills_nothing_gives_its_lease_back_and_the_others_go_on_at_once() {
    for kind in ["error", "panic", "not stored", "timeout"] {
        let (_store, source, [here, there, _]) = three().await;
        source.stop(1);
        let leader = spawn({
            let (ns, source) = (here.ns(), source.clone());
            async move {
                let load = async move |_| {
                    let version = source.load().await;
                    match kind {
                        "error" => Err("down"),
                        "panic" => panic!("a bug of the loader"),
                        _ => Ok(Loaded::new(version).do_not_store()),
                    }
                };
                ns.get_or_load_with(PATIENT.key(&1), load).policy(POLICY.load_timeout(seconds(2))).await
            }
        });
        source.until_stopped(1).await;
        let waiter = read(&there, &PATIENT, &source);
        settle().await;
        let began = Instant::now();
        if kind != "timeout" {
            source.go();
        }
        assert_eq!(waiter.await.unwrap(), 1, "{kind}");
        assert_eq!(began.elapsed(), if kind == "timeout" { seconds(2) } else { seconds(0) }, "{kind}");
        assert_eq!(leader.await.unwrap().is_ok(), kind == "not stored", "{kind}");
        assert_eq!(source.loads(), 2, "{kind}");
    }
}

/// The same where the right was taken from whoever had it: by a forced load, and by a load of many.
#[tokio::test(start_paused = true)]
async fn a_forced_or_bulk_load_that_fails_gives_its_right_back_and_the_others_go_on_at_once() {
    for bulk in [false, true] {
        let (_store, source, [here, there, _]) = three().await;
        source.stop(1);
        let leader = spawn({
            let (ns, source) = (here.ns(), source.clone());
            async move {
                if bulk {
                    let load = async move |_: Vec<u32>| {
                        source.load().await;
                        Err::<Vec<(u32, usize)>, _>("down")
                    };
                    return ns.get_or_load_many(&PATIENT, [1, 2], load).await.is_err();
                }
                let load = async move || {
                    source.load().await;
                    Err::<usize, _>("down")
                };
                ns.refresh(PATIENT.key(&1), load).await.is_err()
            }
        });
        source.until_stopped(1).await;
        let waiter = read(&there, &PATIENT, &source);
        settle().await;
        let began = Instant::now();
        source.go();
        assert!(leader.await.unwrap());
        assert_eq!(waiter.await.unwrap(), 1, "bulk {bulk}");
        assert_eq!(began.elapsed(), seconds(0), "bulk {bulk}");
    }
}

/// R25: a node that closes its cache in the middle of a load holds nobody up for longer than its lease.
#[tokio::test(start_paused = true)]
async fn a_node_that_is_closed_during_a_load_holds_the_others_up_for_its_lease_at_most() {
    let (_store, source, [here, there, _]) = three().await;
    let leader = leading(&here, &PATIENT, &source).await;
    let waiter = read(&there, &PATIENT, &source);
    settle().await;
    let began = Instant::now();
    here.cache.close().await.unwrap();
    assert!(leader.await.is_err(), "its reader is told: the helper unwraps");
    assert_eq!(waiter.await.unwrap(), 1);
    assert!(began.elapsed() < millis(3_800), "{:?}", began.elapsed());
}

/// R25: the caller that started the load goes away.
#[tokio::test(start_paused = true)]
async fn a_load_goes_on_for_the_other_nodes_when_its_caller_goes_away() {
    let (_store, source, [here, there, _]) = three().await;
    let leader = leading(&here, &PATIENT, &source).await;
    leader.abort();
    let waiter = read(&there, &PATIENT, &source);
    sleep(seconds(10)).await;
    source.go();
    assert_eq!((waiter.await.unwrap(), source.loads()), (1, 1));
}

/// DESIGN 5.3 (READ): who knows of a newer mark than the lease's does not wait for what it could not use.
#[tokio::test(start_paused = true)]
async fn a_lease_is_taken_over_at_once_by_who_knows_of_a_newer_mark() {
    for how in [How::Tag, How::Namespace, How::Parent, How::Tenant, How::Mixed, How::Key] {
        let (store, source, [here, there, third]) = three().await;
        let leader = leading(&here, &PATIENT, &source).await;
        how.change(&third, &PATIENT, &source).await;
        source.stop(0);
        let began = Instant::now();
        assert_eq!(there.read_as(&PATIENT, &source, Consistency::Latest).await, 2, "{how:?}");
        assert_eq!(began.elapsed(), seconds(0), "{how:?}");
        source.go();
        assert_eq!(leader.await.unwrap(), 1, "{how:?}");
        settle().await;
        assert_eq!(Peer::new(&store).await.read_as(&PATIENT, &source, Consistency::Latest).await, 2, "{how:?}");
        assert_eq!(source.loads(), 2, "{how:?}: the late fill did not take its place");
    }
}

/// A mark of a global tag has its own order, and takes over nothing: the wait ends with the other's fill, and its value
/// is not taken.
#[tokio::test(start_paused = true)]
async fn who_waits_for_a_load_that_a_global_tag_has_overtaken_loads_when_it_ends() {
    let (_store, source, [here, there, third]) = three().await;
    let leader = leading(&here, &PATIENT, &source).await;
    How::GlobalTag.change(&third, &PATIENT, &source).await;
    let waiter = spawn({
        let (there, source) = (there.clone(), source.clone());
        async move { there.read_as(&PATIENT, &source, Consistency::Latest).await }
    });
    settle().await;
    source.go();
    let began = Instant::now();
    assert_eq!((leader.await.unwrap(), waiter.await.unwrap()), (1, 2));
    assert_eq!(began.elapsed(), seconds(0));
}

/// A forced load takes the right from whoever has it; what the other brings is refused.
#[tokio::test(start_paused = true)]
async fn a_forced_load_takes_the_right_from_whoever_has_it() {
    let (store, source, [here, there, _]) = three().await;
    let leader = leading(&here, &PATIENT, &source).await;
    source.write();
    let for_load = source.clone();
    let load = async move || Ok::<_, Infallible>(for_load.load().await);
    source.stop(0);
    assert_eq!(*there.ns().refresh(PATIENT.key(&1), load).await.unwrap(), 2);
    settle().await;
    source.go();
    assert_eq!(leader.await.unwrap(), 1);
    settle().await;
    assert_eq!(Peer::new(&store).await.read_as(&PATIENT, &source, Consistency::Inherit).await, 2);
    assert_eq!(source.loads(), 2);
}

/// DESIGN 4 (`write`): `MemoryOnly` never writes below, nor takes away what others wrote there, nor the right to.
#[tokio::test(start_paused = true)]
async fn loads_for_memory_only_leave_what_is_below_alone() {
    let (store, source, [here, ..]) = three().await;
    let load = async |ids: Vec<u32>| Ok::<_, Infallible>(ids.into_iter().map(|id| (id, 7)).collect::<Vec<_>>());
    assert_eq!(*here.ns().get_or_load_many(&UPPER, [1], load).await.unwrap()[&1], 7);
    here.read_as(&UPPER, &source, Consistency::Inherit).await;
    let load = async || Ok::<_, Infallible>(8);
    here.ns().refresh(UPPER.key(&1), load).await.unwrap();
    settle().await;
    assert_eq!(here.calls().since(Peer::new(&store).await.calls()), [0; 9]);
}

/// R23: replies are lost, and the caller tries again or goes on.
#[tokio::test(start_paused = true)]
async fn a_lost_reply_of_a_load_costs_a_load_at_most() {
    for (step, below) in [(Step::Get, 0), (Step::Lease, 0), (Step::Fill, 1)] {
        let (store, source, [here, there, _]) = three().await;
        here.node.lose_reply_of(step, 1);
        assert_eq!(here.read(&source).await, 1, "{step:?}");
        settle().await;
        assert_eq!(store.entries().len(), below, "{step:?}");
        let began = Instant::now();
        assert_eq!(there.read_as(&PATIENT, &source, Consistency::Latest).await, 1);
        assert_eq!(there.read(&source).await, 1, "{step:?}");
        assert!(began.elapsed() < millis(3_800), "{step:?}: a lease that nobody knows of ends by itself");
        assert_eq!(here.get(Consistency::Latest).await, Some(1), "{step:?}");
    }
}

/// R22, R23, R35: an invalidation whose reply is lost is an error, and it is safe to try again.
#[tokio::test(start_paused = true)]
async fn an_invalidation_whose_reply_is_lost_is_an_error_and_may_be_tried_again() {
    for how in crate::kit::ALL {
        for step in [Step::DelFence, Step::Take, Step::Invalidate, Step::Fill] {
            let (store, source, [here, there, _]) = three().await;
            here.read(&source).await;
            settle().await;
            source.write();
            there.node.lose_reply_of(step, 1);
            let first = how.tell(&there, &PLAIN, &source).await;
            let meets = match step {
                Step::Invalidate => true,
                Step::DelFence => matches!(how, How::Key | How::Mixed | How::Insert),
                _ => how == How::Insert,
            };
            assert_eq!(first.is_err(), meets, "{how:?} {step:?}: {first:?}");
            if meets {
                sleep(seconds(6)).await; // the tier is left alone for a while
                how.tell(&there, &PLAIN, &source).await.unwrap();
            }
            for peer in [&here, &there, &Peer::new(&store).await] {
                assert_eq!(peer.latest(&source).await, 2, "{how:?} {step:?}");
            }
        }
    }
}

/// R24: a fill that its node gave up arrives when others have gone on.
#[tokio::test(start_paused = true)]
async fn a_fill_that_arrives_after_its_lease_has_ended_is_refused() {
    let (store, source, [here, there, _]) = three().await;
    let hold = here.node.hold(Step::Fill, At::Late);
    assert_eq!(here.read(&source).await, 1);
    hold.until_held(1).await;
    source.write();
    assert_eq!(there.read_as(&PLAIN, &source, Consistency::Inherit).await, 2, "when the lease had ended");
    hold.release();
    settle().await;
    assert_eq!(Peer::new(&store).await.read(&source).await, 2);
}

/// R15: what a miss waits for when the store hangs: the deadline of the tier, then of the lease; its fill nobody waits for.
#[tokio::test(start_paused = true)]
async fn a_miss_in_a_store_that_hangs_waits_for_one_deadline() {
    let (_store, source, [here, ..]) = three().await;
    here.node.hang(true);
    let began = Instant::now();
    assert_eq!(here.read(&source).await, 1);
    assert_eq!(began.elapsed(), millis(250), "the tier's");
    for (step, waits) in [(Step::Lease, seconds(5)), (Step::Fill, seconds(0))] {
        let (_store, source, [here, ..]) = three().await;
        let _hold = here.node.hold(step, At::Before);
        let began = Instant::now();
        assert_eq!(here.read(&source).await, 1);
        assert_eq!(began.elapsed(), waits, "{step:?}");
    }
}

/// R15: a `Latest` read, or an invalidation, in front of a store that never answers.
#[tokio::test(start_paused = true)]
#[ignore = "defect: the engine sets no deadline for sync and invalidate; it relies on the coordinator's own"]
async fn nothing_waits_for_ever_for_a_store_that_hangs() {
    let (_store, source, [here, ..]) = three().await;
    here.node.hang(true);
    let read = tokio::time::timeout(minutes(1), here.try_read(&PLAIN, &source, Consistency::Latest)).await;
    let told = tokio::time::timeout(minutes(1), How::Tag.tell(&here, &PLAIN, &source)).await;
    assert!(read.is_ok(), "a read of the latest");
    assert!(told.is_ok(), "an invalidation");
}

/// All who wait on a node get the same, also when the other node's load fails and this one's does too.
#[tokio::test(start_paused = true)]
async fn waiters_get_the_error_of_their_own_nodes_load_when_all_fail() {
    let (_store, source, [here, there, _]) = three().await;
    source.stop(1);
    let fail = |peer: &Peer| {
        let (ns, source) = (peer.ns(), source.clone());
        spawn(async move {
            let load = async move || {
                source.load().await;
                Err::<usize, _>("down")
            };
            ns.get_or_load(PATIENT.key(&1), load).await
        })
    };
    let first = fail(&here);
    source.until_stopped(1).await;
    let second = fail(&there);
    settle().await;
    let began = Instant::now();
    source.go();
    for failed in [first, second] {
        assert!(matches!(failed.await.unwrap(), Err(LoadError::Loader(_))));
    }
    assert_eq!((source.loads(), began.elapsed()), (2, seconds(0)));
}

/// The right of an insert, too: one that was overtaken, or is not known to be ordered, holds nobody up.
#[tokio::test(start_paused = true)]
async fn an_insert_that_is_not_stored_holds_nobody_up() {
    for overtaken in [false, true] {
        let (_store, source, [here, there, third]) = three().await;
        let stamp = here.ns().stamp();
        if overtaken {
            How::Tag.change(&third, &PATIENT, &source).await;
        } else {
            here.node.lose_reply_of(Step::Invalidate, 1);
        }
        let inserted = here.ns().insert(PATIENT.key(&1), 1).stamped(stamp).await;
        assert_eq!(inserted.is_ok_and(|token| token.is_superseded()), overtaken);
        let began = Instant::now();
        assert_eq!(there.read_as(&PATIENT, &source, Consistency::Latest).await, source.version());
        assert_eq!(began.elapsed(), seconds(0), "overtaken {overtaken}");
    }
}
