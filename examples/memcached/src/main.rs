//! Memory over Memcached in use. Exits 0 only if it saw what it says.
//!
//! ```text
//! memcached -p 11211 &
//! cargo run -p memcached-tier -- 127.0.0.1:11211
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr)] // a program for people

use std::{error::Error, io, process::ExitCode, time::Duration};

use memcached_tier::Memcached;
use stratacache::{Cache, Keyspace, Namespace, Policy, TenantId, millis, minutes};

/// Memory keeps pages for a moment only, so that Memcached is seen at work; an application leaves `tier_ttl` out.
const PAGES: Keyspace<u32, String> =
    Keyspace::new("pages", Policy::ttl(minutes(10)).tier_ttl("memory", millis(500)).jitter(0.0));

/// Reads a page as an application does: from memory, else from Memcached, else by the loader.
async fn page(tenant: &Namespace, number: u32, source: &'static str) -> Result<String, Box<dyn Error>> {
    let load = async move || Ok::<_, io::Error>(source.to_owned());
    Ok(tenant.get_or_load(PAGES.key(&number), load).tag("pages").await?.to_string())
}

fn check(promise: &str, held: bool) -> Result<(), String> {
    println!("{} {promise}", if held { "ok  " } else { "FAIL" });
    if held { Ok(()) } else { Err(format!("this did not hold: {promise}")) }
}

/// Waits until memory has let go of what it held, and Memcached has what was loaded.
async fn pause() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

async fn show(address: String) -> Result<(), Box<dyn Error>> {
    // patient, since the first connections to a busy machine may take a while
    let memcached = Memcached::builder(address).prefix("example:").deadline(Duration::from_secs(5)).connect().await?;
    let cache = Cache::builder().memory(16 << 20).tier(memcached).build().await?;
    let (acme, other) = (cache.tenant(&TenantId::parse("acme")?), cache.tenant(&TenantId::parse("other")?));

    check("a page is loaded once", page(&acme, 1, "first").await? == "first" && cache.stats().loads == 1)?;
    check("and served from memory", page(&acme, 1, "second").await? == "first" && cache.stats().memory_hits == 1)?;
    pause().await;
    let lower = page(&acme, 1, "second").await? == "first" && cache.stats().lower_hits == 1;
    check("what memory let go of comes from memcached", lower)?;
    check("another tenant has a page of its own", page(&other, 1, "other's").await? == "other's")?;

    acme.invalidate_tag("pages").await?;
    check("an invalidation reaches memcached", page(&acme, 1, "third").await? == "third")?;
    pause().await;
    check("and nobody else", page(&other, 1, "lost").await? == "other's" && cache.stats().lower_hits == 2)?;

    // that is more than 1 MiB, also when it is compressed
    let large: String = (0..400_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_string()).collect();
    acme.insert(PAGES.key(&2), large).await?;
    let held = acme.inspect(PAGES.key(&2)).await?.tiers;
    let memory_alone = held.len() == 1 && held[0].tier == "memory";
    check("a value larger than an item is in memory alone", memory_alone)?;
    println!("\n{}", cache.stats());
    cache.close().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:11211".to_owned());
    match show(address).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
