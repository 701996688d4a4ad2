//! A source, and the nodes that cache it.

use std::{
    convert::Infallible,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use stratacache::{
    Cache, CacheBuilder, Consistency, Invalidation, Keyspace, LoadError, Namespace, Policy, Queued, Tag, Target,
    TenantId, Token, WriteMode, minutes, seconds,
};
use stratacache_core::stamp::Lane;
use stratacache_testkit::{
    clock::SimulatedClock,
    shared::{At, Hold, SharedNode, SharedStore, Step},
};
use tokio::{sync::Semaphore, task::JoinHandle};

use crate::support::{builder, settle};

pub const POLICY: Policy = Policy::ttl(minutes(5)).jitter(0.0);
/// The one row of the source, under the policies that tests need.
pub type Row = Keyspace<u32, usize>;
pub const PLAIN: Row = Keyspace::new("plain", POLICY);
pub const BEHIND: Row =
    Keyspace::new("behind", Policy::ttl(seconds(10)).jitter(0.0).stale_while_revalidate(minutes(30)));
pub const ON_ERROR: Row = Keyspace::new("on error", Policy::ttl(seconds(10)).jitter(0.0).stale_if_error(minutes(30)));
/// Written behind.
pub const LATER: Row = Keyspace::new("later", POLICY.write(WriteMode::Behind));
pub const IDLE: Row = Keyspace::new("idle", POLICY.idle_ttl(seconds(40)));

/// What the caches are about: one row with a version, and a hand on those who load it.
#[derive(Clone)]
pub struct Source(Arc<State>);

struct State {
    version: AtomicUsize,
    loads: AtomicUsize,
    to_stop: AtomicUsize,
    stopped: AtomicUsize,
    go: Semaphore,
}

impl Source {
    pub fn new() -> Self {
        let none = AtomicUsize::default;
        Self(Arc::new(State {
            version: 1.into(),
            loads: none(),
            to_stop: none(),
            stopped: none(),
            go: Semaphore::new(0),
        }))
    }

    /// Commits a change; returns the new version.
    pub fn write(&self) -> usize {
        self.0.version.fetch_add(1, SeqCst) + 1
    }

    pub fn version(&self) -> usize {
        self.0.version.load(SeqCst)
    }

    pub fn loads(&self) -> usize {
        self.0.loads.load(SeqCst)
    }

    /// Stops the next so many loads after they have read the row.
    pub fn stop(&self, loads: usize) {
        self.0.to_stop.store(loads, SeqCst);
    }

    pub fn stopped(&self) -> usize {
        self.0.stopped.load(SeqCst)
    }

    pub async fn until_stopped(&self, loads: usize) {
        while self.stopped() < loads {
            tokio::task::yield_now().await;
        }
    }

    /// Lets those that are stopped go on, and stops no more.
    pub fn go(&self) {
        self.stop(0);
        let stopped = self.0.stopped.swap(0, SeqCst);
        self.0.go.add_permits(stopped);
    }

    /// Reads the row, then perhaps stops.
    pub async fn load(&self) -> usize {
        self.0.loads.fetch_add(1, SeqCst);
        let version = self.version();
        let less = |left: usize| left.checked_sub(1);
        if self.0.to_stop.fetch_update(SeqCst, SeqCst, less).is_ok() {
            self.0.stopped.fetch_add(1, SeqCst);
            self.0.go.acquire().await.unwrap().forget();
        }
        version
    }
}

pub fn lane() -> Lane {
    Lane::of(&TenantId::parse("acme").unwrap())
}

/// One node and its cache.
#[derive(Clone)]
pub struct Peer {
    pub node: SharedNode,
    pub cache: Cache,
    pub clock: SimulatedClock,
}

impl Peer {
    pub async fn new(store: &SharedStore) -> Self {
        Self::with(store, |node, builder| builder.tier(node.parts())).await
    }

    /// A node that hears of the others only by its own calls, and by `deliver`.
    pub async fn deaf(store: &SharedStore) -> Self {
        let peer = Self::new(store).await;
        peer.node.tail(false);
        peer
    }

    pub async fn with(store: &SharedStore, build: impl FnOnce(&SharedNode, CacheBuilder) -> CacheBuilder) -> Self {
        static SEED: AtomicUsize = AtomicUsize::new(1);
        let node = store.node();
        let clock = SimulatedClock::new();
        let seed = SEED.fetch_add(1, SeqCst) as u64 * 0x1000_0000;
        let builder = builder().clock(clock.clone()).seed(seed).deployment_secret([7; 16]).default_policy(POLICY);
        let cache = build(&node, builder).build().await.unwrap();
        Self { node, cache, clock }
    }

    pub fn acme(&self) -> Namespace {
        self.cache.tenant(&TenantId::parse("acme").unwrap())
    }

    /// Where the row is: nested, with a tag of the tenant and a global one.
    pub fn ns(&self) -> Namespace {
        self.acme().namespace("outer").namespace("inner").with_tag("t").with_tag(Tag::global("g"))
    }

    /// Reads through, as new as is asked.
    pub async fn read_as(&self, row: &'static Row, source: &Source, how_new: Consistency) -> usize {
        self.try_read(row, source, how_new).await.unwrap()
    }

    pub async fn try_read(
        &self,
        row: &'static Row,
        source: &Source,
        how_new: Consistency,
    ) -> Result<usize, LoadError<Infallible>> {
        let source = source.clone();
        let load = async move || Ok::<_, Infallible>(source.load().await);
        self.ns().get_or_load(row.key(&1), load).consistency(how_new).await.map(|value| *value)
    }

    pub async fn latest(&self, source: &Source) -> usize {
        self.read_as(&PLAIN, source, Consistency::Latest).await
    }

    /// Reads with the usual bound of one second.
    pub async fn read(&self, source: &Source) -> usize {
        self.read_as(&PLAIN, source, Consistency::Inherit).await
    }

    pub async fn get(&self, how_new: Consistency) -> Option<usize> {
        self.ns().get(PLAIN.key(&1)).consistency(how_new).await.map(|value| *value)
    }

    /// Counts its calls by kind: those that a read, a load or a write makes.
    pub fn calls(&self) -> Calls {
        Calls(
            [
                Step::Sync,
                Step::Get,
                Step::Take,
                Step::Lease,
                Step::Renew,
                Step::Release,
                Step::Fill,
                Step::DelFence,
                Step::Invalidate,
            ]
            .map(|step| self.node.calls(step)),
        )
    }
}

/// Calls of a node: sync, get, take, lease, renew, release, fill, removal with fence, invalidation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls([u64; 9]);

impl Calls {
    pub fn since(self, before: Self) -> [u64; 9] {
        std::array::from_fn(|i| self.0[i] - before.0[i])
    }
}

/// The ways to say that the row has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Key,
    Tag,
    GlobalTag,
    AllTenants,
    Namespace,
    Parent,
    Tenant,
    Mixed,
    Insert,
}

