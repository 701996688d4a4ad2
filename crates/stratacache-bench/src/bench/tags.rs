//! Invalidation of a tag that few or many entries have.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::{
    engines::{Own, Strata, TTL, drive, own, quick, shared},
    keys::{key, mark},
    measure::{Effort, Spread, now, progress},
    table::{Table, thousands},
};

/// Invalidations in one sample of Strata's.
const BATCH: u32 = 200;
/// Reads after an invalidation.
const READS: usize = 10_000;

/// What was measured at one number of entries, in nanoseconds.
struct Costs {
    call: Spread,
    first_read: Spread,
    second_read: Spread,
    /// Invalidated entries of a thousand that were served all the same, in the worst round.
    served: usize,
}

fn nanos(time: Duration, count: usize) -> f64 {
    time.as_nanos() as f64 / count as f64
}

/// A cache of its own for each number: every entry has the tag that is invalidated, some have another one only.
fn strata(entries: usize, effort: Effort) -> Result<Costs> {
    let strata = Strata::new(entries as u64 * 700 + (64 << 20))?;
    let ns = &strata.ns;
    let other = ns.namespace("other");
    let (mut call, mut first_read, mut second_read) = (Vec::new(), Vec::new(), Vec::new());
    drive(async {
        let bystanders = READS.min(entries);
        for n in 0..bystanders {
            let key = key(n);
            other.insert(key.as_str(), own(mark(&key))).tag("bystanders").await?;
        }
        for _ in 0..effort.rounds {
            for n in 0..entries {
                let key = key(n);
                ns.insert(key.as_str(), own(mark(&key))).tag("customers").await?;
            }
            let kept = ns.tenant_stats().entries.unwrap_or(0);
            // a partition that grows may evict an entry before it gets more room
            let least = (entries + bystanders) / 1000 * 999;
            ensure!(kept as usize >= least, "{kept} entries are there instead of {}", entries + bystanders);
            let start = now();
            for _ in 0..BATCH {
                ns.invalidate_tag("customers").await?;
            }
            call.push(nanos(start.elapsed(), BATCH as usize));
            for samples in [&mut first_read, &mut second_read] {
                let mut found = 0;
                let start = now();
                for n in 0..bystanders {
                    found += usize::from(other.get::<Own>(key(n)).await.is_some());
                }
                samples.push(nanos(start.elapsed(), bystanders));
                all_others_are_there(found, bystanders)?;
            }
            for n in probes(entries) {
                ensure!(ns.get::<Own>(key(n)).await.is_none(), "an invalidated entry was served");
            }
        }
        strata.cache.close().await?;
        anyhow::Ok(())
    })?;
    let [call, first_read, second_read] = [call, first_read, second_read].map(Spread::of);
    Ok(Costs { call, first_read, second_read, served: 0 })
}

/// The nearest thing moka has: a predicate, judged on every read and by a scan behind.
fn moka(entries: usize, effort: Effort) -> Result<Costs> {
    let (mut call, mut first_read, mut second_read, mut served) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let bystanders = READS.min(entries);
    for _ in 0..effort.rounds {
        // a new one each time: what a predicate has invalidated stays for as long as moka likes
        let cache = moka::sync::Cache::<String, crate::engines::Shared>::builder()
            .max_capacity(4 * entries as u64 + 4 * READS as u64)
            .time_to_live(TTL)
            .support_invalidation_closures()
            .build();
        (0..bystanders).for_each(|n| cache.insert(bystander(n), shared(mark(&key(n)))));
        (0..entries).for_each(|n| cache.insert(key(n), shared(mark(&key(n)))));
        cache.run_pending_tasks();
        let start = now();
        cache.invalidate_entries_if(|key, _| key.starts_with("customer"))?;
        call.push(nanos(start.elapsed(), 1));
        for samples in [&mut first_read, &mut second_read] {
            let start = now();
            let found = (0..bystanders).filter(|n| cache.get(&bystander(*n)).is_some()).count();
            samples.push(nanos(start.elapsed(), bystanders));
            all_others_are_there(found, bystanders)?;
        }
        served = served.max(probes(entries).filter(|n| cache.get(&key(*n)).is_some()).count());
    }
    let [call, first_read, second_read] = [call, first_read, second_read].map(Spread::of);
    Ok(Costs { call, first_read, second_read, served })
}

