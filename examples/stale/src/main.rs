//! Old answers on purpose: what readers see of a data base that is slow, goes down and hangs.
//!
//! ```text
//! cargo run -p stale
//! ```
//!
//! Hours pass in a moment, on the simulated clock of `stratacache-testkit`. Every line it prints is checked; it exits 0 only if
//! all of them hold. `docs/guide/policies.md` has every knob.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a program for people

mod database;

use std::{error::Error, fmt, io, process::ExitCode, time::Duration};

use database::{Database, State};
use stratacache::{
    Cache, Freshness, Keyspace, LoadError, Namespace, Policy, TenantId, hours, millis, minutes, seconds,
};
use stratacache_testkit::clock::SimulatedClock;
use tokio::time::{Instant, sleep};

type Outcome = Result<(), Box<dyn Error>>;
/// A kind of value with one key.
type Kind = Keyspace<str, u64>;

/// Without jitter the times below are exact; an application leaves it as it is.
const MINUTE: Policy = Policy::ttl(minutes(1)).jitter(0.0);
/// Past its minute it is shown for five more, while one reader's load runs behind.
const NEWS: Kind = Keyspace::new("news", MINUTE.stale_while_revalidate(minutes(5)));
/// Loaded again before its minute is over, as long as somebody reads it.
const PRICES: Kind = Keyspace::new("prices", MINUTE.refresh_ahead(0.8));
/// Up to an hour old, if the data base is down; who waited for two seconds has waited enough.
const STOCK: Kind = Keyspace::new("stock", MINUTE.stale_if_error(hours(1)).load_timeout(seconds(2)));
/// The same, and who has something old in hand waits for 200 ms only.
const REPORT: Kind = Keyspace::new("report", STOCK.policy().soft_timeout(millis(200)));
/// What is not there is known not to be there for half a minute.
const BY_MAIL: Kind = Keyspace::new("by-mail", MINUTE.negative_ttl(seconds(30)));

/// What readers saw, and how often the data base was asked meanwhile.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    fresh: u32,
    stale: u32,
    loaded: u32,
    failed: u32,
    queries: u64,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fresh, stale, loaded, failed, queries } = self;
        write!(f, "{fresh} fresh, {stale} stale, {loaded} loaded, {failed} failed; {queries} queries")
    }
}

fn check(promise: &str, held: bool) -> Result<(), String> {
    println!("{} {promise}", if held { "ok  " } else { "FAIL" });
    if held { Ok(()) } else { Err(format!("this did not hold: {promise}")) }
}

/// Reads so many times, with a pause after each.
async fn readers(ns: &Namespace, kind: &'static Kind, db: &Database, times: u32, pause: Duration) -> Seen {
    let (mut seen, before) = (Seen::default(), db.queries());
    for _ in 0..times {
        let source = db.clone();
        let read: Result<_, LoadError<io::Error>> = ns.get_or_load(kind.key("all"), move || source.query()).await;
        match read.map(|value| value.freshness()) {
            Ok(Freshness::Fresh) => seen.fresh += 1,
            Ok(Freshness::Stale) => seen.stale += 1,
            Ok(_) => seen.loaded += 1,
            Err(_) => seen.failed += 1,
        }
        sleep(pause).await;
    }
    seen.queries = db.queries() - before;
    println!("     {times} readers of {}: {seen}", kind.name());
    seen
}

async fn one(ns: &Namespace, kind: &'static Kind, db: &Database) -> Seen {
    readers(ns, kind, db, 1, Duration::ZERO).await
}

async fn while_revalidate(ns: &Namespace, db: &Database) -> Outcome {
    println!("stale_while_revalidate: nobody waits for a value that was there");
    one(ns, &NEWS, db).await;
    sleep(minutes(2)).await;
    let seen = readers(ns, &NEWS, db, 100, millis(1)).await;
    // the load takes 50 ms, in which 50 of them come
    check("all are answered at once, by one load behind them", seen.loaded + seen.failed == 0 && seen.queries == 1)?;
    check("the old value until it is there, then the new one", seen.stale >= 50 && seen.fresh >= 49)?;
    sleep(minutes(7)).await;
    check("past its window a value is gone", one(ns, &NEWS, db).await.loaded == 1)?;
    Ok(())
}

async fn ahead(ns: &Namespace, db: &Database) -> Outcome {
    println!("refresh_ahead: a value that is read never ends");
    one(ns, &PRICES, db).await;
    let seen = readers(ns, &PRICES, db, 600, seconds(1)).await;
    check("ten minutes of reads are all fresh", seen.fresh == 600)?;
    check("for a load in each four fifths of a minute", (11..=13).contains(&seen.queries))?;
    sleep(minutes(10)).await;
    check("and none while nobody reads", one(ns, &PRICES, db).await.queries == 1)?;
    Ok(())
}

