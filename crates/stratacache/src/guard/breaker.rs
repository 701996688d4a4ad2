//! A tier that does not answer is left alone for a while.

use std::{future::Future, sync::Arc, time::Duration};

use parking_lot::Mutex;
use stratacache_core::{
    clock::Clock,
    tier::{Capability, GetMany, Got, PutMany, PutOutcome, RemoveMany, Tier, TierError, TierErrorKind},
};

/// How long failures are counted together, and how long an open breaker stays so.
const WINDOW: Duration = Duration::from_secs(5);
/// In one window at least this many operations must have failed, and half of all, to open the breaker.
const FAILURES: u32 = 5;

#[derive(Debug)]
enum State {
    Closed {
        since: Duration,
        operations: u32,
        failures: u32,
    },
    Open {
        until: Duration,
    },
    /// One operation is let through to see.
    Probing,
}

/// Says that a breaker opened or closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Opened,
    Closed,
}

/// Refuses operations at once while the tier is known not to answer.
///
/// One time-out opens it, so that a hung tier costs its deadline once in each window; other failures open it when half
/// of a window's operations failed. After the window one operation probes.
pub(crate) struct Breaker<T> {
    tier: T,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    on_turn: Box<dyn Fn(Turn) + Send + Sync>,
}

impl<T: Tier> Breaker<T> {
    pub(crate) fn new(tier: T, clock: Arc<dyn Clock>, on_turn: impl Fn(Turn) + Send + Sync + 'static) -> Self {
        let since = clock.now();
        Self {
            tier,
            clock,
            state: Mutex::new(State::Closed { since, operations: 0, failures: 0 }),
            on_turn: Box::new(on_turn),
        }
    }

    fn admit(&self) -> Result<Probe<'_, T>, TierError> {
        let now = self.clock.now();
        let mut state = self.state.lock();
        let probing = match &mut *state {
            State::Closed { since, operations, failures } => {
                if now.saturating_sub(*since) > WINDOW {
                    (*since, *operations, *failures) = (now, 0, 0);
                }
                *operations += 1;
                false
            }
            State::Open { until } if now >= *until => {
                *state = State::Probing;
                true
            }
            State::Open { .. } | State::Probing => {
                return Err(TierError::new(
                    TierErrorKind::Unavailable,
                    format!(
                        "tier {:?} is left alone after failures; the next probe comes within 5 s",
                        self.tier.name()
                    ),
                ));
            }
        };
        Ok(Probe { breaker: self, probing, settled: false })
    }

    async fn through<R>(&self, operation: impl Future<Output = Result<R, TierError>>) -> Result<R, TierError> {
        let mut probe = self.admit()?;
        let result = operation.await;
        probe.settle(result.as_ref().err().map(TierError::kind));
        result
    }
}

/// An operation under way; dropped half-way it lets the next one probe.
struct Probe<'a, T: Tier> {
    breaker: &'a Breaker<T>,
    probing: bool,
    settled: bool,
}

impl<T: Tier> Probe<'_, T> {
    fn settle(&mut self, failure: Option<TierErrorKind>) {
        self.settled = true;
        let now = self.breaker.clock.now();
        let mut state = self.breaker.state.lock();
        let turn = match failure {
            None | Some(TierErrorKind::Full | TierErrorKind::Corrupt) => {
                if self.probing {
                    *state = State::Closed { since: now, operations: 0, failures: 0 };
                    Some(Turn::Closed)
                } else {
                    None
                }
            }
            Some(kind) => {
                let opens = match &mut *state {
                    State::Closed { operations, failures, .. } => {
                        *failures += 1;
                        let hung = matches!(kind, TierErrorKind::Timeout | TierErrorKind::ReplyLost);
                        hung || (*failures >= FAILURES && *failures * 2 >= *operations)
                    }
                    State::Probing => self.probing,
                    State::Open { .. } => false,
                };
                opens.then(|| {
                    *state = State::Open { until: now + WINDOW };
                    Turn::Opened
                })
            }
        };
        drop(state);
        if let Some(turn) = turn {
            (self.breaker.on_turn)(turn);
        }
    }
}

impl<T: Tier> Drop for Probe<'_, T> {
    fn drop(&mut self) {
        if self.probing && !self.settled {
            *self.breaker.state.lock() = State::Open { until: self.breaker.clock.now() };
        }
    }
}

impl<T: Tier> Tier for Breaker<T> {
    fn name(&self) -> &str {
        self.tier.name()
    }
    fn capability(&self) -> Capability {
        self.tier.capability()
    }
    async fn get_many(&self, request: GetMany) -> Result<Vec<Got>, TierError> {
        self.through(self.tier.get_many(request)).await
    }
    async fn put_many(&self, request: PutMany) -> Result<Vec<PutOutcome>, TierError> {
        self.through(self.tier.put_many(request)).await
    }
    async fn remove_many(&self, request: RemoveMany) -> Result<Vec<Result<(), TierError>>, TierError> {
        self.through(self.tier.remove_many(request)).await
    }
    async fn ping(&self) -> Result<(), TierError> {
        self.through(self.tier.ping()).await
    }
    fn used_bytes(&self) -> Option<u64> {
        self.tier.used_bytes()
    }
    async fn close(&self) -> Result<(), TierError> {
        self.tier.close().await
    }
}
