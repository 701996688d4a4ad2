//! Filling the cache before traffic:
//!
//! ```text
//! cargo run -p warmup
//! ```
//!
//! On a terminal a bar shows how far it is. Every line it prints is checked; it exits 0 only if all of them hold.
//! `docs/guide/warm-up.md` says more.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a program for people

use std::{
    error::Error,
    io,
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::SeqCst},
    },
};

use indicatif::{ProgressBar, ProgressStyle};
use stratacache::{
    Cache, Disk, Keyspace, Namespace, Policy, TenantId, WarmEnd, WarmReport, WarmUp, hours, millis, seconds,
};

type Outcome = Result<(), Box<dyn Error>>;

const PRODUCTS: Keyspace<u32, String> = Keyspace::new("products", Policy::ttl(hours(1)));
const ALL: u32 = 5_000;

/// A database that counts what it is asked.
#[derive(Clone, Default)]
struct Database(Arc<Counts>);

#[derive(Default)]
struct Counts {
    queries: AtomicU64,
    rows: AtomicU64,
    edition: AtomicU32,
}

impl Database {
    /// Answers one query for many products. Those with a number that 1,000 divides are broken.
    async fn products(self, ids: Vec<u32>) -> io::Result<Vec<(u32, String)>> {
        self.0.queries.fetch_add(1, SeqCst);
        let edition = self.0.edition.load(SeqCst);
        tokio::time::sleep(millis(5)).await;
        self.0.rows.fetch_add(ids.len() as u64, SeqCst);
        Ok(ids.into_iter().map(|id| (id, format!("product {id}, edition {edition}"))).collect())
    }

    async fn product(self, id: u32) -> io::Result<String> {
        if id.is_multiple_of(1_000) {
            return Err(io::Error::other("the row is damaged"));
        }
        let mut rows = self.products(vec![id]).await?;
        rows.pop().map(|(_, name)| name).ok_or_else(|| io::Error::other("no such row"))
    }

    fn rows(&self) -> u64 {
        self.0.rows.load(SeqCst)
    }
}

async fn open(folder: &Path) -> Result<(Cache, Namespace), Box<dyn Error>> {
    let disk = Disk::builder(folder).capacity(64 << 20).open().await?;
    // patient, since this runs on busy machines, too
    let cache = Cache::builder().memory(32 << 20).tier(disk).tier_deadline("disk", seconds(5)).build().await?;
    let acme = cache.tenant(&TenantId::parse("acme")?);
    Ok((cache, acme))
}

fn check(promise: &str, held: bool) -> Result<(), String> {
    println!("{} {promise}", if held { "ok  " } else { "FAIL" });
    if held { Ok(()) } else { Err(format!("this did not hold: {promise}")) }
}

/// Shows a warm-up until its end; `stop_at` stops it when so many keys are done.
async fn show<E: Send + Sync>(
    title: &'static str,
    mut warming: WarmUp<u32, E>,
    stop_at: Option<u64>,
) -> Result<WarmReport<u32, E>, Box<dyn Error>> {
    // hidden where the standard error is no terminal
    let bar = ProgressBar::new(warming.progress().total.unwrap_or_default());
    bar.set_style(ProgressStyle::with_template("{prefix:12} [{bar:40}] {pos}/{len} {msg} {eta}")?);
    bar.set_prefix(title);
    while let Some(progress) = warming.changed().await {
        bar.set_position(progress.position());
        bar.set_message(format!("{} loaded, {} failed", progress.loaded, progress.failed));
        if stop_at.is_some_and(|stop_at| progress.done() >= stop_at) {
            warming.stop();
        }
    }
    let report = warming.finish().await;
    bar.set_position(report.progress.position());
    bar.finish();
    println!("     {title}: {}", report.progress);
    Ok(report)
}

