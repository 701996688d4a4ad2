//! The task of a follower: reads, lets tenants' lines be applied, acknowledges.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Weak, atomic::Ordering::Relaxed},
    time::Duration,
};

use stratacache_core::{
    Error, ErrorKind, Result, TenantId,
    event::EventKind,
    follow::{
        AnyInvalidationSource, Batch, Change, InvalidationSource as _, KeyspaceShape, Lag, NextChanges, Position,
        SetAside,
    },
};
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};

use super::{FollowProgress, apply::apply, lines::Lines, locate::locate};
use crate::engine::{Engine, back_off};

/// How long a source waits for changes before it says that there are none.
const WAIT: Duration = Duration::from_secs(10);
/// A source that does not end by itself is given up after so long beyond what it was asked for.
const GRACE: Duration = Duration::from_secs(20);
/// How long each step of an end may take: what is under way, to acknowledge, and to close the source.
const LAST: Duration = Duration::from_secs(2);
/// After so many tenants it is time to acknowledge, even if others are under way.
const ACKNOWLEDGE_AFTER: u32 = 32;
/// When so many changes wait to be set aside, nothing more is read.
const MAX_POISON: usize = 1024;
/// Pauses grow no further after so many failures: 12.8 s, halved at random.
const MOST_FAILURES: u32 = 8;

/// What was asked for.
pub(super) struct Plan {
    pub(super) known: Vec<KeyspaceShape>,
    pub(super) batch: usize,
    pub(super) concurrency: usize,
    pub(super) lag_every: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        Self { known: Vec::new(), batch: 256, concurrency: 16, lag_every: Duration::from_secs(5) }
    }
}

/// What the task hears from those it has started.
enum Heard {
    Applied(TenantId, Result<()>),
    Due(TenantId),
    Lag(Result<Lag>),
    MayRead,
}

type Reading = Pin<Box<dyn Future<Output = Result<Batch>> + Send>>;

pub(super) struct Run {
    engine: Weak<Engine>,
    source: AnyInvalidationSource,
    plan: Plan,
    progress: watch::Sender<FollowProgress>,
    lines: Lines,
    poison: Vec<SetAside>,
    /// The position before the first change that waits to be set aside.
    before_poison: Option<Option<Position>>,
    acknowledged: Option<Position>,
    since_acknowledged: u32,
    /// Calls of the source that failed in a row.
    failures: u32,
    /// Reading waits for a pause after a failure.
    pausing: bool,
    sender: mpsc::UnboundedSender<Heard>,
    heard: mpsc::UnboundedReceiver<Heard>,
}

impl Run {
    pub(super) fn new(
        engine: &Arc<Engine>,
        source: AnyInvalidationSource,
        plan: Plan,
        progress: watch::Sender<FollowProgress>,
    ) -> Self {
        // bounded by what is started: one message of each line, of the pause and of the lag
        let (sender, heard) = mpsc::unbounded_channel();
        Self {
            engine: Arc::downgrade(engine),
            source,
            plan,
            progress,
            lines: Lines::default(),
            poison: Vec::new(),
            before_poison: None,
            acknowledged: None,
            since_acknowledged: 0,
            failures: 0,
            pausing: false,
            sender,
            heard,
        }
    }

