//! The knobs of an object tier, checked when it is opened.

use std::{fmt, sync::Arc, time::Duration};

use stratacache_core::{
    Error, Result,
    clock::{Clock, SystemClock},
};

use crate::{
    Object,
    access::{Access, Endpoint},
    cloud::Cloud,
    directory::Directory,
    guard::{Bounds, Guard},
    place::{Kind, Place},
    probe,
    scan::ObjectScan,
    secret::Secret,
    spawn,
    store::Store,
    sweep::Sweep,
    tier::ObjectTier,
    time::Time,
};

/// Most that [`ObjectBuilder::max_weight`] can be: an object is written in one request.
const LARGEST: u64 = 1 << 30;

/// A store that nothing was asked of yet.
struct Opened {
    store: Store,
    guard: Guard,
    shown: String,
}

/// Sets up an [`Object`]; made by [`Object::builder`] and [`Object::directory`].
#[derive(Clone)]
#[must_use = "a builder does nothing until `open` is called"]
pub struct ObjectBuilder {
    place: Result<Place>,
    access: Access,
    bounds: Bounds,
    max_weight: u64,
    create_dir: bool,
    probe: bool,
    clock: Option<Arc<dyn Clock>>,
}

impl ObjectBuilder {
    pub(crate) fn new(place: Result<Place>) -> Self {
        let bounds =
            Bounds { deadline: Duration::from_secs(2), window: Duration::from_secs(5), requests: 32, retries: 3 };
        Self {
            place,
            access: Access::default(),
            bounds,
            max_weight: 16 << 20,
            create_dir: true,
            probe: true,
            clock: None,
        }
    }

