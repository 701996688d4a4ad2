//! The reference tier.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use bytes::Bytes;
use stratacache_core::{
    EntryName,
    clock::Millis,
    tier::{
        Capability, GetMany, Got, PutItem, PutMany, PutOutcome, RemoveMany, Tier, TierError, TierErrorKind, TierParts,
        Want,
    },
};

use super::{MemoryJournal, store::Store};

/// A correct tier in memory, with counters and raw access, for tests of what stands above tiers.
///
/// A clone is another handle on the same data, open even where the first was closed: a test restarts a cache by giving
/// each cache a clone. Entries stay until they are removed, whatever their expiry.
///
/// ```
/// use stratacache_core::{EntryName, tier::{GetMany, PutItem, PutMany, Tier}};
/// use stratacache_testkit::tiers::MemoryTier;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let disk = MemoryTier::new("disk").persistent(true);
/// let name = EntryName::from_bytes([1; 16]);
/// disk.put_many(PutMany::new(vec![PutItem::new(name, "bytes".into(), 1_000, None)])).await?;
/// disk.close().await?;
///
/// let reopened = disk.clone();
/// let got = reopened.get_many(GetMany::new(vec![name])).await?;
/// assert_eq!(got[0].envelope.as_deref(), Some(&b"bytes"[..]));
/// assert_eq!((reopened.writes(), reopened.reads()), (1, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MemoryTier {
    name: String,
    capability: Capability,
    store: Arc<Store>,
    closed: AtomicBool,
}

impl Clone for MemoryTier {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            capability: self.capability,
            store: self.store.clone(),
            closed: AtomicBool::new(false),
        }
    }
}

impl MemoryTier {
    /// Makes an empty tier that keeps the fence contract; private, not persistent, without a limit of weight, with a
    /// deadline of 250 ms. Caches know it by its name, which each tier of a cache has to itself.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            capability: Capability::new().fenced(true),
            store: Arc::new(Store::new()),
            closed: AtomicBool::new(false),
        }
    }

    /// Makes an empty tier that gives no fences and ignores those it is shown, and says so.
    pub fn unfenced(name: impl Into<String>) -> Self {
        Self { capability: Capability::new(), ..Self::new(name) }
    }

    /// Sets whether it says that it keeps entries when the process ends; false unless set.
    #[must_use]
    pub fn persistent(mut self, persistent: bool) -> Self {
        self.capability = self.capability.persistent(persistent);
        self
    }

    /// Sets whether it says that other nodes use it too; false unless set. They do where their caches have clones.
    #[must_use]
    pub fn shared(mut self, shared: bool) -> Self {
        self.capability = self.capability.shared(shared);
        self
    }

    /// Sets the largest envelope in bytes; larger ones are answered as too large. No limit unless set.
    #[must_use]
    pub fn max_weight(mut self, bytes: u64) -> Self {
        self.capability = self.capability.max_weight(bytes);
        self
    }

    /// Sets the deadline it asks caches to give its operations; 250 ms unless set. It is always in time itself.
    #[must_use]
    pub fn deadline(mut self, deadline: std::time::Duration) -> Self {
        self.capability = self.capability.deadline(deadline);
        self
    }

    /// Returns the journal over the same data. That of an unfenced tier keeps marks of keys too.
    #[must_use]
    pub fn journal(&self) -> MemoryJournal {
        MemoryJournal::new(self.store.clone(), !self.capability.fenced)
    }

    /// Returns a new handle together with its journal, as `Cache::builder().tier(..)` takes them: a cache that has them
    /// remembers its invalidations when it is built anew over another handle.
    #[must_use]
    pub fn with_journal(&self) -> TierParts {
        TierParts::new(self.clone()).with_journal(Arc::new(self.journal()))
    }

    /// Returns how many names were read for their envelopes, by all handles.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.store.reads.load(Ordering::SeqCst)
    }

    /// Returns how many names were read for their fences only, by all handles, as with every count here.
    #[must_use]
    pub fn fence_reads(&self) -> u64 {
        self.store.fence_reads.load(Ordering::SeqCst)
    }

    /// Returns how many envelopes were accepted.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.store.writes.load(Ordering::SeqCst)
    }

    /// Returns how many envelopes were refused because of their fence.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.store.refused.load(Ordering::SeqCst)
    }

    /// Returns how many names were removed, absent ones included.
    #[must_use]
    pub fn removes(&self) -> u64 {
        self.store.removes.load(Ordering::SeqCst)
    }

    /// Returns how many batches of any kind were asked, each one call of `get_many`, `put_many` or `remove_many`.
    #[must_use]
    pub fn batches(&self) -> u64 {
        self.store.batches.load(Ordering::SeqCst)
    }

    /// Returns what is stored under a name, without counting.
    #[must_use]
    pub fn raw(&self, name: EntryName) -> Option<Bytes> {
        self.store.lock().entries.get(&name).map(|slot| slot.envelope.clone())
    }

    /// Returns the expiry that was given with the entry, in coordinator time; `None` when the entry is absent.
    #[must_use]
    pub fn expires_at(&self, name: EntryName) -> Option<Millis> {
        self.store.lock().entries.get(&name).map(|slot| slot.expires_at)
    }

    /// Stores any bytes under a name, without a fence and without counting: damage, say, or an older envelope. An expiry
    /// that is there stays; a new entry never expires.
    pub fn put_raw(&self, name: EntryName, bytes: impl Into<Bytes>) {
        let mut data = self.store.lock();
        let expires_at = data.entries.get(&name).map_or(Millis::MAX, |slot| slot.expires_at);
        data.put(PutItem::new(name, bytes.into(), expires_at, None));
    }

    /// Copies an entry to another name, as somebody would who wants it to be served there; false when it is absent.
    pub fn copy(&self, from: EntryName, to: EntryName) -> bool {
        let mut data = self.store.lock();
        let Some(slot) = data.entries.get(&from).cloned() else { return false };
        data.entries.insert(to, slot);
        true
    }

    /// Returns the names of all entries, in order.
    #[must_use]
    pub fn names(&self) -> Vec<EntryName> {
        self.store.lock().entries.keys().copied().collect()
    }

    /// Forgets everything, marks included, as a store that is opened anew and empty.
    pub fn wipe(&self) {
        self.store.lock().wipe();
    }

    /// Holds back every write from now on: it is answered as stored and takes effect with
    /// [`release_writes`](Self::release_writes), whatever was removed in between.
    ///
    /// # Panics
    /// When the tier is fenced: it would break its own contract.
    pub fn hold_writes(&self) {
        assert!(!self.capability.fenced, "hold_writes is for MemoryTier::unfenced: a fenced tier never writes late");
        self.store.lock().held.get_or_insert_default();
    }

    /// Lets the writes that were held back take effect, and later ones at once; returns how many there were.
    pub fn release_writes(&self) -> usize {
        let mut data = self.store.lock();
        let held = data.held.take().unwrap_or_default();
        let count = held.len();
        held.into_iter().for_each(|item| data.put(item));
        count
    }

    fn check_open(&self) -> Result<(), TierError> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(TierError::new(TierErrorKind::Closed, "this handle of the memory tier was closed"));
        }
        Ok(())
    }

    fn begin(&self, counter: &AtomicU64, names: usize) -> Result<(), TierError> {
        self.check_open()?;
        self.store.batches.fetch_add(1, Ordering::SeqCst);
        counter.fetch_add(names as u64, Ordering::SeqCst);
        Ok(())
    }
}

