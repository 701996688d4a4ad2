//! Ten thousand tenants.

use std::time::Duration;

use anyhow::Result;
use stratacache::{Cache, Namespace, TenantId};

use crate::{
    engines::{drive, own},
    keys::key,
    measure::{Effort, Spread, now, progress},
    table::{Table, thousands},
};

const TENANTS: usize = 10_000;

/// What one round found.
struct Round {
    build: Duration,
    made: Duration,
    filled: Duration,
    empty_bytes: f64,
    first_entry_bytes: f64,
    kept: f64,
}

fn round() -> Result<Round> {
    drive(async {
        let start = now();
        let cache = Cache::builder().memory(256 << 20).build().await?;
        let build = start.elapsed();
        let ids = (0..TENANTS).map(|n| TenantId::parse(format!("company-{n}"))).collect::<Result<Vec<_>, _>>()?;
        let mut tenants: Vec<Namespace> = Vec::with_capacity(TENANTS);
        let start = now();
        let empty = allocation_counter::measure(|| tenants.extend(ids.iter().map(|id| cache.tenant(id))));
        let made = start.elapsed();
        let start = now();
        let mut stored = Ok(());
        let first = allocation_counter::measure(|| stored = fill(&tenants));
        let filled = start.elapsed();
        stored?;
        let kept = cache.stats().entries.unwrap_or(0) as f64;
        cache.close().await?;
        let each = |bytes: i64| bytes as f64 / TENANTS as f64;
        Ok(Round {
            build,
            made,
            filled,
            empty_bytes: each(empty.bytes_current),
            first_entry_bytes: each(first.bytes_current),
            kept,
        })
    })
}

/// Inserts one entry into each tenant, without leaving the thread that counts.
fn fill(tenants: &[Namespace]) -> Result<()> {
    for tenant in tenants {
        let mut insert = std::pin::pin!(std::future::IntoFuture::into_future(tenant.insert(key(0), own(0))));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::future::Future::poll(insert.as_mut(), &mut context) {
            std::task::Poll::Ready(stored) => stored.map(drop)?,
            std::task::Poll::Pending => anyhow::bail!("an insert into memory alone waits for nobody"),
        }
    }
    Ok(())
}

/// Measures the fixed cost of tenants in bytes and time.
pub(crate) fn run(effort: Effort) -> Result<Table> {
    progress("tenants");
    let rounds = (0..effort.rounds).map(|_| round()).collect::<Result<Vec<_>>>()?;
    let of = |read: &dyn Fn(&Round) -> f64| {
        let Spread { median, min, max } = Spread::of(rounds.iter().map(read).collect());
        let [median, min, max] = [median, min, max].map(|n| thousands(n.round() as u64));
        format!("{median} ({min} to {max})")
    };
    let micros = |time: Duration| time.as_nanos() as f64 / 1000.0;
    let mut table = Table::new(
        "10,000 tenants",
        "Bytes by the counting allocator, the handle included; a budget of 256 MiB. Budget: at most 2 KiB fixed for each.",
        &["what", "median (spread)"],
    );
    let rows: [(&str, String); 6] = [
        ("bytes of a tenant that was only named", of(&|r| r.empty_bytes)),
        ("bytes that its first entry adds, the entry included", of(&|r| r.first_entry_bytes)),
        ("entries kept of the 10,000", of(&|r| r.kept)),
        ("us to build the cache", of(&|r| micros(r.build))),
        ("us to name 10,000 tenants", of(&|r| micros(r.made))),
        ("us to insert one entry into each", of(&|r| micros(r.filled))),
    ];
    rows.into_iter().for_each(|(what, value)| table.row(vec![what.to_owned(), value]));
    Ok(table)
}