async fn fill(ns: &Namespace, database: &Database) -> Outcome {
    let source = database.clone();
    let load = async move |ids| source.products(ids).await;
    let warming = ns.warm(&PRODUCTS, 0..ALL).load_many(load.clone()).batch(100).tag("products").start()?;
    let report = show("first half", warming, Some(2_000)).await?;
    check("it stopped when it was told to", matches!(report.ended, WarmEnd::Stopped))?;
    check("and what was under way was done", report.progress.position() == report.resume_at)?;

    let warming = ns.warm(&PRODUCTS, 0..ALL).resume_at(report.resume_at).load_many(load).batch(100).tag("products");
    let rest = show("the rest", warming.start()?, None).await?;
    check("it went on where it had stopped", rest.progress.skipped == report.resume_at && rest.is_success())?;
    check("each row was read once", database.rows() == u64::from(ALL))?;
    check("a hundred in a query", database.0.queries.load(SeqCst) == u64::from(ALL) / 100)?;

    let source = database.clone();
    let again = ns.warm(&PRODUCTS, 0..ALL).load(async move |id| source.product(id).await).await?;
    check("what is there is not loaded again", again.progress.there == u64::from(ALL))?;
    Ok(())
}

async fn readers(ns: &Namespace, database: &Database) -> Outcome {
    let (before, hits) = (database.rows(), ns.stats().hits());
    for id in [0, 7, ALL - 1] {
        let source = database.clone();
        ns.get_or_load(PRODUCTS.key(&id), move || source.product(id)).await?;
    }
    check("the first readers hit", database.rows() == before && ns.stats().hits() == hits + 3)?;
    Ok(())
}

async fn a_write_meanwhile(ns: &Namespace, database: &Database) -> Outcome {
    let source = database.clone();
    let load = async move |ids| source.products(ids).await;
    let warming = ns.warm(&PRODUCTS, 0..ALL).load_many(load).force().batch(50).rate(5_000).tag("products").start()?;
    tokio::time::sleep(millis(100)).await;
    database.0.edition.store(1, SeqCst); // the write and its commit, then
    ns.invalidate_tag("products").await?;
    let report = show("reloading", warming, None).await?;
    check("a write in the middle does not disturb it", report.is_success())?;
    let keys = (0..ALL).map(|id| PRODUCTS.key(&id));
    let found = ns.get_many(keys).await;
    let old = found.iter().flatten().filter(|value| value.ends_with("edition 0")).count();
    check("and nothing it loaded before the write is kept", old == 0 && found.iter().any(Option::is_some))?;
    Ok(())
}

async fn failures(ns: &Namespace, database: &Database) -> Outcome {
    ns.invalidate_tag("products").await?;
    let source = database.clone();
    let warming = ns.warm(&PRODUCTS, 0..3_000).load(async move |id| source.product(id).await).concurrency(32);
    let report = show("one by one", warming.list_failures(2).start()?, None).await?;
    check("damaged rows fail alone", report.progress.failed == 3 && report.progress.loaded == 2_997)?;
    let listed: Vec<u32> = report.failures.iter().map(|failure| failure.key).collect();
    check("the first are listed by their keys", listed.len() == 2 && listed.iter().all(|id| id.is_multiple_of(1_000)))?;
    Ok(())
}

async fn restart(folder: &Path, database: &Database) -> Outcome {
    let (cache, ns) = open(folder).await?;
    let before = database.rows();
    let report = show("from disk", ns.warm(&PRODUCTS, 0..3_000).from_tiers().start()?, None).await?;
    check("after a restart memory is filled from the disk", report.progress.promoted == 2_997)?;
    check("what was not stored is not made up", report.progress.missing == 3 && database.rows() == before)?;
    cache.close().await?;
    Ok(())
}

async fn tour(folder: &Path) -> Outcome {
    let (cache, ns) = open(folder).await?;
    let database = Database::default();
    fill(&ns, &database).await?;
    readers(&ns, &database).await?;
    a_write_meanwhile(&ns, &database).await?;
    failures(&ns, &database).await?;
    cache.close().await?;
    drop((cache, ns)); // the directory of the disk is free
    restart(folder, &database).await
}

#[tokio::main]
async fn main() -> ExitCode {
    let shown = match tempfile::tempdir() {
        Ok(folder) => tour(&folder.path().join("disk")).await,
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
