//! What encryption costs: a hit below memory, and an insert, against the same in the clear.

use anyhow::{Result, ensure};
use serde_bytes::ByteBuf;
use stratacache::{Cache, Compress, MemoryKeys, Namespace, Policy, TenantId, hours};
use stratacache_testkit::tiers::MemoryTier;

use crate::{
    engines::drive,
    keys::{Lookups, key, mark},
    measure::{Compared, Contender, Effort, Tally, compare, progress},
    table::{Table, against, thousands},
};

/// Bytes of a value, and keys.
const SIZES: [(usize, usize); 3] = [(100, 5_000), (10_000, 1_000), (1_000_000, 20)];

/// Nothing is kept in memory on the way up, so that each read goes below.
const POLICY: Policy = Policy::ttl(hours(1)).compress(Compress::Off).promote(false);

fn value(size: usize, key: &str) -> ByteBuf {
    let mut bytes = vec![0x5a; size];
    bytes[0] = mark(key);
    ByteBuf::from(bytes)
}

async fn over(tier: &MemoryTier, keys: Option<&MemoryKeys>) -> Result<Namespace> {
    let builder = Cache::builder().tier(tier.with_journal()).default_policy(POLICY);
    let builder = match keys {
        Some(keys) => builder.encryption(keys.clone()),
        None => builder,
    };
    Ok(builder.build().await?.tenant(&TenantId::parse("acme")?))
}

/// A namespace with nothing in memory and all keys below.
fn filled(size: usize, keys: usize, secret: Option<&MemoryKeys>) -> Result<Namespace> {
    drive(async {
        let tier = MemoryTier::new("map").persistent(true);
        let writer = Cache::builder().tier(tier.with_journal()).default_policy(POLICY);
        let writer = match secret {
            Some(secret) => writer.encryption(secret.clone()),
            None => writer,
        };
        let writer = writer.build().await?;
        let ns = writer.tenant(&TenantId::parse("acme")?);
        for key in (0..keys).map(key) {
            ns.insert(&*key, value(size, &key)).await?;
        }
        writer.close().await?;
        ensure!(tier.names().len() == keys, "the tier has all keys");
        over(&tier, secret).await
    })
}

fn reader(name: &'static str, ns: Namespace) -> Contender {
    Contender::resident(name, move |lookups| {
        drive(async {
            let mut tally = Tally::default();
            for key in lookups.iter() {
                let found = ns.get::<ByteBuf>(key).await;
                tally.read(found.is_some_and(|bytes| bytes[0] == mark(key)));
            }
            Ok(tally)
        })
    })
}

fn writer(name: &'static str, size: usize, ns: Namespace) -> Contender {
    Contender::resident(name, move |lookups| {
        drive(async {
            let mut tally = Tally::default();
            for key in lookups.iter() {
                ns.insert(key, value(size, key)).await?;
                tally.read(true);
            }
            Ok(tally)
        })
    })
}

/// Measures hits below memory and inserts, for three sizes of values.
pub(crate) fn run(effort: Effort) -> Result<Table> {
    let mut table = Table::new(
        "Encryption below memory (AES-256-GCM-SIV)",
        "Processor nanoseconds of a hit below memory and of an insert, over a tier that is a map in this process: what encryption \
         costs where nothing else does. A tier behind a network or a disk adds the same to both. Values are not compressed.",
        &["value", "hit, in the clear", "hit, encrypted", "insert, in the clear", "insert, encrypted"],
    );
    let secret = MemoryKeys::new();
    for (size, keys) in SIZES {
        progress(&format!("encryption: {size} bytes"));
        let count = (effort.operations / (10 + size / 50)).max(200);
        let lookups = [Lookups::uniform(keys, count, 1)];
        let readers = [
            reader("in the clear", filled(size, keys, None)?),
            reader("encrypted", filled(size, keys, Some(&secret))?),
        ];
        let reads = compare(&readers, &lookups, effort)?;
        let empty = |secret: Option<&MemoryKeys>| drive(over(&MemoryTier::new("map"), secret));
        let writers = [writer("in the clear", size, empty(None)?), writer("encrypted", size, empty(Some(&secret))?)];
        let writes = compare(&writers, &lookups, effort)?;
        let cell = |all: &[Compared], place: usize| against(all[place].nanos, all[0].nanos);
        let cells = [cell(&reads, 0), cell(&reads, 1), cell(&writes, 0), cell(&writes, 1)];
        table.row(std::iter::once(format!("{} B", thousands(size as u64))).chain(cells).collect());
    }
    Ok(table)
}
