//! The connection of a node, with its faults.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use stratacache_core::{
    Error, ErrorKind,
    tier::{TierError, TierErrorKind},
};

use super::step::{At, Hold, HoldState, Step};

/// Why a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    Away,
    ReplyLost,
}

impl Failure {
    const fn text(self) -> &'static str {
        match self {
            Self::Away => "the test has cut this node off from the shared store",
            Self::ReplyLost => "the test has lost the reply of the shared store",
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let kind = match failure {
            Failure::Away => ErrorKind::Unavailable,
            Failure::ReplyLost => ErrorKind::WriteUnknown,
        };
        Self::new(kind, failure.text())
    }
}

impl From<Failure> for TierError {
    fn from(failure: Failure) -> Self {
        let kind = match failure {
            Failure::Away => TierErrorKind::Unavailable,
            Failure::ReplyLost => TierErrorKind::ReplyLost,
        };
        Self::new(kind, failure.text())
    }
}

#[derive(Default)]
struct Faults {
    away: bool,
    hanging: bool,
    /// How many replies are still to be lost, of one step or of any.
    lose: Vec<(Option<Step>, usize)>,
    holds: Vec<Arc<HoldState>>,
}

#[derive(Default)]
pub(super) struct Link {
    faults: Mutex<Faults>,
    calls: [AtomicU64; Step::COUNT],
}

impl Link {
    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_away(&self, away: bool) {
        self.faults().away = away;
    }

    pub(super) fn set_hanging(&self, hanging: bool) {
        self.faults().hanging = hanging;
    }

    /// Tells whether nothing gets through, notices included.
    pub(super) fn is_cut(&self) -> bool {
        let faults = self.faults();
        faults.away || faults.hanging
    }

    pub(super) fn lose(&self, step: Option<Step>, calls: usize) {
        self.faults().lose.push((step, calls));
    }

    pub(super) fn hold(&self, step: Step, at: At) -> Hold {
        let state = Arc::new(HoldState::new(step, at));
        let mut faults = self.faults();
        faults.holds.retain(|hold| !hold.is_released());
        faults.holds.push(Arc::clone(&state));
        Hold(state)
    }

    pub(super) fn calls(&self, step: Step) -> u64 {
        self.calls[step as usize].load(Ordering::SeqCst)
    }

    /// Runs a call: the effect takes place at once, or when a hold is released.
    pub(super) async fn call<R: Send>(
        &self,
        step: Step,
        effect: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, Failure> {
        self.calls[step as usize].fetch_add(1, Ordering::SeqCst);
        let (away, hanging) = {
            let faults = self.faults();
            (faults.away, faults.hanging)
        };
        if away {
            return Err(Failure::Away);
        }
        if hanging {
            std::future::pending::<()>().await;
        }
        let mut sent = Sent { effect: Some(effect), hold: self.stopped(step, &[At::Before, At::Late]) };
        if let Some(hold) = &sent.hold {
            hold.wait().await;
        }
        let effect = sent.effect.take().expect("nothing else takes it");
        let reply = effect();
        let lost = self.loses(step);
        if let Some(hold) = self.stopped(step, &[At::After]) {
            hold.wait().await;
        }
        if lost { Err(Failure::ReplyLost) } else { Ok(reply) }
    }

    fn stopped(&self, step: Step, at: &[At]) -> Option<Arc<HoldState>> {
        self.faults().holds.iter().find(|hold| hold.stops(step, at)).cloned()
    }

    fn loses(&self, step: Step) -> bool {
        let mut faults = self.faults();
        faults.lose.retain(|(_, left)| *left > 0);
        let due = faults.lose.iter_mut().find(|(of, _)| of.is_none_or(|of| of == step));
        due.map(|(_, left)| *left -= 1).is_some()
    }
}

/// A call on its way. Dropped while it is held, it is left with the hold, if that is of the kind.
struct Sent<R, F>
where
    R: Send,
    F: FnOnce() -> R + Send + 'static,
{
    effect: Option<F>,
    hold: Option<Arc<HoldState>>,
}

impl<R, F> Drop for Sent<R, F>
where
    R: Send,
    F: FnOnce() -> R + Send + 'static,
{
    fn drop(&mut self) {
        let (Some(effect), Some(hold)) = (self.effect.take(), &self.hold) else { return };
        if hold.at == At::Late {
            hold.leave(Box::new(move || drop(effect())));
        }
    }
}
