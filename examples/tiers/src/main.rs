//! Memory over a disk over an object store, which is a local directory here:
//!
//! ```text
//! cargo run -p tiers
//! ```
//!
//! Every line it prints is checked; it exits 0 only if all of them hold. `docs/guide/choosing-tiers.md` says when to take which.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a program for people

use std::{error::Error, io, path::Path, process::ExitCode, time::Duration};

use stratacache::{
    Cache, Disk, Key, Keyspace, Namespace, Object, Policy, TenantId, Tiers, WriteMode, hours, minutes, seconds,
};

type Outcome = Result<(), Box<dyn Error>>;

/// Memory keeps reports for a second only, so that the tiers below are seen at work; an application leaves that out.
const REPORT: Policy = Policy::ttl(hours(1)).jitter(0.0).tier_ttl("memory", seconds(1));
const REPORTS: Keyspace<str, String> = Keyspace::new("reports", REPORT);
/// What is large goes past the disk, into the object store.
const SCANS: Keyspace<str, String> = Keyspace::new("scans", REPORT.tier_max_weight("disk", 64 << 10));
/// Never below memory.
const SESSIONS: Keyspace<str, String> =
    Keyspace::new("sessions", Policy::ttl(minutes(30)).write(WriteMode::MemoryOnly));
/// Below memory a little later: the insert does not wait for it.
const COUNTS: Keyspace<str, u64> = Keyspace::new("counts", Policy::ttl(minutes(30)).write(WriteMode::Behind));

async fn open(folder: &Path) -> Result<Cache, Box<dyn Error>> {
    let disk = Disk::builder(folder.join("disk")).capacity(64 << 20).open().await?;
    let object = Object::directory(folder.join("objects")).open().await?;
    // patient, since this runs on busy machines, too
    let builder = Cache::builder().memory(16 << 20).tier(disk).tier(object).tier_deadline("disk", seconds(5));
    Ok(builder.build().await?)
}

fn acme(cache: &Cache) -> Result<Namespace, Box<dyn Error>> {
    Ok(cache.tenant(&TenantId::parse("acme")?))
}

fn check(promise: &str, held: bool) -> Result<(), String> {
    println!("{} {promise}", if held { "ok  " } else { "FAIL" });
    if held { Ok(()) } else { Err(format!("this did not hold: {promise}")) }
}

/// Returns which tiers may serve a key.
async fn held(ns: &Namespace, key: Key<String>) -> Result<Vec<String>, Box<dyn Error>> {
    let seen = ns.inspect(key).await?;
    Ok(seen.tiers.into_iter().filter(|tier| tier.valid && !tier.fresh_for.is_zero()).map(|tier| tier.tier).collect())
}

/// Returns how many reads each tier has answered.
fn hits(cache: &Cache) -> Vec<u64> {
    cache.stats().tiers.iter().map(|tier| tier.hits).collect()
}

/// Returns a value that stays large when it is compressed.
fn scan() -> String {
    (0..200_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_string()).collect()
}

/// A value that must not be loaded again.
async fn not_again() -> Result<String, io::Error> {
    Err(io::Error::other("it was loaded again"))
}

async fn which_tiers(ns: &Namespace) -> Outcome {
    ns.insert(REPORTS.key("q1"), "all".to_owned()).await?;
    check(
        "an insert is in every tier when it returns",
        held(ns, REPORTS.key("q1")).await? == ["memory", "disk", "object"],
    )?;
    ns.insert(REPORTS.key("draft"), "here".to_owned()).tiers(Tiers::memory_only()).await?;
    check("`.tiers(..)` says otherwise for one call", held(ns, REPORTS.key("draft")).await? == ["memory"])?;
    ns.insert(REPORTS.key("archive"), "cold".to_owned()).tiers(Tiers::all().skip("disk")).await?;
    check("and leaves out one tier", held(ns, REPORTS.key("archive")).await? == ["memory", "object"])?;
    ns.insert(SCANS.key("page"), scan()).await?;
    check(
        "`tier_max_weight` keeps what is large off the disk",
        held(ns, SCANS.key("page")).await? == ["memory", "object"],
    )?;
    Ok(())
}

async fn promotion(cache: &Cache, ns: &Namespace) -> Outcome {
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    check("memory let go of it after its `tier_ttl`", held(ns, REPORTS.key("archive")).await? == ["object"])?;
    let before = hits(cache);
    let value = ns.get_or_load(REPORTS.key("archive"), not_again).await?;
    let after = hits(cache);
    check("the object store answers", *value == "cold" && after[2] == before[2] + 1)?;
    check("and fills the tiers above", held(ns, REPORTS.key("archive")).await? == ["memory", "disk", "object"])?;
    let seen = ns.inspect(REPORTS.key("archive")).await?;
    let below = seen.tiers[2].fresh_for;
    check("where it lives no longer than below", seen.tiers.iter().all(|tier| tier.fresh_for <= below))?;

    ns.invalidate(REPORTS.key("archive")).await?;
    check("an invalidation takes it from all of them", held(ns, REPORTS.key("archive")).await?.is_empty())?;
    Ok(())
}

async fn write_modes(ns: &Namespace) -> Outcome {
    ns.insert(SESSIONS.key("s"), "signed in".to_owned()).await?;
    check("`MemoryOnly` stays in memory", held(ns, SESSIONS.key("s")).await? == ["memory"])?;
    for count in 1..=1_000 {
        ns.insert(COUNTS.key("visits"), count).await?;
    }
    check("`Behind` is in memory at once", ns.get(COUNTS.key("visits")).await.as_deref() == Some(&1_000))?;
    Ok(())
}

async fn restart(folder: &Path) -> Outcome {
    let cache = open(folder).await?;
    let ns = acme(&cache)?;
    let value = ns.get_or_load(REPORTS.key("q1"), not_again).await?;
    check("after a restart the disk is warm", *value == "all" && hits(&cache)[1] == 1)?;
    check("what was invalidated is not there", ns.get(REPORTS.key("archive")).await.is_none())?;
    check("`close` wrote what waited", ns.get(COUNTS.key("visits")).await.as_deref() == Some(&1_000))?;
    check("what was in memory only is gone", ns.get(SESSIONS.key("s")).await.is_none())?;
    // the order went on with the journal of the disk, which does not keep the marks of keys that a store without fences needs
    check("an object of before is loaded once more", ns.get(SCANS.key("page")).await.is_none())?;
    println!("\n{}", cache.stats());
    cache.close().await?;
    Ok(())
}

async fn show(folder: &Path) -> Outcome {
    let cache = open(folder).await?;
    let ns = acme(&cache)?;
    which_tiers(&ns).await?;
    promotion(&cache, &ns).await?;
    write_modes(&ns).await?;
    cache.close().await?;
    drop((cache, ns)); // the directory of the disk is free
    restart(folder).await
}

#[tokio::main]
async fn main() -> ExitCode {
    let shown = match tempfile::tempdir() {
        Ok(folder) => show(folder.path()).await,
        Err(error) => Err(error.into()),
    };
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
