//! A process with a cache over a disk is killed at random points under load, again and again in one directory; what is
//! served afterwards is never torn, foreign or invalidated.
//!
//! The process is this test program itself, started again with `STRATA_CRASH_CHILD` set. 20 kills by default,
//! `STRATA_KILLS=200` for the long form, `STRATA_SEED` for other points.
#![cfg(feature = "disk")]
#![allow(clippy::unwrap_used, clippy::print_stdout, unreachable_pub)] // helpers that fail end the test

#[path = "support/crash/ledger.rs"]
mod ledger;
#[path = "support/crash/load.rs"]
mod load;
#[path = "support/crash/world.rs"]
mod world;

use std::{
    fmt,
    io::{BufRead as _, BufReader},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use ledger::Told;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use stratacache::millis;
use world::{Fault, Item, Setup, Spot};

const CHILD: &str = "STRATA_CRASH_CHILD";
const PLAIN: Setup = Setup { seed: 0, capacity: 0, forgetful: false, behind: false };

/// The process that is killed. It is no test of its own: without the variable it has nothing to do. Marked as ignored it
/// would run, and never end, where all tests are asked for.
#[test]
fn the_process_that_is_killed() {
    let Ok(arguments) = std::env::var(CHILD) else { return };
    let [seed, capacity, forgetful, behind, round, home] = arguments.splitn(6, ' ').collect::<Vec<_>>()[..] else {
        panic!("{arguments:?}")
    };
    let number = |word: &str| word.parse::<u64>().unwrap();
    let setup = Setup {
        seed: number(seed),
        capacity: number(capacity),
        forgetful: number(forgetful) == 1,
        behind: number(behind) == 1,
    };
    let home = Home(home.into());
    load::run(setup, number(round), &home.disk(), &home.ledger());
}

#[tokio::test]
async fn nothing_torn_foreign_or_invalidated_is_served_after_kills_under_load() {
    let report = campaign(Setup { seed: seed(), ..PLAIN }, kills()).await;
    report.verdict(50);
}

#[tokio::test]
async fn nothing_torn_foreign_or_invalidated_is_served_after_kills_while_the_disk_evicts() {
    // less than what the load wants to keep
    let report = campaign(Setup { seed: seed() + 1, capacity: 3 << 20, ..PLAIN }, kills()).await;
    report.verdict(25);
}

#[tokio::test]
async fn nothing_torn_foreign_or_invalidated_is_served_after_kills_while_writes_wait_behind() {
    let report = campaign(Setup { seed: seed() + 3, behind: true, ..PLAIN }, kills()).await;
    report.verdict(50);
}

#[cfg(feature = "mutants")]
#[tokio::test]
async fn a_cache_that_does_not_persist_its_marks_is_noticed() {
    let report = campaign(Setup { seed: seed() + 2, forgetful: true, ..PLAIN }, 5).await;
    assert!(report.stale > 0, "nobody noticed: {report}");
    assert_eq!((report.torn, report.foreign), (0, 0), "{report}");
}

fn kills() -> u64 {
    std::env::var("STRATA_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(20)
}

fn seed() -> u64 {
    std::env::var("STRATA_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_261_121)
}

/// The directory of a campaign: the cache's, and beside it the ledger.
struct Home(PathBuf);

impl Home {
    fn disk(&self) -> PathBuf {
        self.0.join("disk")
    }

    fn ledger(&self) -> PathBuf {
        self.0.join("ledger")
    }
}

/// What a campaign saw.
#[derive(Debug, Default)]
struct Report {
    kills: u64,
    early_kills: u64,
    /// Values that came from the disk after a kill, and were judged.
    served: u64,
    served_under_load: u64,
    invalidations: u64,
    cut_off: u64,
    torn: u64,
    foreign: u64,
    stale: u64,
    corrupt_envelopes: u64,
    foreign_envelopes: u64,
    slowest_reopening: Duration,
    faults: Vec<String>,
}

impl Report {
    fn verdict(&self, least_served_a_kill: u64) {
        assert!(self.torn + self.foreign + self.stale == 0 && self.faults.is_empty(), "{self}");
        assert!(self.served >= self.kills * least_served_a_kill, "too little survives to mean anything: {self}");
        assert!(self.invalidations >= self.kills * 20, "too little was invalidated to mean anything: {self}");
        assert_eq!(self.foreign_envelopes, 0, "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kills under load and {} while it opens: {} values served after them ({} torn, {} foreign, {} stale; {} \
             damaged envelopes refused) and {} under load; {} invalidations returned, {} cut off; slowest reopening {:?}",
            self.kills,
            self.early_kills,
            self.served,
            self.torn,
            self.foreign,
            self.stale,
            self.corrupt_envelopes,
            self.served_under_load,
            self.invalidations,
            self.cut_off,
            self.slowest_reopening
        )?;
        self.faults.iter().take(10).try_for_each(|fault| write!(f, "\n{fault}"))
    }
}

/// A process under load, killed at the latest when this is dropped.
struct Victim(Child);

impl Victim {
    fn start(setup: Setup, round: u64, home: &Home) -> Self {
        let Setup { seed, capacity, forgetful, behind } = setup;
        let (forgetful, behind) = (u8::from(forgetful), u8::from(behind));
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["the_process_that_is_killed", "--exact", "--nocapture", "--test-threads=1"])
            .env(CHILD, format!("{seed} {capacity} {forgetful} {behind} {round} {}", home.0.to_str().unwrap()))
            // it ends when this pipe does, should this process not get to kill it
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// Waits until the load runs; `false` when the process ended before.
    fn is_ready(&mut self) -> bool {
        let output = BufReader::new(self.0.stdout.take().unwrap());
        output.lines().map_while(Result::ok).any(|line| line == load::READY)
    }

    /// Kills it and tells whether it was still alive.
    fn kill(mut self) -> bool {
        let _ = self.0.kill();
        self.0.wait().unwrap().signal() == Some(9)
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn campaign(setup: Setup, kills: u64) -> Report {
    println!("{kills} kills, {setup:?}");
    let mut rng = StdRng::seed_from_u64(setup.seed);
    let dir = tempfile::tempdir().unwrap();
    let home = Home(dir.path().to_owned());
    let mut report = Report { kills, ..Report::default() };
    let mut round = 0;
    for _ in 0..kills {
        // now and then two in a row: the first dies while it opens, or soon after
        if rng.random_bool(0.3) {
            let victim = Victim::start(setup, round, &home);
            pause(&mut rng, 80).await;
            assert!(victim.kill(), "round {round}: {:?}", Told::read(&home.ledger()).faults);
            report.early_kills += 1;
            round += 1;
        }
        let mut victim = Victim::start(setup, round, &home);
        let ready = victim.is_ready();
        pause(&mut rng, 500).await;
        assert!(victim.kill() && ready, "round {round}: {:?}", Told::read(&home.ledger()).faults);
        examine(setup, round, &home, &mut report).await;
        round += 1;
    }
    let told = Told::read(&home.ledger());
    (report.invalidations, report.cut_off, report.served_under_load) = (told.invalidations, told.cut_off, told.served);
    report.stale += told.faults.iter().filter(|fault| fault.starts_with("Stale")).count() as u64;
    report.faults.extend(told.faults);
    println!("{report}");
    report
}

/// Real time: the point at which the kill strikes is what the campaign is about.
async fn pause(rng: &mut StdRng, at_most_ms: u64) {
    tokio::time::sleep(millis(rng.random_range(0..=at_most_ms))).await;
}

/// Reopens what the killed process left, and reads all there is.
async fn examine(setup: Setup, round: u64, home: &Home, report: &mut Report) {
    let told = Told::read(&home.ledger());
    #[allow(clippy::disallowed_methods)] // measured for the report, never judged
    let began = Instant::now();
    let cache = setup.open(Path::new(&home.disk())).await.expect("the cache reopens after a kill");
    report.slowest_reopening = report.slowest_reopening.max(began.elapsed());
    for spot in Spot::all() {
        let Some(item) = spot.door(&cache).get::<Item>(spot.key).await else { continue };
        report.served += 1;
        let returned: Vec<u64> = spot.scopes().iter().map(|scope| told.returned[*scope as usize]).collect();
        let Err(fault) = item.judge(spot, &returned) else { continue };
        match fault {
            Fault::Torn => report.torn += 1,
            Fault::Foreign => report.foreign += 1,
            Fault::Stale { .. } => report.stale += 1,
        }
        report.faults.push(format!("{fault:?} after round {round}, at {spot:?}"));
    }
    let stats = cache.stats();
    let disk = stats.tiers.iter().find(|tier| tier.name == "disk").unwrap();
    report.corrupt_envelopes += disk.corrupt_envelopes;
    report.foreign_envelopes += disk.foreign_envelopes;
    cache.close().await.unwrap();
}
