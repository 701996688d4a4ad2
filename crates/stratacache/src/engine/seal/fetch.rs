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
    Error, ErrorKind, NamespacePath, Result, Scope,
    clock::Millis,
    encryption::{KeyId, KeyProvider},
    event::EventKind,
};
use tokio::{sync::Notify, time::timeout};

use super::{Ring, Seal, Sealing};
use crate::{
    engine::{Door, Engine, Tenant},
    observe::Counter,
};

/// How long a provider may take to return keys.
const DEADLINE: Duration = Duration::from_secs(2);
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
            // nobody has needed them for long: too old to be used once more
            let lacks = lacks || age >= 2 * KEPT;
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

    /// Drops the keys if they are of no use any more.
    pub(in crate::engine) fn drop_unless(&self, good: impl FnOnce(&Ring) -> bool) {
        let mut state = self.state.lock();
        if state.ring.take_if(|ring| !good(ring)).is_some() {
            state.forgotten += 1;
        }
    }

    /// Drops the keys, and those that are being asked for.
    pub(super) fn forget(&self) {
        let mut state = self.state.lock();
        state.ring = None;
        state.forgotten += 1;
    }
}

/// Somebody asks for the keys; dropped, nobody does any more. Without an answer (a provider that panicked, a cache that closes)
/// that is a failure as any other.
struct Asking {
    slot: Arc<KeySlot>,
    since: Millis,
    answered: bool,
}

impl Asking {
    fn new(slot: &Arc<KeySlot>, since: Millis) -> Self {
        Self { slot: Arc::clone(slot), since, answered: false }
    }
}

impl State {
    /// Lets the provider rest, and returns for how long.
    fn fail(&mut self, now: Millis) -> Millis {
        let rest = (REST << self.failures.min(5)).min(LONGEST_REST);
        self.failures = self.failures.saturating_add(1);
        self.rests_until = now.saturating_add(rest);
        rest
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let mut state = self.slot.state.lock();
        if !self.answered {
            state.fail(self.since);
        }
        state.fetching = false;
        drop(state);
        self.slot.fetched.notify_waiters();
    }
}

/// Waits for a provider of keys, no longer than this.
pub(super) async fn within<T>(deadline: Duration, asked: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(deadline, asked).await.unwrap_or_else(|_| {
        let message = format!("the key provider did not answer within {} s; try again", deadline.as_secs());
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
            let good = |ring: &Ring| self.is_good(&ns.tenant, ns.space.scopes.path()[0], ring);
            let now = self.timeline.now();
            match slot.step(now, sealing.rests_until.load(Acquire), good, wanted) {
                Step::Use(ring) => return Seal::Keys(ring),
                Step::Renew(ring, forgotten) => {
                    self.ask_for_keys(ns, Asking::new(slot, now), forgotten);
                    return Seal::Keys(ring);
                }
                Step::Rest => return Seal::Missing,
                Step::Ask(forgotten) => self.ask_for_keys(ns, Asking::new(slot, now), forgotten),
                Step::Wait => {}
            }
            fetched.await;
        }
        Seal::Missing
    }

    /// Tells whether the tenant was not cleared since its keys were asked for, as far as this node knows.
    fn is_good(&self, tenant: &Tenant, scope: Scope, ring: &Ring) -> bool {
        ring.mep == tenant.marks.mep() && self.mirror.tenant_mark(&tenant.marks, scope) <= ring.began
    }

    /// Drops the keys of a tenant that was cleared, also where nobody asks for them any more.
    pub(in crate::engine) fn forget_useless_keys(&self, tenant: &Tenant) {
        let Some(slot) = tenant.keys_if_any() else { return };
        let scope = self.deployment.path_scopes(&tenant.id, &NamespacePath::default())[0];
        slot.drop_unless(|ring| self.is_good(tenant, scope, ring));
    }

    fn ask_for_keys(&self, ns: &Door, mut asking: Asking, forgotten: u64) {
        let (engine, tenant) = (Arc::clone(&ns.engine), Arc::clone(&ns.tenant));
        let space = Arc::clone(&ns.space);
        self.spawner.start(async move {
            let Some(sealing) = &engine.sealing else { return };
            // before: what clears the tenant meanwhile makes them useless
            let (mep, began) = (tenant.marks.mep(), tenant.marks.lane.applied());
            let keys = within(DEADLINE, sealing.keys.keys(&tenant.id)).await;
            let now = engine.timeline.now();
            let ring = keys.and_then(|keys| Ring::new(keys, sealing.cipher, mep, began, now));
            asking.answered = true;
            let mut state = asking.slot.state.lock();
            match ring {
                Ok(ring) => {
                    (state.failures, state.rests_until) = (0, 0);
                    if state.forgotten == forgotten {
                        state.ring = Some(Arc::new(ring));
                    }
                }
                Err(error) => {
                    let rest = state.fail(now);
                    drop(state);
                    sealing.rest_after(&error, now);
                    space.plain().count(Counter::key_failures);
                    tracing::warn!(tenant = %tenant.id, %error, rest_ms = rest, "the keys of a tenant cannot be had");
                    engine.report(Some(&tenant), EventKind::KeysUnavailable { message: error.to_string() });
                }
            }
        });
    }
}

impl Sealing {
    /// A provider that does not answer is not asked for the next tenant's keys at once. One that does may have refused this
    /// tenant's alone.
    fn rest_after(&self, error: &Error, now: Millis) {
        if error.kind() == ErrorKind::Timeout {
            self.rests_until.fetch_max(now.saturating_add(REST), AcqRel);
        }
    }
}
