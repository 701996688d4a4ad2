//! An object tier has no fences, outlives the process, and may be put back to what it was. What was invalidated never comes
//! back from it.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // tests start tasks of their own, and may panic

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use stratacache::{Cache, CacheBuilder, Namespace, Policy, hours, millis, minutes, seconds};
use stratacache_core::{
    clock::{Clock as _, Millis},
    envelope::{Head, decode, encode},
    tier::TierParts,
};
use stratacache_object::Object;
use stratacache_testkit::{clock::SimulatedClock, shared::SharedStore};
use support::{Loads, read, tenant};
use tempfile::TempDir;
use tokio::time::sleep;

/// Lives as long as anything may.
const LONG: Policy = Policy::ttl(hours(1)).stale_if_error(hours(1)).jitter(0.0);
/// Bytes that the tier puts before an envelope.
const FRAME: usize = 24;

struct Store {
    dir: TempDir,
    clock: SimulatedClock,
}

impl Store {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), clock: SimulatedClock::new() }
    }

    async fn parts(&self) -> TierParts {
        let object = Object::directory(self.dir.path().join("store")).clock(self.clock.clone());
        object.open().await.unwrap().into()
    }

    fn cache(&self) -> CacheBuilder {
        let builder = Cache::builder().clock(self.clock.clone()).seed(7);
        builder.max_ttl(hours(1)).max_stale(hours(1)).default_policy(LONG)
    }

    fn objects(&self) -> Vec<PathBuf> {
        let all = fs::read_dir(self.dir.path().join("store")).unwrap().map(|each| each.unwrap().path());
        all.filter(|path| path.is_file()).collect()
    }

    /// Copies the only object there is.
    fn backup(&self) -> Backup {
        let [path] = &self.objects()[..] else { panic!("one object: {:?}", self.objects()) };
        Backup { path: path.clone(), bytes: fs::read(path).unwrap(), clock: self.clock.clone(), made: self.clock.now() }
    }
}

/// An object as it once was.
struct Backup {
    path: PathBuf,
    bytes: Vec<u8>,
    clock: SimulatedClock,
    made: Duration,
}

impl Backup {
    fn head(&self) -> (Head, Bytes) {
        decode(&Bytes::copy_from_slice(&self.bytes[FRAME..])).unwrap()
    }

    /// Puts it back as it was, but with a life that begins now: whatever its times say, its stamp is old.
    fn restore(&self) {
        let (mut head, body) = self.head();
        let now: Millis = head.created + (self.clock.now() - self.made).as_millis() as Millis;
        head.created = now;
        head.fresh_until = now + 3_600_000;
        head.revalidate_until = head.fresh_until;
        head.error_until = head.fresh_until;
        let envelope = encode(&head, &body).unwrap();
        assert_eq!(envelope.len(), self.bytes.len() - FRAME);
        let mut bytes = self.bytes.clone();
        bytes[8..16].copy_from_slice(&(now + 3_600_000).to_le_bytes());
        bytes[FRAME..].copy_from_slice(&envelope);
        fs::write(&self.path, bytes).unwrap();
    }

    fn is_there(&self) -> bool {
        Path::exists(&self.path)
    }
}

/// Lets what is under way on other threads end: simulated time stands still as long as any of it runs.
async fn settle() {
    for _ in 0..4 {
        sleep(millis(1)).await;
    }
}

async fn is_served(acme: &Namespace) -> bool {
    let found = acme.get::<usize>("k").await.is_some();
    settle().await;
    found
}

#[derive(Debug, Clone, Copy)]
enum How {
    Key,
    Tag,
    GlobalTag,
    AllTenants,
    Namespace,
    Tenant,
}

const ALL: [How; 6] = [How::Key, How::Tag, How::GlobalTag, How::AllTenants, How::Namespace, How::Tenant];

async fn invalidate(how: How, cache: &Cache, acme: &Namespace) {
    match how {
        How::Key => acme.namespace("n").invalidate("k").await,
        How::Tag => acme.invalidate_tag("t").await,
        How::GlobalTag => cache.invalidate_global_tag("g").await,
        How::AllTenants => cache.clear_all_tenants().await,
        How::Namespace => acme.namespace("n").clear().await,
        How::Tenant => acme.clear().await,
    }
    .unwrap();
    settle().await;
}

