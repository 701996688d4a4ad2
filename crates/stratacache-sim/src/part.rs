//! The parts of the long form, which may run side by side.

use std::{
    fmt,
    fs::{File, TryLockError},
    path::Path,
    str::FromStr,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    report::Segment,
    time::{self, ms},
};

/// What the parts add up to.
const ALL_FAULTS: u64 = 20_000;
const ALL_OPERATIONS: u64 = 30_000_000;
/// A part takes no longer: 27 minutes, and the run that is under way then.
pub(crate) const PART_NANOS: time::Nanos = ms(27 * 60_000);
/// Each has some hundred ports of its own.
const MOST_PARTS: u32 = 20;

/// A part of the long form: `2/5` is the second of five.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Part {
    pub(crate) number: u32,
    pub(crate) of: u32,
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((number, of)) if (1..=of).contains(&number) && of <= MOST_PARTS => Ok(Self { number, of }),
            _ => Err(format!("a part is k/N, from 1/N to N/N, and N is {MOST_PARTS} at most")),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

/// What was done of a part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) runs: u64,
    pub(crate) faults: u64,
    pub(crate) operations: u64,
    pub(crate) violations: u64,
}

impl Done {
    pub(crate) fn add(&mut self, run: &Segment) {
        self.runs += 1;
        self.faults += run.faults();
        self.operations += run.operations;
        self.violations += run.violations();
    }

    /// Tells whether a part is complete.
    pub(crate) fn is_all_of(&self, part: Part) -> bool {
        self.faults * u64::from(part.of) >= ALL_FAULTS && self.operations * u64::from(part.of) >= ALL_OPERATIONS
    }
}

impl Part {
    /// Adds up what the results hold of it.
    pub(crate) fn done(self, results: &[Segment]) -> Done {
        let mut done = Done::default();
        results.iter().filter(|run| run.part == Some(self.to_string())).for_each(|run| done.add(run));
        done
    }

    /// Sees to it that nobody else runs the part, for as long as the file that is returned is open.
    pub(crate) fn alone(self, folder: &Path) -> Result<File> {
        let path = folder.join(format!("part-{}-of-{}.lock", self.number, self.of));
        let file = File::create(&path).with_context(|| format!("making {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => bail!("part {self} runs already, with logs in {}", folder.display()),
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("locking {}", path.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(part: &str, faults: u64, operations: u64) -> Segment {
        let faults = [(crate::faults::Fault::Cut, faults)].into();
        Segment { part: Some(part.to_owned()), faults, operations, ..Segment::default() }
    }

    #[test]
    fn a_part_goes_on_where_its_own_results_end() {
        let part: Part = "2/4".parse().unwrap();
        let mut results = vec![run("2/4", 3000, 7_000_000), run("1/4", 9000, 9_000_000), run("2/5", 1, 1)];
        assert_eq!(part.done(&results), Done { runs: 1, faults: 3000, operations: 7_000_000, violations: 0 });
        assert!(!part.done(&results).is_all_of(part));
        results.push(run("2/4", 2000, 500_000));
        assert!(part.done(&results).is_all_of(part));
        assert!("5/4".parse::<Part>().is_err() && "0/4".parse::<Part>().is_err() && "1/21".parse::<Part>().is_err());
    }

    #[test]
    fn a_part_runs_once_at_a_time_and_others_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let part = |number| Part { number, of: 6 };
        let first = part(1).alone(folder.path()).unwrap();
        assert!(part(1).alone(folder.path()).is_err());
        assert!(part(2).alone(folder.path()).is_ok());
        drop(first);
        assert!(part(1).alone(folder.path()).is_ok());
    }
}
