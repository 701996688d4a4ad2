//! The coordinator: lanes in Redis order invalidations, and every node follows them.

mod ask;
mod canary;
mod fills;
mod lane;
mod lease;
mod message;
mod order;
mod pulse;
mod snapshot;
mod sync;
mod tail;
mod watch;

use std::{
    future::Future,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use stratacache_core::{
    EntryName, Error, ErrorKind, Result,
    clock::Millis,
    coordinator::{Answer, Coordinator, Invalidate, Lease, LeaseReply, LeaseRequest, Question, Subscriber},
    stamp::{Incarnation, Lane, Position},
};
use tokio::sync::Semaphore;

use crate::{
    core::{Core, token},
    health::Counters,
    link::{Command, Failure, jitter},
    scripts::Script,
    spawn::{self, Spawner},
};
use ask::Asks;
use lane::LaneState;
use message::LaneReply;
pub(crate) use message::{history, mark};
use watch::Waiters;

/// How many lanes fetch their marks at once when nobody waits for them.
const FETCHES: usize = 4;
/// The longest pause before that, so that the nodes do not come all at once.
const PAUSE: Duration = Duration::from_millis(100);

/// What the tasks of a coordinator share.
struct Shared {
    core: Arc<Core>,
    lanes: Vec<LaneState>,
    subscriber: OnceLock<Arc<dyn Subscriber>>,
    waiters: Arc<Waiters>,
    asks: Asks,
    key_marks: AtomicBool,
    fetches: Semaphore,
    spawner: Spawner,
    closed: AtomicBool,
}

impl Shared {
    fn lane(&self, lane: Lane) -> &LaneState {
        &self.lanes[lane.index()]
    }

    fn subscriber(&self) -> Option<&Arc<dyn Subscriber>> {
        self.subscriber.get()
    }

    fn wants_key_marks(&self) -> bool {
        self.key_marks.load(Ordering::Acquire)
    }

    fn open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) { Err(Failure::Closed.into()) } else { Ok(()) }
    }

    /// Makes a lane script's command. `seen`: what this node has applied; the default asks for the position alone.
    fn lane_command(
        &self,
        script: &Arc<Script>,
        lane: Lane,
        seen: Position,
        more: Vec<Bytes>,
    ) -> Result<Command, Failure> {
        let keys = self.core.names.lane(lane);
        let names = vec![keys.header.clone(), keys.marks[0].clone(), keys.marks[1].clone(), keys.stream.clone()];
        let nonce = Incarnation((token()? as u64).max(1));
        let mut args = vec![message::hex(nonce), message::hex(seen.incarnation), Bytes::from(seen.seq.to_string())];
        args.extend(more);
        Ok(Command::script(script, names, args))
    }

    async fn run(&self, lane: Lane, command: Command) -> Result<LaneReply, Failure> {
        let (_, answer) = self.core.link.call(self.core.names.lane(lane).slot, &[command]).await?;
        self.read(answer.one()?)
    }

    fn read(&self, reply: redis::Value) -> Result<LaneReply, Failure> {
        let reply = LaneReply::read(reply)?;
        self.core.time.hear(reply.time, self.core.link.clock.now());
        Ok(reply)
    }

    /// SYNC: returns where a lane is, and what a node that has applied `seen` lacks.
    async fn ask(&self, lane: Lane, seen: Position) -> Result<LaneReply, Failure> {
        Counters::add(&self.core.counters.syncs);
        self.run(lane, self.lane_command(&self.core.scripts.sync, lane, seen, Vec::new())?).await
    }

    /// FLAG: has marks of keys kept from now on.
    async fn flag(&self, lane: Lane) -> Result<LaneReply, Failure> {
        self.run(lane, self.lane_command(&self.core.scripts.flag, lane, Position::default(), Vec::new())?).await
    }

    /// Has a lane fetched behind everybody's back, a few at a time and not all nodes at once.
    fn fetch_soon(self: &Arc<Self>, lane: Lane) {
        self.core.counters.gaps.count();
        let shared = Arc::clone(self);
        self.spawner.start(async move {
            tokio::time::sleep(jitter(PAUSE)).await;
            // never closed
            let _permit = shared.fetches.acquire().await;
            if !shared.lane(lane).is_whole()
                && let Err(error) = sync::sync(&shared, lane).await
            {
                // the next pulse tries again
                tracing::debug!(lane = lane.index(), %error, "the marks of a lane could not be fetched");
            }
        });
    }
}

/// The order that all nodes of a Redis share.
pub(crate) struct Lanes {
    shared: Arc<Shared>,
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.shared.spawner.close();
    }
}

