//! One run on a fresh stage: a time without faults to compare with, then each kind of fault for a while, and after each
//! the time until things are as before.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};

use crate::{
    checker::{Broken, LoadFigure, Violation, loads_of_quiet_times},
    faults::Fault,
    random::Random,
    report::{Recovery, Segment, say},
    stage::{Ledger, Settings, Stage, keep_the_ledger},
    time::{self, Nanos, ms},
};

/// What a run consists of.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) settings: Settings,
    /// Kinds of faults, one after the other, each for so long.
    pub(crate) faults: Vec<(Fault, Duration)>,
    /// Of the time without faults, after the caches have filled.
    pub(crate) baseline: Duration,
    /// Ends at the first such violation: for mutants, whose hit rate is of no interest.
    pub(crate) until: Option<fn(Broken) -> bool>,
}

const FILLING: Duration = Duration::from_millis(2500);
/// In this time the hit rate has to be back.
const RECOVERY: Nanos = ms(10_000);
/// Which share of the hit rate.
const RECOVERED: f64 = 0.95;
/// The hit rate is looked at in windows of so long.
const WINDOW: Nanos = ms(500);
const LOOK_AGAIN: Duration = Duration::from_millis(150);
/// Share of the times between invalidations that may have more loads than nodes and leases that expired: a load may begin
/// before its node has heard of the invalidation, and is then repeated.
const LOADED_MORE: f64 = 0.02;
/// In milliseconds: the life of a lease and a second; and that of one that was taken without asking, likewise, at most by a
/// load of many: as long as a load may take, 5 s to write, and two deadlines.
const OLDEST_LEASE: &str = "1500";
const OLDEST_TAKEN: &str = "9500";

/// Runs it.
pub(crate) async fn run(script: &Script) -> Result<Segment> {
    let began = time::now();
    let stage = Stage::start(script.settings.clone()).await.context("starting servers and nodes")?;
    let done = tokio::select! {
        kept = keep_the_ledger(&stage) => kept.map(|()| Measured::default()),
        played = play(script, &stage) => played,
    };
    let measured = done?;
    stage.finish().await?;
    let mut ledger = stage.ledger();
    if ledger.checker.figures.overlaps == 0 {
        ledger.checker.report(Violation::noted(Broken::NoOverlap, 0, "no invalidation met a load"));
    }
    check_effect(script, &mut ledger);
    let figures = &ledger.checker.figures;
    let settings = &stage.settings;
    Ok(Segment {
        seed: settings.seed,
        ground: settings.ground,
        nodes: settings.nodes,
        without_rule: settings.without_rule.clone(),
        seconds: (time::now() - began) as f64 / 1e9,
        operations: figures.operations(),
        reads: figures.reads.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
        failed_reads: figures.failed_reads,
        invalidations: figures.invalidations,
        acknowledged: figures.acknowledged,
        queued: figures.queued,
        quarantined: figures.quarantined,
        bypasses: figures.counted.bypasses,
        probes: figures.counted.probes,
        unanswered: figures.counted.unanswered,
        below: figures.below,
        writes: figures.writes,
        loads: figures.loads,
        overlaps: figures.overlaps,
        longest_read_ms: figures.longest_read / 1_000_000,
        faults: ledger.faults.clone(),
        hit_rate: measured.hit_rate,
        drops_marks: !settings.leaves_entries(),
        quiet_loads: measured.loads,
        loads_under: measured.loads_under,
        recoveries: measured.recoveries,
        violations: ledger.checker.violated().clone(),
        shown: ledger.checker.violations().iter().take(5).map(ToString::to_string).collect(),
        folder: settings.folder.clone(),
        ..Segment::default()
    })
}

#[derive(Debug, Default)]
struct Measured {
    hit_rate: f64,
    loads: LoadFigure,
    loads_under: BTreeMap<Fault, LoadFigure>,
    recoveries: BTreeMap<Fault, Recovery>,
}

async fn play(script: &Script, stage: &Stage) -> Result<Measured> {
    let mut measured = Measured::default();
    tokio::time::sleep(FILLING).await;
    if script.until.is_none() {
        let from = time::now();
        stage.ledger().keep_events();
        tokio::time::sleep(script.baseline).await;
        let mut ledger = stage.ledger();
        ledger.absorb(time::now())?;
        measured.hit_rate = rate(ledger.checker.rates.between(from, time::now()));
        measured.loads = loads_of_quiet_times(&ledger.take_events(), script.settings.nodes.into());
        if stage.settings.leaves_entries() {
            check_loads(&mut ledger, "without faults", &measured.loads);
        }
    }
    let mut random = Random::new(script.settings.seed);
    for (fault, time) in &script.faults {
        let (called, acknowledged) = invalidations(stage);
        if script.until.is_none() {
            stage.ledger().keep_events();
        }
        let until = time::now() + time::nanos(*time);
        while time::now() < until {
            fault.inject(stage, &mut random).await.with_context(|| format!("injecting {fault}"))?;
            if let Some(sought) = script.until
                && is_found(stage, sought)?
            {
                return Ok(measured);
            }
        }
        stage.heal().await?;
        if script.until.is_none() {
            let took = recover(*fault, stage, measured.hit_rate).await?;
            measured.recoveries.insert(*fault, took);
            let events = stage.ledger().take_events();
            let loads = loads_of_quiet_times(&events, script.settings.nodes.into());
            if fault.leaves_entries() && stage.settings.leaves_entries() {
                check_loads(&mut stage.ledger(), &format!("under {fault}"), &loads);
            }
            measured.loads_under.entry(*fault).or_default().add(&loads);
            check_leases(stage).await?;
            let (calls, oks) = invalidations(stage);
            say(&format!(
                "{fault:>20}: {:>5} injected, {:>5} of {:>5} invalidations acknowledged, back after {:>5} ms, {:.2} loads",
                count(stage, *fault),
                oks - acknowledged,
                calls - called,
                took.ms,
                loads.each()
            ));
        }
    }
    Ok(measured)
}

