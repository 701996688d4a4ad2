//! An entry in memory: metadata and value in one allocation.

use std::{
    any::{Any, TypeId},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU32, Ordering::Relaxed},
    },
};

use once_cell::race::OnceBox;
use stratacache_core::{Scope, Stamp, clock::Millis};

use super::{MapKey, weight::block};
use crate::sync::{AtomicBool, AtomicU64};

/// What an entry depends on besides its key. Shared by the entries of a namespace that have the same tags.
#[derive(Debug, Default)]
pub(crate) struct EntryScopes {
    /// The tenant and the levels of the namespace.
    path: Arc<[Scope]>,
    tags: Box<[Scope]>,
    global_tags: Box<[Scope]>,
    /// An entry was charged with the bytes.
    charged: AtomicBool,
}

impl EntryScopes {
    pub(crate) fn new(path: Arc<[Scope]>, tags: Box<[Scope]>, global_tags: Box<[Scope]>) -> Self {
        Self { path, tags, global_tags, charged: AtomicBool::new(false) }
    }

    pub(crate) fn path(&self) -> &Arc<[Scope]> {
        &self.path
    }

    pub(crate) fn tags(&self) -> &[Scope] {
        &self.tags
    }

    pub(crate) fn global_tags(&self) -> &[Scope] {
        &self.global_tags
    }

    /// Returns the bytes to charge an entry with: the first that holds these scopes pays, those that share them do not.
    pub(super) fn charge(&self) -> usize {
        match self.tags.len() + self.global_tags.len() {
            0 => 0,
            _ if self.charged.swap(true, Relaxed) => 0,
            n => block(size_of::<Self>() + 2 * size_of::<usize>()) + block(n * size_of::<Scope>()),
        }
    }
}

/// When an entry is what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Times {
    pub(crate) created: Millis,
    pub(crate) fresh_until: Millis,
    /// Stale windows in milliseconds after `fresh_until`.
    pub(crate) revalidate_ms: u32,
    pub(crate) error_ms: u32,
    /// The memory tier lets go of it here at the latest (`tier_ttl`); no limit is `Millis::MAX`.
    pub(crate) memory_until: Millis,
}

impl Times {
    /// Returns until when the entry is of any use to the memory tier.
    pub(crate) fn useful_until(&self) -> Millis {
        let window = u64::from(self.revalidate_ms.max(self.error_ms));
        self.fresh_until.saturating_add(window).min(self.memory_until)
    }
}

/// What few entries need.
#[derive(Debug)]
pub(crate) struct Cold {
    /// The memory tier lets go of the entry here at the latest.
    pub(crate) memory_until: Millis,
    pub(crate) etag: Option<Box<str>>,
    pub(crate) idle_ms: u32,
    pub(crate) last_read: AtomicU64,
    /// When an idle entry was last written below again.
    pub(crate) touched: AtomicU64,
    /// From here on a read starts a refresh; 0 for never.
    pub(crate) refresh_at: Millis,
    /// No refresh is started before this.
    pub(crate) retry_at: AtomicU64,
    pub(crate) failures: AtomicU32,
    /// XFetch: `delta * beta` in milliseconds.
    pub(crate) early_ms: f32,
    /// Of a view: the entry in memory, whose state this is.
    pub(crate) of: Option<SlotRef>,
}

impl Default for Cold {
    fn default() -> Self {
        Self {
            memory_until: Millis::MAX,
            etag: None,
            idle_ms: 0,
            last_read: AtomicU64::new(0),
            touched: AtomicU64::new(0),
            refresh_at: 0,
            retry_at: AtomicU64::new(0),
            failures: AtomicU32::new(0),
            early_ms: 0.0,
            of: None,
        }
    }
}

impl Cold {
    /// Returns from when on a read has to look closer at an entry that else needs it at `plain`.
    fn attention_at(&self, plain: Millis) -> Millis {
        if self.idle_ms > 0 {
            return 0; // every read is noted
        }
        // an early refresh further than 20 expected load times ahead has a probability below 1 in 10^8
        let early = plain.saturating_sub((self.early_ms * 20.0) as u64);
        if self.refresh_at > 0 { early.min(self.refresh_at) } else { early }
    }
}

/// What every hit looks at; the value follows it, so that few lines of memory are touched.
#[repr(C)]
pub(crate) struct Head {
    /// The counts of changes (of the tenant, of the global tags) after which the entry was found valid; 0 until it was judged.
    pub(crate) seen_lane: AtomicU64,
    pub(crate) seen_global: AtomicU64,
    /// Before this a valid entry is simply a hit; from here on somebody has to look closer.
    pub(crate) attention_at: AtomicU64,
    fresh_until: AtomicU64,
    pub(crate) mep: u32,
    /// Judged after it entered the map; from then on a key invalidation finds and removes it.
    pub(crate) settled: AtomicBool,
    /// Reads since it entered its queue or was passed over, up to three.
    pub(super) visits: AtomicU8,
    pub(crate) key: MapKey,
}

