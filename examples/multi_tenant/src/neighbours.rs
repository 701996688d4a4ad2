//! A neighbour who floods the cache, whose data base hangs, who invalidates all the time; and one who does not notice.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use stratacache::{ErrorKind, Keyspace, LoadError, Namespace, Policy, Stats, minutes};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{INVALIDATIONS, LIMIT, LOADS, Outcome, Tenants, WAITERS, check};

const ROWS: Keyspace<u32, Vec<u8>> = Keyspace::new("rows", Policy::ttl(minutes(30)));
const FEW: u32 = 300;
const MANY: u32 = 10_000;

async fn row(ns: &Namespace, id: u32) -> Result<(), LoadError<Infallible>> {
    ns.get_or_load(ROWS.key(&id), async || Ok(vec![0; 1024])).await.map(drop)
}

/// Returns which part of the reads between two readings of the counters were hits.
fn rate(before: &Stats, after: &Stats) -> f64 {
    let hits = after.hits() - before.hits();
    hits as f64 / (hits + after.misses - before.misses).max(1) as f64
}

/// One reads 10,000 rows of a kilobyte and begins anew, the other its 300.
pub(crate) async fn flood(tenants: &Tenants) -> Outcome {
    let Tenants { quiet, noisy, .. } = tenants;
    for id in 0..FEW {
        row(quiet, id).await?;
    }
    let before = (quiet.tenant_stats(), noisy.tenant_stats());
    let mut most = 0;
    for id in (0..MANY).chain(0..MANY) {
        row(noisy, id).await?;
        if id.is_multiple_of(500) {
            most = most.max(noisy.tenant_stats().weight.unwrap_or_default());
            for id in 0..FEW {
                row(quiet, id).await?;
            }
        }
    }
    let after = (quiet.tenant_stats(), noisy.tenant_stats());
    let rates = (rate(&before.0, &after.0), rate(&before.1, &after.1));
    println!("     hits of the quiet one: {:.1} %, of the noisy one: {:.1} %", rates.0 * 100.0, rates.1 * 100.0);
    check("the quiet one hits always", rates.0 == 1.0 && after.0.evicted_for_capacity == Some(0))?;
    check("the noisy one pushes out what is its own", rates.1 < 0.5 && after.1.evicted_for_capacity > Some(0))?;
    check("and never has more than its limit", most > 0 && most <= LIMIT)?;
    Ok(())
}

/// The data base of one of them does not answer.
pub(crate) async fn hang(tenants: &Tenants) -> Outcome {
    let (gate, loading) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut readers = JoinSet::new();
    for id in 0..50 {
        let slow = tenants.noisy.namespace("slow");
        let (gate, loading) = (Arc::clone(&gate), Arc::clone(&loading));
        let load = async move || {
            loading.fetch_add(1, SeqCst);
            gate.acquire().await.map(|_| vec![0; 8])
        };
        readers.spawn(async move { slow.get_or_load(ROWS.key(&id), load).await.map(drop) });
    }
    let mut refused = 0;
    while readers.len() > WAITERS {
        match readers.join_next().await.ok_or("nobody is left")?? {
            Err(LoadError::Overloaded) => refused += 1,
            other => return Err(format!("nobody can have been answered: {other:?}").into()),
        }
    }
    while loading.load(SeqCst) < LOADS {
        tokio::task::yield_now().await;
    }
    println!("     of 50 readers {} wait, and {refused} were told that it is too much", readers.len());
    check("so many as may wait do, the others are refused at once", readers.len() == WAITERS)?;
    check("of those that wait so many load as may", loading.load(SeqCst) == LOADS)?;
    let before = tenants.quiet.tenant_stats().loads;
    row(&tenants.quiet, FEW).await?;
    check("the other one loads meanwhile", tenants.quiet.tenant_stats().loads == before + 1)?;
    gate.add_permits(1);
    while let Some(read) = readers.join_next().await {
        read??;
    }
    check("when it answers again, who waited is answered", loading.load(SeqCst) == WAITERS)?;
    Ok(())
}

/// One of them calls `invalidate` in a loop.
pub(crate) async fn invalidate_all_the_time(tenants: &Tenants) -> Outcome {
    let (mut done, mut refused) = (0, 0);
    for _ in 0..1_000 {
        match tenants.noisy.invalidate_tag("everything").await {
            Ok(_) => done += 1,
            Err(error) if error.kind() == ErrorKind::Overloaded => refused += 1,
            Err(error) => return Err(error.into()),
        }
    }
    println!("     of 1,000 invalidations at once {done} were done");
    check("more than it may are refused, by an error", done >= INVALIDATIONS - 10 && refused > 0)?;
    check("the other's are not", tenants.quiet.invalidate_tag("news").await.is_ok())?;
    Ok(())
}
