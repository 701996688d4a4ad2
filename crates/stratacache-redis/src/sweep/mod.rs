//! An operator's sweep: it frees the bytes of entries that no node may serve any more, before they expire.

mod builder;
mod lanes;
mod page;
mod report;

use std::{fmt, sync::Arc, time::Duration};

pub use builder::SweepBuilder;
use bytes::Bytes;
pub use report::{SweepCursor, SweepError, SweepReport};

use crate::{
    access::Purpose,
    link::{Command, Failure, Link},
    names::Names,
    scripts::Scripts,
    walk::{self, WalkPlace},
};
use lanes::Lanes;

/// What a sweep works with.
struct Bench {
    link: Link,
    names: Names,
    scripts: Scripts,
}

impl Bench {
    /// SWEEP: removes an entry, if it still begins as it did when it was judged.
    fn remove(&self, key: &str, first: &[u8], by_store: bool) -> Command {
        let flag = if by_store { "1" } else { "0" };
        let args = vec![Bytes::copy_from_slice(first), Bytes::from(flag)];
        Command::script(&self.scripts.sweep, vec![key.to_owned()], args)
    }
}

/// Frees the bytes of what was invalidated, for an operator, beside the nodes.
///
/// An invalidation is a mark, however many entries it concerns; their bytes come back when they expire. Where that is too
/// late, as after a `clear` of a large tenant, a sweep walks all entries and removes those that no node may serve any more.
/// It needs a user of its own ([`REDIS_SWEEP_ACL`](crate::REDIS_SWEEP_ACL)), walks with `SCAN`, reads the first bytes of entries, removes in batches with
/// `UNLINK`, and never uses `KEYS`. Nothing waits for it, and it may be broken off at any time.
///
/// ```no_run
/// use stratacache_core::TenantId;
/// use stratacache_redis::Sweep;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let sweep = Sweep::builder("redis://sweeper:secret@cache.internal")
///     .prefix("shop")
///     .tenant(&TenantId::parse("acme")?)
///     .most(1_000_000)
///     .build()
///     .await?;
/// let mut report = sweep.run().await?;
/// while let Some(cursor) = report.cursor.take() {
///     report = sweep.resume(cursor).await?;
/// }
/// # Ok(())
/// # }
/// ```
///
/// # What it removes
///
/// Entries that were loaded before an invalidation of their tenant, of one of their tags or global tags; those older than what the lanes
/// remember; and those of histories that have ended, as after a restart of Redis without its data. An invalidated *key* was
/// removed by whoever invalidated it. Entries of an invalidated *namespace* below the tenant stay until they expire: an entry tells
/// whose it is, and not of which namespace. So do those that were only made to `expire`: they may still be served stale.
///
/// # What it never does
///
/// It removes nothing that a node may still serve: what was invalid when it was read is so for ever, and an entry that was
/// replaced since is left alone. It touches neither marks nor leases, nor keys of other prefixes. If it does remove
/// something valid, on a primary that was cut off and replaced without knowing, that entry is loaded again.
pub struct Sweep {
    bench: Arc<Bench>,
    server: String,
    tenant: Option<u64>,
    batch: u32,
    pause: Duration,
    most: u64,
    dry: bool,
}

impl Sweep {
    /// Begins a sweep. The URL has one of the forms that [`Redis::builder`](crate::Redis::builder) takes, with the user of
    /// the sweep.
    pub fn builder(url: impl Into<String>) -> SweepBuilder {
        SweepBuilder::new(url.into())
    }

    /// Sweeps from the beginning.
    ///
    /// # Errors
    /// [`SweepError`] when a server does not answer in time or refuses; its report says what was done and where to go on.
    ///
    /// # Cancel safety
    /// May be dropped at any await: what was removed is removed, and nothing is left behind.
    pub async fn run(&self) -> Result<SweepReport, SweepError> {
        self.go(None).await
    }

    /// Sweeps from where a run ended.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    ///
    /// # Cancel safety
    /// As [`run`](Self::run).
    pub async fn resume(&self, cursor: SweepCursor) -> Result<SweepReport, SweepError> {
        self.go(Some(cursor)).await
    }

    async fn go(&self, from: Option<SweepCursor>) -> Result<SweepReport, SweepError> {
        let mut report = SweepReport { cursor: from.clone(), ..SweepReport::default() };
        match self.walk(from, &mut report).await {
            Ok(()) => Ok(report),
            Err(failure) => Err(SweepError::new(Purpose::Sweep.explain(failure, &self.bench.names), report)),
        }
    }

    async fn walk(&self, from: Option<SweepCursor>, report: &mut SweepReport) -> Result<(), Failure> {
        let mut lanes = Lanes::new(lanes::headers(&self.bench).await?);
        let mut examined = 0_u64;
        let from = from.map(|cursor| cursor.0);
        for (WalkPlace { server, mut at }, node) in walk::servers(&self.bench.link, from.as_ref()).await? {
            loop {
                report.cursor = Some(SweepCursor(WalkPlace { server: server.clone(), at }));
                if examined >= self.most {
                    return Ok(());
                }
                if examined > 0 {
                    tokio::time::sleep(self.pause).await;
                }
                let Bench { link, names, .. } = &*self.bench;
                let (next, keys) = walk::step(link, names, &node, at, self.batch as usize).await?;
                examined += (keys.len() as u64).max(u64::from(self.batch));
                self.page(&node, keys, &mut lanes, report).await?;
                at = next;
                if at == 0 {
                    break;
                }
            }
        }
        report.cursor = None;
        Ok(())
    }
}

impl fmt::Debug for Sweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sweep").field("server", &self.server).field("dry_run", &self.dry).finish_non_exhaustive()
    }
}
