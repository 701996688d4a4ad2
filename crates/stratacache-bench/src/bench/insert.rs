//! Inserts that evict.

use anyhow::{Result, ensure};

use crate::{
    engines::{Own, Strata, budget_for, drive, foyer, moka, own, quick, shared, weight_of_an_entry},
    keys::{Lookups, mark},
    measure::{Contender, Effort, Tally, compare, progress},
    table::Table,
};

const KEYS: usize = 100_000;
const CAPACITY: usize = KEYS / 10;
/// Of 100 operations so many are inserts, the others reads.
const INSERTS: u8 = 80;

fn contenders() -> Result<Vec<Contender>> {
    let (quick, moka, foyer) = (quick(CAPACITY), moka(CAPACITY), foyer(CAPACITY));
    let plain = Strata::new(budget_for(CAPACITY, weight_of_an_entry(false)?))?;
    let tagged = Strata::new(budget_for(CAPACITY, weight_of_an_entry(true)?))?;
    Ok(vec![
        Contender::new("quick_cache", move |lookups| {
            let mut tally = Tally::default();
            for (key, dice) in lookups.with_dice() {
                if dice < INSERTS {
                    quick.insert(key.to_owned(), shared(mark(key)));
                } else {
                    tally.read(right(key, quick.get(key).map(|value| value[0]))?);
                }
            }
            Ok(tally)
        }),
        Contender::new("moka, ttl", move |lookups| {
            let mut tally = Tally::default();
            for (key, dice) in lookups.with_dice() {
                if dice < INSERTS {
                    moka.insert(key.to_owned(), shared(mark(key)));
                } else {
                    tally.read(right(key, moka.get(key).map(|value| value[0]))?);
                }
            }
            Ok(tally)
        }),
        Contender::new("foyer, S3-FIFO", move |lookups| {
            let mut tally = Tally::default();
            for (key, dice) in lookups.with_dice() {
                if dice < INSERTS {
                    drop(foyer.insert(key.to_owned(), shared(mark(key))));
                } else {
                    tally.read(right(key, foyer.get(key).map(|entry| entry.value()[0]))?);
                }
            }
            Ok(tally)
        }),
        Contender::new("Strata, ttl", move |lookups| {
            drive(async {
                let mut tally = Tally::default();
                for (key, dice) in lookups.with_dice() {
                    if dice < INSERTS {
                        plain.ns.insert(key, own(mark(key))).await?;
                    } else {
                        tally.read(right(key, plain.ns.get::<Own>(key).await.map(|value| value[0]))?);
                    }
                }
                Ok(tally)
            })
        }),
        Contender::new("Strata, ttl + tag", move |lookups| {
            drive(async {
                let mut tally = Tally::default();
                for (key, dice) in lookups.with_dice() {
                    if dice < INSERTS {
                        tagged.ns.insert(key, own(mark(key))).tag("customers").await?;
                    } else {
                        tally.read(right(key, tagged.ns.get::<Own>(key).await.map(|value| value[0]))?);
                    }
                }
                Ok(tally)
            })
        }),
    ])
}

/// Tells whether there was a value, which has to be the key's.
#[inline]
fn right(key: &str, first_byte: Option<u8>) -> Result<bool> {
    ensure!(first_byte.is_none_or(|byte| byte == mark(key)), "{key} has the value of another key");
    Ok(first_byte.is_some())
}

/// Measures inserts with one thread and with two.
pub(crate) fn run(effort: Effort) -> Result<Table> {
    let contenders = contenders()?;
    let names: Vec<_> = contenders.iter().map(|c| c.name).collect();
    let mut columns = Vec::new();
    for threads in [1, 2] {
        progress(&format!("insert: {threads} thread(s)"));
        let lookups: Vec<_> = (0..threads).map(|t| Lookups::uniform(KEYS, effort.operations, 300 + t)).collect();
        columns.push(compare(&contenders, &lookups, effort)?);
    }
    let mut table = Table::new(
        "Insert with eviction",
        "80 % inserts, 20 % reads, 100,000 keys all as likely, capacity 10,000 entries; processor ns of an operation. An \
         insert of Strata is an invalidation too: it takes a place in the tenant's order, so that older loads lose. \
         \"Hits\": of the reads of one thread; each round repeats one sequence, which some policies learn.",
        &["engine", "1 thread", "2 threads", "hits"],
    );
    table.compared_and_hits(&names, &columns);
    Ok(table)
}
