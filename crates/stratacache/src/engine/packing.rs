//! From a value to the body of its envelope, and back: codec and compression, timed and counted.
//!
//! Whoever encrypts bodies does it after [`Engine::pack`] and before [`Engine::unpack`], for the tiers below only: the head
//! that authenticates a body is made in `envelope_of` and read in `judge_envelope`. Memory keeps bodies as they are here.

use std::{borrow::Cow, time::Duration};

use stratacache_core::{
    Codec, CodecError, CodecErrorKind, KeyspaceInfo, Policy,
    envelope::{Compression, EnvelopeError},
    event::EventKind,
};

use super::{Door, Engine, TierHandle};
use crate::{
    codec::{self, CacheValue, Squeezed},
    memory::{Body, Entry, Packed},
    observe::{Counter, TierCounters},
};

/// A body on its way into envelopes.
pub(super) struct Packing<'a> {
    pub(super) codec: Codec,
    pub(super) compression: Compression,
    pub(super) raw_len: u32,
    pub(super) body: Cow<'a, [u8]>,
}

impl Packing<'_> {
    pub(super) fn into_body(self) -> Body {
        let Self { codec, compression, raw_len, body } = self;
        Body { bytes: body.into_owned().into(), raw_len, codec, compression }
    }
}

impl Engine {
    fn timed<T>(&self, work: impl FnOnce() -> T) -> (T, Duration) {
        let began = self.timeline.clock().now();
        let done = work();
        (done, self.timeline.clock().now().saturating_sub(began))
    }

    /// Encodes a value, and compresses it where the policy says so and it pays.
    pub(super) fn pack<V: CacheValue>(
        &self,
        value: &V,
        keyspace: Option<&KeyspaceInfo<V>>,
        policy: &Policy,
    ) -> Result<Packing<'static>, CodecError> {
        let (codec, raw) = codec::encode(value, keyspace.and_then(KeyspaceInfo::codec), policy.codec_id())?;
        let (before, tried) = (raw.len(), codec::tries(raw.len(), policy.compression()));
        let (squeezed, took) = match tried {
            true => self.timed(|| codec::squeeze(raw, policy.compression())),
            false => (codec::squeeze(raw, policy.compression()), Duration::ZERO),
        };
        let Squeezed { body, compression, raw_len } = squeezed?;
        if tried {
            let after = (compression != Compression::None).then_some(body.len());
            self.compression.compressed(before, after, took);
        }
        Ok(Packing { codec, compression, raw_len, body })
    }

    /// Decompresses and decodes a body.
    pub(super) fn unpack<V: CacheValue>(
        &self,
        body: &[u8],
        (codec, compression, raw_len): (Codec, Compression, u32),
        keyspace: Option<&KeyspaceInfo<V>>,
    ) -> Result<V, CodecError> {
        let own = keyspace.and_then(KeyspaceInfo::codec);
        if compression == Compression::None {
            return codec::decode(body, own, codec);
        }
        let (raw, took) = self.timed(|| codec::expand(body, compression, raw_len));
        let raw = raw?;
        self.compression.decompressed(raw.len(), took);
        codec::decode(&raw, own, codec)
    }

    /// Returns the body of an entry: what memory holds of it, or made of its value; `None` for an absence.
    pub(super) fn packing_of<'a, V: CacheValue>(
        &self,
        entry: &'a Entry<V>,
        keyspace: Option<&KeyspaceInfo<V>>,
        policy: &Policy,
    ) -> Result<Option<Packing<'a>>, CodecError> {
        if let Some(Packed { body, .. }) = Packed::of_view(entry) {
            let Body { bytes, raw_len, codec, compression } = body;
            let body = Cow::Borrowed(&**bytes);
            return Ok(Some(Packing { codec: *codec, compression: *compression, raw_len: *raw_len, body }));
        }
        entry.value().map(|value| self.pack(value, keyspace, policy)).transpose()
    }

    /// Counts and reports an envelope that cannot be read.
    pub(super) fn unreadable(&self, ns: &Door, tier: &TierHandle, error: EnvelopeError) {
        let (tier_name, reason) = (tier.name.clone(), error.reason());
        let (counter, kind) = if error.is_unknown() {
            (&tier.counters.unknown_envelopes, EventKind::UnknownEnvelope { tier: tier_name, reason })
        } else {
            (&tier.counters.corrupt_envelopes, EventKind::CorruptEnvelope { tier: tier_name, reason })
        };
        TierCounters::count(counter);
        self.report(Some(&ns.tenant), kind);
    }

    /// Counts and reports a body below memory that is no value.
    pub(super) fn not_a_value(&self, ns: &Door, tier: &TierHandle, error: &CodecError) {
        let (name, reason) = (tier.name.clone(), error.reason());
        tracing::debug!(tier = %tier.name, reason, "unreadable value");
        let kind = match error.kind() {
            CodecErrorKind::Damaged => {
                TierCounters::count(&tier.counters.corrupt_envelopes);
                EventKind::CorruptEnvelope { tier: name, reason }
            }
            CodecErrorKind::Unknown => {
                TierCounters::count(&tier.counters.unknown_envelopes);
                EventKind::UnknownEnvelope { tier: name, reason }
            }
            _ => {
                ns.space.plain().count(Counter::type_changes);
                EventKind::TypeChanged { tier: name }
            }
        };
        self.report(Some(&ns.tenant), kind);
    }
}
