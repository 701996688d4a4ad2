//! A tenant's data at the source, read through a cache.

use std::{
    collections::{BTreeSet, HashMap},
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
};

use stratacache::{Cache, Cached, Consistency, Lookup, Namespace, Tag, TenantId, TierView, Tiers, Token};
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{
    axes::{Case, Newness},
    rows::{Keyspaces, Row, Rows},
};

/// What can be invalidated under an entry of [`Source::read`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Key,
    Tag,
    Namespace,
    Tenant,
    GlobalTag,
}

impl How {
    /// The tenant last: it takes what the others left.
    pub(crate) const ALL: [Self; 5] = [Self::Key, Self::Tag, Self::Namespace, Self::GlobalTag, Self::Tenant];
    /// Those that leave what else the tenant has.
    pub(crate) const NARROW: [Self; 4] = [Self::Key, Self::Tag, Self::Namespace, Self::GlobalTag];

    const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Tag => "tag",
            Self::Namespace => "namespace",
            Self::Tenant => "tenant",
            Self::GlobalTag => "global tag",
        }
    }

    /// Returns a key that only one part of the script uses, for one of the ways.
    pub(crate) fn of(self, part: &str) -> String {
        format!("{part} by {}", self.name())
    }
}

/// A load that has read the source, and waits.
pub(crate) struct Begun {
    pub(crate) old: Row,
    go_on: oneshot::Sender<()>,
    reader: JoinHandle<Row>,
}

impl Begun {
    /// Lets it go on, and returns what its reader got.
    pub(crate) async fn end(self) -> Row {
        self.go_on.send(()).unwrap();
        self.reader.await.unwrap()
    }
}

type Known = BTreeSet<(bool, String)>;

#[derive(Clone)]
pub(crate) struct Source {
    tenant: Namespace,
    owner: &'static str,
    case: Case,
    keyspaces: Keyspaces,
    /// Those of [`Keyspaces::brief`].
    rows: Rows,
    /// What the last invalidation gave, of whichever node.
    token: Arc<Mutex<Token>>,
    /// Of each key.
    versions: Arc<Mutex<HashMap<String, u32>>>,
    loads: Arc<AtomicU32>,
    /// Every key that was used: whether it is a brief one, and its name.
    known: Arc<Mutex<Known>>,
}

impl Source {
    pub(crate) async fn new(cache: &Cache, owner: &'static str, case: Case, keyspaces: Keyspaces) -> Self {
        let tenant = cache.tenant(&TenantId::parse(owner).unwrap());
        let token = tenant.invalidate("whatever was there").await.unwrap();
        Self {
            tenant,
            owner,
            case,
            keyspaces,
            rows: keyspaces.usual,
            token: Arc::new(Mutex::new(token)),
            versions: Arc::default(),
            loads: Arc::default(),
            known: Arc::default(),
        }
    }

    /// The same source behind another cache.
    pub(crate) fn behind(&self, cache: &Cache) -> Self {
        Self { tenant: cache.tenant(&TenantId::parse(self.owner).unwrap()), ..self.clone() }
    }

    /// The same source, cached for a short time in memory.
    pub(crate) fn brief(&self) -> Self {
        Self { rows: self.keyspaces.brief, ..self.clone() }
    }

    pub(crate) fn tenant(&self) -> &Namespace {
        &self.tenant
    }

    /// The namespace of a key: each has its own, so that clearing one leaves the others.
    fn door(&self, key: &str) -> Namespace {
        self.known.lock().unwrap().insert((std::ptr::eq(self.rows, self.keyspaces.brief), key.to_owned()));
        self.tenant.namespace(key).with_tag(("tag", key)).with_tag(Tag::global(("global", key)))
    }

    /// How new each call says that its answer must be, where the keyspace does not.
    fn newness(&self) -> Consistency {
        match self.case.newness {
            Newness::Since => Consistency::Since(*self.token.lock().unwrap()),
            Newness::Bounded | Newness::Latest => Consistency::Inherit,
        }
    }

    pub(crate) async fn read(&self, key: &str) -> Cached<Row> {
        self.read_from(key, Tiers::all()).await
    }

    /// Reads and fills only these tiers below memory.
    pub(crate) async fn read_from(&self, key: &str, tiers: Tiers) -> Cached<Row> {
        let (source, asked) = (self.clone(), key.to_owned());
        let load = async move || Ok::<_, Infallible>(source.load(&asked));
        let door = self.door(key);
        let read = door.get_or_load(self.rows.key(key), load).consistency(self.newness()).tiers(tiers);
        read.await.unwrap()
    }

    /// Reads while the source is down.
    pub(crate) async fn read_in_vain(&self, key: &str) -> Option<Cached<Row>> {
        let load = async || Err::<Row, _>("the source is down");
        self.door(key).get_or_load(self.rows.key(key), load).consistency(self.newness()).await.ok()
    }

