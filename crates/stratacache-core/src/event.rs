//! What a cache reports as it happens.

use crate::{TenantId, clock::Millis};

/// Something that happened, with neither keys nor values in it.
///
/// Subscribe with `cache.events()`: a bounded, lossy stream. Hits, misses and loads are counters and spans, not events.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// When, in coordinator time.
    pub at: Millis,
    /// Whose, if it belongs to a tenant.
    pub tenant: Option<TenantId>,
    /// What.
    pub kind: EventKind,
}

impl Event {
    /// Makes an event.
    #[must_use]
    pub const fn new(at: Millis, tenant: Option<TenantId>, kind: EventKind) -> Self {
        Self { at, tenant, kind }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// Something was invalidated, expired or cleared: how many scopes, at which position of the tenant's lane.
    Invalidated {
        /// How many keys, tags and namespaces.
        scopes: usize,
        /// The position.
        seq: u64,
    },
    /// An invalidation waits until the shared tier and its coordinator can be reached again.
    InvalidationQueued {
        /// How many keys, tags and namespaces.
        scopes: usize,
        /// How many invalidations of the cache wait now, this one included.
        waiting: usize,
    },
    /// An invalidation that had waited was ordered; [`Invalidated`](Self::Invalidated) says where.
    InvalidationApplied {
        /// How many keys, tags and namespaces.
        scopes: usize,
        /// How long it had waited.
        after: std::time::Duration,
    },
    /// The cache was closed before these invalidations could be ordered.
    InvalidationsLost {
        /// How many.
        count: usize,
    },
    /// Writes behind were given up before they came to a tier; the values are read from their source again. While the queue
    /// is full this is said once, and the rest is counted.
    WritesLost {
        /// The tier.
        tier: String,
        /// How many.
        count: usize,
        /// Why.
        reason: &'static str,
    },
    /// An operation on a tier failed.
    TierFailed {
        /// The tier.
        tier: String,
        /// The operation.
        operation: &'static str,
        /// The failure.
        message: String,
    },
    /// A tier failed so often that it is left alone for a while.
    BreakerOpened {
        /// The tier.
        tier: String,
    },
    /// A tier answers again.
    BreakerClosed {
        /// The tier.
        tier: String,
    },
    /// Loads of a declared loader failed so often that it is left alone for a while.
    LoaderDown {
        /// The loader's name.
        loader: String,
    },
    /// A load of a loader that was left alone has succeeded.
    LoaderUp {
        /// The loader's name.
        loader: String,
    },
    /// A tier missed an invalidation and is not read until it has caught up.
    Quarantined {
        /// The tier.
        tier: String,
    },
    /// A tier has caught up and is read again.
    Restored {
        /// The tier.
        tier: String,
    },
    /// The node cannot learn of other nodes' invalidations; reads do what `on_disconnect` says.
    Disconnected,
    /// The node learns of other nodes' invalidations again.
    Reconnected,
    /// The node may have missed invalidations of a lane, and took over the marks anew; what memory held of it is gone.
    Resynced {
        /// The index of the lane, 0 to 16.
        lane: usize,
    },
    /// The probe found that another node still serves what this one has invalidated: the promise of coherence is broken.
    CoherenceViolation {
        /// What stands for the key, tag, namespace or tenant in logs: a keyed hash.
        scope: u64,
        /// The other node, as the coordinator tells nodes apart.
        peer: u64,
        /// The position of the invalidation.
        seq: u64,
        /// The stamp of the entry that would be served.
        stamp: u64,
    },
    /// A followed source said what nobody can apply; it keeps it for an operator.
    ChangesSetAside {
        /// The source.
        source: String,
        /// How many changes.
        count: usize,
        /// Why the first.
        reason: String,
    },
    /// A followed source has lost changes; everything of all tenants is invalidated, on every node that shares the order.
    ChangesLost {
        /// The source.
        source: String,
        /// How they were lost.
        reason: &'static str,
    },
    /// A followed source cannot be reached or refuses: what changes meanwhile is invalidated when it answers again.
    SourceFailed {
        /// The source.
        source: String,
        /// The failure.
        message: String,
    },
    /// A followed source answers again.
    SourceRestored {
        /// The source.
        source: String,
    },
    /// A load failed, timed out or panicked.
    LoadFailed {
        /// The failure, without the loader's own words.
        reason: &'static str,
    },
    /// A refresh behind a reader failed; the next attempt waits.
    RefreshFailed {
        /// How many failed in a row.
        failures: u32,
        /// How long the next attempt waits.
        retry_in: std::time::Duration,
    },
    /// An entry of another key, namespace or tenant was found under a name; it was not served.
    ForeignEnvelope {
        /// The tier.
        tier: String,
    },
    /// A damaged entry was found; it was not served.
    CorruptEnvelope {
        /// The tier.
        tier: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An entry of another release was found: of a version, codec or compression that this node does not have. It was not
    /// served.
    UnknownEnvelope {
        /// The tier.
        tier: String,
        /// What is unknown about it.
        reason: &'static str,
    },
    /// The keys of a tenant could not be had: its tiers below memory are neither read nor written meanwhile.
    KeysUnavailable {
        /// The failure.
        message: String,
    },
    /// A value in a cache has another type, shape or codec than the one asked for; it counts as a miss.
    TypeChanged {
        /// The tier.
        tier: String,
    },
    /// A value was returned but not stored.
    NotStored {
        /// Why.
        reason: &'static str,
    },
    /// The hottest keys were written to their file, when the cache closed.
    HotKeysSaved {
        /// How many.
        keys: usize,
    },
    /// The hottest keys could not be written when the cache closed; the file of the last time is left as it was.
    HotKeysNotSaved {
        /// The failure.
        message: String,
    },
    /// A file of hot keys, or what it has of a tenant, is of no use.
    HotKeysIgnored {
        /// Why.
        reason: &'static str,
    },
    /// A policy of an unregistered keyspace was above a ceiling and was cut down to it.
    PolicyClamped {
        /// The keyspace.
        keyspace: &'static str,
    },
}

/// Takes the events of a cache as they happen, for `CacheBuilder::event_sink`.
///
/// It is called on a task of its own, one event after the other, never within an operation of the cache: it may ask the cache
/// whatever it likes; one that holds the cache keeps it alive until it is closed. It should not block, for that holds up a thread
/// of the runtime, nor take longer than events come: up to 1,024 wait, and of more the oldest are lost. When it panics, that event
/// is lost to it, counted and logged, and the next comes.
///
/// Any `Fn(&Event)` is one:
///
/// ```
/// use stratacache_core::event::{Event, EventKind, EventSink};
///
/// let sink = |event: &Event| {
///     if let EventKind::BreakerOpened { tier } = &event.kind {
///         println!("{tier} is left alone");
///     }
/// };
/// fn takes(_: impl EventSink) {}
/// takes(sink);
/// ```
pub trait EventSink: Send + Sync + 'static {
    /// Takes one event.
    fn event(&self, event: &Event);

    /// Is told that so many events were lost, since they came faster than they were taken. By default it is content that they are
    /// counted (`strata_events_lost_total`).
    fn lost(&self, count: u64) {
        let _ = count;
    }
}

impl<F: Fn(&Event) + Send + Sync + 'static> EventSink for F {
    fn event(&self, event: &Event) {
        self(event);
    }
}

impl EventSink for Box<dyn EventSink> {
    fn event(&self, event: &Event) {
        (**self).event(event);
    }
    fn lost(&self, count: u64) {
        (**self).lost(count);
    }
}