impl Lanes {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        let rules = core.rules;
        let shared = Shared {
            core,
            lanes: Lane::all().map(|lane| LaneState::new(lane, rules)).collect(),
            subscriber: OnceLock::new(),
            waiters: Arc::default(),
            asks: Asks::default(),
            key_marks: AtomicBool::new(false),
            fetches: Semaphore::new(FETCHES),
            spawner: Spawner::new(),
            closed: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Runs scripts once, on keys that nobody else uses: single commands have been tried.
    pub(crate) async fn try_scripts(&self) -> Result<(), Failure> {
        let shared = &self.shared;
        shared.ask(Lane::GLOBAL, Position::default()).await?;
        for (node, slots) in shared.core.link.masters().await? {
            let key = shared.core.names.nothing_in(|slot| slots.has(slot));
            crate::store::verify(&shared.core, &node, key).await?;
        }
        let name = EntryName::from_bytes(token()?.to_le_bytes());
        let life = Duration::from_secs(1);
        let request = LeaseRequest::new(Lane::GLOBAL, name, Position::default(), life);
        if let LeaseReply::Granted(lease) = lease::lease(shared, request).await? {
            lease::renew(shared, lease).await?;
            lease::release(shared, lease).await?;
        }
        Ok(())
    }
}

impl Coordinator for Lanes {
    fn name(&self) -> &str {
        "redis"
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn time(&self) -> Result<Option<Millis>> {
        self.shared.open()?;
        if self.shared.core.now().is_none() {
            self.shared.ask(Lane::GLOBAL, Position::default()).await?;
        }
        Ok(self.shared.core.now())
    }

    async fn subscribe(&self, subscriber: Arc<dyn Subscriber>) -> Result<()> {
        let shared = &self.shared;
        shared.open()?;
        if shared.subscriber.set(subscriber).is_err() {
            return Err(Error::invalid("a redis coordinator has one subscriber: connect again for another cache"));
        }
        let fetch = |lane: Lane| {
            let shared = Arc::clone(shared);
            async move { snapshot::fetch(&shared, shared.lane(lane)).await }
        };
        for fetched in spawn::all(Lane::all().map(fetch).collect()).await {
            fetched.ok_or_else(|| Error::new(ErrorKind::Internal, "the subscriber panicked"))??;
        }
        pulse::start(shared);
        ask::start(shared)?;
        fills::start(shared);
        if let Some(node) = shared.core.link.single() {
            let seen = tail::start(shared, node);
            canary::start(shared, seen);
        }
        Ok(())
    }

    async fn position(&self, lane: Lane) -> Result<Position> {
        self.shared.open()?;
        Ok(self.shared.ask(lane, Position::default()).await?.position)
    }

    async fn keep_key_marks(&self) -> Result<()> {
        let shared = &self.shared;
        shared.open()?;
        // from now on a new history is told so, too
        shared.key_marks.store(true, Ordering::Release);
        let flag = |lane: Lane| {
            let shared = Arc::clone(shared);
            async move { shared.flag(lane).await }
        };
        for flagged in spawn::all(Lane::all().map(flag).collect()).await {
            flagged.ok_or_else(|| Error::new(ErrorKind::Internal, "setting a flag panicked"))??;
        }
        if shared.subscriber().is_some() {
            for lane in Lane::all() {
                sync::sync(shared, lane).await?;
            }
        }
        Ok(())
    }

    async fn sync(&self, lane: Lane) -> Result<Position> {
        self.shared.open()?;
        sync::sync(&self.shared, lane).await
    }

    async fn invalidate(&self, request: Invalidate) -> Result<Position> {
        self.shared.open()?;
        order::invalidate(&self.shared, request).await
    }

    fn watch(&self, name: EntryName) -> impl Future<Output = ()> + Send + 'static {
        self.shared.waiters.watch(name)
    }

    async fn lease(&self, request: LeaseRequest) -> Result<LeaseReply> {
        self.shared.open()?;
        Ok(lease::lease(&self.shared, request).await?)
    }

    async fn renew(&self, lease: Lease) -> Result<bool> {
        self.shared.open()?;
        Ok(lease::renew(&self.shared, lease).await?)
    }

    async fn release(&self, lease: Lease) -> Result<()> {
        self.shared.open()?;
        Ok(lease::release(&self.shared, lease).await?)
    }

    async fn ask(&self, question: Question, within: Duration) -> Result<Vec<Answer>> {
        self.shared.open()?;
        ask::ask(&self.shared, question, within).await
    }

    /// Nothing to do: marks are forgotten by generations, where they are kept.
    async fn tick(&self, _: Millis, _: Millis) -> Result<()> {
        Ok(())
    }

    async fn close(&self) -> Result<()> {
        if self.shared.closed.swap(true, Ordering::AcqRel) {
            return Err(Failure::Closed.into());
        }
        self.shared.spawner.close();
        self.shared.lanes.iter().for_each(LaneState::close);
        self.shared.waiters.wake_all();
        Ok(())
    }
}
