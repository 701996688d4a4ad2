//! Locks among nodes: one holder at a time, and tokens that say who was later.

use stratacache::{ErrorKind, millis, seconds};
use stratacache_testkit::shared::{At, SharedStore, Step};

use crate::{
    kit::{Peer, Source, Stop, spawn},
    support::settle,
};

/// What a lock is for: it refuses a token that is smaller than one it has seen.
#[derive(Default)]
struct Resource {
    largest: u64,
    written: Vec<&'static str>,
}

impl Resource {
    fn write(&mut self, token: u64, who: &'static str) -> bool {
        let may = token >= self.largest;
        if may {
            self.largest = token;
            self.written.push(who);
        }
        may
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_holder_whose_ttl_ran_out_is_refused_by_its_token() {
    let store = SharedStore::new(1);
    let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
    let mut resource = Resource::default();
    let first = here.acme().lock("k", seconds(2)).await.unwrap();
    assert!(resource.write(first.fencing_token(), "first"));
    assert!(there.acme().try_lock("k", seconds(2)).await.unwrap().is_none());
    tokio::time::sleep(seconds(3)).await;
    let second = there.acme().lock("k", seconds(2)).await.unwrap();
    assert!(resource.write(second.fencing_token(), "second"));
    assert!(!resource.write(first.fencing_token(), "first"), "it is late");
    assert!(resource.write(second.fencing_token(), "second"));
    assert!(!first.renew().await.unwrap());
    first.release().await.unwrap();
    assert!(second.renew().await.unwrap(), "only its owner releases it");
    assert_eq!(resource.written, ["first", "second", "second"]);
}

#[tokio::test(start_paused = true)]
async fn whoever_stands_still_while_it_takes_a_lock_does_not_have_it_when_its_time_is_over() {
    for stop in [Step::Lease, Step::Time, Step::Sync, Step::Get, Step::Invalidate, Step::Fill, Step::Renew] {
        for at in [At::Before, At::After] {
            let when = format!("{stop:?} {at:?}");
            let store = SharedStore::new(1);
            let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
            let stopped = Stop::At(stop, at).set(&here, &Source::new());
            let slow = spawn({
                let acme = here.acme();
                async move { acme.try_lock("k", seconds(2)).await }
            });
            if !stopped.reached(&slow).await {
                continue; // without a value there is nothing to read
            }
            tokio::time::sleep(seconds(3)).await;
            let second = there.acme().lock("k", seconds(60)).await.unwrap();
            stopped.release();
            if let Ok(Some(lock)) = slow.await.unwrap() {
                assert_eq!((stop, at), (Step::Renew, At::After), "{when}");
                assert!(lock.fencing_token() < second.fencing_token(), "{when}");
                assert_eq!(lock.remaining(), seconds(0), "it knows: {when}");
            }
            settle().await;
            assert!(second.renew().await.unwrap(), "{when}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_woken_by_the_release() {
    let store = SharedStore::new(1);
    let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
    let first = here.acme().lock("k", seconds(600)).await.unwrap();
    let waiting = spawn({
        let acme = there.acme();
        async move { acme.lock("k", seconds(5)).wait(seconds(60)).await }
    });
    tokio::time::sleep(seconds(10)).await;
    assert!(!waiting.is_finished());
    drop(first);
    let second = waiting.await.unwrap().unwrap();
    assert!(second.remaining() > seconds(4));
}

#[tokio::test(start_paused = true)]
async fn tokens_grow_over_a_store_that_lost_everything() {
    let store = SharedStore::new(1);
    let here = Peer::new(&store).await;
    let mut last = 0;
    for round in 0..4 {
        let lock = here.acme().lock("k", seconds(60)).await.unwrap();
        assert!(lock.fencing_token() > last, "{round}");
        last = lock.fencing_token();
        match round {
            0 => store.lose_everything(),
            1 => store.fail_over_data(),
            2 => here.acme().clear().await.map(drop).unwrap(),
            _ => {}
        }
        lock.release().await.unwrap();
        tokio::time::sleep(millis(2)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lock_is_never_given_without_the_store() {
    let store = SharedStore::new(1);
    let here = Peer::new(&store).await;
    here.node.away(true);
    let error = here.acme().try_lock("k", seconds(5)).await.unwrap_err();
    assert!([ErrorKind::Unavailable, ErrorKind::Timeout].contains(&error.kind()), "{error}");
    here.node.away(false);
    for lost in [Step::Lease, Step::Renew, Step::Fill] {
        here.node.lose_reply_of(lost, 1);
        let taken = here.acme().try_lock("k", seconds(5)).await;
        assert!(taken.is_err() || lost == Step::Fill, "{lost:?}: {taken:?}");
        drop(taken);
        tokio::time::sleep(seconds(11)).await;
    }
    assert!(here.acme().try_lock("k", seconds(5)).await.unwrap().is_some());
}