impl Tier for MemoryTier {
    fn name(&self) -> &str {
        &self.name
    }

    fn capability(&self) -> Capability {
        self.capability
    }

    async fn get_many(&self, request: GetMany) -> Result<Vec<Got>, TierError> {
        let envelopes = request.want == Want::Envelope;
        let counter = if envelopes { &self.store.reads } else { &self.store.fence_reads };
        self.begin(counter, request.names.len())?;
        let data = self.store.lock();
        let got = |name: &EntryName| {
            let envelope = data.entries.get(name).filter(|_| envelopes).map(|slot| slot.envelope.clone());
            Got::new(envelope, self.capability.fenced.then(|| data.fence(*name)))
        };
        Ok(request.names.iter().map(got).collect())
    }

    async fn put_many(&self, request: PutMany) -> Result<Vec<PutOutcome>, TierError> {
        self.begin(&self.store.writes, 0)?;
        let mut data = self.store.lock();
        let mut put = |item: PutItem| {
            if item.envelope.len() as u64 > self.capability.max_weight {
                return PutOutcome::TooLarge;
            }
            if self.capability.fenced && item.fence.is_some_and(|fence| !data.admits(item.name, fence)) {
                self.store.refused.fetch_add(1, Ordering::SeqCst);
                return PutOutcome::Fenced;
            }
            self.store.writes.fetch_add(1, Ordering::SeqCst);
            match &mut data.held {
                Some(held) => held.push(item),
                None => data.put(item),
            }
            PutOutcome::Stored
        };
        Ok(request.items.into_iter().map(&mut put).collect())
    }

    async fn remove_many(&self, request: RemoveMany) -> Result<Vec<Result<(), TierError>>, TierError> {
        self.begin(&self.store.removes, request.names.len())?;
        let mut data = self.store.lock();
        request.names.iter().for_each(|name| data.remove(*name));
        Ok(vec![Ok(()); request.names.len()])
    }

    async fn ping(&self) -> Result<(), TierError> {
        self.check_open()
    }

    fn used_bytes(&self) -> Option<u64> {
        Some(self.store.lock().entries.values().map(|slot| slot.envelope.len() as u64).sum())
    }

    async fn close(&self) -> Result<(), TierError> {
        self.closed.store(true, Ordering::SeqCst);
        Ok(())
    }
}
