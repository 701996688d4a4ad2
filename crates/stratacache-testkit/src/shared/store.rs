//! What the nodes share.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use stratacache_core::{
    EntryName,
    clock::{Clock, Millis},
    coordinator::{self, Applied, Invalidate, LaneSnapshot, Lease, LeaseReply, LeaseRequest, Question},
    stamp::{Incarnation, Lane, Position, Seq},
    tier::{Fence, PutItem},
};

use super::{
    SharedNode,
    data::{Answer, DataKeys},
    lane::{LaneKeys, News},
    node::Node,
};
use crate::{clock::SimulatedClock, random::Random};

/// How long a fence lives that was taken without a lease, unless its taker says.
pub const FENCE_LIFE: Duration = Duration::from_secs(10);

/// A store that nodes share, as a Redis would be, in this process and on tokio's time. Clones are the same store.
///
/// Each method up to [`del_fence`](Self::del_fence) is one script of the protocol, and atomic; the others are for tests:
/// they lose, restore and show. The methods act at once, whatever [`SharedNode`]s do to the calls of their caches. Its
/// time begins at 2026-01-01, as that of [`SimulatedClock`].
#[derive(Clone)]
pub struct SharedStore(Arc<Inner>);

struct Inner {
    seed: u64,
    random: Random,
    clock: SimulatedClock,
    keys: Mutex<Keys>,
    nodes: Mutex<Vec<Weak<Node>>>,
    numbers: AtomicU64,
}

struct Keys {
    lanes: Vec<LaneKeys>,
    data: DataKeys,
    /// What a lagging replica holds.
    replica: DataKeys,
}