    /// Reads what the source does not have, into these tiers below memory.
    pub(crate) async fn read_absent(&self, key: &str, tiers: Tiers) {
        let load = async || Ok::<Option<Row>, Infallible>(None);
        let door = self.door(key);
        let read = door.get_or_load_optional(self.rows.key(key), load).consistency(self.newness()).tiers(tiers);
        assert!(read.await.unwrap().is_none());
    }

    /// Begins a read whose loader waits; returns when the loader has read the source.
    pub(crate) async fn read_slowly(&self, key: &str) -> Begun {
        let (source, owned, key, asked) = (self.clone(), self.clone(), key.to_owned(), key.to_owned());
        let (go_on, gate) = oneshot::channel();
        let (begun, begins) = oneshot::channel();
        let old = self.now(&key);
        let reader = tokio::spawn(async move {
            let load = async move || {
                let old = source.load(&asked);
                begun.send(()).unwrap();
                gate.await.unwrap();
                Ok::<_, Infallible>(old)
            };
            let read = owned.door(&key).get_or_load(owned.rows.key(&key), load).consistency(owned.newness()).await;
            read.unwrap().value().clone()
        });
        begins.await.unwrap();
        Begun { old, go_on, reader }
    }

    fn load(&self, key: &str) -> Row {
        self.loads.fetch_add(1, SeqCst);
        self.now(key)
    }

    /// Inserts the present version, into these tiers below memory.
    pub(crate) async fn insert(&self, key: &str, tiers: Tiers) -> stratacache::Result<()> {
        self.door(key).insert(self.rows.key(key), self.now(key)).tiers(tiers).await.map(|_| ())
    }

    /// Returns what the cache has, without a load.
    pub(crate) async fn look(&self, key: &str) -> Lookup<Row> {
        self.look_in(key, Tiers::all()).await
    }

    /// As [`look`](Self::look), in these tiers below memory.
    pub(crate) async fn look_in(&self, key: &str, tiers: Tiers) -> Lookup<Row> {
        self.door(key).lookup(self.rows.key(key)).consistency(self.newness()).tiers(tiers).await
    }

    /// Tells whether a value is served, which must be the present one.
    pub(crate) async fn has(&self, key: &str) -> bool {
        match self.look(key).await {
            Lookup::Hit(found) => {
                assert_eq!(*found, self.now(key), "{key}: what is served is up to date");
                true
            }
            Lookup::Absent => panic!("{key}: it is not known to be absent"),
            Lookup::Miss => false,
        }
    }

    /// Commits a new version and invalidates, one way, what `key` depends on, by the cache of this source.
    pub(crate) async fn change(&self, cache: &Cache, how: How, key: &str) {
        self.commit(key);
        let token = match how {
            How::Key => self.door(key).invalidate(self.rows.key(key)).await,
            How::Tag => self.tenant.invalidate_tag(("tag", key)).await,
            How::Namespace => self.door(key).clear().await,
            How::Tenant => self.tenant.clear().await,
            How::GlobalTag => cache.invalidate_global_tag(("global", key)).await,
        };
        *self.token.lock().unwrap() = token.unwrap();
    }

    /// What each tier holds of a key that it may serve, memory first.
    pub(crate) async fn views(&self, key: &str) -> Vec<TierView> {
        let mut views = self.door(key).inspect::<Row>(self.rows.key(key)).await.unwrap().tiers;
        views.retain(|view| view.valid);
        views
    }

    /// The names of the tiers that may serve a key.
    pub(crate) async fn tiers_of(&self, key: &str) -> Vec<String> {
        self.views(key).await.into_iter().map(|view| view.tier).collect()
    }

    /// Every key that was used so far, each with the source to read it by.
    pub(crate) fn known(&self) -> Vec<(Self, String)> {
        let known = self.known.lock().unwrap().clone();
        let source = |brief| if brief { self.brief() } else { Self { rows: self.keyspaces.usual, ..self.clone() } };
        known.into_iter().map(|(brief, key)| (source(brief), key)).collect()
    }

    /// What each tier holds of a key, of use or not.
    pub(crate) async fn held(&self, key: &str) -> Vec<TierView> {
        self.door(key).inspect::<Row>(self.rows.key(key)).await.unwrap().tiers
    }

    /// Learns what other nodes did: time has passed, and a usual read would wait for it for 50 ms only.
    pub(crate) async fn catch_up(&self) {
        while self.case.is_shared() {
            let before = self.tenant.stats().bypasses;
            let _ = self.tenant.lookup::<Row>("nobody").consistency(Consistency::Latest).await;
            if self.tenant.stats().bypasses == before {
                return;
            }
        }
    }

    pub(crate) fn loads(&self) -> u32 {
        self.loads.load(SeqCst)
    }

    /// What the source has now.
    pub(crate) fn now(&self, key: &str) -> Row {
        let version = self.versions.lock().unwrap().get(key).copied().unwrap_or_default();
        Row::new(version, self.owner, key)
    }

    /// Commits a new version, and says nothing to the cache.
    pub(crate) fn commit(&self, key: &str) {
        *self.versions.lock().unwrap().entry(key.to_owned()).or_default() += 1;
    }
}
