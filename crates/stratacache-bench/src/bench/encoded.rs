//! What `memory_form(Encoded)` gains in bytes, and what it costs at each hit.

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use stratacache::{Codec, Compress, Keyspace, MemoryForm, Policy, hours};

use crate::{
    engines::{Strata, drive},
    keys::{Lookups, key, mark},
    measure::{Compared, Contender, Effort, Tally, compare, progress},
    table::{Table, against},
};

/// A record as applications keep them.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Contact {
    id: u64,
    name: String,
    mail: String,
    phone: Option<String>,
    city: String,
    tags: Vec<String>,
    updated: u64,
}

/// A page of contacts; the first has the mark of its key.
type Page = Vec<Contact>;

fn page(contacts: usize, key: &str) -> Page {
    let seed = key.bytes().fold(7_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    let one = |n: usize| {
        let id = seed.wrapping_add(n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Contact {
            id: if n == 0 { mark(key).into() } else { id },
            name: format!("Customer {:05}", id % 100_000),
            mail: format!("customer-{:05}@example.com", id % 100_000),
            phone: id.is_multiple_of(3).then(|| format!("+49 30 {:07}", id % 10_000_000)),
            city: ["Berlin", "Hamburg", "Leipzig", "Rostock"][(id % 4) as usize].to_owned(),
            tags: vec!["customer".to_owned(), ["new", "regular", "dormant"][(id % 3) as usize].to_owned()],
            updated: 1_700_000_000 + id % 10_000_000,
        }
    };
    (0..contacts).map(one).collect()
}

const POLICY: Policy = Policy::ttl(hours(1));

const fn held(compress: Compress, codec: Codec) -> Keyspace<str, Page> {
    Keyspace::new("pages", POLICY.compress(compress).codec(codec)).memory_form(MemoryForm::Encoded)
}

static DECODED: Keyspace<str, Page> = Keyspace::new("pages", POLICY);
static PLAIN: Keyspace<str, Page> = held(Compress::Off, Codec::MessagePack);
static POSTCARD: Keyspace<str, Page> = held(Compress::Off, Codec::Postcard);
static LZ4: Keyspace<str, Page> = held(Compress::Lz4 { over: 256 }, Codec::MessagePack);
static ZSTD_1: Keyspace<str, Page> = held(Compress::Zstd { level: 1, over: 256 }, Codec::MessagePack);
static ZSTD_3: Keyspace<str, Page> = held(Compress::Zstd { level: 3, over: 256 }, Codec::MessagePack);
static ZSTD_9: Keyspace<str, Page> = held(Compress::Zstd { level: 9, over: 256 }, Codec::MessagePack);

static FORMS: [(&str, &Keyspace<str, Page>); 7] = [
    ("decoded", &DECODED),
    ("encoded, MessagePack", &PLAIN),
    ("encoded, Postcard", &POSTCARD),
    ("encoded, MessagePack, LZ4", &LZ4),
    ("encoded, MessagePack, zstd 1", &ZSTD_1),
    ("encoded, MessagePack, zstd 3", &ZSTD_3),
    ("encoded, MessagePack, zstd 9", &ZSTD_9),
];

/// Contacts in a page, and pages.
const SIZES: [(usize, usize); 3] = [(1, 20_000), (20, 5_000), (400, 500)];

/// A filled cache, and the bytes that one of its entries takes by a counting allocator.
struct Filled {
    strata: Strata,
    bytes: f64,
}

fn fill(keyspace: &'static Keyspace<str, Page>, contacts: usize, pages: usize) -> Result<Filled> {
    let mut made = None;
    let info = allocation_counter::measure(|| made = Some(drive(fill_here(keyspace, contacts, pages))));
    let strata = made.context("the closure was run")??;
    Ok(Filled { strata, bytes: info.bytes_current as f64 / pages as f64 })
}

async fn fill_here(keyspace: &'static Keyspace<str, Page>, contacts: usize, pages: usize) -> Result<Strata> {
    let strata = Strata::here(1 << 30).await?;
    for key in (0..pages).map(key) {
        strata.ns.insert(keyspace.key(&*key), page(contacts, &key)).await?;
    }
    let held = strata.ns.tenant_stats().entries.unwrap_or(0);
    ensure!(held == pages as u64, "Strata holds {held} of {pages} entries that all have room");
    Ok(strata)
}

fn reader(name: &'static str, keyspace: &'static Keyspace<str, Page>, strata: Strata) -> Contender {
    Contender::resident(name, move |lookups| {
        drive(async {
            let mut tally = Tally::default();
            for key in lookups.iter() {
                let found = strata.ns.get(keyspace.key(key)).await;
                tally.read(found.is_some_and(|page| page[0].id == u64::from(mark(key))));
            }
            Ok(tally)
        })
    })
}

/// Measures bytes of an entry and time of a hit, for three sizes of values.
pub(crate) fn run(effort: Effort) -> Result<Vec<Table>> {
    SIZES.iter().map(|(contacts, pages)| of_size(*contacts, *pages, effort)).collect()
}

fn of_size(contacts: usize, pages: usize, effort: Effort) -> Result<Table> {
    let mut contenders = Vec::with_capacity(FORMS.len());
    let mut bytes = Vec::with_capacity(FORMS.len());
    for (name, keyspace) in FORMS {
        progress(&format!("encoded: {contacts} contacts, {name}"));
        let filled = fill(keyspace, contacts, pages)?;
        bytes.push(filled.bytes);
        contenders.push(reader(name, keyspace, filled.strata));
    }
    // a hit costs what decoding costs: fewer of the large ones
    let count = (effort.operations / contacts / 4).max(1_000);
    let compared = compare(&contenders, &[Lookups::uniform(pages, count, 1)], effort)?;
    let mut table = Table::new(
        &format!("Memory held encoded, {contacts} contacts in a value"),
        &format!(
            "Bytes of an entry by a counting allocator, {pages} entries, and processor nanoseconds of a hit through a \
             namespace: a decoded value is shared by its readers, an encoded one is decompressed and decoded for each."
        ),
        &["form", "bytes of an entry", "hit"],
    );
    let [first, ..] = &*compared else { return Ok(table) };
    for (((name, _), each), Compared { nanos, .. }) in FORMS.iter().zip(&bytes).zip(&compared) {
        let gain = format!("{each:.0} **{:.2}x**", each / bytes[0]);
        table.row(vec![(*name).to_owned(), gain, against(*nanos, first.nanos)]);
    }
    Ok(table)
}
