//! Changes of a value among nodes: against each other and against all else, at every step.

use std::convert::Infallible;

use stratacache::{Consistency, ErrorKind, Keyspace, Namespace, Policy, minutes, seconds};
use stratacache_testkit::shared::{At, SharedStore, Step};

use crate::{
    kit::{ALL, How, PLAIN, Peer, Source, Stop, spawn},
    support::settle,
};

/// The steps of a change.
const STEPS: [Step; 5] = [Step::Sync, Step::Lease, Step::Get, Step::Invalidate, Step::Fill];
const BOTH: [At; 2] = [At::Before, At::After];

async fn step(ns: &Namespace, by: usize) -> stratacache::Result<usize> {
    let by_one = move |old: Option<&usize>| Some(old.map_or(by, |old| old + by));
    ns.update(PLAIN.key(&1), by_one).await.map(|value| *value.unwrap())
}

/// What all nodes say it is, and the next change.
async fn agree(peers: &[&Peer], wanted: usize, when: &str) {
    for peer in peers {
        assert_eq!(peer.get(Consistency::Latest).await, Some(wanted), "{when}");
    }
    for (n, peer) in (1..).zip(peers) {
        assert_eq!(step(&peer.ns(), 1).await.unwrap(), wanted + n, "the next, {when}");
    }
}

#[tokio::test(start_paused = true)]
async fn changes_of_two_nodes_come_one_after_the_other_wherever_the_first_stands_still() {
    for deaf in [false, true] {
        for stop in STEPS {
            for at in BOTH {
                let when = format!("the first at {stop:?} {at:?}, deaf {deaf}");
                let store = SharedStore::new(1);
                let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
                assert_eq!(step(&there.ns(), 10).await.unwrap(), 10);
                assert_eq!(here.get(Consistency::Latest).await, Some(10));
                here.node.tail(!deaf);
                there.node.tail(!deaf);
                let stopped = Stop::At(stop, at).set(&here, &Source::new());
                let first = spawn({
                    let ns = here.ns();
                    async move { step(&ns, 1).await }
                });
                assert!(stopped.reached(&first).await, "{when}: never there");
                let second = spawn({
                    let ns = there.ns();
                    async move { step(&ns, 5).await }
                });
                // a lease that is not renewed ends meanwhile
                tokio::time::sleep(seconds(4)).await;
                let second = second.await.unwrap();
                stopped.release();
                let first = first.await.unwrap();
                let second = second.unwrap_or_else(|error| panic!("{when}: {error}"));
                assert!([15, 16].contains(&second), "{when}: {second}");
                // a tier that does not answer in time is an error
                let steps = match first {
                    Ok(_) => 1,
                    Err(error) if error.kind() == ErrorKind::WriteUnknown => {
                        assert_eq!((stop, second), (Step::Fill, if at == At::After { 16 } else { 15 }), "{when}");
                        usize::from(at == At::After)
                    }
                    Err(error) => {
                        assert!(
                            [ErrorKind::Unavailable, ErrorKind::Timeout].contains(&error.kind()),
                            "{when}: {error}"
                        );
                        0
                    }
                };
                // a tier that did not answer is left alone for 5 s
                tokio::time::sleep(seconds(6)).await;
                agree(&[&here, &there], 15 + steps, &when).await;
            }
        }
    }
}

/// A change is stopped, all of an invalidation or an insert happens, and it goes on.
#[tokio::test(start_paused = true)]
async fn what_is_invalidated_or_inserted_during_a_change_is_neither_lost_nor_brought_back() {
    for how in ALL {
        for stop in STEPS {
            for at in BOTH {
                let when = format!("{how:?} while the change is at {stop:?} {at:?}");
                let (store, source) = (SharedStore::new(1), Source::new());
                let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
                assert_eq!(step(&there.ns(), 10).await.unwrap(), 10);
                assert_eq!(here.get(Consistency::Latest).await, Some(10));
                let stopped = Stop::At(stop, at).set(&here, &source);
                let changing = spawn({
                    let ns = here.ns();
                    async move { step(&ns, 100).await }
                });
                assert!(stopped.reached(&changing).await, "{when}: never there");
                how.change(&there, &PLAIN, &source).await;
                stopped.release();
                let changed = changing.await.unwrap().unwrap();
                settle().await;
                let base = if how == How::Insert { source.version() } else { 0 };
                // before it, or after it
                let wanted = match changed {
                    110 => (how == How::Insert).then_some(base),
                    _ => Some(base + 100),
                };
                assert!([110, base + 100].contains(&changed), "{when}: {changed}");
                for peer in [&here, &there] {
                    assert_eq!(peer.get(Consistency::Latest).await, wanted, "{when}: {changed}");
                }
                let then = step(&there.ns(), 1).await.unwrap();
                assert_eq!(then, wanted.unwrap_or(0) + 1, "{when}: {changed}");
            }
        }
    }
}