/// Loads `k` in namespace `n` with tag `t` and global tag `g`, and returns its namespace.
async fn load(acme: &Namespace, loads: &Loads) -> Namespace {
    let ns = acme.namespace("n").with_tag("t").with_tag(stratacache::Tag::global("g"));
    read(&ns, "k", loads).await;
    settle().await;
    ns
}

#[tokio::test(start_paused = true)]
async fn an_object_put_back_from_a_backup_is_never_served_after_the_invalidation_it_missed() {
    for how in ALL {
        let store = Store::new();
        let cache = store.cache().max_marks(64).tier(store.parts().await).build().await.unwrap();
        let (acme, loads) = (tenant(&cache, "acme"), Loads::default());
        let ns = load(&acme, &loads).await;
        let backup = store.backup();
        invalidate(how, &cache, &acme).await;
        backup.restore();
        assert!(!is_served(&ns).await, "{how:?}: at once");
        // the marks of keys are dropped by number
        for n in 0..1_500_u32 {
            acme.namespace("others").invalidate(n).await.unwrap();
        }
        backup.restore();
        assert!(!is_served(&ns).await, "{how:?}: after the marks of many keys");
        // all others when every entry they concern has ended its life
        sleep(hours(2) + minutes(1)).await;
        backup.restore();
        assert!(!is_served(&ns).await, "{how:?}: after the marks were dropped");
        cache.close().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_order_that_outlives_the_process_nothing_that_it_left_is_served() {
    let store = Store::new();
    let cache = store.cache().tier(store.parts().await).build().await.unwrap();
    let (acme, loads) = (tenant(&cache, "acme"), Loads::default());
    load(&acme, &loads).await;
    cache.close().await.unwrap();
    let backup = store.backup();
    let cache = store.cache().tier(store.parts().await).build().await.unwrap();
    backup.restore();
    assert!(!is_served(&tenant(&cache, "acme").namespace("n")).await);
    cache.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn invalidations_of_other_keys_leave_an_object_of_use() {
    let store = Store::new();
    let policy = LONG.tier_ttl("memory", seconds(10));
    let cache = store.cache().default_policy(policy).tier(store.parts().await).build().await.unwrap();
    let (acme, loads) = (tenant(&cache, "acme"), Loads::default());
    let ns = load(&acme, &loads).await;
    for n in 0..2_000_u32 {
        acme.namespace("others").invalidate(n).await.unwrap();
    }
    // memory lets go of it, and what happens every ten seconds has happened
    sleep(minutes(1)).await;
    assert!(is_served(&ns).await, "it comes from the object");
    assert_eq!(loads.count(), 1);
    cache.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn where_nodes_share_the_order_a_restart_finds_its_objects_and_no_old_one() {
    for how in ALL {
        let (store, order) = (Store::new(), SharedStore::new(1));
        let build = async || {
            let builder = store.cache().tier(order.node().parts()).tier(store.parts().await);
            builder.build().await.unwrap()
        };
        let (here, there) = (build().await, build().await);
        let loads = Loads::default();
        load(&tenant(&here, "acme"), &loads).await;
        let backup = store.backup();
        // another key is invalidated, and all nodes start again on an empty Redis of the same history
        tenant(&there, "acme").invalidate("other").await.unwrap();
        here.close().await.unwrap();
        there.close().await.unwrap();
        for name in order.entries() {
            order.del_fence(name);
        }
        let (here, there) = (build().await, build().await);
        let ns = tenant(&here, "acme").namespace("n");
        assert!(is_served(&ns).await, "{how:?}: the object is warm");
        // invalidated on the one, put back, read on the other and after another restart
        invalidate(how, &there, &tenant(&there, "acme")).await;
        sleep(seconds(2)).await;
        backup.restore();
        assert!(!is_served(&ns).await, "{how:?}: on another node");
        here.close().await.unwrap();
        let again = build().await;
        backup.restore();
        assert!(backup.is_there());
        assert!(!is_served(&tenant(&again, "acme").namespace("n")).await, "{how:?}: after a restart");
        again.close().await.unwrap();
        there.close().await.unwrap();
    }
}
