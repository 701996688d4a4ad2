//! What is known of a run: the logs, read as they grow, the checker, and what was done to whom.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File},
    io::Write as _,
    path::Path,
};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::{
    checker::{Broken, Checker, Violation},
    faults::Fault,
    log::{Event, LogFile, file_name},
    time::{self, Nanos},
};

/// The name of the file that says what was done when.
pub(crate) const FAULTS: &str = "faults.jsonl";
/// The name of the file that says how long a read may take, in nanoseconds.
pub(crate) const LIMIT: &str = "limit";

/// Something that was done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Injection {
    pub(crate) at: Nanos,
    pub(crate) fault: Fault,
    pub(crate) count: u64,
    pub(crate) what: String,
}

/// The ledger.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) checker: Checker,
    logs: Vec<LogFile>,
    still: HashSet<u32>,
    injections: File,
    pub(crate) faults: BTreeMap<Fault, u64>,
    /// Events are kept from when somebody asks for them.
    kept: Option<Vec<(u32, Event)>>,
}

impl Ledger {
    pub(super) fn new(folder: &Path, limit: Nanos) -> Result<Self> {
        // for whoever judges the logs again
        fs::write(folder.join(LIMIT), limit.to_string()).context("noting how long reads may take")?;
        Ok(Self {
            checker: Checker::new(limit),
            logs: Vec::new(),
            still: HashSet::new(),
            injections: File::create(folder.join(FAULTS)).context("making the list of faults")?,
            faults: BTreeMap::new(),
            kept: None,
        })
    }

    /// Reads the log of a node's life from now on.
    pub(super) fn follow(&mut self, node: u32, life: u32, folder: &Path) {
        self.logs.push(LogFile::new(node, &folder.join(file_name(node, life))));
    }

    /// Takes what was written up to a time that is over.
    pub(crate) fn absorb(&mut self, cut: Nanos) -> Result<()> {
        let mut batch = Vec::new();
        for log in &mut self.logs {
            log.read_new(&mut batch).context("reading the log of a node")?;
        }
        self.checker.absorb(&batch, cut);
        if let Some(kept) = &mut self.kept {
            kept.append(&mut batch);
        }
        Ok(())
    }

    /// Keeps the events to come, until they are taken.
    pub(crate) fn keep_events(&mut self) {
        self.kept = Some(Vec::new());
    }

    pub(crate) fn take_events(&mut self) -> Vec<(u32, Event)> {
        self.kept.take().unwrap_or_default()
    }

    pub(crate) fn injected(&mut self, fault: Fault, count: u64, what: String) {
        *self.faults.entry(fault).or_default() += count;
        let line = serde_json::to_string(&Injection { at: time::now(), fault, count, what });
        // for people who look for the cause of a violation; the count is above
        let _ = line.map(|line| writeln!(self.injections, "{line}"));
    }

    /// Notes that a node stands still.
    pub(crate) fn freezes(&mut self, node: u32) {
        self.checker.freezes(node, time::now());
        self.still.insert(node);
    }

    /// Notes that it goes on, or is gone.
    pub(crate) fn thaws(&mut self, node: u32) {
        if self.still.remove(&node) {
            self.checker.thaws(node, time::now());
        }
    }

    /// Nodes write nothing to their standard error unless something is wrong.
    pub(super) fn read_complaints(&mut self, folder: &Path) -> Result<()> {
        for file in fs::read_dir(folder)? {
            let path = file?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let said = if name.ends_with(".err") { fs::read_to_string(&path)? } else { continue };
            if !said.is_empty() {
                let number = name.split('-').nth(1).and_then(|number| number.parse().ok()).unwrap_or_default();
                let start: String = said.chars().take(600).collect();
                self.checker.report(Violation::noted(Broken::Ended, number, format!("{name}: {start}")));
            }
        }
        Ok(())
    }
}