/// The invalidation or insert is stopped, a change happens, and it goes on.
#[tokio::test(start_paused = true)]
async fn a_change_during_an_invalidation_or_insert_is_before_or_after_it() {
    for how in [How::Key, How::Insert] {
        for stop in [Step::DelFence, Step::Take, Step::Invalidate, Step::Fill] {
            for at in BOTH {
                let when = format!("a change while {how:?} is at {stop:?} {at:?}");
                let (store, source) = (SharedStore::new(1), Source::new());
                let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
                assert_eq!(step(&here.ns(), 10).await.unwrap(), 10);
                source.write();
                let stopped = Stop::At(stop, at).set(&there, &source);
                let telling = spawn({
                    let (there, source) = (there.clone(), source.clone());
                    async move { how.tell(&there, &PLAIN, &source).await }
                });
                if !stopped.reached(&telling).await {
                    continue; // not a step of this
                }
                let changing = spawn({
                    let ns = here.ns();
                    async move { step(&ns, 100).await }
                });
                for _ in 0..20 {
                    settle().await;
                }
                stopped.release();
                telling.await.unwrap().unwrap();
                let changed = changing.await.unwrap().unwrap();
                settle().await;
                let base = if how == How::Insert { source.version() } else { 0 };
                assert!([110, 100, base + 100].contains(&changed), "{when}: {changed}");
                let there_is = here.get(Consistency::Latest).await;
                assert!([None, Some(100), Some(base), Some(base + 100)].contains(&there_is), "{when}: {there_is:?}");
                if changed == base + 100 && how == How::Insert {
                    assert_eq!(there_is, Some(base + 100), "{when}");
                }
            }
        }
    }
}