/// What a plain hit does not look at.
pub(crate) struct Meta {
    pub(super) ticket: AtomicU32,
    pub(super) queue: AtomicU8,
    /// A loader of this node brought it: neither inserted nor found below.
    pub(crate) loaded_here: bool,
    /// The tiers below that its value is not written to, a bit for each.
    pub(crate) kept_out: u8,
    pub(crate) weight: u32,
    pub(crate) load_ms: u32,
    revalidate_ms: u32,
    error_ms: u32,
    pub(crate) lane_seq: u64,
    pub(crate) global_seq: u64,
    pub(crate) own: u64,
    pub(crate) created: Millis,
    pub(crate) scopes: Arc<EntryScopes>,
    cold: OnceBox<Cold>,
}

impl Head {
    #[inline]
    pub(crate) fn fresh_until(&self) -> Millis {
        self.fresh_until.load(Relaxed)
    }

    /// Ends the fresh time at `at`, if it had not ended before.
    pub(crate) fn expire_at(&self, at: Millis) {
        self.fresh_until.fetch_min(at, Relaxed);
        self.attention_at.fetch_min(at, Relaxed);
    }
}

impl Meta {
    /// Returns the position that tells older from newer among the entries of a key.
    pub(crate) fn place(&self) -> u64 {
        self.lane_seq.max(self.own)
    }

    /// Returns when the load began that brought it, if it was one of this node.
    pub(crate) fn load_began(&self) -> Option<Millis> {
        // a load time that does not fit its field is not known
        (self.loaded_here && self.load_ms < u32::MAX).then(|| self.created - u64::from(self.load_ms))
    }

    pub(crate) fn cold(&self) -> Option<&Cold> {
        let own = self.cold.get()?;
        own.of.as_ref().map_or(Some(own), |slot| slot.meta().cold())
    }

    pub(crate) fn cold_or_default(&self) -> &Cold {
        let own = self.cold.get_or_init(Box::default);
        own.of.as_ref().map_or(own, |slot| slot.meta().cold_or_default())
    }

    /// Returns the entry in memory that this is the metadata of a view of.
    fn viewed(&self) -> Option<&SlotRef> {
        self.cold.get()?.of.as_ref()
    }

    pub(crate) fn etag(&self) -> Option<&str> {
        self.cold()?.etag.as_deref()
    }
}

/// A value as an entry holds it.
pub(crate) enum Held<V> {
    /// The source has no such thing.
    Absent,
    Own(V),
    /// Inserted by a caller who kept a handle.
    Shared(Arc<V>),
    /// Confirmed as not modified: the value of an earlier entry.
    Of(Arc<Entry<V>>),
}

/// Value and metadata of an entry.
#[repr(C)]
pub(crate) struct Entry<V> {
    pub(crate) head: Head,
    held: Held<V>,
    pub(crate) meta: Meta,
}

impl<V> Entry<V> {
    /// Makes an entry without weight. `own` is the position of its own insert, 0 for a load.
    pub(crate) fn new(
        key: MapKey,
        stamp: &Stamp,
        own: u64,
        times: Times,
        scopes: Arc<EntryScopes>,
        cold: Option<Cold>,
        held: Held<V>,
    ) -> Self {
        let plain = times.fresh_until.min(times.memory_until);
        let attention_at = cold.as_ref().map_or(plain, |cold| cold.attention_at(plain));
        let mut cold = cold;
        if times.memory_until < Millis::MAX {
            cold.get_or_insert_default().memory_until = times.memory_until;
        }
        let head = Head {
            seen_lane: AtomicU64::new(0),
            seen_global: AtomicU64::new(0),
            attention_at: AtomicU64::new(attention_at),
            fresh_until: AtomicU64::new(times.fresh_until),
            mep: stamp.mep as u32,
            settled: AtomicBool::new(false),
            visits: AtomicU8::new(0),
            key,
        };
        let meta = Meta {
            ticket: AtomicU32::new(0),
            queue: AtomicU8::new(0),
            loaded_here: false,
            kept_out: 0,
            weight: 0,
            load_ms: 0,
            revalidate_ms: times.revalidate_ms,
            error_ms: times.error_ms,
            lane_seq: stamp.lane.seq,
            global_seq: stamp.global.seq,
            own,
            created: times.created,
            scopes,
            cold: cold.map_or_else(OnceBox::new, |c| OnceBox::with_value(Box::new(c))),
        };
        Self { head, held, meta }
    }