    /// Sets where the store is, as `https://host[:port]`. Default: where its provider has it.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.access.endpoint = Some(Endpoint(url.into()));
        self
    }

    /// Sets the region of an S3 bucket. Default `us-east-1`.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.access.region = Some(region.into());
        self
    }

    /// Sets the id and the secret of an S3 access key. Default: the role of the machine, by its metadata service.
    pub fn access_key(mut self, id: impl Into<String>, secret: impl Into<String>) -> Self {
        self.access.key = Some((Secret::new(id), Secret::new(secret)));
        self
    }

    /// Sets the token that belongs to a temporary [`access_key`](Self::access_key).
    pub fn session_token(mut self, token: impl Into<String>) -> Self {
        self.access.session_token = Some(Secret::new(token));
        self
    }

    /// Sets the account that an Azure container is in. Without [`account_key`](Self::account_key) the identity of the machine
    /// is used.
    pub fn account(mut self, name: impl Into<String>) -> Self {
        let key = self.access.account.take().and_then(|(_, key)| key);
        self.access.account = Some((name.into(), key));
        self
    }

    /// Sets the key of the Azure [`account`](Self::account).
    pub fn account_key(mut self, key: impl Into<String>) -> Self {
        let name = self.access.account.take().map(|(name, _)| name).unwrap_or_default();
        self.access.account = Some((name, Some(Secret::new(key))));
        self
    }

    /// Sets the key of a Google service account, as its JSON. Default: the service account of the machine.
    pub fn service_account(mut self, json: impl Into<String>) -> Self {
        self.access.service_account = Some(Secret::new(json));
        self
    }

    /// Sets whether requests go without credentials. Default false.
    pub const fn anonymous(mut self, anonymous: bool) -> Self {
        self.access.anonymous = anonymous;
        self
    }

    /// Sets whether the [`endpoint`](Self::endpoint) may be `http://`, which everybody on the way can read. Default false.
    pub const fn allow_http(mut self, allow: bool) -> Self {
        self.access.allow_http = allow;
        self
    }

    /// Sets whether an S3 bucket is named by the host, `https://bucket.host/`, and the [`endpoint`](Self::endpoint) holds it
    /// already. Default false: it is named by the path, `https://host/bucket/`.
    pub const fn virtual_hosted(mut self, by_host: bool) -> Self {
        self.access.virtual_hosted = by_host;
        self
    }

    /// Sets how long any operation may take, 1 ms to 60 s, retries included. Default 2 s. It is set here and not by
    /// `tier_deadline` of the cache: of a batch, what was done in time counts.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.bounds.deadline = deadline;
        self
    }

    /// Sets for how long a store that did not answer is left alone before it is tried again. Default 5 s.
    pub const fn breaker_window(mut self, window: Duration) -> Self {
        self.bounds.window = window;
        self
    }

    /// Sets how often a request is tried again that a store was too busy for, or that did not reach it. Default 3, within the
    /// deadline; and all requests together have ten in hand, and earn one with every ten that succeed.
    pub const fn retries(mut self, retries: u32) -> Self {
        self.bounds.retries = retries;
        self
    }

    /// Sets how many requests may be under way at once, 1 to 1024. Default 32. So many objects of
    /// [`max_weight`](Self::max_weight) may be in memory at most while they come and go.
    pub const fn requests(mut self, requests: u32) -> Self {
        self.bounds.requests = requests;
        self
    }

    /// Sets the largest envelope in bytes, up to 1 GiB. Default 16 MiB. What is larger is neither written nor read.
    pub const fn max_weight(mut self, bytes: u64) -> Self {
        self.max_weight = bytes;
        self
    }

    /// Sets whether a missing directory is made, default true; its parent must exist in any case. Of `file://` only.
    pub const fn create_dir(mut self, create: bool) -> Self {
        self.create_dir = create;
        self
    }

    /// Sets whether the store is tried before it is used, default true: an object is written, read and removed.
    ///
    /// Without that the tier opens whether or not there is a store, and does not use that a store can create
    /// ([`Object::creates`]).
    pub const fn probe(mut self, probe: bool) -> Self {
        self.probe = probe;
        self
    }

    /// Sets the clock by which entries end their life here. Default: the system's; tests give that of their cache.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Opens the tier.
    ///
    /// # Errors
    /// [`InvalidInput`](stratacache_core::ErrorKind::InvalidInput) for a bad URL, with a
    /// [`PrefixError`](crate::PrefixError) as its source where the prefix is bad; for an option that is out of range, or
    /// means nothing for this kind of store; for a directory that cannot be one of ours.
    /// `Unavailable`, `Timeout` and others where the probe fails; the message says what to do, and
    /// never holds a credential.
    ///
    /// # Panics
    /// When it is not polled inside a Tokio runtime with time and I/O.
    ///
    /// # Cancel safety
    /// Dropped at an await, it may leave an object named `probe-..` behind, which a sweep or a lifecycle rule removes.
    pub async fn open(self) -> Result<Object> {
        let (max_weight, probed) = (self.max_weight, self.probe);
        let Opened { store, guard, shown } = self.connect().await?;
        let conditional = probed && probe::probe(&store, &guard).await?;
        tracing::debug!(place = %shown, conditional, "the object tier is open");
        Ok(Object { tier: ObjectTier { store, guard, max_weight, conditional }, shown })
    }

    /// Makes a sweep of this store, which removes what has ended its life. Nothing is asked of the store yet.
    ///
    /// # Errors
    /// As [`open`](Self::open), but for the probe.
    ///
    /// # Panics
    /// As [`open`](Self::open).
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn sweep(self) -> Result<Sweep> {
        let Opened { store, guard, shown } = self.connect().await?;
        Ok(Sweep::new(store, guard, shown))
    }

    /// Makes a scan of this store, by which an operator looks for keys (`namespace.scan_keys` of `stratacache`). Nothing is asked of the
    /// store yet.
    ///
    /// # Errors
    /// As [`open`](Self::open), but for the probe.
    ///
    /// # Panics
    /// As [`open`](Self::open).
    pub async fn scan(self) -> Result<ObjectScan> {
        let Opened { store, guard, shown } = self.connect().await?;
        Ok(ObjectScan::new(store, guard, shown))
    }

    async fn connect(self) -> Result<Opened> {
        let place = self.place.clone()?;
        self.check(place.kind())?;
        let store = match &place {
            Place::Bucket { kind, bucket, prefix } => {
                let most = ObjectTier::most(self.max_weight);
                Store::Cloud(Cloud::connect(*kind, bucket, prefix, &self.access, most)?)
            }
            Place::Directory(path) => {
                let (path, create_dir) = (path.clone(), self.create_dir);
                Store::Directory(spawn::blocking(move || Directory::open(&path, create_dir)).await?)
            }
        };
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        Ok(Opened { store, guard: Guard::new(self.bounds, Time::new(clock)), shown: place.shown() })
    }

    fn check(&self, kind: Kind) -> Result<()> {
        let bad = |what: &str| Err(Error::invalid(what));
        self.access.check(kind)?;
        let deadline = self.bounds.deadline;
        if deadline < Duration::from_millis(1) || deadline > Duration::from_secs(60) {
            return bad("the `deadline` of the object tier is 1 ms to 60 s");
        }
        if self.bounds.window.is_zero() {
            return bad("the `breaker_window` of the object tier is more than 0");
        }
        if !(1..=1024).contains(&self.bounds.requests) {
            return bad("the `requests` of the object tier are 1 to 1024");
        }
        if !(1..=LARGEST).contains(&self.max_weight) {
            return bad("the `max_weight` of the object tier is 1 byte to 1 GiB");
        }
        if kind != Kind::Directory && !self.create_dir {
            return bad("`create_dir` of the object tier is for file://");
        }
        Ok(())
    }
}

impl fmt::Debug for ObjectBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectBuilder")
            .field("place", &self.place.as_ref().map(Place::shown))
            .field("access", &self.access)
            .field("bounds", &self.bounds)
            .field("max_weight", &self.max_weight)
            .finish_non_exhaustive()
    }
}
