//! A tier without fences that all nodes share and that outlives them, as an object store: it may be put back to what it was.

use stratacache::Consistency;
use stratacache_testkit::{shared::SharedStore, tiers::MemoryTier};

use crate::{
    disk::Meanwhile,
    kit::{ALL, PLAIN, Peer, Source},
    ops::Op,
    support::settle,
};

fn object() -> MemoryTier {
    MemoryTier::unfenced("object").persistent(true).shared(true)
}

async fn over(store: &SharedStore, object: &MemoryTier) -> Peer {
    Peer::with(store, |node, builder| builder.tier(node.parts()).tier(object.clone())).await
}

/// Forgets what the shared tier holds, and nothing of the order.
fn evict(store: &SharedStore) {
    store.entries().into_iter().for_each(|name| store.del_fence(name));
}

#[tokio::test(start_paused = true)]
async fn an_old_object_is_never_served_whatever_the_others_said_and_the_store_lost() {
    for how in ALL {
        for before in Meanwhile::ALL {
            for after in Meanwhile::ALL {
                let when = format!("{how:?}, before {before:?}, after {after:?}");
                let (store, source, object) = (SharedStore::new(1), Source::new(), object());
                let (here, there) = (over(&store, &object).await, over(&store, &object).await);
                here.read(&source).await;
                settle().await;
                let [name] = object.names()[..] else { panic!("{when}: one object") };
                let old = object.raw(name).unwrap();
                here.cache.close().await.unwrap();
                before.happens(&store);
                how.change(&there, &PLAIN, &source).await;
                after.happens(&store);
                let again = over(&store, &object).await;
                for peer in [&again, &there] {
                    object.put_raw(name, old.clone());
                    assert!(peer.get(Consistency::Inherit).await.is_none_or(|version| version == 2), "{when}");
                }
                object.put_raw(name, old.clone());
                Op::Load.check_all(&[&again, &there], &store, &source, &when).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_starts_again_finds_its_objects_after_other_keys_were_invalidated() {
    let (store, source, object) = (SharedStore::new(1), Source::new(), object());
    let (here, there) = (over(&store, &object).await, over(&store, &object).await);
    here.read(&source).await;
    settle().await;
    there.ns().invalidate("another").await.unwrap();
    for peer in [here, there] {
        peer.cache.close().await.unwrap();
    }
    evict(&store);
    let again = over(&store, &object).await;
    assert_eq!(again.get(Consistency::Inherit).await, Some(1));
    assert_eq!(source.loads(), 1);
}