    /// Runs until it is stopped or the cache is closed or gone.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>, closing: impl Future<Output = ()>) {
        tracing::debug!(source = self.source.name(), "following");
        let stopped = tokio::select! {
            biased;
            // an error says that the cache is gone
            () = closing => false,
            _ = stop.wait_for(|stop| *stop) => true,
            () = self.go() => false,
        };
        self.finish(stopped).await;
        self.count_lag(None);
        self.progress.send_modify(|progress| progress.ended = true);
    }

    async fn go(&mut self) {
        self.ask_for_lag(Duration::ZERO);
        let mut reading: Option<Reading> = None;
        loop {
            if !self.begin() {
                return;
            }
            self.acknowledge(false).await;
            if reading.is_none() && self.may_read() {
                reading = Some(self.read());
            }
            let batch = tokio::select! {
                biased;
                Some(heard) = self.heard.recv() => {
                    self.hear(heard);
                    while let Ok(more) = self.heard.try_recv() {
                        self.hear(more);
                    }
                    continue;
                }
                batch = async { match &mut reading {
                    Some(reading) => reading.await,
                    None => std::future::pending().await,
                } } => batch,
            };
            reading = None;
            match batch {
                Ok(batch) => self.take_in(batch),
                Err(error) => self.failed(&error),
            }
        }
    }

    fn may_read(&self) -> bool {
        !self.pausing && self.lines.have_room() && self.poison.len() < MAX_POISON
    }

    fn read(&self) -> Reading {
        let (source, request) = (self.source.clone(), NextChanges::new(self.plan.batch, WAIT));
        Box::pin(async move { in_time(WAIT + GRACE, source.next(request)).await })
    }

    /// Lets the lines of tenants be applied, as many as may be at once; `false` once the cache is gone.
    fn begin(&mut self) -> bool {
        let Some(engine) = self.engine.upgrade() else { return false };
        while self.lines.flying() < self.plan.concurrency {
            let Some(work) = self.lines.take() else { break };
            let (sender, owner, of_task) = (self.sender.clone(), work.owner.clone(), Arc::clone(&engine));
            engine.spawner.start(async move {
                let result = apply(&of_task, work).await;
                drop(of_task);
                // who does not listen any more has ended
                let _ = sender.send(Heard::Applied(owner, result));
            });
        }
        true
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Applied(owner, Ok(())) => {
                let changes = self.lines.applied_of(&owner);
                self.since_acknowledged += 1;
                if let Some(engine) = self.engine.upgrade() {
                    engine.followed.applied.fetch_add(changes, Relaxed);
                }
                self.tell(|progress| progress.applied += changes);
            }
            Heard::Applied(owner, Err(error)) => self.try_again(owner, &error),
            Heard::Due(owner) => self.lines.due(owner),
            Heard::Lag(Ok(lag)) => {
                self.note_lag(Some(lag));
                self.ask_for_lag(self.plan.lag_every);
            }
            Heard::Lag(Err(error)) => {
                tracing::debug!(source = self.source.name(), %error, "the lag is not known");
                self.note_lag(None);
                self.ask_for_lag(self.plan.lag_every);
            }
            Heard::MayRead => self.pausing = false,
        }
    }

    fn try_again(&mut self, owner: TenantId, error: &Error) {
        // what will never be accepted was refused when it was read; whatever this is, all of the tenant is not less
        let widen = !error.is_transient() && error.kind() != ErrorKind::Closed;
        let failures = self.lines.failed(&owner, widen);
        tracing::debug!(source = self.source.name(), tenant = %owner, %error, failures, "a change waits");
        if let Some(engine) = self.engine.upgrade() {
            engine.followed.retries.fetch_add(1, Relaxed);
            let pause = Duration::from_millis(back_off(failures.min(MOST_FAILURES), &engine.jitter));
            self.later(pause, Heard::Due(owner));
        }
        self.tell(|progress| progress.retries += 1);
    }

    fn later(&self, pause: Duration, message: Heard) {
        let Some(engine) = self.engine.upgrade() else { return };
        let sender = self.sender.clone();
        engine.spawner.start(async move {
            sleep(pause).await;
            let _ = sender.send(message);
        });
    }

    fn note_lag(&self, lag: Option<Lag>) {
        self.count_lag(lag);
        self.tell(|progress| progress.lag = lag);
    }

    fn count_lag(&self, lag: Option<Lag>) {
        if let Some(engine) = self.engine.upgrade() {
            engine.followed.note_lag(&self.source.name().into(), lag.map(|lag| (lag.changes, lag.age)));
        }
    }

    fn ask_for_lag(&self, pause: Duration) {
        let Some(engine) = self.engine.upgrade() else { return };
        let (sender, source) = (self.sender.clone(), self.source.clone());
        engine.spawner.start(async move {
            sleep(pause).await;
            let _ = sender.send(Heard::Lag(in_time(GRACE, source.lag()).await));
        });
    }

    fn take_in(&mut self, batch: Batch) {
        self.restored();
        let Some(engine) = self.engine.upgrade() else { return };
        if let Some(reason) = batch.gap {
            self.gap(&engine, reason);
        }
        for change in batch.changes {
            self.add(&engine, change);
        }
        self.lines.bound();
        self.tell(|progress| (progress.standby, progress.delivering) = (batch.standby, !batch.standby));
    }

    fn add(&mut self, engine: &Arc<Engine>, change: Change) {
        let position = change.position;
        if self.lines.read().is_some_and(|read| position <= read) {
            // it has been read before, and is applied or waits
            return;
        }
        let age = change.age.map(Duration::from_millis);
        match locate(engine, &self.plan.known, change) {
            Ok(found) => self.lines.add(found.owner, position, found.items, found.everything),
            Err(error) => {
                tracing::warn!(source = self.source.name(), %position, reason = error.message(), "a change is set aside");
                self.before_poison.get_or_insert(self.lines.read());
                self.poison.push(SetAside::new(position, error.message()));
                self.lines.pass(position);
            }
        }
        if age.is_some() {
            self.progress.send_if_modified(|progress| {
                progress.last_age = age;
                false
            });
        }
    }

    /// Forgets everything of everybody, on every node: nobody can say what the lost changes were about, and the nodes that stand by
    /// have not noticed.
    fn gap(&mut self, engine: &Arc<Engine>, reason: &'static str) {
        tracing::warn!(source = self.source.name(), reason, "changes were lost: all tenants are cleared");
        self.lines.add_all_tenants();
        self.before_poison = self.before_poison.map(|_| None);
        self.acknowledged = None;
        engine.followed.gaps.fetch_add(1, Relaxed);
        engine.report(None, EventKind::ChangesLost { source: self.source.name().to_owned(), reason });
        self.tell(|progress| progress.gaps += 1);
    }

    /// Returns the position up to which everything was applied, and what could not be was set aside.
    fn done(&self) -> Option<Position> {
        let applied = self.lines.applied();
        self.before_poison.map_or(applied, |before| before.min(applied))
    }

    /// Tells the source what was done, where it is time.
    async fn acknowledge(&mut self, now: bool) {
        let pause = !now && self.lines.flying() > 0 && self.since_acknowledged < ACKNOWLEDGE_AFTER;
        if pause || self.pausing && !now {
            return;
        }
        if !self.poison.is_empty() {
            let poison = std::mem::take(&mut self.poison);
            if let Err(error) = in_time(GRACE, self.source.set_aside(poison.clone())).await {
                self.poison = poison;
                return self.failed(&error);
            }
            self.before_poison = None;
            self.report_poison(&poison);
        }
        let Some(done) = self.done().filter(|done| Some(*done) > self.acknowledged) else { return };
        match in_time(GRACE, self.source.acknowledge(done)).await {
            Ok(()) => {
                self.acknowledged = Some(done);
                self.since_acknowledged = 0;
                self.tell(|progress| progress.acknowledged = Some(done));
            }
            Err(error) => self.failed(&error),
        }
    }

    fn report_poison(&self, poison: &[SetAside]) {
        let count = poison.len() as u64;
        if let (Some(engine), Some(first)) = (self.engine.upgrade(), poison.first()) {
            engine.followed.set_aside.fetch_add(count, Relaxed);
            let (source, reason) = (self.source.name().to_owned(), first.reason.clone());
            engine.report(None, EventKind::ChangesSetAside { source, count: poison.len(), reason });
        }
        self.tell(|progress| progress.set_aside += count);
    }

    fn failed(&mut self, error: &Error) {
        self.failures = MOST_FAILURES.min(self.failures + 1);
        if let Some(engine) = self.engine.upgrade() {
            if self.failures == 1 {
                tracing::warn!(source = self.source.name(), %error, "the source of changes fails");
                let (source, message) = (self.source.name().to_owned(), error.to_string());
                engine.report(None, EventKind::SourceFailed { source, message });
            }
            engine.followed.failures.fetch_add(1, Relaxed);
            if !std::mem::replace(&mut self.pausing, true) {
                self.later(Duration::from_millis(back_off(self.failures, &engine.jitter)), Heard::MayRead);
            }
        }
        self.tell(|progress| {
            progress.source_failures += 1;
            progress.delivering = false;
            progress.failure = Some(error.to_string());
        });
    }

    fn restored(&mut self) {
        if std::mem::take(&mut self.failures) == 0 {
            return;
        }
        tracing::info!(source = self.source.name(), "the source of changes answers again");
        if let Some(engine) = self.engine.upgrade() {
            engine.report(None, EventKind::SourceRestored { source: self.source.name().to_owned() });
        }
        self.tell(|progress| progress.failure = None);
    }

    fn tell(&self, change: impl FnOnce(&mut FollowProgress)) {
        let (waiting, folded, read) = (self.lines.waiting(), self.lines.folded(), self.lines.read());
        self.progress.send_modify(|progress| {
            change(progress);
            (progress.waiting, progress.folded, progress.read) = (waiting + self.poison.len() as u64, folded, read);
        });
    }

    /// Waits for what is under way, where the cache still lives, and lets go of the source: each within a bounded time.
    async fn finish(&mut self, stopped: bool) {
        let under_way = async {
            while stopped && self.lines.flying() > 0 {
                match self.heard.recv().await {
                    Some(heard) => self.hear(heard),
                    None => return,
                }
            }
        };
        if timeout(LAST, under_way).await.is_err() || timeout(LAST, self.acknowledge(true)).await.is_err() {
            tracing::debug!(source = self.source.name(), "what was applied last will be applied again");
        }
        match timeout(LAST, self.source.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(source = self.source.name(), %error, "the source did not close in order"),
            Err(_) => tracing::warn!(source = self.source.name(), "the source took too long to close"),
        }
    }
}

async fn in_time<T>(allowed: Duration, call: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(allowed, call).await.unwrap_or_else(|_| {
        Err(Error::new(
            ErrorKind::Timeout,
            "the source of changes did not answer; it breaks its contract to end by itself",
        ))
    })
}