async fn if_error(ns: &Namespace, db: &Database) -> Outcome {
    println!("stale_if_error: an outage is not seen");
    one(ns, &STOCK, db).await;
    sleep(minutes(2)).await;
    let down = db.but(State::Down);
    let seen = readers(ns, &STOCK, &down, 1_800, seconds(1)).await;
    check("half an hour without a data base, and every reader is answered", seen.stale == 1_800)?;
    check("which is asked now and then, not by each of them", seen.queries < 120)?;
    let seen = readers(ns, &STOCK, db, 40, seconds(1)).await;
    check("it is back, and within half a minute so is the new value", seen.failed == 0 && seen.fresh >= 9)?;

    ns.expire(STOCK.key("all")).await?;
    check("what was expired may still be served so", one(ns, &STOCK, &down).await.stale == 1)?;
    ns.invalidate(STOCK.key("all")).await?;
    check("what was invalidated may not: it is known to be wrong", one(ns, &STOCK, &down).await.failed == 1)?;

    one(ns, &STOCK, db).await;
    sleep(hours(2)).await;
    check("past its window there is an error, and no lie", one(ns, &STOCK, &down).await.failed == 1)?;
    Ok(())
}

async fn soft_timeout(ns: &Namespace, db: &Database) -> Outcome {
    println!("soft_timeout: a data base that hangs holds up nobody who has something old");
    for kind in [&STOCK, &REPORT] {
        one(ns, kind, db).await;
    }
    sleep(minutes(2)).await;
    let hangs = db.but(State::Hangs);
    for (kind, patience) in [(&STOCK, seconds(2)), (&REPORT, millis(200))] {
        let began = Instant::now();
        let seen = one(ns, kind, &hangs).await;
        let waited = (patience..patience + millis(10)).contains(&began.elapsed()); // of simulated time, it is exact
        check(&format!("the first waits for {patience:?}, and has the old value"), waited && seen.stale == 1)?;
    }
    let seen = readers(ns, &REPORT, &hangs, 50, millis(1)).await;
    check("and all wait for the same load", seen.stale == 50 && seen.queries == 0)?;
    check("which ends by its load_timeout", ns.stats().load_timeouts > 0)?;

    let seen = one(ns, &BY_MAIL, &hangs).await;
    check("who has nothing waits for load_timeout, and is told", seen.failed == 1)?;
    Ok(())
}

async fn negative(ns: &Namespace, db: &Database) -> Outcome {
    println!("negative_ttl: what is not there is asked for once");
    let before = db.queries();
    for _ in 0..1_000 {
        let source = db.clone();
        let found = ns.get_or_load_optional(BY_MAIL.key("ada@example.com"), move || source.nothing()).await?;
        check_absent(found.is_some())?;
    }
    check("a thousand asked, one query", db.queries() == before + 1)?;
    sleep(seconds(31)).await;
    let source = db.clone();
    ns.get_or_load_optional(BY_MAIL.key("ada@example.com"), move || source.nothing()).await?;
    check("it is looked for again after its negative_ttl", db.queries() == before + 2)?;

    ns.invalidate(BY_MAIL.key("ada@example.com")).await?; // after the row was written, as after any write
    let source = db.clone();
    let found = ns.get_or_load(BY_MAIL.key("ada@example.com"), move || source.query()).await?;
    check("and found as soon as it is created", *found == before + 3)?;
    Ok(())
}

fn check_absent(found: bool) -> Result<(), String> {
    if found { Err("there is no such row".to_owned()) } else { Ok(()) }
}

async fn tour() -> Outcome {
    let keyspaces =
        Cache::builder().keyspace(&NEWS).keyspace(&PRICES).keyspace(&STOCK).keyspace(&REPORT).keyspace(&BY_MAIL);
    let cache = keyspaces.clock(SimulatedClock::new()).seed(7).build().await?;
    let acme = cache.tenant(&TenantId::parse("acme")?);
    let database = Database::new();
    while_revalidate(&acme, &database).await?;
    ahead(&acme, &database).await?;
    if_error(&acme, &database).await?;
    soft_timeout(&acme, &database).await?;
    negative(&acme, &database).await?;
    let stats = acme.stats();
    println!("\n{stats}\n{} stale hits, {} loads, {} of them failed", stats.stale_hits, stats.loads, stats.load_errors);
    cache.close().await?;
    Ok(())
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> ExitCode {
    match tour().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
