//! What a codec and a compression wrote is read again; what cannot be read is a miss with an event, never an error.

#![allow(clippy::unwrap_used)] // helpers of tests may panic

mod support;

use std::{collections::BTreeMap, convert::Infallible};

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use stratacache::{
    Cache, Codec, CodecError, Coded, Compress, ErrorKind, EventStream, Freshness, Keyspace, Lookup, OwnCodec, Policy,
    ValueCodec, event::EventKind, minutes, seconds,
};
use stratacache_core::envelope;
use stratacache_testkit::tiers::MemoryTier;
use support::{builder, noise, settle, tenant};
use tokio::time::sleep;
use xxhash_rust::xxh3::xxh3_64;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Kind {
    Person,
    Company { employees: u32 },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Contact {
    id: u64,
    balance: i64,
    score: f64,
    name: String,
    phone: Option<String>,
    kind: Vec<Kind>,
    notes: BTreeMap<String, Vec<u8>>,
}

fn contact() -> Contact {
    Contact {
        id: u64::MAX,
        balance: i64::MIN,
        score: 0.1,
        name: "Ada \u{1f600} Lovelace".to_owned(),
        phone: None,
        kind: vec![Kind::Person, Kind::Company { employees: 7 }],
        notes: (0..40).map(|n| (format!("note {n}"), vec![n; 20])).collect(),
    }
}

/// JSON under a byte of its own, turned around so that nothing else reads it.
struct Backwards(u8);

impl<V: Serialize + serde::de::DeserializeOwned> ValueCodec<V> for Backwards {
    fn id(&self) -> OwnCodec {
        OwnCodec::new(self.0)
    }

    fn encode(&self, value: &V, into: &mut Vec<u8>) -> Result<(), CodecError> {
        let json = serde_json::to_vec(value).map_err(|e| CodecError::encode("no JSON").with_source(e))?;
        into.extend(json.into_iter().rev());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<V, CodecError> {
        let json: Vec<u8> = bytes.iter().rev().copied().collect();
        serde_json::from_slice(&json).map_err(|e| CodecError::decode("no such JSON").with_source(e))
    }
}

const POLICY: Policy = Policy::ttl(minutes(5)).jitter(0.0).tier_ttl("memory", seconds(5));
const PLAIN: Keyspace<u32, Contact> = Keyspace::new("contacts", POLICY);
const OWN: Keyspace<u32, Contact> = Keyspace::new("contacts", POLICY).codec(&Backwards(200));
const OTHER: Keyspace<u32, Contact> = Keyspace::new("contacts", POLICY).codec(&Backwards(201));

async fn over(below: &MemoryTier) -> Cache {
    builder().tier(below.with_journal()).build().await.unwrap()
}

fn disk() -> MemoryTier {
    MemoryTier::new("disk").persistent(true)
}

/// Lets memory let go of what it has.
async fn leave_memory() {
    settle().await;
    sleep(seconds(6)).await;
}

fn all_events(events: &mut EventStream) -> Vec<EventKind> {
    std::iter::from_fn(|| events.try_next()).map(|event| event.unwrap().kind).collect()
}

fn compressions() -> Vec<Compress> {
    vec![
        Compress::Off,
        Compress::Lz4 { over: 16 },
        #[cfg(feature = "zstd")]
        Compress::Zstd { level: 3, over: 16 },
    ]
}

/// What the only envelope below says of itself.
fn head(below: &MemoryTier) -> envelope::Head {
    let name = below.names()[0];
    envelope::decode(&below.raw(name).unwrap()).unwrap().0
}

#[tokio::test(start_paused = true)]
async fn every_codec_and_compression_brings_values_back_from_below() {
    for codec in [Codec::MessagePack, Codec::Json, Codec::Postcard] {
        for compress in compressions() {
            let below = disk();
            let cache = over(&below).await;
            let acme = tenant(&cache, "acme");
            let policy = POLICY.codec(codec).compress(compress);
            acme.insert("k", contact()).policy(policy).await.unwrap();
            leave_memory().await;
            assert_eq!(head(&below).codec, codec);
            assert_eq!(head(&below).compression != envelope::Compression::None, compress != Compress::Off);
            let found = acme.get::<Contact>("k").await.unwrap();
            assert_eq!((found.value(), found.freshness()), (&contact(), Freshness::Fresh), "{codec:?} {compress:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_changes_its_codec_reads_on_what_the_other_one_wrote() {
    let below = disk();
    let cache = over(&below).await;
    let acme = tenant(&cache, "acme");
    for (n, written) in [Codec::MessagePack, Codec::Json, Codec::Postcard].into_iter().enumerate() {
        acme.insert(n as u32, contact()).policy(POLICY.codec(written)).await.unwrap();
        leave_memory().await;
        let load = async || -> Result<Contact, Infallible> { panic!("it is still there") };
        for read in [Codec::Json, Codec::Postcard, Codec::MessagePack] {
            let policy = POLICY.codec(read).promote(false);
            let found = acme.get_or_load(n as u32, load).policy(policy).await.unwrap();
            assert_eq!(*found, contact(), "{written:?} {read:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_own_codec_writes_its_byte_and_reads_its_bytes() {
    let below = disk();
    let cache = over(&below).await;
    let acme = tenant(&cache, "acme");
    acme.insert(OWN.key(&1), contact()).await.unwrap();
    leave_memory().await;
    assert_eq!(head(&below).codec, Codec::Own(OwnCodec::new(200)));
    assert_eq!(*acme.get(OWN.key(&1)).await.unwrap(), contact());
    assert_eq!(acme.get_many([OWN.key(&1), OWN.key(&2)]).await[0].as_deref(), Some(&contact()));
}

#[tokio::test(start_paused = true)]
async fn an_own_codec_that_is_gone_or_replaced_is_a_miss_with_an_event_and_the_next_load_replaces_it() {
    for reader in [&PLAIN, &OTHER] {
        let below = disk();
        let cache = over(&below).await;
        let acme = tenant(&cache, "acme");
        acme.insert(OWN.key(&1), contact()).await.unwrap();
        leave_memory().await;
        let mut events = cache.events();
        assert_eq!(acme.lookup(reader.key(&1)).await, Lookup::Miss);
        let unknown = |kind: &EventKind| matches!(kind, EventKind::UnknownEnvelope { .. });
        assert_eq!(all_events(&mut events).iter().filter(|kind| unknown(kind)).count(), 1);
        assert_eq!(cache.stats().tiers[1].unknown_envelopes, 1);
        let load = async || Ok::<_, Infallible>(contact());
        assert_eq!(acme.get_or_load(reader.key(&1), load).await.unwrap().freshness(), Freshness::Loaded);
        leave_memory().await;
        assert_eq!(acme.get(reader.key(&1)).await.unwrap().freshness(), Freshness::Fresh, "written anew");
        assert_eq!(cache.stats().tiers[1].corrupt_envelopes, 0, "nothing is damaged");
    }
}

#[tokio::test(start_paused = true)]
async fn a_keyspace_that_gets_an_own_codec_reads_on_what_ours_wrote() {
    let below = disk();
    let cache = over(&below).await;
    let acme = tenant(&cache, "acme");
    acme.insert(PLAIN.key(&1), contact()).await.unwrap();
    leave_memory().await;
    assert_eq!(*acme.get(OWN.key(&1)).await.unwrap(), contact());
}

/// Counts as an error what is 13, and refuses to read 14.
struct Unlucky;

impl ValueCodec<Coded<u8>> for Unlucky {
    fn id(&self) -> OwnCodec {
        OwnCodec::new(255)
    }

    fn encode(&self, value: &Coded<u8>, into: &mut Vec<u8>) -> Result<(), CodecError> {
        match **value {
            13 => Err(CodecError::encode("13 brings bad luck")),
            other => {
                into.push(other);
                Ok(())
            }
        }
    }

    fn decode(&self, bytes: &[u8]) -> Result<Coded<u8>, CodecError> {
        match bytes {
            [14] => Err(CodecError::decode("14 is too near")),
            [one] => Ok(Coded(*one)),
            _ => Err(CodecError::decode("not one byte")),
        }
    }
}

const LUCK: Keyspace<u8, Coded<u8>> = Keyspace::new("luck", POLICY).codec(&Unlucky).weigher(|_| 1);

#[tokio::test(start_paused = true)]
async fn a_value_that_serde_does_not_know_lives_below_by_its_keyspace_s_codec() {
    let below = disk();
    let cache = over(&below).await;
    let acme = tenant(&cache, "acme");
    acme.insert(LUCK.key(&7), Coded(7)).await.unwrap();
    leave_memory().await;
    assert_eq!(acme.get(LUCK.key(&7)).await.as_deref(), Some(&Coded(7)));
}

#[tokio::test(start_paused = true)]
async fn a_value_that_its_codec_refuses_is_returned_and_not_stored_below() {
    let below = disk();
    let cache = over(&below).await;
    let acme = tenant(&cache, "acme");
    let mut events = cache.events();
    let found = acme.get_or_load(LUCK.key(&13), async || Ok::<_, Infallible>(Coded(13))).await.unwrap();
    assert_eq!(**found, 13);
    settle().await;
    assert!(all_events(&mut events).iter().any(|kind| matches!(kind, EventKind::NotStored { .. })));
    assert!(below.names().is_empty());
    let error = acme.insert(LUCK.key(&13), Coded(13)).await.unwrap_err();
    assert!(error.to_string().contains("cannot be encoded"), "{error}");
    assert_ne!(error.kind(), ErrorKind::WriteUnknown);
    // nor is there anything that could encode it without a keyspace
    assert!(acme.insert("luck", Coded(1_u8)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn bytes_that_a_codec_refuses_are_a_miss_with_an_event() {
    let below = disk();
    let cache = over(&below).await;
    let acme = tenant(&cache, "acme");
    acme.insert(LUCK.key(&14), Coded(14)).await.unwrap();
    leave_memory().await;
    let mut events = cache.events();
    assert_eq!(acme.lookup(LUCK.key(&14)).await, Lookup::Miss);
    assert!(all_events(&mut events).iter().any(|kind| matches!(kind, EventKind::TypeChanged { .. })));
    assert_eq!(cache.stats().type_changes, 1);
}

/// Changes bytes of the only envelope below, and makes its checksum right again.
fn forge(below: &MemoryTier, at: usize, bytes: &[u8]) {
    let name = below.names()[0];
    let mut envelope = below.raw(name).unwrap().to_vec();
    envelope[at..at + bytes.len()].copy_from_slice(bytes);
    let end = envelope.len() - envelope::TAIL;
    let sum = xxh3_64(&envelope[..end]);
    envelope[end..].copy_from_slice(&sum.to_le_bytes());
    below.put_raw(name, envelope);
}

#[tokio::test(start_paused = true)]
async fn an_envelope_of_another_version_codec_or_compression_is_a_miss_with_an_event() {
    for (at, byte, says) in [(2, 3, "version"), (2, 0, "version"), (4, 99, "codec"), (5, 77, "compression")] {
        let below = disk();
        let cache = over(&below).await;
        let acme = tenant(&cache, "acme");
        acme.insert("k", contact()).policy(POLICY).await.unwrap();
        leave_memory().await;
        forge(&below, at, &[byte]);
        let mut events = cache.events();
        assert_eq!(acme.lookup::<Contact>("k").await, Lookup::Miss);
        let reason = all_events(&mut events).into_iter().find_map(|kind| match kind {
            EventKind::UnknownEnvelope { reason, .. } => Some(reason),
            _ => None,
        });
        assert!(reason.unwrap().contains(says), "{says}: {reason:?}");
        let tier = &cache.stats().tiers[1];
        assert_eq!((tier.unknown_envelopes, tier.corrupt_envelopes), (1, 0), "{says}");
        let load = async || Ok::<_, Infallible>(contact());
        assert_eq!(acme.get_or_load("k", load).await.unwrap().freshness(), Freshness::Loaded);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_contradicts_its_head_is_damaged_and_a_miss() {
    for compress in compressions().into_iter().skip(1) {
        for raw_len in [0_u32, 1, 100, 5_000, 1 << 20, 1 << 30] {
            let below = disk();
            let cache = over(&below).await;
            let acme = tenant(&cache, "acme");
            acme.insert("k", contact()).policy(POLICY.compress(compress)).await.unwrap();
            leave_memory().await;
            forge(&below, 124, &raw_len.to_le_bytes());
            assert_eq!(acme.lookup::<Contact>("k").await, Lookup::Miss, "{compress:?} {raw_len}");
            assert_eq!(cache.stats().tiers[1].corrupt_envelopes, 1, "{compress:?} {raw_len}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn statistics_tell_what_compression_saved_and_where_it_did_not_pay() {
    for compress in compressions().into_iter().skip(1) {
        let below = disk();
        let cache = over(&below).await;
        let acme = tenant(&cache, "acme");
        let policy = POLICY.compress(compress);
        let text = "the same words again. ".repeat(500);
        acme.insert("text", text.clone()).policy(policy).await.unwrap();
        acme.insert("noise", ByteBuf::from(noise(5_000))).policy(policy).await.unwrap();
        acme.insert("short", 7_u8).policy(policy).await.unwrap();
        let before = cache.stats().compression.unwrap();
        assert_eq!((before.compressed, before.did_not_pay, before.decompressed), (1, 1, 0));
        assert!(before.bytes_before >= text.len() as u64 && before.bytes_after < before.bytes_before / 5);
        assert!(before.ratio().unwrap() > 5.0);
        leave_memory().await;
        assert_eq!(*acme.get::<String>("text").await.unwrap(), text);
        let after = cache.stats().compression.unwrap();
        assert_eq!((after.decompressed, after.bytes_decompressed), (1, before.bytes_before));
    }
}