    /// Makes a view of an entry in memory: a handle of its own on the same state.
    pub(super) fn view(slot: SlotRef, held: Held<V>) -> Self {
        let (from, like) = (slot.head(), slot.meta());
        let head = Head {
            seen_lane: AtomicU64::new(from.seen_lane.load(Relaxed)),
            seen_global: AtomicU64::new(from.seen_global.load(Relaxed)),
            attention_at: AtomicU64::new(from.attention_at.load(Relaxed)),
            fresh_until: AtomicU64::new(from.fresh_until()),
            mep: from.mep,
            settled: AtomicBool::new(from.settled.load(Relaxed)),
            visits: AtomicU8::new(0),
            key: from.key.clone(),
        };
        let meta = Meta {
            ticket: AtomicU32::new(0),
            queue: AtomicU8::new(0),
            scopes: Arc::clone(&like.scopes),
            cold: OnceBox::new(),
            ..*like
        };
        let cold = Cold { of: Some(slot), ..Cold::default() };
        let meta = Meta { cold: OnceBox::with_value(Box::new(cold)), ..meta };
        Self { head, held, meta }
    }

    pub(super) fn into_parts(self) -> (Head, Held<V>, Meta) {
        (self.head, self.held, self.meta)
    }

    /// Returns what memory holds of a view.
    pub(crate) fn viewed(&self) -> Option<&SlotRef> {
        self.meta.viewed()
    }

    #[inline]
    pub(crate) fn value(&self) -> Option<&V> {
        // the usual case first, without a jump table
        if let Held::Own(value) = &self.held {
            return Some(value);
        }
        match &self.held {
            Held::Absent | Held::Own(_) => None,
            Held::Shared(value) => Some(value),
            Held::Of(entry) => entry.value(),
        }
    }

    /// Returns the entry that really holds the value, so that confirmations do not pile up.
    pub(crate) fn origin(self: &Arc<Self>) -> Arc<Self> {
        match &self.held {
            Held::Of(entry) => Arc::clone(entry),
            _ => Arc::clone(self),
        }
    }
}

/// An entry whose value type is not known.
pub(crate) trait Slot: Any + Send + Sync {
    fn head(&self) -> &Head;
    fn meta(&self) -> &Meta;
    fn is_absent(&self) -> bool;

    fn times(&self) -> Times {
        let meta = self.meta();
        Times {
            created: meta.created,
            fresh_until: self.head().fresh_until(),
            revalidate_ms: meta.revalidate_ms,
            error_ms: meta.error_ms,
            memory_until: meta.cold().map_or(Millis::MAX, |c| c.memory_until),
        }
    }

    /// Returns until when the entry is of any use to memory.
    fn useless_at(&self) -> Millis {
        let useful = self.times().useful_until();
        match self.meta().cold() {
            Some(cold) if cold.idle_ms > 0 => useful.min(cold.last_read.load(Relaxed) + u64::from(cold.idle_ms)),
            _ => useful,
        }
    }
}

pub(crate) type SlotRef = Arc<dyn Slot>;

impl<V: Send + Sync + 'static> Slot for Entry<V> {
    fn head(&self) -> &Head {
        &self.head
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn is_absent(&self) -> bool {
        self.value().is_none()
    }
}

impl<V: Send + Sync + 'static> Entry<V> {
    /// Returns the entry as one of `V`, or gives it back as what it was.
    #[inline]
    pub(crate) fn of_slot(slot: SlotRef) -> Result<Arc<Self>, Arc<dyn Any + Send + Sync>> {
        let any: Arc<dyn Any + Send + Sync> = slot;
        any.downcast()
    }

    /// Returns what memory is to hold of an entry.
    pub(crate) fn slot(self: &Arc<Self>) -> SlotRef {
        self.viewed().map_or_else(|| Arc::clone(self) as SlotRef, Arc::clone)
    }

    /// Tells whether two are one entry, or views of one.
    pub(crate) fn same(a: &Arc<Self>, b: &Arc<Self>) -> bool {
        match (a.viewed(), b.viewed()) {
            (None, None) => Arc::ptr_eq(a, b),
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// Returns the entry as one of `V`, or gives it back when it holds another type.
    #[inline]
    pub(crate) fn from_slot(slot: SlotRef) -> Result<Arc<Self>, SlotRef> {
        if (*slot).type_id() != TypeId::of::<Self>() {
            return Err(slot);
        }
        let any: Arc<dyn Any + Send + Sync> = slot;
        match any.downcast() {
            Ok(entry) => Ok(entry),
            Err(_) => unreachable!("the type was compared above"),
        }
    }
}

impl fmt::Debug for dyn Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("times", &self.times())
            .field("place", &self.meta().place())
            .finish_non_exhaustive()
    }
}