pub const ALL: [How; 9] = [
    How::Key,
    How::Tag,
    How::GlobalTag,
    How::AllTenants,
    How::Namespace,
    How::Parent,
    How::Tenant,
    How::Mixed,
    How::Insert,
];

impl How {
    /// Tells whether it is said in the lane of the global tags.
    pub fn is_global(self) -> bool {
        matches!(self, Self::GlobalTag | Self::AllTenants)
    }

    /// Says it, after the change.
    pub async fn tell(self, peer: &Peer, row: &'static Row, source: &Source) -> stratacache::Result<Token> {
        let (acme, ns) = (peer.acme(), peer.ns());
        match self {
            Self::Key => ns.invalidate(row.key(&1)).await,
            Self::Tag => acme.invalidate_tag("t").await,
            Self::GlobalTag => peer.cache.invalidate_global_tag("g").await,
            Self::AllTenants => peer.cache.clear_all_tenants().await,
            Self::Namespace => ns.clear().await,
            Self::Parent => acme.namespace("outer").clear().await,
            Self::Tenant => acme.clear().await,
            Self::Mixed => ns.invalidate([Target::key("other"), Target::tag("t"), Target::namespace("x")]).await,
            Self::Insert => ns.insert(row.key(&1), source.version()).await,
        }
    }

    /// Says it, after the change, and lets it wait where it cannot be ordered. There is no such insert.
    pub async fn tell_or_queue(self, peer: &Peer, row: &'static Row) -> stratacache::Result<Invalidation> {
        let (acme, ns) = (peer.acme(), peer.ns());
        match self {
            Self::Key | Self::Insert => ns.invalidate(row.key(&1)).or_queue().await,
            Self::Tag => acme.invalidate_tag("t").or_queue().await,
            Self::GlobalTag => peer.cache.invalidate_global_tag("g").or_queue().await,
            Self::AllTenants => peer.cache.clear_all_tenants().or_queue().await,
            Self::Namespace => ns.clear().or_queue().await,
            Self::Parent => acme.namespace("outer").clear().or_queue().await,
            Self::Tenant => acme.clear().or_queue().await,
            Self::Mixed => ns.invalidate([Target::key("other"), Target::tag("t")]).or_queue().await,
        }
    }

    /// Changes the row, and says so where nobody hears it.
    pub async fn queue(self, peer: &Peer, row: &'static Row, source: &Source) -> Queued {
        source.write();
        match self.tell_or_queue(peer, row).await.unwrap() {
            Invalidation::Queued(queued) => queued,
            Invalidation::Applied(token) => panic!("{self:?} was applied: {token}"),
        }
    }

    /// Changes the row and says so.
    pub async fn change(self, peer: &Peer, row: &'static Row, source: &Source) -> Token {
        source.write();
        self.tell(peer, row, source).await.unwrap()
    }
}

/// Where something is stopped: at a call to the store, or in its loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    At(Step, At),
    Load,
}

/// A stop that is set.
pub enum Stopped {
    Held(Hold),
    Load(Source),
}

impl Stop {
    pub fn set(self, peer: &Peer, source: &Source) -> Stopped {
        match self {
            Self::At(step, at) => Stopped::Held(peer.node.hold(step, at).only(1)),
            Self::Load => {
                source.stop(1);
                Stopped::Load(source.clone())
            }
        }
    }
}

impl Stopped {
    fn is_reached(&self) -> bool {
        match self {
            Self::Held(hold) => hold.held() > 0,
            Self::Load(source) => source.stopped() > 0,
        }
    }

    /// Waits until the stop is reached; false if the task, and what it leaves behind, never comes there.
    pub async fn reached<T>(&self, task: &JoinHandle<T>) -> bool {
        for _ in 0..100 {
            if self.is_reached() {
                return true;
            }
            settle().await;
            if task.is_finished() {
                settle().await;
                return self.is_reached();
            }
        }
        panic!("neither there nor at its end");
    }

    pub fn release(self) {
        match self {
            Self::Held(hold) => hold.release(),
            Self::Load(source) => source.go(),
        }
    }
}

pub fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(task)
}
