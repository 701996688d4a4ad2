//! Tenants behind walls: quotas, a noisy neighbour, what belongs to nobody, and a tenant that leaves.
//!
//! ```text
//! cargo run -p multi_tenant
//! ```
//!
//! Every line it prints is checked; it exits 0 only if all of them hold. `docs/guide/tenants.md` says more; `examples/encrypted`
//! destroys a tenant so that no copy of its data can be read.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a program for people

mod neighbours;
mod nobody;
mod walls;

use std::{error::Error, process::ExitCode};

use stratacache::{Cache, Namespace, Quota, TenantId};

type Outcome = Result<(), Box<dyn Error>>;

/// Less than the noisy one wants.
const MEMORY: u64 = 8 << 20;
const RESERVED: u64 = 1 << 20;
const LIMIT: u64 = 6 << 20;
/// What may run, wait, and be invalidated in a second, of each tenant.
const LOADS: usize = 4;
const WAITERS: usize = 20;
const INVALIDATIONS: u32 = 50;

fn check(promise: &str, held: bool) -> Result<(), String> {
    println!("{} {promise}", if held { "ok  " } else { "FAIL" });
    if held { Ok(()) } else { Err(format!("this did not hold: {promise}")) }
}

/// Two companies on one cache.
struct Tenants {
    cache: Cache,
    /// Small, and pays for a reserve.
    quiet: Namespace,
    /// Large, and at times out of its mind.
    noisy: Namespace,
}

impl Tenants {
    async fn open() -> Result<Self, Box<dyn Error>> {
        let (quiet, noisy) = (TenantId::parse("quiet")?, TenantId::from(17_u64));
        let builder = Cache::builder()
            .memory(MEMORY)
            .quota(quiet.clone(), Quota::new().reserve(RESERVED)) // nobody else gets this
            .default_quota(Quota::new().limit(LIMIT)) // no tenant gets more; the rest is shared by need
            .max_loads(LOADS)
            .max_waiters(WAITERS)
            .invalidations_per_s(INVALIDATIONS);
        let cache = builder.build().await?;
        Ok(Self { quiet: cache.tenant(&quiet), noisy: cache.tenant(&noisy), cache })
    }

    fn print(&self) {
        println!(
            "\n{:10} {:>9} {:>10} {:>8} {:>8} {:>8}",
            "tenant", "hit rate", "weight", "entries", "loads", "evicted"
        );
        for tenant in [&self.quiet, &self.noisy] {
            let stats = tenant.tenant_stats();
            println!(
                "{:10} {:>8.1}% {:>10} {:>8} {:>8} {:>8}",
                tenant.tenant().map(ToString::to_string).unwrap_or_default(),
                stats.hit_rate().unwrap_or_default() * 100.0,
                stats.weight.unwrap_or_default(),
                stats.entries.unwrap_or_default(),
                stats.loads,
                stats.evicted_for_capacity.unwrap_or_default(),
            );
        }
        println!("{}\n", self.cache.stats());
    }
}

async fn tour() -> Outcome {
    let tenants = Tenants::open().await?;
    walls::names(&tenants).await?;
    neighbours::flood(&tenants).await?;
    neighbours::hang(&tenants).await?;
    neighbours::invalidate_all_the_time(&tenants).await?;
    nobody::global_data(&tenants).await?;
    nobody::global_tags(&tenants).await?;
    tenants.print();
    walls::leaving(&tenants).await?;
    tenants.cache.close().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    match tour().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
