//! A redis-server for a test, and what tests do with it.
#![allow(dead_code)] // each test binary uses a part

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use stratacache_core::{
    Codec, EntryCheck, EntryName, Scope,
    clock::{Clock, Millis, SystemClock},
    coordinator::{
        Answer, AnyCoordinator, Applied, Coordinator, Finding, Floors, Invalidate, LaneSnapshot, Marked, Question,
        ScopeKind, Strength, Subscriber,
    },
    envelope::{Head, encode},
    stamp::{Lane, Position},
    tier::{AnyTier, TierParts},
};
use stratacache_redis::{Redis, RedisBuilder};
use stratacache_testkit::servers::{Program, RedisBuilder as ServerBuilder, RedisServer};

/// A server of a test.
pub(crate) struct Server(pub(crate) RedisServer);

impl Server {
    pub(crate) async fn start() -> Self {
        Self::of(RedisServer::builder(Program::Redis)).await
    }

    pub(crate) async fn of(builder: ServerBuilder) -> Self {
        Self(builder.start().await.unwrap_or_else(|e| panic!("the server does not start: {e}")))
    }

    pub(crate) fn url(&self) -> String {
        self.0.url()
    }

    /// Runs one command beside the connections under test.
    pub(crate) async fn cli(&self, words: &[&str]) -> String {
        let reply = self.0.command(words).await.unwrap_or_else(|e| panic!("{words:?} failed: {e}"));
        reply.text().unwrap_or_default()
    }
}

/// Makes prefixes that were never used.
pub(crate) fn prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A deadline that a busy machine keeps.
pub(crate) fn patient(url: &str) -> RedisBuilder {
    Redis::builder(url).deadline(Duration::from_secs(5))
}

/// A node: what a cache would hold of one connection.
pub(crate) struct Node {
    pub(crate) redis: Redis,
    pub(crate) tier: AnyTier,
    pub(crate) coordinator: AnyCoordinator,
    pub(crate) seen: Arc<Seen>,
}

impl Node {
    pub(crate) async fn connect(builder: RedisBuilder) -> Self {
        let node = Self::connect_only(builder).await;
        node.subscribe().await;
        node
    }

    /// Connects without taking part.
    pub(crate) async fn connect_only(builder: RedisBuilder) -> Self {
        let redis = builder.build().await.unwrap_or_else(|e| panic!("connecting failed: {e}"));
        let parts = TierParts::from(redis.clone());
        Self { redis, tier: parts.tier, coordinator: parts.coordinator.unwrap(), seen: Arc::default() }
    }

    pub(crate) async fn subscribe(&self) {
        self.coordinator.subscribe(self.seen.clone()).await.unwrap_or_else(|e| panic!("subscribe failed: {e}"));
    }

    pub(crate) async fn invalidate(&self, lane: Lane, scopes: Vec<Marked>) -> Position {
        let request = Invalidate::new(lane, scopes, 1_000);
        self.coordinator.invalidate(request).await.unwrap_or_else(|e| panic!("invalidate failed: {e}"))
    }

    /// Asks the other nodes something until one answers: the subscription to questions may be on its way.
    pub(crate) async fn ask(&self) -> Vec<Answer> {
        let question = Question::new(lane(1), Position::default(), scope(1), ScopeKind::Tag, 0, 1_000);
        for _ in 0..100 {
            let answers = self.coordinator.ask(question, Duration::from_millis(200)).await;
            let answers = answers.unwrap_or_else(|e| panic!("asking failed: {e}"));
            if !answers.is_empty() {
                return answers;
            }
        }
        panic!("nobody answers");
    }

    pub(crate) async fn sync(&self, lane: Lane) -> Position {
        self.coordinator.sync(lane).await.unwrap_or_else(|e| panic!("sync failed: {e}"))
    }
}

