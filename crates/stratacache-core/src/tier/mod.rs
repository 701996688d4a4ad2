//! The contract of a storage level below memory.

mod any;
mod parts;
mod request;
mod scan;
mod sweep;

use std::{error::Error as StdError, fmt, future::Future, sync::Arc, time::Duration};

pub use any::AnyTier;
pub use parts::TierParts;
pub use request::{Fence, GetMany, Got, PutItem, PutMany, PutOutcome, RemoveMany, Want};
pub use scan::{Look, ScanPage, ScanRequest, ScannedEntry, TierScan};
pub use sweep::SweepError;

pub use crate::EntryName;
use crate::{Error, ErrorKind};

/// A storage level below memory.
///
/// A tier stores envelopes under [`EntryName`]s and knows nothing of tenants, keys or freshness: the
/// engine judges what it returns. Its whole duty towards coherence is the fence:
///
/// * a fence handed out by `get_many` for a name is void once a later `remove_many` of that name has begun to take
///   effect, whoever called it;
/// * `put_many` of an item with a void fence stores nothing and says [`PutOutcome::Fenced`];
/// * when `remove_many` has returned `Ok` for a name, no `get_many` that starts later returns what was there before.
///
/// Where fences are leases ([`Capability::leased`]), a read for the envelope brings none: the coordinator that comes with
/// the tier grants them ([`Lease::token`](crate::coordinator::Lease)), and a read for fences only takes the lease of each
/// name, which voids whoever held it. Such a fence ends after its life, and is good for one put.
///
/// A tier that cannot do this says so with [`Capability::fenced`] `= false`, and the engine makes up for it with key
/// marks, at the price of more misses.
///
/// The engine ends operations that take longer than [`Capability::deadline`], and leaves a tier alone for 5 s that does not
/// answer. A tier that knows better what its failures mean, since it shares a connection with its coordinator, says
/// [`Capability::self_guarded`] and is left to itself. Its operations then end by themselves, after about that deadline; when
/// one hung, others fail at once with [`TierErrorKind::Unavailable`] until a probe succeeds; and it tells of that by
/// [`TierParts::turns`].
///
/// Every operation is a batch, and there are no default methods. Every future may be dropped at any point: what it had begun may take
/// effect or not, also later; and where it was waiting for a reply, that reply must not meet a later request. Names are hashes, 16
/// bytes each, fit for any store. The conformance suite is in `stratacache-testkit`; the example `memcached` is a tier written
/// with what `stratacache` exports and nothing else. One that brings a journal, a coordinator or a breaker needs `stratacache-core`.
pub trait Tier: Send + Sync + 'static {
    /// Returns the name, unique in a cache: `disk`, `redis`, ...
    fn name(&self) -> &str;

    /// Returns what the tier can do.
    fn capability(&self) -> Capability;

    /// Reads entries; the reply has one [`Got`] for each name, in order.
    ///
    /// # Errors
    /// [`TierError`] when nothing could be read. What could not be read among others is absent, as is a damaged entry.
    fn get_many(&self, request: GetMany) -> impl Future<Output = Result<Vec<Got>, TierError>> + Send;

    /// Writes entries; the reply has one outcome for each item, in order.
    ///
    /// # Errors
    /// [`TierError`] when it is not known of any item whether it was stored.
    fn put_many(&self, request: PutMany) -> impl Future<Output = Result<Vec<PutOutcome>, TierError>> + Send;

    /// Removes entries and voids their outstanding fences; absent names are no error. One result for each name.
    ///
    /// # Errors
    /// [`TierError`] when it is not known of any name whether it is gone.
    fn remove_many(
        &self,
        request: RemoveMany,
    ) -> impl Future<Output = Result<Vec<Result<(), TierError>>, TierError>> + Send;

    /// Checks that the tier works.
    ///
    /// # Errors
    /// [`TierError`] when it does not.
    fn ping(&self) -> impl Future<Output = Result<(), TierError>> + Send;

    /// Returns how many bytes the tier holds, where it knows.
    fn used_bytes(&self) -> Option<u64>;

    /// Writes out what is pending and lets go of every resource. Later operations fail with
    /// [`TierErrorKind::Closed`].
    ///
    /// # Errors
    /// [`TierError`] when pending writes could not be written.
    fn close(&self) -> impl Future<Output = Result<(), TierError>> + Send;
}