/// The nearest thing quick_cache has: a scan under its locks.
fn quick_cache(entries: usize, effort: Effort) -> Result<Costs> {
    let cache = quick(4 * entries + 4 * READS);
    let (mut call, mut first_read, mut second_read, mut served) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let bystanders = READS.min(entries);
    for _ in 0..effort.rounds {
        (0..bystanders).for_each(|n| cache.insert(bystander(n), shared(mark(&key(n)))));
        (0..entries).for_each(|n| cache.insert(key(n), shared(mark(&key(n)))));
        let start = now();
        cache.retain(|key, _| !key.starts_with("customer"));
        call.push(nanos(start.elapsed(), 1));
        for samples in [&mut first_read, &mut second_read] {
            let start = now();
            let found = (0..bystanders).filter(|n| cache.get(&bystander(*n)).is_some()).count();
            samples.push(nanos(start.elapsed(), bystanders));
            all_others_are_there(found, bystanders)?;
        }
        served = served.max(probes(entries).filter(|n| cache.get(&key(*n)).is_some()).count());
    }
    let [call, first_read, second_read] = [call, first_read, second_read].map(Spread::of);
    Ok(Costs { call, first_read, second_read, served })
}

/// The key of an entry with another tag.
fn bystander(n: usize) -> String {
    format!("other/{}", key(n))
}

/// Checks that the invalidation left alone what it should; a partition that grows may have evicted an entry before.
fn all_others_are_there(found: usize, bystanders: usize) -> Result<()> {
    ensure!(found >= bystanders / 1000 * 999, "entries with another tag are gone: {found} of {bystanders} are left");
    Ok(())
}

/// Chooses a thousand of the entries that were invalidated, to ask for.
fn probes(entries: usize) -> impl Iterator<Item = usize> {
    (0..entries).step_by(entries.div_ceil(1000))
}

fn show(Spread { median, min, max }: Spread) -> String {
    let whole = |nanos: f64| thousands(nanos.round() as u64);
    format!("{} ({} to {})", whole(median), whole(min), whole(max))
}

/// Measures the call and the reads after it at 1,000 and at 1,000,000 entries.
pub(crate) fn run(effort: Effort) -> Result<Table> {
    let many = if effort.quick { 100_000 } else { 1_000_000 };
    let mut table = Table::new(
        "Tag invalidation",
        "All entries have the tag, 10,000 others (1,000 beside the 1,000) have another one; wall-clock ns. \"First read\" is \
         the mean of one read of each of the others right after the invalidation, while the background work goes on, \"second read\" of one \
         more. Peers have no tags: moka gets a predicate on the key, quick_cache a `retain`. \"Served all the same\": of \
         1,000 invalidated entries, after these reads, in the worst round; one of Strata's would have failed the bench. Budget: \
         Strata's cost at both sizes within 1.5x.",
        &[
            "engine",
            "entries",
            "invalidation",
            "first read of another entry",
            "second read",
            "served all the same",
            "cost against 1,000 entries",
        ],
    );
    let mut add = |name: &str, measure: &dyn Fn(usize) -> Result<Costs>| {
        let mut few = None;
        for entries in [1000, many] {
            progress(&format!("tags: {name}, {entries} entries"));
            let costs = measure(entries)?;
            let base = *few.get_or_insert(costs.call.median);
            table.row(vec![
                name.to_owned(),
                thousands(entries as u64),
                show(costs.call),
                show(costs.first_read),
                show(costs.second_read),
                costs.served.to_string(),
                format!("**{:.2}x**", costs.call.median / base),
            ]);
        }
        anyhow::Ok(())
    };
    add("Strata `invalidate_tag`", &|entries| strata(entries, effort))?;
    add("moka `invalidate_entries_if`", &|entries| moka(entries, effort))?;
    add("quick_cache `retain`", &|entries| quick_cache(entries, effort))?;
    Ok(table)
}
