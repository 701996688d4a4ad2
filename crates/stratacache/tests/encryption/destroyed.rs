//! A tenant that is destroyed: no copy of its entries can be read, on no node, and neighbours lose nothing.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use bytes::Bytes;
use stratacache::{
    Cache, Consistency, ErrorKind, MemoryKeys, Namespace, TenantId, WriteMode, aes_256_gcm_siv,
    encryption::{Cipher, CipherError, DataKey, Encryption, KeyProvider, Sealed},
    minutes, seconds,
};
use stratacache_core::{EntryName, envelope};
use stratacache_testkit::{
    shared::{SharedNode, SharedStore},
    tiers::MemoryTier,
};
use tokio::sync::Notify;

use crate::{
    kit::{CANARY, Mood, Provider, acme, disk, get, load, only_name, over, policy, restarted, sings, stats},
    support::{builder, settle, tenant},
};

/// Every entry of a tier.
fn copies(tier: &MemoryTier) -> Vec<(EntryName, Bytes)> {
    tier.names().into_iter().map(|name| (name, tier.raw(name).unwrap())).collect()
}

fn put_back(tier: &MemoryTier, copies: &[(EntryName, Bytes)]) {
    copies.iter().for_each(|(name, bytes)| tier.put_raw(*name, bytes.clone()));
}

