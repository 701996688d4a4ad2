//! The coordinator of a single node: one counter for each lane, and a journal where a tier brings one.

use std::{
    collections::VecDeque,
    future::Future,
    sync::{
        Arc, OnceLock,
        atomic::Ordering::{AcqRel, Acquire, Relaxed},
    },
    time::Duration,
};

use stratacache_core::{
    EntryName, Error, ErrorKind, Result,
    clock::Millis,
    coordinator::{
        Answer, Applied, Coordinator, Floors, Invalidate, JournalSnapshot, LaneSnapshot, Lease, LeaseReply,
        LeaseRequest, MarkJournal, Question, ScopeKind, Strength, Subscriber,
    },
    stamp::{Incarnation, LANES, Lane, Position, Seq},
};

use super::rules::{Rule, Rules};
use crate::{
    spawn,
    sync::{AtomicBool, AtomicU64, Mutex},
};

/// Positions are made safe in blocks, so that not every one costs a write.
const RESERVE: Seq = 1 << 20;
/// More missed marks than this and the journal stays quarantined until the process ends.
const MAX_MISSED: usize = 1 << 14;

struct Journalled {
    journal: Arc<dyn MarkJournal>,
    ceiling: AtomicU64,
    /// Marks that could not be appended; while there are any, the journal is in quarantine.
    missed: Mutex<VecDeque<Applied>>,
    overflowed: AtomicBool,
}

struct Shared {
    incarnation: Incarnation,
    start: JournalSnapshot,
    lanes: [Mutex<Seq>; LANES + 1],
    subscriber: OnceLock<Arc<dyn Subscriber>>,
    journal: Option<Journalled>,
    rules: Rules,
    closed: AtomicBool,
}

/// Orders invalidations with one counter for each lane; delta is 0.
#[derive(Clone)]
pub(crate) struct LocalCoordinator(Arc<Shared>);

impl LocalCoordinator {
    /// Makes a coordinator without a past.
    pub(crate) fn new(rules: Rules) -> Result<Self> {
        let start = JournalSnapshot::empty(Incarnation::random()?);
        Ok(Self::build(start, None, rules))
    }

    /// Takes up the history of a journal. Blocks.
    pub(crate) fn with_journal(journal: Arc<dyn MarkJournal>, rules: Rules) -> Result<Self> {
        let start = journal.load()?;
        let ceiling = start.ceiling + RESERVE;
        journal.reserve(ceiling)?;
        let journalled = Journalled {
            journal,
            ceiling: AtomicU64::new(ceiling),
            missed: Mutex::new(VecDeque::new()),
            overflowed: AtomicBool::new(false),
        };
        Ok(Self::build(start, Some(journalled), rules))
    }

    fn build(start: JournalSnapshot, journal: Option<Journalled>, rules: Rules) -> Self {
        let first = start.ceiling.max(1);
        Self(Arc::new(Shared {
            incarnation: start.incarnation,
            start,
            lanes: std::array::from_fn(|_| Mutex::new(first)),
            subscriber: OnceLock::new(),
            journal,
            rules,
            closed: AtomicBool::new(false),
        }))
    }

    fn open(&self) -> Result<&Arc<dyn Subscriber>> {
        if self.0.closed.load(Acquire) {
            return Err(Error::new(ErrorKind::Closed, "the cache is closed"));
        }
        self.0.subscriber.get().ok_or_else(|| Error::new(ErrorKind::Internal, "nobody subscribed to the coordinator"))
    }
}

impl Shared {
    /// Orders one invalidation. Blocks for the journal where there is one.
    fn order(&self, subscriber: &dyn Subscriber, request: Invalidate) -> Result<Position> {
        let mut clock = self.lanes[request.lane.index()].lock();
        let position = Position { incarnation: self.incarnation, seq: *clock + 1 };
        let message = Applied::new(request.lane, position, request.scopes, request.at);
        if let Some(journal) = &self.journal {
            journal.make_safe(position.seq)?;
            if self.rules.has(Rule::PersistMarks) {
                journal.append(&message)?;
            }
        }
        subscriber.apply(&message);
        *clock = position.seq;
        Ok(position)
    }
}

/// Tells whether a message must survive a restart: entries of keys are removed from the tiers themselves.
fn outlives_a_restart(message: &Applied) -> bool {
    message.scopes.iter().any(|m| m.kind != ScopeKind::Key || m.strength == Strength::Soft)
}

