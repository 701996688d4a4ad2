//! What a node is told: once at its start, and while it works.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Moment, Step};
use crate::time::{Nanos, ms};

/// What a node is to be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// Its number.
    pub(crate) node: u32,
    /// How many nodes there are.
    pub(crate) nodes: u32,
    /// How often it was started before.
    pub(crate) life: u32,
    pub(crate) seed: u64,
    /// What it connects to.
    pub(crate) url: String,
    /// The folder of the run: source, board, logs.
    pub(crate) folder: PathBuf,
    /// By how much its cache's clock is wrong, in milliseconds.
    pub(crate) skew_ms: i64,
    /// Operations in a second, about.
    pub(crate) rate: u32,
    /// Marks are dropped, and streams cut, every few seconds.
    pub(crate) few_marks: bool,
    /// Connections that carry commands.
    pub(crate) connections: usize,
    /// Where a disk below memory is, which outlives the process.
    pub(crate) disk: Option<PathBuf>,
    /// Where the object store below everything is. Half of the tenants then write behind.
    pub(crate) store: Option<String>,
    /// What is below memory is encrypted, with keys in the folder of the run.
    pub(crate) encrypted: bool,
    /// One in so many invalidations is probed.
    pub(crate) probe: Option<u32>,
    /// What there is more of than usual.
    pub(crate) aim: Aim,
    /// The rule that is switched off.
    pub(crate) without_rule: Option<String>,
}

/// What a workload has more of than usual, so that the lack of a rule shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Aim {
    /// Nothing.
    #[default]
    Usual,
    /// Loads so long that their leases are renewed.
    LongLoads,
    /// Reads with a tight bound.
    TightBounds,
    /// Nodes that only read, all but the first: what they ask for is not refused to them, as writes may be.
    Readers,
    /// Reads that ask the object store.
    Objects,
}

/// What a node is told on its standard input, a line each.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Kill yourself when a step is reached for the n-th time.
    Arm { step: Step, moment: Moment, nth: u32 },
    /// Do not, after all.
    Disarm,
    /// Let the disk be full, or no more.
    DiskFull { full: bool },
    /// Invalidate namespaces of a tenant in which nothing is, as fast as you can.
    Flood { tenant: u32, count: u32 },
    /// Stop and close.
    Quit,
}

/// The times of the policy that most keys have.
pub(crate) const LOAD_TIMEOUT: Duration = Duration::from_secs(3);
pub(crate) const LEASE: Duration = Duration::from_millis(500);
pub(crate) const LEASE_WAIT: Duration = Duration::from_secs(1);

/// The deadline of a question to Redis, as it is by default.
const DEADLINE: Duration = Duration::from_millis(250);
/// Questions on the way of a read: for news, for the entry, for the right to load, for the entry again, for the right again.
const QUESTIONS: u64 = 5;

/// The bucket of a store, and what its objects begin with.
pub(crate) const BUCKET: &str = "campaign";
pub(crate) const PREFIX: &str = "cache";
/// How long an operation on the object store may take.
pub(crate) const STORE_DEADLINE: Duration = Duration::from_millis(500);
/// On the way of a read: for the entry, and for the entry again.
const STORE_QUESTIONS: u64 = 2;

/// No read takes longer where there is an object store.
pub(crate) const STORE_READ_LIMIT: Nanos = READ_LIMIT + ms(STORE_QUESTIONS * STORE_DEADLINE.as_millis() as u64);

/// No read takes longer: a load, the wait for another node's, the questions to Redis, and a second.
pub(crate) const READ_LIMIT: Nanos = ms(LOAD_TIMEOUT.as_millis() as u64
    + LEASE_WAIT.as_millis() as u64
    + QUESTIONS * DEADLINE.as_millis() as u64
    + 1000);
