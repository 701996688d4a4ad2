//! An entry that memory holds as bytes, and the views that its readers get.

use std::{any::Any, sync::Arc};

use stratacache_core::{Codec, KeyspaceInfo, envelope::Compression};

use super::{Entry, Head, Held, Meta, Slot, SlotRef};

/// The bytes of a value, encoded and perhaps compressed: the body of an envelope.
#[derive(Clone)]
pub(crate) struct Body {
    pub(crate) bytes: Box<[u8]>,
    pub(crate) raw_len: u32,
    pub(crate) codec: Codec,
    pub(crate) compression: Compression,
}

/// An entry with a body in place of its value. Whatever judges, sweeps or counts entries sees no difference.
#[repr(C)]
pub(crate) struct Packed<V: 'static> {
    pub(crate) head: Head,
    pub(crate) body: Body,
    pub(crate) keyspace: &'static KeyspaceInfo<V>,
    pub(crate) meta: Meta,
}

impl<V: Send + Sync + 'static> Packed<V> {
    /// Takes an entry apart: its head and metadata go to the packed one, which is for memory, and its value to a view of that.
    pub(crate) fn of(entry: Entry<V>, body: Body, weight: u64, keyspace: &'static KeyspaceInfo<V>) -> Arc<Entry<V>> {
        let (head, held, mut meta) = entry.into_parts();
        meta.weight = u32::try_from(weight).unwrap_or(u32::MAX);
        Arc::new(Entry::view(Arc::new(Self { head, body, keyspace, meta }), held))
    }

    /// Tells whether memory holds packed values of `V` there.
    pub(crate) fn is(slot: &SlotRef) -> bool {
        let any: &dyn Any = &**slot;
        any.is::<Self>()
    }

    /// Returns the packed entry of a slot, or gives it back when it is something else.
    pub(crate) fn from_slot(slot: SlotRef) -> Result<Arc<Self>, SlotRef> {
        if !Self::is(&slot) {
            return Err(slot);
        }
        let any: Arc<dyn Any + Send + Sync> = slot;
        match any.downcast() {
            Ok(packed) => Ok(packed),
            Err(_) => unreachable!("the type was compared above"),
        }
    }

    /// Returns the packed entry that a view is of.
    pub(crate) fn of_view(view: &Entry<V>) -> Option<&Self> {
        let any: &dyn Any = &**view.viewed()?;
        any.downcast_ref()
    }

    /// Makes a view of a packed entry with its decoded value.
    pub(crate) fn view(self: Arc<Self>, value: V) -> Arc<Entry<V>> {
        Arc::new(Entry::view(self, Held::Own(value)))
    }
}

impl<V: Send + Sync + 'static> Slot for Packed<V> {
    fn head(&self) -> &Head {
        &self.head
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn is_absent(&self) -> bool {
        false // there is nothing to pack
    }
}