impl Journalled {
    fn make_safe(&self, seq: Seq) -> Result<()> {
        let ceiling = self.ceiling.load(Acquire);
        if seq < ceiling {
            return Ok(());
        }
        let next = seq + RESERVE;
        if let Err(error) = self.journal.reserve(next) {
            // a store that opens empty after a restart cannot hold entries from the future
            self.journal.quarantine().map_err(|_| Error::from(error))?;
            self.overflowed.store(true, Relaxed);
        }
        self.ceiling.fetch_max(next, AcqRel);
        Ok(())
    }

    fn append(&self, message: &Applied) -> Result<()> {
        if !outlives_a_restart(message) {
            return Ok(());
        }
        let mut missed = self.missed.lock();
        if missed.is_empty() && !self.overflowed.load(Relaxed) {
            let Err(error) = self.journal.append(message) else { return Ok(()) };
            self.journal.quarantine().map_err(|_| Error::from(error))?;
        }
        if missed.len() < MAX_MISSED {
            missed.push_back(message.clone());
        } else {
            self.overflowed.store(true, Relaxed);
        }
        Ok(())
    }

    /// Appends what was missed, in order, and ends the quarantine when nothing is left.
    fn catch_up(&self) -> Result<()> {
        let mut missed = self.missed.lock();
        if missed.is_empty() || self.overflowed.load(Relaxed) {
            return Ok(());
        }
        while let Some(message) = missed.front() {
            self.journal.append(message)?;
            missed.pop_front();
        }
        Ok(self.journal.restore()?)
    }
}

impl Coordinator for LocalCoordinator {
    fn name(&self) -> &str {
        "local"
    }

    fn is_shared(&self) -> bool {
        false
    }

    async fn time(&self) -> Result<Option<Millis>> {
        Ok(Some(self.0.start.time).filter(|time| *time > 0))
    }

    async fn subscribe(&self, subscriber: Arc<dyn Subscriber>) -> Result<()> {
        let start = &self.0.start;
        for lane in Lane::all() {
            let position = Position { incarnation: self.0.incarnation, seq: *self.0.lanes[lane.index()].lock() };
            let floor = start.floors.get(lane.index()).copied().unwrap_or(0);
            let marks = start.marks.iter().filter(|m| m.lane == lane).copied().collect();
            let floors = Floors { marks: floor, keys: position.seq };
            subscriber.snapshot(LaneSnapshot::new(lane, position, floors, marks));
        }
        self.0
            .subscriber
            .set(subscriber)
            .map_err(|_| Error::new(ErrorKind::Internal, "the local coordinator has one subscriber"))
    }

    async fn position(&self, lane: Lane) -> Result<Position> {
        self.open()?;
        Ok(Position { incarnation: self.0.incarnation, seq: *self.0.lanes[lane.index()].lock() })
    }

    async fn keep_key_marks(&self) -> Result<()> {
        // a tier of this node has removed what a key mark is about
        self.open().map(|_| ())
    }

    async fn sync(&self, lane: Lane) -> Result<Position> {
        self.position(lane).await
    }

    async fn invalidate(&self, request: Invalidate) -> Result<Position> {
        let subscriber = Arc::clone(self.open()?);
        let shared = Arc::clone(&self.0);
        if self.0.journal.is_none() {
            return shared.order(&*subscriber, request);
        }
        spawn::blocking(move || shared.order(&*subscriber, request)).await?
    }

    fn watch(&self, _: EntryName) -> impl Future<Output = ()> + Send + 'static {
        std::future::pending() // a lease of one node has nobody to wait for it
    }

    async fn lease(&self, request: LeaseRequest) -> Result<LeaseReply> {
        // one node: its flight table already lets one load through
        self.open()?;
        let token = u128::from(request.stamp.seq);
        Ok(LeaseReply::Granted(Lease { lane: request.lane, name: request.name, token, life: request.life }))
    }

    async fn renew(&self, _: Lease) -> Result<bool> {
        self.open().map(|_| true)
    }

    async fn release(&self, _: Lease) -> Result<()> {
        self.open().map(|_| ())
    }

    async fn ask(&self, _: Question, _: Duration) -> Result<Vec<Answer>> {
        // there is no other node
        self.open().map(|_| Vec::new())
    }

    async fn tick(&self, now: Millis, keep_since: Millis) -> Result<()> {
        self.open()?;
        if self.0.journal.is_none() {
            return Ok(());
        }
        let shared = Arc::clone(&self.0);
        spawn::blocking(move || {
            let Some(journal) = &shared.journal else { return Ok(()) };
            journal.catch_up()?;
            Ok(journal.journal.tick(now, keep_since)?)
        })
        .await?
    }

    async fn close(&self) -> Result<()> {
        self.0.closed.store(true, Relaxed);
        Ok(())
    }
}

impl std::fmt::Debug for LocalCoordinator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalCoordinator").field("journal", &self.0.journal.is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
