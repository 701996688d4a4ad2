mod connection;
mod holds;
mod lanes;
mod scripts;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use stratacache_core::{
    EntryName, Scope,
    clock::Millis,
    coordinator::{
        Applied, Coordinator, Finding, Floors, Invalidate, LaneSnapshot, Lease, LeaseReply, LeaseRequest, Marked,
        Question, ScopeKind, Strength, Subscriber,
    },
    stamp::{Lane, Seq},
    tier::{AnyTier, Fence, GetMany, PutItem, PutMany, PutOutcome, RemoveMany, Tier},
};

use super::{SharedCoordinator, SharedNode, SharedStore};
use crate::conformance;

const LIFE: Duration = Duration::from_secs(2);
const NEVER: Millis = Millis::MAX;

/// What a subscriber was told of one lane.
#[derive(Debug, Clone, PartialEq)]
enum Told {
    Snapshot(Seq, Floors, usize),
    Message(Seq),
    UpToDate(Millis),
}

struct Recorder {
    lane: Lane,
    store: SharedStore,
    told: Mutex<Vec<Told>>,
}

impl Recorder {
    /// Returns what it was told since the last call.
    fn told(&self) -> Vec<Told> {
        std::mem::take(&mut *self.told.lock().unwrap())
    }

    fn messages(&self) -> Vec<Seq> {
        let seq = |told| if let Told::Message(seq) = told { Some(seq) } else { None };
        self.told().into_iter().filter_map(seq).collect()
    }

    fn note(&self, lane: Lane, told: Told) {
        if lane == self.lane {
            self.told.lock().unwrap().push(told);
        }
    }
}

impl Subscriber for Recorder {
    fn snapshot(&self, s: LaneSnapshot) {
        self.note(s.lane, Told::Snapshot(s.position.seq, s.floors, s.marks.len()));
    }
    fn apply(&self, message: &Applied) {
        self.note(message.lane, Told::Message(message.position.seq));
    }
    fn up_to_date(&self, lane: Lane, at: Millis) {
        self.note(lane, Told::UpToDate(at));
    }
    fn answer(&self, _: &Question) -> Option<Finding> {
        None
    }
    fn now(&self) -> Millis {
        self.store.now()
    }
}

/// The lane that the tests are about.
fn lane() -> Lane {
    Lane::from_index(3).unwrap()
}

fn name(n: u8) -> EntryName {
    EntryName::from_bytes([n; 16])
}

/// Makes bytes with an id where envelopes have it.
fn envelope(id: u64) -> Bytes {
    [&[7; 24][..], &id.to_le_bytes(), b"body"].concat().into()
}

fn mark(kind: ScopeKind, strength: Strength) -> Invalidate {
    Invalidate::new(lane(), vec![Marked::new(Scope::from_bytes([9; 16]), kind, strength, 1)], 1_000)
}

fn tag() -> Invalidate {
    mark(ScopeKind::Tag, Strength::Hard)
}

/// Orders so many invalidations of a tag, as another node would.
fn invalidate(store: &SharedStore, times: usize) {
    for _ in 0..times {
        store.invalidate(&tag());
    }
}

fn request(store: &SharedStore, n: u8) -> LeaseRequest {
    LeaseRequest::new(lane(), name(n), store.position(lane()), LIFE)
}

fn granted(reply: LeaseReply) -> Lease {
    match reply {
        LeaseReply::Granted(lease) => lease,
        other => panic!("the lease is granted, not {other:?}"),
    }
}

fn item(n: u8, id: u64, token: u128) -> PutItem {
    PutItem::new(name(n), envelope(id), NEVER, Some(Fence(token)))
}

async fn subscribed(node: &SharedNode) -> (Arc<SharedCoordinator>, Arc<Recorder>) {
    let recorder = Arc::new(Recorder { lane: lane(), store: node.store().clone(), told: Mutex::default() });
    let coordinator = Arc::new(node.coordinator());
    coordinator.subscribe(recorder.clone()).await.unwrap();
    (coordinator, recorder)
}

/// Lets the tails run.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_tier_and_the_coordinator_pass_every_clause_on_one_thread() {
    conformance::tier(async || SharedStore::new(1).node().tier()).await;
    conformance::coordinator(async || SharedStore::new(1).node().coordinator()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_tier_and_the_coordinator_pass_every_clause_on_real_threads() {
    conformance::tier(async || AnyTier::new(SharedStore::new(2).node().tier())).await;
    conformance::coordinator(async || SharedStore::new(2).node().coordinator()).await;
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_histories_and_tokens() {
    let draw = |seed| {
        let store = SharedStore::new(seed);
        (store.position(lane()), store.take(name(1)), granted(store.lease(&request(&store, 2))).token)
    };
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
}
