//! Inserts that evict.

use std::hint::black_box;

use anyhow::Result;

use crate::{
    engines::{Own, Strata, budget_for, drive, foyer, moka, own, quick, shared, weight_of_an_entry},
    keys::Lookups,
    measure::{Contender, Effort, compare, progress},
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
            for (key, dice) in lookups.with_dice() {
                if dice < INSERTS {
                    quick.insert(key.to_owned(), shared());
                } else {
                    black_box(quick.get(key).map(|value| value[0]));
                }
            }
        }),
        Contender::new("moka, ttl", move |lookups| {
            for (key, dice) in lookups.with_dice() {
                if dice < INSERTS {
                    moka.insert(key.to_owned(), shared());
                } else {
                    black_box(moka.get(key).map(|value| value[0]));
                }
            }
        }),
        Contender::new("foyer, S3-FIFO", move |lookups| {
            for (key, dice) in lookups.with_dice() {
                if dice < INSERTS {
                    drop(foyer.insert(key.to_owned(), shared()));
                } else {
                    black_box(foyer.get(key).map(|entry| entry.value()[0]));
                }
            }
        }),
        Contender::new("Strata, ttl", move |lookups| {
            drive(async {
                for (key, dice) in lookups.with_dice() {
                    if dice < INSERTS {
                        black_box(plain.ns.insert(key, own()).await.is_ok());
                    } else {
                        black_box(plain.ns.get::<Own>(key).await.map(|value| value[0]));
                    }
                }
            });
        }),
        Contender::new("Strata, ttl + tag", move |lookups| {
            drive(async {
                for (key, dice) in lookups.with_dice() {
                    if dice < INSERTS {
                        black_box(tagged.ns.insert(key, own()).tag("customers").await.is_ok());
                    } else {
                        black_box(tagged.ns.get::<Own>(key).await.map(|value| value[0]));
                    }
                }
            });
        }),
    ])
}

/// Measures inserts with one thread and with two.
pub(crate) fn run(effort: Effort) -> Result<Table> {
    let contenders = contenders()?;
    let names: Vec<_> = contenders.iter().map(|c| c.name).collect();
    let columns = [1, 2].map(|threads| {
        progress(&format!("insert: {threads} thread(s)"));
        let lookups: Vec<_> = (0..threads).map(|t| Lookups::uniform(KEYS, effort.operations, 300 + t)).collect();
        compare(&contenders, &lookups, effort)
    });
    let mut table = Table::new(
        "Insert with eviction",
        "80 % inserts, 20 % reads, 100,000 keys all as likely, capacity 10,000 entries; processor ns of an operation. An \
         insert of Strata is an invalidation too: it takes a place in the tenant's order, so that older loads lose.",
        &["engine", "1 thread", "2 threads"],
    );
    table.compared(&names, &columns);
    Ok(table)
}
