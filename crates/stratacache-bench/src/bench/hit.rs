//! A hit in memory: through a namespace with ttl and tag, against engines that have neither.

use anyhow::{Result, ensure};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    engines::{Own, Strata, TTL, drive, foyer, moka, own, quick, quick_ttl, shared},
    keys::{Lookups, VALUE, key, mark},
    measure::{Compared, Contender, Effort, Spread, Tally, compare, now, progress},
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

/// Reads all keys; `first_byte` returns that of the value it finds, which has to be the right one.
#[inline]
fn read_all(lookups: &Lookups, first_byte: impl Fn(&str) -> Option<u8>) -> Result<Tally> {
    let mut tally = Tally::default();
    for key in lookups.iter() {
        tally.read(first_byte(key) == Some(mark(key)));
    }
    Ok(tally)
}

fn keys() -> impl Iterator<Item = (String, u8)> {
    (0..KEYS).map(key).map(|key| {
        let mark = mark(&key);
        (key, mark)
    })
}

fn raw_quick_cache() -> Contender {
    let cache = quick(CAPACITY);
    keys().for_each(|(key, mark)| cache.insert(key, shared(mark)));
    Contender::resident("quick_cache", move |lookups| read_all(lookups, |key| cache.get(key).map(|value| value[0])))
}

fn quick_cache_with_ttl() -> Contender {
    let cache = quick_ttl(CAPACITY);
    let until = now() + TTL;
    keys().for_each(|(key, mark)| cache.insert(key, (until, shared(mark))));
    Contender::resident("quick_cache, hand-made ttl", move |lookups| {
        read_all(lookups, |key| cache.get(key).filter(|(until, _)| *until > now()).map(|(_, value)| value[0]))
    })
}

fn moka_with_ttl() -> Contender {
    let cache = moka(CAPACITY);
    keys().for_each(|(key, mark)| cache.insert(key, shared(mark)));
    cache.run_pending_tasks();
    Contender::resident("moka, ttl", move |lookups| read_all(lookups, |key| cache.get(key).map(|value| value[0])))
}

fn foyer_memory() -> Contender {
    let cache = foyer(CAPACITY);
    keys().for_each(|(key, mark)| drop(cache.insert(key, shared(mark))));
    Contender::resident("foyer, S3-FIFO", move |lookups| {
        read_all(lookups, |key| cache.get(key).map(|entry| entry.value()[0]))
    })
}

pub(super) fn filled() -> Result<Strata> {
    let strata = Strata::new(512 << 20)?;
    drive(async {
        for (key, mark) in keys() {
            strata.ns.insert(key, own(mark)).tag("customers").await?;
        }
        anyhow::Ok(())
    })?;
    full(strata)
}

/// Checks that nothing has left before it was measured.
fn full(strata: Strata) -> Result<Strata> {
    let held = strata.ns.tenant_stats().entries.unwrap_or(0);
    ensure!(held == KEYS as u64, "Strata holds {held} of {KEYS} entries that all have room");
    Ok(strata)
}

fn strata_get() -> Result<Contender> {
    let strata = filled()?;
    Ok(Contender::resident("Strata `get`, ttl + tag", move |lookups| {
        drive(async {
            let mut tally = Tally::default();
            for key in lookups.iter() {
                tally.read(strata.ns.get::<Own>(key).await.is_some_and(|value| value[0] == mark(key)));
            }
            Ok(tally)
        })
    }))
}

fn strata_in_place() -> Result<Contender> {
    let strata = Strata::new(512 << 20)?;
    drive(async {
        for (key, mark) in keys() {
            strata.ns.insert(key, InPlace([mark; VALUE])).tag("customers").await?;
        }
        anyhow::Ok(())
    })?;
    let strata = full(strata)?;
    Ok(Contender::resident("Strata `get`, ttl + tag, value in the entry", move |lookups| {
        drive(async {
            let mut tally = Tally::default();
            for key in lookups.iter() {
                tally.read(strata.ns.get::<InPlace>(key).await.is_some_and(|value| value.0[0] == mark(key)));
            }
            Ok(tally)
        })
    }))
}

fn strata_get_or_load() -> Result<Contender> {
    let strata = filled()?;
    Ok(Contender::resident("Strata `get_or_load(..).tag(..)`", move |lookups| {
        drive(async {
            let mut tally = Tally::default();
            for key in lookups.iter() {
                // what a load makes is no key's value, so that it does not count as a hit
                let value = strata.ns.get_or_load(key, async || Ok::<_, Never>(own(0))).tag("customers").await?;
                tally.read(value[0] == mark(key));
            }
            Ok(tally)
        })
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
    let mut columns = Vec::new();
    for threads in [1, 2] {
        progress(&format!("hit: {threads} thread(s)"));
        let lookups: Vec<_> = (0..threads).map(|t| Lookups::zipf(KEYS, 0.99, effort.operations, 100 + t)).collect();
        columns.push(compare(&contenders, &lookups, effort)?);
    }
    let mut table = Table::new(
        "Memory hit",
        "100,000 keys of 24 bytes, values of 100 bytes, Zipf 0.99, all resident; processor ns of an operation. Peers \
         store `Arc<[u8]>`, which a hit clones; Strata stores `Box<[u8]>` (one block more to touch) or the bytes in the \
         entry, and shares the entry. The first byte of the value is read and compared; a single miss would have failed \
         the bench. Budget: Strata `get` at most 1.6x.",
        &["engine", "1 thread", "2 threads"],
    );
    table.compared(&names, &columns);
    Ok(table)
}

/// Does nothing but hits.
pub(crate) fn profile(keys: usize, operations: usize, rounds: usize) -> Result<()> {
    let contenders = [raw_quick_cache(), strata_get()?, strata_in_place()?, strata_get_or_load()?];
    let lookups = [Lookups::zipf(keys.min(KEYS), 0.99, operations, 100)];
    let compared = compare(&contenders, &lookups, Effort { rounds, operations, quick: false })?;
    for (contender, Compared { nanos, .. }) in contenders.iter().zip(&compared) {
        let Spread { median, min, max } = nanos;
        let ratio = median / compared[0].nanos.median;
        progress(&format!("{ratio:.2} {median:.1} ns ({min:.1} to {max:.1}) {}", contender.name));
    }
    Ok(())
}