impl SharedStore {
    /// Makes an empty store; tokens and the names of histories follow from the seed.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let random = Random::new(seed);
        let draw = || Incarnation(random.next().max(1));
        let data = DataKeys::new(draw());
        let keys =
            Keys { lanes: Lane::all().map(|lane| LaneKeys::new(lane, draw())).collect(), replica: data.clone(), data };
        let clock = SimulatedClock::new();
        Self(Arc::new(Inner {
            seed,
            random,
            clock,
            keys: Mutex::new(keys),
            nodes: Mutex::default(),
            numbers: AtomicU64::new(1),
        }))
    }

    /// Returns the seed, to print when a test fails.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.0.seed
    }

    /// Connects a node.
    #[must_use]
    pub fn node(&self) -> SharedNode {
        let node = Arc::new(Node::new(self.clone(), self.0.numbers.fetch_add(1, Ordering::SeqCst)));
        let mut nodes = self.0.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.retain(|node| node.strong_count() > 0);
        nodes.push(Arc::downgrade(&node));
        SharedNode::new(node)
    }

    /// Returns the time of the store, by which entries and leases expire.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.0.clock.wall().as_millis() as Millis
    }

    /// INVAL: orders an invalidation, marks and announces it; returns its position.
    pub fn invalidate(&self, request: &Invalidate) -> Position {
        self.invalidate_since(request, Position::default(), false).0
    }

    /// SYNC: returns what a lane holds now, as a node that knows nothing is told.
    #[must_use]
    pub fn sync(&self, lane: Lane) -> LaneSnapshot {
        self.keys().lanes[lane.index()].snapshot()
    }

    /// GET: returns the envelope under a name; absent where it is of another history of the store.
    #[must_use]
    pub fn get(&self, name: EntryName) -> Option<Bytes> {
        self.keys().data.get(name)
    }

    /// LEASE: asks for the right to load an entry.
    pub fn lease(&self, request: &LeaseRequest) -> LeaseReply {
        let token = self.token();
        match self.keys().data.lease(request, token, self.now()) {
            Answer::Granted => {
                LeaseReply::Granted(Lease { lane: request.lane, name: request.name, token, life: request.life })
            }
            Answer::Busy => LeaseReply::Busy,
            Answer::Filled => LeaseReply::Filled,
        }
    }

    /// RENEW: lets a lease live on from now; false when it is gone.
    pub fn renew(&self, lease: Lease) -> bool {
        let ends_at = self.now() + lease.life.as_millis() as Millis;
        self.keys().data.renew(lease.name, lease.token, ends_at)
    }

    /// RELEASE: ends a lease, if it is still this one.
    pub fn release(&self, lease: Lease) {
        let ended = self.keys().data.release(lease.name, lease.token);
        if ended {
            self.lease_ended(lease.name);
        }
    }

    /// FILL: stores an entry and ends its lease, iff the lease's token is there; false when it is not. An item without a
    /// fence is stored in any case, and leaves the lease alone.
    pub fn fill(&self, item: PutItem) -> bool {
        let name = item.name;
        let Some(Fence(token)) = item.fence else {
            self.keys().data.put(item);
            return true;
        };
        let filled = self.keys().data.fill(item, token);
        if filled {
            self.lease_ended(name);
        }
        filled
    }

    /// TAKE: overwrites whatever lease there is with a fence, which lives for [`FENCE_LIFE`] and is
    /// taken over by no LEASE.
    pub fn take(&self, name: EntryName) -> Fence {
        self.take_for(name, FENCE_LIFE)
    }

    /// TAKE with another life than [`FENCE_LIFE`].
    pub fn take_for(&self, name: EntryName, life: Duration) -> Fence {
        let token = self.token();
        let ends_at = self.now() + life.as_millis() as Millis;
        self.keys().data.take(name, token, ends_at);
        Fence(token)
    }

    /// DEL_FENCE: removes an entry and voids its lease.
    pub fn del_fence(&self, name: EntryName) {
        self.keys().data.del_fence(name);
        self.lease_ended(name);
    }

    /// Loses the streams of all lanes, not the marks: whoever had not read a message finds a gap.
    pub fn trim_streams(&self) {
        self.keys().lanes.iter_mut().for_each(LaneKeys::trim);
    }

    /// Loses every key, as FLUSHALL does: lanes begin new histories. The store keeps the name of its own.
    pub fn lose_everything(&self) {
        Lane::all().for_each(|lane| self.lose_lane(lane));
        let mut keys = self.keys();
        keys.data = DataKeys::new(keys.data.incarnation);
    }

    /// Loses the keys of a lane: it begins a new history. Entries and leases stay.
    pub fn lose_lane(&self, lane: Lane) {
        self.keys().lanes[lane.index()] = LaneKeys::new(lane, self.draw());
    }

    /// Lets a lagging replica copy entries and leases; see [`fail_over`](Self::fail_over).
    pub fn checkpoint(&self) {
        let mut keys = self.keys();
        keys.replica = keys.data.clone();
    }

    /// Promotes the replica: entries and leases are those of the last [`checkpoint`](Self::checkpoint) (none without one),
    /// of a new history of the store, so that every entry counts as absent; and every lane begins a new history, whatever
    /// the replica had of it.
    pub fn fail_over(&self) {
        Lane::all().for_each(|lane| self.lose_lane(lane));
        self.fail_over_data();
    }

    /// Promotes the replica for entries and leases only, as where lanes live on other shards.
    pub fn fail_over_data(&self) {
        let incarnation = self.draw();
        let mut keys = self.keys();
        keys.data = keys.replica.clone();
        keys.data.incarnation = incarnation;
    }

    /// Drops the marks of a lane and raises both floors to its position.
    pub fn drop_generation(&self, lane: Lane) {
        self.keys().lanes[lane.index()].drop_generation();
    }

    /// Returns the position of a lane.
    #[must_use]
    pub fn position(&self, lane: Lane) -> Position {
        self.keys().lanes[lane.index()].position()
    }

    /// Returns what is stored under a name, also where it counts as absent since it is of an older history.
    #[must_use]
    pub fn stored(&self, name: EntryName) -> Option<Bytes> {
        self.keys().data.stored(name)
    }

    /// Returns the names of all stored entries, in order.
    #[must_use]
    pub fn entries(&self) -> Vec<EntryName> {
        self.keys().data.names()
    }

    /// Tells whether somebody has the right to write a name.
    #[must_use]
    pub fn is_leased(&self, name: EntryName) -> bool {
        self.keys().data.is_leased(name)
    }

    /// Puts any bytes under a name, as of the present history: damage, or an envelope from before. An expiry that is there
    /// stays; a new entry never expires.
    pub fn restore_entry(&self, name: EntryName, bytes: impl Into<Bytes>) {
        self.keys().data.restore(name, bytes.into());
    }

    /// INVAL and, in the same step, what a node is told that has applied everything up to a place.
    pub(super) fn invalidate_since(&self, request: &Invalidate, place: Position, keep: bool) -> (Position, News) {
        let reply = {
            let mut keys = self.keys();
            let lane = &mut keys.lanes[request.lane.index()];
            if keep {
                lane.keep_key_marks();
            }
            (lane.invalidate(request), lane.since(place))
        };
        self.each_node(Node::message_came);
        reply
    }

    /// SYNC from a place; `keep` sets the flag first where a new history lacks it.
    pub(super) fn since(&self, lane: Lane, place: Position, keep: bool) -> News {
        let mut keys = self.keys();
        let lane = &mut keys.lanes[lane.index()];
        if keep {
            lane.keep_key_marks();
        }
        lane.since(place)
    }

    /// XREAD: returns the messages behind an id.
    pub(super) fn messages_after(&self, lane: Lane, seq: Seq) -> Vec<Applied> {
        self.keys().lanes[lane.index()].after(seq).cloned().collect()
    }

    pub(super) fn keep_key_marks(&self) {
        self.keys().lanes.iter_mut().for_each(LaneKeys::keep_key_marks);
    }

    pub(super) fn bytes(&self) -> u64 {
        self.keys().data.bytes()
    }

    /// A panic while the lock was held leaves the maps whole: no step of theirs runs foreign code.
    fn keys(&self) -> MutexGuard<'_, Keys> {
        let mut keys = self.0.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.data.expire(self.now());
        keys
    }

    fn draw(&self) -> Incarnation {
        Incarnation(self.0.random.next().max(1))
    }

    fn token(&self) -> u128 {
        u128::from(self.0.random.next()) << 64 | u128::from(self.0.random.next())
    }

    fn lease_ended(&self, name: EntryName) {
        self.each_node(|node| node.lease_ended(name));
    }

    /// Asks every node but one, while no lock is held, and returns the answers.
    pub(super) fn ask(&self, asker: u64, question: &Question) -> Vec<coordinator::Answer> {
        self.nodes().iter().filter(|node| node.number != asker).filter_map(|node| node.answer(question)).collect()
    }

    fn nodes(&self) -> Vec<Arc<Node>> {
        let nodes = self.0.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.iter().filter_map(Weak::upgrade).collect()
    }

    /// Tells every node something, while no lock is held.
    fn each_node(&self, tell: impl Fn(&Node)) {
        self.nodes().iter().for_each(|node| tell(node));
    }
}

impl fmt::Debug for SharedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedStore").field("seed", &self.0.seed).field("entries", &self.entries().len()).finish()
    }
}