/// What a tier can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capability {
    /// Keeps the fence contract of [`Tier`].
    pub fenced: bool,
    /// The fences are leases, which the coordinator of the tier grants; see [`Tier`].
    pub leased: bool,
    /// Keeps entries when this process ends: on a disk, or in a server, whether or not that survives its own end.
    pub persistent: bool,
    /// Is used by other nodes too.
    pub shared: bool,
    /// Ends what hangs and refuses what is hopeless by itself: it has a deadline and a breaker of its own, and the engine
    /// puts none around it. See [`Tier`].
    pub self_guarded: bool,
    /// The largest envelope in bytes.
    pub max_weight: u64,
    /// The deadline of an operation unless the builder sets another; of a self-guarded tier its own.
    pub deadline: Duration,
}

impl Capability {
    /// Makes the capability of a private, volatile tier without fences, 250 ms of deadline and no limit of weight.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            fenced: false,
            leased: false,
            persistent: false,
            shared: false,
            self_guarded: false,
            max_weight: u64::MAX,
            deadline: Duration::from_millis(250),
        }
    }

    /// Sets [`fenced`](Self::fenced).
    #[must_use]
    pub const fn fenced(mut self, fenced: bool) -> Self {
        self.fenced = fenced;
        self
    }

    /// Sets [`leased`](Self::leased).
    #[must_use]
    pub const fn leased(mut self, leased: bool) -> Self {
        self.leased = leased;
        self
    }

    /// Sets [`persistent`](Self::persistent).
    #[must_use]
    pub const fn persistent(mut self, persistent: bool) -> Self {
        self.persistent = persistent;
        self
    }

    /// Sets [`shared`](Self::shared).
    #[must_use]
    pub const fn shared(mut self, shared: bool) -> Self {
        self.shared = shared;
        self
    }

    /// Sets [`self_guarded`](Self::self_guarded).
    #[must_use]
    pub const fn self_guarded(mut self, self_guarded: bool) -> Self {
        self.self_guarded = self_guarded;
        self
    }

    /// Sets [`max_weight`](Self::max_weight).
    #[must_use]
    pub const fn max_weight(mut self, bytes: u64) -> Self {
        self.max_weight = bytes;
        self
    }

    /// Sets [`deadline`](Self::deadline).
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}

impl Default for Capability {
    fn default() -> Self {
        Self::new()
    }
}

/// Classes of a tier's failure.
///
/// The breaker that the engine puts around a tier opens at once after a `Timeout`, and after others when half of the operations within
/// 5 s failed, and at least 5. To it `Full` and `Corrupt` are answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TierErrorKind {
    /// No answer within the deadline; a write may still take effect.
    Timeout,
    /// Cannot be reached, refused by the breaker, or out of order.
    Unavailable,
    /// No room, and nothing to evict for it.
    Full,
    /// The reply was lost: the operation may have taken effect.
    ReplyLost,
    /// Data that should be ours is damaged.
    Corrupt,
    /// Closed.
    Closed,
}

/// Reports the failure of a tier.
#[derive(Debug, Clone)]
pub struct TierError {
    kind: TierErrorKind,
    message: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl TierError {
    /// Makes an error; the message names neither keys nor values nor credentials.
    pub fn new(kind: TierErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Attaches the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Returns the class.
    #[must_use]
    pub const fn kind(&self) -> TierErrorKind {
        self.kind
    }
}

impl fmt::Display for TierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for TierError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|s| &**s as &(dyn StdError + 'static))
    }
}

impl From<TierError> for Error {
    fn from(error: TierError) -> Self {
        let kind = match error.kind {
            TierErrorKind::Timeout => ErrorKind::Timeout,
            TierErrorKind::Unavailable => ErrorKind::Unavailable,
            TierErrorKind::Full => ErrorKind::Full,
            TierErrorKind::ReplyLost => ErrorKind::WriteUnknown,
            TierErrorKind::Corrupt => ErrorKind::Corrupt,
            TierErrorKind::Closed => ErrorKind::Closed,
        };
        Self::new(kind, error.message.clone()).with_source(error)
    }
}