/// Who invalidates has removed the key before the change took its lease, and marks it after the change took its stamp.
#[tokio::test(start_paused = true)]
async fn what_is_changed_while_an_invalidation_ends_is_found_by_readers() {
    for stop in [Step::Get, Step::Invalidate] {
        let (store, source) = (SharedStore::new(1), Source::new());
        let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
        assert_eq!(step(&here.ns(), 10).await.unwrap(), 10);
        let removed = Stop::At(Step::DelFence, At::After).set(&there, &source);
        let telling = spawn({
            let (there, source) = (there.clone(), source.clone());
            async move { How::Key.tell(&there, &PLAIN, &source).await }
        });
        assert!(removed.reached(&telling).await);
        let stamped = Stop::At(stop, At::Before).set(&here, &source);
        let changing = spawn({
            let ns = here.ns();
            async move { step(&ns, 100).await }
        });
        assert!(stamped.reached(&changing).await);
        removed.release();
        telling.await.unwrap().unwrap();
        stamped.release();
        assert_eq!(changing.await.unwrap().unwrap(), 100, "what was invalidated is gone");
        agree(&[&here, &there], 100, &format!("the mark comes before {stop:?}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_gone_in_the_middle_of_a_change_loses_nothing_that_was_acknowledged() {
    for stop in STEPS {
        for at in BOTH {
            let when = format!("gone at {stop:?} {at:?}");
            let store = SharedStore::new(1);
            let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
            assert_eq!(step(&here.ns(), 10).await.unwrap(), 10);
            let stopped = Stop::At(stop, at).set(&here, &Source::new());
            let changing = spawn({
                let ns = here.ns();
                async move { step(&ns, 100).await }
            });
            assert!(stopped.reached(&changing).await, "{when}");
            here.node.hang(true);
            let after = step(&there.ns(), 1).await.unwrap();
            let filled = (stop, at) == (Step::Fill, At::After);
            assert_eq!(after, if filled { 111 } else { 11 }, "{when}");
            assert_eq!(there.get(Consistency::Latest).await, Some(after), "{when}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_under_way_on_another_node_does_not_overwrite_a_change() {
    for impatient in [false, true] {
        let (store, source) = (SharedStore::new(1), Source::new());
        let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
        source.stop(1);
        let loading = spawn({
            let (there, source) = (there.clone(), source.clone());
            async move { there.latest(&source).await }
        });
        source.until_stopped(1).await;
        let changing = spawn({
            let ns = here.ns();
            async move { step(&ns, 100).await }
        });
        if impatient {
            // the load keeps its lease, and the change gives up
            assert_eq!(changing.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
            source.go();
            loading.await.unwrap();
        } else {
            settle().await;
            source.go();
            assert_eq!(loading.await.unwrap(), 1);
            assert_eq!(changing.await.unwrap().unwrap(), 101, "what was loaded is what is changed");
            assert_eq!(there.latest(&source).await, 101);
            assert_eq!(here.latest(&source).await, 101);
        }
        assert_eq!(source.loads(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_is_made_of_what_the_nodes_share_and_not_of_an_older_copy() {
    let (store, source) = (SharedStore::new(1), Source::new());
    let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
    assert_eq!(here.latest(&source).await, 1);
    // a load invalidates nothing: this node may serve what it has
    source.write();
    let ns = there.ns();
    let again = source.clone();
    ns.refresh(PLAIN.key(&1), async move || Ok::<_, Infallible>(again.load().await)).await.unwrap();
    settle().await;
    assert_eq!(here.get(Consistency::Latest).await, Some(1));
    assert_eq!(step(&here.ns(), 100).await.unwrap(), 102);
    assert_eq!(there.get(Consistency::Latest).await, Some(102));
}

#[tokio::test(start_paused = true)]
async fn one_of_two_nodes_takes_a_value_wherever_the_other_stands_still() {
    for stop in STEPS {
        for at in BOTH {
            let when = format!("{stop:?} {at:?}");
            let (store, source) = (SharedStore::new(1), Source::new());
            let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
            here.ns().insert(PLAIN.key(&1), 7).await.unwrap();
            assert_eq!(there.get(Consistency::Latest).await, Some(7));
            let stopped = Stop::At(stop, at).set(&here, &source);
            let first = spawn({
                let ns = here.ns();
                async move { ns.take(PLAIN.key(&1)).await.map(|value| value.map(|value| *value)) }
            });
            assert!(stopped.reached(&first).await, "{when}");
            let second = spawn({
                let ns = there.ns();
                async move { ns.take(PLAIN.key(&1)).await.map(|value| value.map(|value| *value)) }
            });
            tokio::time::sleep(seconds(4)).await;
            let second = second.await.unwrap().unwrap();
            stopped.release();
            let first = match first.await.unwrap() {
                // it may be gone, and nobody has it
                Err(error) if error.kind() == ErrorKind::WriteUnknown && second.is_none() => Some(7),
                first => first.unwrap_or(None),
            };
            assert_eq!([first, second].into_iter().flatten().collect::<Vec<_>>(), [7], "{when}");
            tokio::time::sleep(seconds(6)).await;
            for peer in [&here, &there] {
                assert_eq!(peer.get(Consistency::Latest).await, None, "{when}");
            }
            let ns = here.ns();
            let loaded = ns.get_or_load_optional(PLAIN.key(&1), async || Ok::<_, Infallible>(Some(9)));
            assert_eq!(loaded.await.unwrap().as_deref(), Some(&9), "it is not known to be absent: {when}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_coordinator_nothing_is_changed_and_the_error_says_so() {
    let store = SharedStore::new(1);
    let here = Peer::new(&store).await;
    assert_eq!(step(&here.ns(), 1).await.unwrap(), 1);
    here.node.away(true);
    let error = step(&here.ns(), 1).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    here.node.away(false);
    assert_eq!(step(&here.ns(), 1).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_looked_into_and_never_counted_twice() {
    for lost in STEPS {
        let store = SharedStore::new(1);
        let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
        assert_eq!(step(&here.ns(), 10).await.unwrap(), 10);
        here.node.lose_reply_of(lost, 1);
        let changed = step(&here.ns(), 100).await;
        let after = step(&there.ns(), 1).await.unwrap();
        match changed {
            Ok(value) => assert_eq!((value, after), (110, 111), "{lost:?}"),
            Err(error) if error.kind() == ErrorKind::WriteUnknown => assert!([11, 111].contains(&after), "{lost:?}"),
            Err(_) => assert_eq!(after, 11, "{lost:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn many_changes_on_three_nodes_are_all_there_and_cost_few_calls() {
    const COUNTS: Keyspace<str, u64> =
        Keyspace::new("counts", Policy::ttl(minutes(5)).lease_wait(seconds(600)).jitter(0.0));
    let store = SharedStore::new(1);
    let peers = [Peer::new(&store).await, Peer::new(&store).await, Peer::new(&store).await];
    let tasks: Vec<_> = (0..600)
        .map(|n| {
            let ns = peers[n % 3].acme();
            spawn(async move { ns.increment(COUNTS.key("n"), 1).await.unwrap() })
        })
        .collect();
    let mut counts = Vec::new();
    for task in tasks {
        counts.push(task.await.unwrap());
    }
    counts.sort_unstable();
    assert!(counts.into_iter().eq(1..=600));
    let fills: u64 = peers.iter().map(|peer| peer.node.calls(Step::Fill)).sum();
    assert!(fills <= 12, "{fills} for 600 changes");
}
