//! The behaviour that every combination shows.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
};

use serde::{Deserialize, Serialize};
use stratacache::{Cache, Cached, Freshness, Lookup, Namespace, Tag, TenantId, minutes};
use tokio::sync::oneshot;

use crate::{
    invariants::{calm, hold, hold_at_the_end},
    setting::Setting,
};

/// A value that is worth compressing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    version: u32,
    owner: String,
    notes: Vec<String>,
}

fn row(version: u32, owner: &str) -> Row {
    Row { version, owner: owner.to_owned(), notes: vec!["the same again and again, ".repeat(8); 3] }
}

/// What can be invalidated under the entry `key` of [`Source::read`].
#[derive(Debug, Clone, Copy)]
enum How {
    Key,
    Tag,
    Namespace,
    Tenant,
    GlobalTag,
}

const ALL: [How; 5] = [How::Key, How::Tag, How::Namespace, How::Tenant, How::GlobalTag];

impl How {
    fn key(self) -> &'static str {
        match self {
            Self::Key => "by key",
            Self::Tag => "by tag",
            Self::Namespace => "by namespace",
            Self::Tenant => "by tenant",
            Self::GlobalTag => "by global tag",
        }
    }
}

/// A tenant's data at the source, and how often it was loaded.
#[derive(Clone)]
struct Source {
    ns: Namespace,
    owner: &'static str,
    version: Arc<AtomicU32>,
    loads: Arc<AtomicU32>,
}

impl Source {
    fn new(cache: &Cache, owner: &'static str) -> Self {
        let ns = cache.tenant(&TenantId::parse(owner).unwrap());
        Self { ns, owner, version: Arc::new(AtomicU32::new(1)), loads: Arc::default() }
    }

    /// The same source behind a cache that was opened anew.
    fn behind(&self, cache: &Cache) -> Self {
        Self { ns: cache.tenant(&TenantId::parse(self.owner).unwrap()), ..self.clone() }
    }

    /// The namespace of a key: each has its own, so that clearing one leaves the others.
    fn door(&self, key: &str) -> Namespace {
        self.ns.namespace(key).with_tag(("tag", key))
    }

    async fn read(&self, key: &str) -> Cached<Row> {
        let source = self.clone();
        let load = async move || {
            source.loads.fetch_add(1, SeqCst);
            Ok::<_, Infallible>(row(source.version.load(SeqCst), source.owner))
        };
        self.door(key).get_or_load(key, load).tag(Tag::global(("global", key))).await.unwrap()
    }

    /// Begins a read whose loader waits; returns when the loader has read the source.
    async fn read_slowly(&self, key: &'static str) -> (oneshot::Sender<()>, tokio::task::JoinHandle<Cached<Row>>) {
        let (source, owned) = (self.clone(), self.clone());
        let (go_on, gate) = oneshot::channel();
        let (begun, begins) = oneshot::channel();
        let reader = tokio::spawn(async move {
            let load = async move || {
                source.loads.fetch_add(1, SeqCst);
                let old = row(source.version.load(SeqCst), source.owner);
                begun.send(()).unwrap();
                gate.await.unwrap();
                Ok::<_, Infallible>(old)
            };
            owned.door(key).get_or_load(key, load).tag(Tag::global(("global", key))).await.unwrap()
        });
        begins.await.unwrap();
        (go_on, reader)
    }

    async fn lookup(&self, key: &str) -> Option<Row> {
        match self.door(key).lookup::<Row>(key).await {
            Lookup::Hit(found) => Some(found.value().clone()),
            Lookup::Absent => panic!("nothing is absent here"),
            Lookup::Miss => None,
        }
    }

    /// Commits a new version and invalidates, one way, what `key` depends on.
    async fn change(&self, cache: &Cache, how: How, key: &str) {
        self.version.fetch_add(1, SeqCst);
        match how {
            How::Key => self.door(key).invalidate(key).await,
            How::Tag => self.ns.invalidate_tag(("tag", key)).await,
            How::Namespace => self.door(key).clear().await,
            How::Tenant => self.ns.clear().await,
            How::GlobalTag => cache.invalidate_global_tag(("global", key)).await,
        }
        .unwrap();
    }

    fn loads(&self) -> u32 {
        self.loads.load(SeqCst)
    }

    fn now(&self) -> Row {
        row(self.version.load(SeqCst), self.owner)
    }
}

/// Plays the whole script.
pub(crate) async fn play(setting: Setting) {
    let cache = setting.open().await;
    let (acme, globex) = (Source::new(&cache, "acme"), Source::new(&cache, "globex"));
    loads_once_and_then_hits(&acme).await;
    tells_tenants_apart(&cache, &acme, &globex).await;
    serves_stale_while_the_source_is_down(&setting, &acme).await;
    for how in ALL {
        an_invalidation_during_a_load_wins(&cache, &acme, how).await;
    }
    let doors: Vec<_> = ["k", "stale", "shared"].into_iter().chain(ALL.map(How::key)).collect();
    check(&cache, &[&acme, &globex], &doors).await;
    let cache = a_restart_brings_back_only_what_is_valid(&setting, cache, &acme, &globex).await;
    hold_at_the_end(&cache, &[&acme.behind(&cache).ns, &globex.behind(&cache).ns]).await;
}

