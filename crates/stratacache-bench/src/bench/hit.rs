//! A hit in memory: through a namespace with ttl and tag, against engines that have neither.

use std::hint::black_box;

use anyhow::Result;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    engines::{Own, Strata, TTL, drive, foyer, moka, own, quick, quick_ttl, shared},
    keys::{Lookups, VALUE, key},
    measure::{Contender, Effort, compare, now, progress},
    table::Table,
};

const KEYS: usize = 100_000;
/// Everything stays resident.
const CAPACITY: usize = 4 * KEYS;

/// A value without a block of its own.
struct InPlace([u8; VALUE]);

impl Serialize for InPlace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for InPlace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Vec::<u8>::deserialize(deserializer)?;
        let bytes = bytes.try_into().map_err(|b: Vec<u8>| serde::de::Error::invalid_length(b.len(), &"100 bytes"))?;
        Ok(Self(bytes))
    }
}

/// A call that does nothing asynchronous still has an error type.
type Never = std::convert::Infallible;

pub(super) fn raw_quick_cache() -> Contender {
    let cache = quick(CAPACITY);
    (0..KEYS).for_each(|n| cache.insert(key(n), shared()));
    Contender::new("quick_cache", move |lookups| {
        for key in lookups.iter() {
            black_box(cache.get(key).map(|value| value[0]));
        }
    })
}

fn quick_cache_with_ttl() -> Contender {
    let cache = quick_ttl(CAPACITY);
    let until = now() + TTL;
    (0..KEYS).for_each(|n| cache.insert(key(n), (until, shared())));
    Contender::new("quick_cache, hand-made ttl", move |lookups| {
        for key in lookups.iter() {
            black_box(cache.get(key).filter(|(until, _)| *until > now()).map(|(_, value)| value[0]));
        }
    })
}

pub(super) fn moka_with_ttl() -> Contender {
    let cache = moka(CAPACITY);
    (0..KEYS).for_each(|n| cache.insert(key(n), shared()));
    cache.run_pending_tasks();
    Contender::new("moka, ttl", move |lookups| {
        for key in lookups.iter() {
            black_box(cache.get(key).map(|value| value[0]));
        }
    })
}

fn foyer_memory() -> Contender {
    let cache = foyer(CAPACITY);
    (0..KEYS).for_each(|n| drop(cache.insert(key(n), shared())));
    Contender::new("foyer, S3-FIFO", move |lookups| {
        for key in lookups.iter() {
            black_box(cache.get(key).map(|entry| entry.value()[0]));
        }
    })
}

pub(super) fn filled() -> Result<Strata> {
    let strata = Strata::new(512 << 20)?;
    drive(async {
        for n in 0..KEYS {
            strata.ns.insert(key(n), own()).tag("customers").await?;
        }
        anyhow::Ok(())
    })?;
    Ok(strata)
}

fn strata_get() -> Result<Contender> {
    let strata = filled()?;
    Ok(Contender::new("Strata `get`, ttl + tag", move |lookups| {
        drive(async {
            for key in lookups.iter() {
                black_box(strata.ns.get::<Own>(key).await.map(|value| value[0]));
            }
        });
    }))
}

fn strata_in_place() -> Result<Contender> {
    let strata = Strata::new(512 << 20)?;
    drive(async {
        for n in 0..KEYS {
            strata.ns.insert(key(n), InPlace([7; VALUE])).tag("customers").await?;
        }
        anyhow::Ok(())
    })?;
    Ok(Contender::new("Strata `get`, ttl + tag, value in the entry", move |lookups| {
        drive(async {
            for key in lookups.iter() {
                black_box(strata.ns.get::<InPlace>(key).await.map(|value| value.0[0]));
            }
        });
    }))
}

fn strata_get_or_load() -> Result<Contender> {
    let strata = filled()?;
    Ok(Contender::new("Strata `get_or_load(..).tag(..)`", move |lookups| {
        drive(async {
            for key in lookups.iter() {
                let value = strata.ns.get_or_load(key, async || Ok::<_, Never>(own())).tag("customers").await;
                black_box(value.map(|value| value[0]).ok());
            }
        });
    }))
}

/// Measures hits with one thread and with two.
pub(crate) fn run(effort: Effort) -> Result<Table> {
    let contenders = [
        raw_quick_cache(),
        quick_cache_with_ttl(),
        moka_with_ttl(),
        foyer_memory(),
        strata_get()?,
        strata_in_place()?,
        strata_get_or_load()?,
    ];
    let names: Vec<_> = contenders.iter().map(|c| c.name).collect();
    let columns = [1, 2].map(|threads| {
        progress(&format!("hit: {threads} thread(s)"));
        let lookups: Vec<_> = (0..threads).map(|t| Lookups::zipf(KEYS, 0.99, effort.operations, 100 + t)).collect();
        compare(&contenders, &lookups, effort)
    });
    let mut table = Table::new(
        "Memory hit",
        "100,000 keys of 24 bytes, values of 100 bytes, Zipf 0.99, all resident; processor ns of an operation. Peers \
         store `Arc<[u8]>`, which a hit clones; Strata stores `Box<[u8]>` (one block more to touch) or the bytes in the \
         entry, and shares the entry. The first byte of the value is read. Budget: Strata `get` at most 1.6x.",
        &["engine", "1 thread", "2 threads"],
    );
    table.compared(&names, &columns);
    Ok(table)
}

/// Does nothing but hits.
pub(crate) fn profile(keys: usize, operations: usize, rounds: usize) -> Result<()> {
    let contenders = [raw_quick_cache(), strata_get()?, strata_in_place()?, strata_get_or_load()?];
    let lookups = [Lookups::zipf(keys.min(KEYS), 0.99, operations, 100)];
    let spreads = compare(&contenders, &lookups, Effort { rounds, operations, quick: false });
    for (contender, spread) in contenders.iter().zip(&spreads) {
        let ratio = spread.median / spreads[0].median;
        progress(&format!(
            "{ratio:.2} {:.1} ns ({:.1} to {:.1}) {}",
            spread.median, spread.min, spread.max, contender.name
        ));
    }
    Ok(())
}
