//! Loader protection where nodes share the order.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use stratacache::{Cached, Keyspace, LoadError, LoaderLimits, Policy, Retry, minutes, seconds};
use stratacache_testkit::shared::SharedStore;
use tokio::time::sleep;

use crate::{
    kit::{Peer, spawn},
    support::settle,
};

const TTL: Policy = Policy::ttl(minutes(5)).jitter(0.0).lease_wait(minutes(2));
const ROW: Keyspace<str, usize> = Keyspace::new("row", TTL).loader("db");

async fn peer(store: &SharedStore, limits: LoaderLimits) -> Peer {
    Peer::with(store, |node, builder| builder.tier(node.parts()).keyspace(&ROW).loader("db", limits)).await
}

#[derive(Clone, Default)]
struct Calls(Arc<AtomicUsize>);

impl Calls {
    fn count(&self) -> usize {
        self.0.load(SeqCst)
    }

    /// Reads through; the first so many calls fail.
    async fn read(&self, peer: &Peer, failing: usize, retry: Retry) -> Result<Cached<usize>, LoadError<&'static str>> {
        let calls = self.clone();
        let load = async move || {
            let call = calls.0.fetch_add(1, SeqCst) + 1;
            if call <= failing { Err("down") } else { Ok(call) }
        };
        peer.ns().get_or_load(ROW.key("k"), load).retry(retry).await
    }
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_on_another_node_ends_the_rest_of_a_key() {
    let store = SharedStore::new(1);
    let limits = LoaderLimits::new().back_off(minutes(1), minutes(10));
    let (here, there) = (peer(&store, limits).await, peer(&store, limits).await);
    for what in ["key", "tenant"] {
        let calls = Calls::default();
        let once = Retry::new(1);
        assert!(matches!(calls.read(&here, 1, once).await, Err(LoadError::Loader(_))), "{what}");
        assert!(matches!(calls.read(&here, 1, once).await, Err(LoadError::BackingOff(_))), "{what}");
        match what {
            "key" => drop(there.ns().invalidate(ROW.key("k")).await.unwrap()),
            _ => drop(there.acme().clear().await.unwrap()),
        }
        settle().await;
        sleep(seconds(2)).await;
        assert_eq!(*calls.read(&here, 1, once).await.unwrap(), 2, "{what}");
        here.acme().clear().await.unwrap();
        settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_that_is_tried_again_keeps_the_right_to_load_meanwhile() {
    let store = SharedStore::new(1);
    let (here, there) = (peer(&store, LoaderLimits::new()).await, peer(&store, LoaderLimits::new()).await);
    let calls = Calls::default();
    // longer than a lease lives
    let patient = Retry::new(2).first(seconds(20)).most(seconds(20));
    let loading = {
        let (here, calls) = (here.clone(), calls.clone());
        spawn(async move { calls.read(&here, 1, patient).await.map(|found| *found) })
    };
    settle().await;
    assert_eq!(calls.count(), 1);
    let waiting = {
        let (there, calls) = (there.clone(), calls.clone());
        spawn(async move { calls.read(&there, 1, Retry::new(1)).await.map(|found| *found) })
    };
    sleep(seconds(9)).await;
    assert_eq!(calls.count(), 1, "the other node waits for the one that loads");
    assert_eq!((loading.await.unwrap().unwrap(), waiting.await.unwrap().unwrap()), (2, 2));
    assert_eq!(calls.count(), 2);
}
