//! Figures, and the file they are added up from.

mod table;

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

pub(crate) use self::table::table;
use crate::{
    checker::{Broken, LoadFigure},
    faults::Fault,
    log::BelowCounted,
    stage::Ground,
};

/// How long it took until the hit rate was back, and what it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Recovery {
    pub(crate) ms: u64,
    pub(crate) hit_rate: f64,
}

/// What came of a run on one stage. A line of the file of results.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Segment {
    /// Of the long form: `k/N`.
    pub(crate) part: Option<String>,
    pub(crate) seed: u64,
    pub(crate) ground: Ground,
    pub(crate) nodes: u32,
    /// The rule that was switched off.
    pub(crate) without_rule: Option<String>,
    pub(crate) seconds: f64,
    pub(crate) operations: u64,
    pub(crate) reads: BTreeMap<String, u64>,
    pub(crate) failed_reads: u64,
    pub(crate) invalidations: u64,
    pub(crate) acknowledged: u64,
    pub(crate) queued: u64,
    /// Reads bound by an invalidation that waited.
    pub(crate) quarantined: u64,
    pub(crate) bypasses: u64,
    pub(crate) probes: u64,
    pub(crate) unanswered: u64,
    /// What the tiers below memory counted, where there is an object store.
    pub(crate) below: BelowCounted,
    pub(crate) writes: u64,
    pub(crate) loads: u64,
    pub(crate) overlaps: u64,
    pub(crate) longest_read_ms: u64,
    pub(crate) faults: BTreeMap<Fault, u64>,
    /// Marks of keys were dropped all the time, and what was cached before was loaded again.
    pub(crate) drops_marks: bool,
    /// Without faults.
    pub(crate) hit_rate: f64,
    pub(crate) quiet_loads: LoadFigure,
    pub(crate) loads_under: BTreeMap<Fault, LoadFigure>,
    pub(crate) recoveries: BTreeMap<Fault, Recovery>,
    pub(crate) violations: BTreeMap<Broken, u64>,
    /// The first violations, in words.
    pub(crate) shown: Vec<String>,
    /// Where the logs are, if they were kept.
    pub(crate) folder: PathBuf,
}

impl Segment {
    /// Returns how many faults were injected. Two at once are counted as what they are.
    pub(crate) fn faults(&self) -> u64 {
        self.faults.iter().filter(|(fault, _)| **fault != Fault::Two).map(|(_, count)| count).sum()
    }

    /// Tells whether the checker saw a wrong answer: what the lack of a rule leads to.
    pub(crate) fn is_noticed(&self) -> bool {
        self.violations.keys().any(|broken| broken.is_wrong_answer())
    }

    /// Tells whether a probe noticed.
    pub(crate) fn is_probed(&self) -> bool {
        self.violations.keys().any(|broken| broken.is_of_probe())
    }

    /// Tells whether the hit rate did not come back: what the lack of a rule of cost leads to.
    pub(crate) fn is_slow_to_recover(&self) -> bool {
        self.violations.contains_key(&Broken::NotRecovered)
    }

    pub(crate) fn violations(&self) -> u64 {
        self.violations.values().sum()
    }

    /// Returns in a few lines what came of the run.
    pub(crate) fn verdict(&self) -> String {
        let mut text = format!(
            "seed {} on {}: {} operations, {} faults, {} overlaps, {} violations {:?}",
            self.seed,
            self.ground,
            self.operations,
            self.faults(),
            self.overlaps,
            self.violations(),
            self.violations
        );
        self.shown.iter().for_each(|shown| text.extend(["\n    ", shown]));
        text
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.operations as f64 / self.seconds.max(0.001);
        writeln!(f, "seed {}: {} nodes on {}, {:.0} s", self.seed, self.nodes, self.ground, self.seconds)?;
        writeln!(
            f,
            "  {} operations ({rate:.0}/s): reads {:?}, {} without a value",
            self.operations, self.reads, self.failed_reads
        )?;
        writeln!(
            f,
            "  {} writes, {} invalidations, {} of them acknowledged, {} overlapped a load",
            self.writes, self.invalidations, self.acknowledged, self.overlaps
        )?;
        writeln!(
            f,
            "  {} invalidations waited, which bound {} reads of their nodes; {} reads went past the cache",
            self.queued, self.quarantined, self.bypasses
        )?;
        writeln!(f, "  {} probes, {} unanswered", self.probes, self.unanswered)?;
        if self.ground.is_store() {
            let BelowCounted { hits, failures, disk_failures, waited, lost } = self.below;
            writeln!(
                f,
                "  object store: {hits} reads answered, {failures} operations failed; {disk_failures} writes of disks failed; \
                 {waited} writes behind seen waiting, {lost} lost"
            )?;
        }
        let LoadFigure { times, most, above, .. } = self.quiet_loads;
        let each = self.quiet_loads.each();
        writeln!(
            f,
            "  {} loads; without faults {each:.3} for each invalidated key ({times} seen, at most {most}, {above} above one for each node)",
            self.loads
        )?;
        writeln!(f, "  hit rate without faults {:.3}; longest read {} ms", self.hit_rate, self.longest_read_ms)?;
        writeln!(f, "  {} faults:", self.faults())?;
        for (fault, count) in &self.faults {
            let Recovery { ms, hit_rate } = self.recoveries.get(fault).copied().unwrap_or_default();
            let loads = self.loads_under.get(fault).copied().unwrap_or_default();
            let LoadFigure { times, most, above, expired, bypasses, .. } = loads;
            writeln!(
                f,
                "    {fault:<20} {count:>6}, back after {ms:>5} ms at {hit_rate:.3}; {:.3} loads of each of {times} keys, \
                 up to {most}, {above} too many, {expired} leases expired, {bypasses} bypasses",
                loads.each()
            )?;
        }
        write!(f, "  violations: {}", self.violations())?;
        for (broken, count) in &self.violations {
            write!(f, "\n    {broken:?}: {count}")?;
        }
        for shown in &self.shown {
            write!(f, "\n    {shown}")?;
        }
        if self.folder.as_os_str().is_empty() { Ok(()) } else { write!(f, "\n  logs: {}", self.folder.display()) }
    }
}

/// Appends a line to the file of results, in one write: parts that run side by side share the file.
pub(crate) fn append(path: &Path, segment: &Segment) -> Result<()> {
    let mut file = File::options().append(true).create(true).open(path).context("opening the file of results")?;
    let line = format!("{}\n", serde_json::to_string(segment)?);
    Ok(file.write_all(line.as_bytes())?)
}

/// Reads a file of results; none is an empty one.
pub(crate) fn read(path: &Path) -> Result<Vec<Segment>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(path)?;
    text.lines().map(|line| serde_json::from_str(line).with_context(|| format!("reading {line}"))).collect()
}

/// Tells people.
#[allow(clippy::print_stdout)] // a program for people
pub(crate) fn say(what: &str) {
    println!("{what}");
}
