//! The keys of a tenant: asked for once by however many need them, kept until the tenant is cleared, left alone for a while
//! where they cannot be had.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::Ordering::{AcqRel, Acquire},
    },
    time::Duration,
};

use parking_lot::Mutex;
use stratacache_core::{
    Error, ErrorKind, Result,
    clock::Millis,
    encryption::{KeyId, KeyProvider},
    event::EventKind,
};
use tokio::{sync::Notify, time::timeout};

use super::{Ring, Seal, Sealing};
use crate::{
    engine::{Door, Engine},
    observe::Counter,
};

/// How long a provider of keys may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(2);
/// Keys are asked for again behind their users when they are older than this: a rotation elsewhere is noticed then.
const KEPT: Millis = 300_000;
/// For a key that is not known, no more often than this.
const AGAIN: Millis = 1_000;
/// After failures the provider is left alone: for one second, and twice as long each time, up to half a minute.
const REST: Millis = 1_000;
const LONGEST_REST: Millis = 30_000;

/// What a node has of the keys of one tenant.
#[derive(Default)]
pub(crate) struct KeySlot {
    state: Mutex<State>,
    fetched: Notify,
}

#[derive(Default)]
struct State {
    ring: Option<Arc<Ring>>,
    fetching: bool,
    /// Counts what was forgotten: keys that were asked for before are of no use.
    forgotten: u64,
    failures: u32,
    rests_until: Millis,
}

/// What to do for the keys.
enum Step {
    Use(Arc<Ring>),
    /// Use them, and ask anew behind.
    Renew(Arc<Ring>, u64),
    Ask(u64),
    Wait,
    Rest,
}

impl KeySlot {
    /// Decides; whoever is told to ask must [`Asking`] do so.
    fn step(&self, now: Millis, rests_until: Millis, good: impl Fn(&Ring) -> bool, wanted: Option<KeyId>) -> Step {
        let mut state = self.state.lock();
        let resting = now < state.rests_until.max(rests_until);
        if let Some(ring) = state.ring.take_if(|ring| !good(ring)) {
            drop(ring);
            state.forgotten += 1;
        }
        if let Some(ring) = &state.ring {
            let ring = Arc::clone(ring);
            let age = now.saturating_sub(ring.fetched);
            let lacks = wanted.is_some_and(|id| ring.cipher(id).is_none()) && age >= AGAIN;
            if resting || !(lacks || age >= KEPT) {
                return Step::Use(ring);
            }
            return match (lacks, std::mem::replace(&mut state.fetching, true)) {
                (true, false) => Step::Ask(state.forgotten),
                (true, true) => Step::Wait,
                (false, false) => Step::Renew(ring, state.forgotten),
                (false, true) => Step::Use(ring),
            };
        }
        if resting {
            return Step::Rest;
        }
        match std::mem::replace(&mut state.fetching, true) {
            false => Step::Ask(state.forgotten),
            true => Step::Wait,
        }
    }

    /// Drops the keys, and those that are being asked for.
    pub(super) fn forget(&self) {
        let mut state = self.state.lock();
        state.ring = None;
        state.forgotten += 1;
    }
}

/// Somebody asks for the keys; dropped, nobody does any more.
struct Asking(Arc<KeySlot>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.state.lock().fetching = false;
        self.0.fetched.notify_waiters();
    }
}

/// Waits for a provider of keys, no longer than its deadline.
pub(super) async fn within_deadline<T>(asked: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(DEADLINE, asked).await.unwrap_or_else(|_| {
        let message = format!("the key provider did not answer within {} s", DEADLINE.as_secs());
        Err(Error::new(ErrorKind::Timeout, message))
    })
}

impl Engine {
    /// Returns how the envelopes of a tenant are written and read; `wanted` is the key of one that was found, if it has one.
    pub(in crate::engine) async fn seal_of(&self, ns: &Door, wanted: Option<KeyId>) -> Seal {
        let Some(sealing) = &self.sealing else { return Seal::Plain };
        let slot = ns.tenant.keys();
        // what is asked for may be forgotten before it comes; not more than twice, or whoever waits goes without
        for _ in 0..3 {
            let mut fetched = pin!(slot.fetched.notified());
            fetched.as_mut().enable();
            let good = |ring: &Ring| self.is_good(ns, ring);
            match slot.step(self.timeline.now(), sealing.rests_until.load(Acquire), good, wanted) {
                Step::Use(ring) => return Seal::Keys(ring),
                Step::Renew(ring, forgotten) => {
                    self.ask_for_keys(ns, Asking(Arc::clone(slot)), forgotten);
                    return Seal::Keys(ring);
                }
                Step::Rest => return Seal::Missing,
                Step::Ask(forgotten) => self.ask_for_keys(ns, Asking(Arc::clone(slot)), forgotten),
                Step::Wait => {}
            }
            fetched.await;
        }
        Seal::Missing
    }

    /// Tells whether the tenant was not cleared since its keys were asked for, as far as this node knows.
    fn is_good(&self, ns: &Door, ring: &Ring) -> bool {
        let marks = &ns.tenant.marks;
        ring.mep == marks.mep() && self.mirror.tenant_mark(marks, ns.space.scopes.path()[0]) <= ring.began
    }

    fn ask_for_keys(&self, ns: &Door, asking: Asking, forgotten: u64) {
        let (engine, tenant) = (Arc::clone(&ns.engine), Arc::clone(&ns.tenant));
        let space = Arc::clone(&ns.space);
        self.spawner.start(async move {
            let Some(sealing) = &engine.sealing else { return };
            // before: what clears the tenant meanwhile makes them useless
            let (mep, began) = (tenant.marks.mep(), tenant.marks.lane.applied());
            let keys = within_deadline(sealing.keys.keys(&tenant.id)).await;
            let now = engine.timeline.now();
            let ring = keys.and_then(|keys| Ring::new(keys, sealing.cipher, mep, began, now));
            let mut state = asking.0.state.lock();
            match ring {
                Ok(ring) => {
                    (state.failures, state.rests_until) = (0, 0);
                    if state.forgotten == forgotten {
                        state.ring = Some(Arc::new(ring));
                    }
                }
                Err(error) => {
                    let rest = (REST << state.failures.min(5)).min(LONGEST_REST);
                    state.failures = state.failures.saturating_add(1);
                    state.rests_until = now.saturating_add(rest);
                    drop(state);
                    sealing.rest_after(&error, now);
                    space.plain().count(Counter::key_failures);
                    tracing::warn!(%error, rest_ms = rest, "the keys of a tenant cannot be had");
                    engine.report(Some(&tenant), EventKind::KeysUnavailable { message: error.to_string() });
                }
            }
        });
    }
}

impl Sealing {
    /// A provider that does not answer is not asked for the next tenant's keys at once.
    fn rest_after(&self, error: &Error, now: Millis) {
        if matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Unavailable) {
            self.rests_until.fetch_max(now.saturating_add(REST), AcqRel);
        }
    }
}
