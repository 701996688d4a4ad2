//! The form in which memory holds an entry: with its value, or packed; and what a reader gets of a packed one.

use std::{any::Any, sync::Arc};

use stratacache_core::{KeyspaceInfo, MemoryForm, Policy, event::EventKind};

use super::{Door, Engine, Quick, packing::Packing};
use crate::{
    codec::CacheValue,
    memory::{Body, Entry, Packed, SlotRef, packed_weight},
    observe::Counter,
};

/// What memory was found to hold, as an entry of `V`.
pub(super) enum Opened<V> {
    Entry(Arc<Entry<V>>),
    /// A value of another type, or bytes that are none. It is counted and reported.
    Nothing(SlotRef),
}

impl Engine {
    /// Weighs an entry and gives it the form its keyspace says. `body` is that of the envelope it comes from, if any.
    ///
    /// What is returned has the value, whatever the form is: it is for those who wait for it.
    pub(super) fn finished<V: CacheValue>(
        &self,
        mut entry: Entry<V>,
        keyspace: Option<&'static KeyspaceInfo<V>>,
        policy: &Policy,
        body: Option<Body>,
    ) -> Arc<Entry<V>> {
        let encoded = keyspace.filter(|k| k.memory_form() == MemoryForm::Encoded && entry.value().is_some());
        if let Some(keyspace) = encoded {
            let body = match body {
                Some(body) => Ok(Some(body)),
                None => self.packing_of(&entry, Some(keyspace), policy).map(|packing| packing.map(Packing::into_body)),
            };
            match body {
                Ok(Some(body)) => {
                    let weight = packed_weight::<V>(&entry.head.key, body.bytes.len(), &entry.meta.scopes);
                    return Packed::of(entry, body, weight, keyspace);
                }
                Ok(None) => {}
                // what cannot be encoded stays as it is
                Err(error) => tracing::debug!(
                    keyspace = keyspace.name(),
                    reason = error.reason(),
                    "a value cannot be encoded and is held decoded"
                ),
            }
        }
        self.weigh(&mut entry, keyspace.and_then(KeyspaceInfo::weigher));
        Arc::new(entry)
    }

    /// Makes of a slot of memory what readers get.
    pub(super) fn open<V: CacheValue>(&self, ns: &Door, slot: SlotRef) -> Opened<V> {
        match Entry::<V>::from_slot(slot) {
            Ok(entry) => Opened::Entry(entry),
            Err(slot) => self.open_packed(ns, slot),
        }
    }

    #[cold]
    fn open_packed<V: CacheValue>(&self, ns: &Door, slot: SlotRef) -> Opened<V> {
        match Packed::<V>::from_slot(slot) {
            Ok(packed) => self.decoded(ns, packed),
            Err(slot) => {
                self.is_no_value(ns);
                Opened::Nothing(slot)
            }
        }
    }

    fn decoded<V: CacheValue>(&self, ns: &Door, packed: Arc<Packed<V>>) -> Opened<V> {
        let Body { bytes, raw_len, codec, compression } = &packed.body;
        match self.unpack(bytes, (*codec, *compression, *raw_len), Some(packed.keyspace)) {
            Ok(value) => Opened::Entry(packed.view(value)),
            Err(error) => {
                tracing::debug!(tier = "memory", reason = error.reason(), "unreadable value");
                self.is_no_value(ns);
                Opened::Nothing(packed)
            }
        }
    }

    fn is_no_value(&self, ns: &Door) {
        ns.space.plain().count(Counter::type_changes);
        self.report(Some(&ns.tenant), EventKind::TypeChanged { tier: "memory".into() });
    }

    /// The quick look at what is no `Entry<V>`.
    #[cold]
    #[inline(never)]
    pub(super) fn quick_packed<V: CacheValue>(
        &self,
        ns: &Door,
        key: &[u8],
        found: Arc<dyn Any + Send + Sync>,
    ) -> Quick<V> {
        let Ok(packed) = found.downcast::<Packed<V>>() else { return Quick::OtherType };
        let now = self.timeline.coarse();
        if !self.is_simple(ns, &packed.head, now) {
            return Quick::Look(packed);
        }
        match self.decoded(ns, packed) {
            Opened::Entry(entry) => Quick::Hit(entry, now),
            Opened::Nothing(slot) => {
                self.remove_exactly(ns, key, &slot);
                Quick::Miss
            }
        }
    }
}