async fn check(cache: &Cache, sources: &[&Source], keys: &[&str]) {
    let doors: Vec<_> = sources.iter().flat_map(|source| keys.iter().map(|key| (source.door(key), *key))).collect();
    let doors: Vec<_> = doors.iter().map(|(ns, key)| (ns, *key)).collect();
    hold(cache, &doors).await;
}

async fn loads_once_and_then_hits(acme: &Source) {
    assert_eq!(acme.read("k").await.freshness(), Freshness::Loaded);
    let hit = acme.read("k").await;
    assert_eq!((hit.freshness(), hit.value()), (Freshness::Fresh, &acme.now()));
    assert_eq!(acme.loads(), 1);
}

async fn tells_tenants_apart(cache: &Cache, acme: &Source, globex: &Source) {
    assert_eq!(*acme.read("shared").await, acme.now());
    assert_eq!(*globex.read("shared").await, globex.now(), "the same key, another tenant");
    globex.change(cache, How::Key, "shared").await;
    globex.change(cache, How::Tag, "shared").await;
    globex.change(cache, How::Tenant, "shared").await;
    assert_eq!(globex.lookup("shared").await, None);
    assert_eq!(acme.lookup("shared").await, Some(acme.now()), "one tenant's invalidations leave the other's data");
    assert_eq!(*globex.read("shared").await, globex.now());
}

async fn serves_stale_while_the_source_is_down(setting: &Setting, acme: &Source) {
    acme.read("stale").await;
    setting.clock.advance(minutes(6));
    let failing = || async { Err::<Row, _>("the source is down") };
    let global = Tag::global(("global", "stale"));
    let served = acme.door("stale").get_or_load("stale", failing).tag(global).await.unwrap();
    assert_eq!((served.freshness(), served.value()), (Freshness::Stale, &acme.now()));
    // past the back-off the source is asked again
    setting.clock.advance(minutes(1));
    acme.version.fetch_add(1, SeqCst);
    let loaded = acme.read("stale").await;
    assert_eq!((loaded.freshness(), loaded.value()), (Freshness::Loaded, &acme.now()));
}

async fn an_invalidation_during_a_load_wins(cache: &Cache, acme: &Source, how: How) {
    let key = how.key();
    let old = acme.now();
    let (go_on, reader) = acme.read_slowly(key).await;
    acme.change(cache, how, key).await;
    assert_eq!(*acme.read(key).await, acme.now(), "{how:?}: who comes later does not join the old load");
    go_on.send(()).unwrap();
    assert_eq!(*reader.await.unwrap(), old, "{how:?}: who came before gets what was loaded for it");
    calm(cache).await;
    assert_eq!(acme.lookup(key).await, Some(acme.now()), "{how:?}: the old value took no place");
    // alone this time: nothing newer stands in the way of the old value
    let (go_on, reader) = acme.read_slowly_after_clearing(cache, key).await;
    acme.change(cache, how, key).await;
    go_on.send(()).unwrap();
    reader.await.unwrap();
    calm(cache).await;
    assert_eq!(acme.lookup(key).await, None, "{how:?}: the old value was not kept, in any tier");
    assert_eq!(*acme.read(key).await, acme.now());
}

impl Source {
    async fn read_slowly_after_clearing(
        &self,
        cache: &Cache,
        key: &'static str,
    ) -> (oneshot::Sender<()>, tokio::task::JoinHandle<Cached<Row>>) {
        self.change(cache, How::Key, key).await;
        self.read_slowly(key).await
    }
}

/// Invalidates in every way, closes, opens again, and looks at everything.
async fn a_restart_brings_back_only_what_is_valid(
    setting: &Setting,
    cache: Cache,
    acme: &Source,
    globex: &Source,
) -> Cache {
    let ways = [How::Key, How::Tag, How::Namespace, How::GlobalTag];
    for key in ["kept", "kept too"].into_iter().chain(ways.map(How::key)) {
        acme.read(key).await;
    }
    globex.read("kept").await;
    calm(&cache).await;
    let kept = acme.lookup("kept").await;
    let loads = acme.loads();
    for how in ways {
        acme.change(&cache, how, how.key()).await;
    }
    globex.change(&cache, How::Tenant, "kept").await;
    cache.close().await.unwrap();
    assert_eq!(cache.active_tasks(), 0);

    let cache = setting.open().await;
    let (acme, globex) = (acme.behind(&cache), globex.behind(&cache));
    for how in ways {
        assert_eq!(acme.lookup(how.key()).await, None, "{how:?}: what was invalidated stays gone");
    }
    assert_eq!(globex.lookup("kept").await, None, "a tenant that was cleared stays empty");
    assert_eq!(acme.lookup("kept").await, kept.filter(|_| setting.keeps()), "kept where something keeps it");
    let again = acme.read("kept too").await;
    let (loaded, freshness) = if setting.keeps() { (loads, Freshness::Fresh) } else { (loads + 1, Freshness::Loaded) };
    assert_eq!((acme.loads(), again.freshness()), (loaded, freshness));
    // an invalidation of the new run is newer than every entry of the old one
    acme.change(&cache, How::Tag, "kept").await;
    assert_eq!(acme.lookup("kept").await, None);
    check(&cache, &[&acme, &globex], &["kept", "kept too", "by key", "by tag"]).await;
    cache
}