#[tokio::test(start_paused = true)]
async fn a_destroyed_tenant_is_gone_and_copies_from_before_are_unreadable_and_counted() {
    let (disk, keys) = (disk(), MemoryKeys::new());
    let cache = over(&disk, keys.clone()).await;
    for ns in [acme(&cache), acme(&cache).namespace("n"), tenant(&cache, "globex")] {
        load(&ns, "k").await;
    }
    let before = copies(&disk);
    acme(&cache).destroy().await.unwrap();
    for ns in [acme(&cache), acme(&cache).namespace("n")] {
        assert_eq!(get(&ns, "k").await, None);
    }
    assert_eq!(get(&tenant(&cache, "globex"), "k").await.as_deref(), Some(CANARY), "the neighbour keeps what it has");
    // a backup of the tier, marks of before included, on a cache that knows of nothing
    let backup = crate::kit::disk();
    put_back(&backup, &before);
    let reader = over(&backup, keys.clone()).await;
    for ns in [acme(&reader), acme(&reader).namespace("n")] {
        assert_eq!(get(&ns, "k").await, None);
    }
    assert_eq!(stats(&reader, "disk").unknown_envelopes, 2);
    let keys_left = keys.keys(&TenantId::parse("acme").unwrap()).await.unwrap();
    for (_, bytes) in before {
        assert_ne!(envelope::sealed_by(&bytes), Some(keys_left.current.id()));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_loaded_after_a_tenant_was_destroyed_is_cached_again_under_a_new_key() {
    let (disk, keys) = (disk(), MemoryKeys::new());
    let cache = over(&disk, keys.clone()).await;
    load(&acme(&cache), "k").await;
    let old = copies(&disk);
    acme(&cache).destroy().await.unwrap();
    assert_eq!(load(&acme(&cache), "k").await, CANARY);
    assert_ne!(copies(&disk), old);
    let cache = restarted(cache, &disk, keys).await;
    assert_eq!(get(&acme(&cache), "k").await.as_deref(), Some(CANARY));
}

/// Two nodes on one store, and an object tier that both use.
struct Nodes {
    object: MemoryTier,
    keys: Provider,
    here: Cache,
    there: Cache,
    there_hears: SharedNode,
}

impl Nodes {
    async fn start() -> Self {
        let store = SharedStore::new(3);
        let object = MemoryTier::unfenced("object").persistent(true).shared(true);
        let keys = Provider::new();
        let (here, there) = (store.node(), store.node());
        let build = async |node: &SharedNode| {
            let builder = builder().tier(node.parts()).tier(object.clone()).encryption(keys.clone());
            builder.default_policy(policy()).build().await.unwrap()
        };
        Self { here: build(&here).await, there: build(&there).await, there_hears: there, object, keys }
    }

    /// The names of keys that entries of the object tier are sealed with, which somebody still has.
    async fn readable(&self) -> usize {
        let keys = self.keys.keys.keys(&TenantId::parse("acme").unwrap()).await.unwrap();
        let known = |bytes: &Bytes| envelope::sealed_by(bytes) == Some(keys.current.id());
        copies(&self.object).iter().filter(|(_, bytes)| known(bytes)).count()
    }
}

/// Loads the canary, but only when told to.
fn load_later(ns: &Namespace, key: &'static str, go: &Arc<Notify>) -> tokio::task::JoinHandle<String> {
    let (ns, go) = (ns.clone(), Arc::clone(go));
    tokio::spawn(async move {
        let loader = async move || {
            go.notified().await;
            Ok::<_, Infallible>(CANARY.to_owned())
        };
        ns.get_or_load(key, loader).await.unwrap().to_string()
    })
}

#[tokio::test(start_paused = true)]
async fn a_load_under_way_on_a_node_that_has_not_heard_never_leaves_a_readable_copy() {
    for known_before in [true, false] {
        for read_through in [true, false] {
            let nodes = Nodes::start().await;
            if known_before {
                load(&acme(&nodes.there), "earlier").await;
            }
            let go = Arc::new(Notify::new());
            let loading = load_later(&acme(&nodes.there), "k", &go);
            settle().await;
            nodes.there_hears.tail(false); // the mark does not come
            acme(&nodes.here).destroy().await.unwrap();
            if read_through {
                // that node meets the new key meanwhile, and still has not heard why there is one
                load(&acme(&nodes.here), "later").await;
                tokio::time::sleep(seconds(2)).await;
                let old_news = Consistency::Bounded(minutes(1));
                let later = acme(&nodes.there).get::<String>("later").consistency(old_news).await;
                assert_eq!(later.as_deref().map(String::as_str), Some(CANARY));
            }
            go.notify_one();
            assert_eq!(loading.await.unwrap(), CANARY);
            settle().await;
            let later = usize::from(read_through);
            assert_eq!(nodes.readable().await, later, "known {known_before}, read through {read_through}");
            nodes.there_hears.tail(true);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_hears_of_it_asks_for_the_keys_again_and_reads_none_of_the_old() {
    let nodes = Nodes::start().await;
    load(&acme(&nodes.there), "k").await;
    let old = copies(&nodes.object);
    assert_eq!(nodes.keys.asked(), 1);
    acme(&nodes.here).destroy().await.unwrap();
    nodes.there_hears.deliver();
    settle().await;
    put_back(&nodes.object, &old);
    assert_eq!(get(&acme(&nodes.there), "k").await, None);
    assert_eq!(nodes.keys.asked(), 2, "the keys that it had are dropped");
    assert_eq!(load(&acme(&nodes.there), "k").await, CANARY);
    assert!(nodes.readable().await >= 1 && !sings(&nodes.object), "what is loaded now is under the new key");
}

static CIPHERS: AtomicUsize = AtomicUsize::new(0);

/// Counts how many there are.
struct Counted(Box<dyn Cipher>);

impl Counted {
    fn make(key: &DataKey) -> stratacache::Result<Box<dyn Cipher>> {
        let counted = Box::new(Self(aes_256_gcm_siv(key)?));
        CIPHERS.fetch_add(1, SeqCst);
        Ok(counted)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        CIPHERS.fetch_sub(1, SeqCst);
    }
}

impl Cipher for Counted {
    fn seal(&self, context: &[u8], text: &mut [u8]) -> Result<Sealed, CipherError> {
        self.0.seal(context, text)
    }
    fn open(&self, context: &[u8], sealed: &Sealed, text: &mut [u8]) -> Result<(), CipherError> {
        self.0.open(context, sealed, text)
    }
}

#[tokio::test(start_paused = true)]
async fn destroyed_keys_leave_the_memory_of_a_node_that_never_asks_for_the_tenant_again() {
    let (store, keys) = (SharedStore::new(3), MemoryKeys::new());
    let (here, there) = (store.node(), store.node());
    let build = async |node: &SharedNode| {
        let encryption = Encryption::new(keys.clone(), Counted::make);
        builder().tier(node.parts()).encryption(encryption).default_policy(policy()).build().await.unwrap()
    };
    let (here, there_cache) = (build(&here).await, build(&there).await);
    let kept = acme(&there_cache);
    load(&kept, "k").await;
    assert_eq!(CIPHERS.load(SeqCst), 1);
    acme(&here).destroy().await.unwrap();
    there.deliver();
    tokio::time::sleep(seconds(3)).await;
    assert_eq!(CIPHERS.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn what_waits_to_be_written_behind_is_unreadable_when_it_lands() {
    let (disk, keys) = (MemoryTier::unfenced("object").persistent(true), MemoryKeys::new());
    let builder = builder().tier(disk.clone()).encryption(keys.clone());
    let cache = builder.default_policy(policy().write(WriteMode::Behind)).build().await.unwrap();
    disk.hold_writes();
    load(&acme(&cache), "k").await;
    acme(&cache).destroy().await.unwrap();
    disk.release_writes();
    settle().await;
    let left = keys.keys(&TenantId::parse("acme").unwrap()).await.unwrap().current.id();
    for (_, bytes) in copies(&disk) {
        assert_ne!(envelope::sealed_by(&bytes), Some(left));
    }
    assert_eq!(get(&acme(&cache), "k").await, None);
}

#[tokio::test(start_paused = true)]
async fn destroying_without_keys_at_hand_is_an_error_and_trying_again_is_safe() {
    let (disk, provider) = (disk(), Provider::new());
    let cache = over(&disk, provider.clone()).await;
    load(&acme(&cache), "k").await;
    let old = only_name(&disk);
    let bytes = disk.raw(old).unwrap();
    for (mood, kind) in [(Mood::Fails, ErrorKind::Unavailable), (Mood::Hangs, ErrorKind::Timeout)] {
        provider.set(mood);
        assert_eq!(acme(&cache).destroy().await.unwrap_err().kind(), kind);
        assert_eq!(acme(&cache).rotate_key().await.unwrap_err().kind(), kind);
    }
    assert_eq!(get(&acme(&cache), "k").await.as_deref(), Some(CANARY), "nothing was cleared for nothing");
    provider.set(Mood::Answers);
    acme(&cache).destroy().await.unwrap();
    disk.put_raw(old, bytes);
    assert_eq!(get(&acme(&cache), "k").await, None);
    acme(&cache).destroy().await.expect("again is no error");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_destroy_runs_to_its_end() {
    let (disk, provider) = (disk(), Provider::new());
    let cache = over(&disk, provider.clone()).await;
    load(&acme(&cache), "k").await;
    let key = envelope::sealed_by(&disk.raw(only_name(&disk)).unwrap());
    let ns = acme(&cache);
    let task = tokio::spawn(async move { ns.destroy().await });
    tokio::task::yield_now().await;
    task.abort();
    while acme(&cache).stats().invalidations == 0 {
        tokio::task::yield_now().await;
    }
    let left = provider.keys.keys(&TenantId::parse("acme").unwrap()).await.unwrap().current.id();
    assert_ne!(key, Some(left));
    assert_eq!(get(&acme(&cache), "k").await, None);
}

#[tokio::test(start_paused = true)]
async fn only_a_whole_tenant_of_a_cache_that_encrypts_can_be_destroyed_or_rotated() {
    let cache = over(&disk(), MemoryKeys::new()).await;
    let nested = acme(&cache).namespace("n");
    for error in [nested.destroy().await.unwrap_err(), nested.rotate_key().await.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("whole tenant"), "{error}");
    }
    let plain = builder().build().await.unwrap();
    for error in [acme(&plain).destroy().await.unwrap_err(), acme(&plain).rotate_key().await.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("CacheBuilder::encryption"), "{error}");
    }
    cache.global().destroy().await.expect("data of no tenant has keys, too");
    cache.close().await.unwrap();
    assert_eq!(acme(&cache).destroy().await.unwrap_err().kind(), ErrorKind::Closed);
}