/// What was to be tested has taken part, and what must hit something has hit it.
fn check_effect(script: &Script, ledger: &mut Ledger) {
    let mut idle: Vec<String> = Vec::new();
    let hit = |fault: &Fault| ledger.faults.get(fault).is_some_and(|count| *count > 0);
    let missed = script.faults.iter().filter(|(fault, _)| fault.must_hit() && !hit(fault));
    idle.extend(missed.map(|(fault, _)| format!("{fault} has hit nothing")));
    if script.settings.ground.is_store() {
        let below = ledger.checker.figures.below;
        let parts = [
            (below.hits == 0, "the object store answered no read"),
            (below.waited == 0, "no write behind was seen waiting"),
        ];
        idle.extend(parts.iter().filter(|(idle, _)| *idle).map(|(_, what)| (*what).to_owned()));
    }
    // a hunt ends as soon as it has found something
    for what in idle.into_iter().filter(|_| script.until.is_none()) {
        ledger.checker.report(Violation::noted(Broken::NoEffect, 0, what));
    }
}

/// Keys are loaded once for each node and for each lease that expired, but for a few, and for what loads without leases.
fn check_loads(ledger: &mut Ledger, when: &str, loads: &LoadFigure) {
    let LoadFigure { times, above, most, expired, bypasses, .. } = *loads;
    if loads.is_above(LOADED_MORE) {
        let note = format!(
            "{when} {above} of {times} times between invalidations had more loads than nodes and leases that expired \
             ({expired}), up to {most}; {bypasses} reads went past the cache"
        );
        ledger.checker.report(Violation::noted(Broken::TooManyLoads, 0, note));
    }
}

fn count(stage: &Stage, fault: Fault) -> u64 {
    stage.ledger().faults.get(&fault).copied().unwrap_or_default()
}

/// Returns how many there were, and how many of them returned `Ok`.
fn invalidations(stage: &Stage) -> (u64, u64) {
    let ledger = stage.ledger();
    (ledger.checker.figures.invalidations, ledger.checker.figures.acknowledged)
}

fn is_found(stage: &Stage, sought: fn(Broken) -> bool) -> Result<bool> {
    let mut ledger = stage.ledger();
    ledger.absorb(time::now())?;
    Ok(ledger.checker.violated().keys().any(|broken| sought(*broken)))
}

fn rate((reads, hits): (u64, u64)) -> f64 {
    if reads == 0 { 0.0 } else { hits as f64 / reads as f64 }
}

/// Waits until the hit rate is back.
async fn recover(fault: Fault, stage: &Stage, baseline: f64) -> Result<Recovery> {
    let began = time::now();
    let mut best: f64 = 0.0;
    loop {
        tokio::time::sleep(LOOK_AGAIN).await;
        let now = time::now();
        let mut ledger = stage.ledger();
        ledger.absorb(now)?;
        if now < began + WINDOW {
            continue;
        }
        let seen = rate(ledger.checker.rates.between(now - WINDOW, now));
        best = best.max(seen);
        if seen >= RECOVERED * baseline {
            return Ok(Recovery { ms: (now - began) / 1_000_000, hit_rate: seen });
        }
        if now > began + RECOVERY {
            let note = format!("10 s after {fault} the hit rate was at best {best:.3}, before {baseline:.3}");
            ledger.checker.report(Violation::noted(Broken::NotRecovered, 0, note));
            return Ok(Recovery { ms: (now - began) / 1_000_000, hit_rate: seen });
        }
    }
}

/// Looks for leases that live longer than they may. KEYS is fine here: there are a few hundred.
async fn check_leases(stage: &Stage) -> Result<()> {
    const FIND: &str = "local old = {} for _, key in ipairs(redis.call('KEYS', 'campaign:*:l')) do \
         local left, lease = redis.call('PTTL', key), redis.call('GET', key) \
         local most = lease and string.sub(lease, -4) == '1615' and ARGV[2] or ARGV[1] \
         if left == -1 or left > tonumber(most) then old[#old + 1] = key .. ' ' .. left end end return old";
    let mut found = Vec::new();
    let ask = ["EVAL", FIND, "0", OLDEST_LEASE, OLDEST_TAKEN];
    if stage.is_cluster() {
        for master in stage.cluster().masters().await? {
            found.push(stage.cluster().node(master).command(&ask).await?);
        }
    } else {
        found.push(stage.duo().await.primary.command(&ask).await?);
    }
    for lease in found.iter().flat_map(|reply| reply.elements()) {
        let note = lease.text().unwrap_or_default();
        stage.ledger().checker.report(Violation::noted(Broken::OldLease, 0, note));
    }
    Ok(())
}

/// Returns the folder of a run; where it is taken, the stage makes one with a number behind its name.
pub(crate) fn folder(root: &std::path::Path, seed: u64, name: &str) -> PathBuf {
    root.join(format!("{name}-{seed}"))
}