/// What a mirror would know of a lane.
#[derive(Debug, Default, Clone)]
pub(crate) struct Known {
    pub(crate) position: Position,
    pub(crate) floors: Floors,
    /// The newest position of each scope.
    pub(crate) marks: std::collections::HashMap<(Scope, ScopeKind), u64>,
    pub(crate) snapshots: u32,
    pub(crate) messages: u32,
    pub(crate) as_of: Millis,
    /// Each time it was up to date, and the position then.
    pub(crate) as_ofs: Vec<(Millis, u64)>,
}

impl Known {
    /// Tells whether an entry of this position that depends on a tag would be served.
    pub(crate) fn judges_valid(&self, stamp: Position, scope: Scope) -> bool {
        let marked = [ScopeKind::Tag, ScopeKind::Namespace].map(|kind| self.marks.get(&(scope, kind)).copied());
        stamp.incarnation == self.position.incarnation
            && stamp.seq >= self.floors.marks
            && marked.iter().flatten().all(|seq| *seq <= stamp.seq)
    }
}

/// A subscriber that remembers.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    lanes: Mutex<[Known; 17]>,
    clock: SystemClock,
}

impl Seen {
    pub(crate) fn lane(&self, lane: Lane) -> Known {
        self.lanes.lock().unwrap()[lane.index()].clone()
    }

    fn change(&self, lane: Lane, change: impl FnOnce(&mut Known)) {
        change(&mut self.lanes.lock().unwrap()[lane.index()]);
    }
}

impl Subscriber for Seen {
    fn snapshot(&self, snapshot: LaneSnapshot) {
        self.change(snapshot.lane, |known| {
            let marks = snapshot.marks.iter().map(|mark| ((mark.scope, mark.kind), mark.seq));
            *known = Known {
                position: snapshot.position,
                floors: snapshot.floors,
                marks: marks.collect(),
                snapshots: known.snapshots + 1,
                messages: known.messages,
                as_of: known.as_of,
                as_ofs: std::mem::take(&mut known.as_ofs),
            };
        });
    }

    fn apply(&self, message: &Applied) {
        self.change(message.lane, |known| {
            assert_eq!(message.position, Position { seq: known.position.seq + 1, ..known.position });
            known.position = message.position;
            known.messages += 1;
            for marked in &message.scopes {
                known.marks.insert((marked.scope, marked.kind), message.position.seq);
            }
        });
    }

    fn up_to_date(&self, lane: Lane, at: Millis) {
        self.change(lane, |known| {
            known.as_of = known.as_of.max(at);
            known.as_ofs.push((at, known.position.seq));
        });
    }

    fn answer(&self, _: &Question) -> Option<Finding> {
        Some(Finding::Nothing)
    }

    fn now(&self) -> Millis {
        self.clock.now().as_millis() as Millis
    }
}

pub(crate) fn lane(index: usize) -> Lane {
    Lane::from_index(index).unwrap()
}

pub(crate) fn scope(n: u64) -> Scope {
    Scope::from_bytes((u128::from(n) << 64 | 0x5eed).to_le_bytes())
}

pub(crate) fn tag(n: u64) -> Marked {
    Marked::new(scope(n), ScopeKind::Tag, Strength::Hard, 0)
}

pub(crate) fn name(n: u64) -> EntryName {
    EntryName::from_bytes(u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_le_bytes())
}

/// An entry with one tag: that of odd numbers, or that of even ones.
pub(crate) fn envelope(n: u64, stamp: Position, global: Position) -> Bytes {
    let head = Head {
        absent: false,
        older_than_token: false,
        codec: Codec::Json,
        compression: Default::default(),
        check: EntryCheck::from_bytes([1; 16]),
        id: n,
        stamp,
        own: 0,
        global,
        tenant: 0,
        created: 0,
        fresh_until: 1 << 45,
        revalidate_until: 1 << 45,
        error_until: 1 << 45,
        load_ms: 1,
        tags: vec![scope(n % 2)],
        global_tags: Vec::new(),
        etag: None,
        raw_len: 4,
        key: None,
    };
    encode(&head, b"body").unwrap()
}

/// Waits until something holds, for as long as a busy machine may need.
#[allow(clippy::disallowed_methods)] // only an upper bound: what is waited for is what is asserted
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
