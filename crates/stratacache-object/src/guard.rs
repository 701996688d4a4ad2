//! What stands around every request to a store: its turn, its deadline, the breaker, retries.

use std::{
    sync::atomic::{AtomicBool, Ordering::AcqRel, Ordering::Acquire},
    time::Duration,
};

use stratacache_core::breaker::{Breaker, Outcome, Turn, Turns};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{sleep, timeout},
};

use crate::{
    budget::{self, Budget},
    failure::Failure,
    time::Time,
};

/// The bounds of requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) deadline: Duration,
    /// For how long a store that does not answer is left alone.
    pub(crate) window: Duration,
    pub(crate) requests: u32,
    pub(crate) retries: u32,
}

/// What a request does to its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// None, or the same however often it is done.
    Repeatable,
    /// It must not be sent again if it may have been done.
    Once,
}

/// Lets requests through, a bounded number at once.
#[derive(Debug)]
pub(crate) struct Guard {
    pub(crate) bounds: Bounds,
    pub(crate) time: Time,
    pub(crate) turns: Turns,
    breaker: Breaker,
    permits: Semaphore,
    budget: Budget,
    closed: AtomicBool,
}

impl Guard {
    pub(crate) fn new(bounds: Bounds, time: Time) -> Self {
        Self {
            bounds,
            turns: Turns::new(),
            breaker: Breaker::new(time.clock().clone()).window(bounds.window),
            permits: Semaphore::new(bounds.requests as usize),
            budget: Budget::new(),
            closed: AtomicBool::new(false),
            time,
        }
    }

    /// Returns until when an operation that begins now may last.
    pub(crate) fn until(&self) -> Duration {
        self.time.now() + self.bounds.deadline
    }

    /// Tells whether operations are taken.
    pub(crate) fn check_open(&self) -> Result<(), Failure> {
        if self.closed.load(Acquire) { Err(Failure::Closed) } else { Ok(()) }
    }

    fn left(&self, until: Duration) -> Duration {
        until.saturating_sub(self.time.now())
    }

    async fn turn(&self, until: Duration) -> Result<SemaphorePermit<'_>, Failure> {
        let acquired = timeout(self.left(until), self.permits.acquire()).await;
        acquired.map_err(|_| Failure::Late)?.map_err(|_| Failure::Closed)
    }

    /// Sends a request until it succeeds, fails for good, or its time is over.
    pub(crate) async fn send<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        until: Duration,
        effect: Effect,
        request: impl Fn() -> F,
    ) -> Result<T, Failure> {
        let _turn = self.turn(until).await?;
        let mut tried = 0;
        loop {
            let failure = match self.once(until, request()).await {
                Ok(done) => {
                    self.budget.earn();
                    return Ok(done);
                }
                Err(failure) => failure,
            };
            let wait = budget::wait(tried);
            let again = tried < self.bounds.retries
                && failure.may_pass(effect == Effect::Once)
                && self.left(until) > wait
                && self.budget.spend();
            if !again {
                return Err(failure);
            }
            tried += 1;
            sleep(wait).await;
        }
    }

    async fn once<T>(&self, until: Duration, request: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let permit = self.breaker.admit().ok_or(Failure::LeftAlone)?;
        let left = self.left(until);
        let result = match timeout(left, request).await {
            Ok(result) => result,
            // who had little time says nothing of the store
            Err(_) if left * 2 >= self.bounds.deadline => Err(Failure::Hung),
            Err(_) => Err(Failure::Interrupted),
        };
        let outcome = match &result {
            Ok(_) => Some(Outcome::Answered),
            Err(failure) => failure.outcome(),
        };
        if let Some(turn) = outcome.and_then(|outcome| permit.settle(outcome)) {
            if turn == Turn::Opened {
                tracing::warn!(window = ?self.bounds.window, "the object store does not answer and is left alone");
            }
            self.turns.tell(turn);
        }
        result
    }

    /// Refuses what comes from now on, and waits for what is under way: not longer than its deadline.
    pub(crate) async fn close(&self) {
        if self.closed.swap(true, AcqRel) {
            return;
        }
        // an error says that it was closed before
        if let Ok(all) = self.permits.acquire_many(self.bounds.requests).await {
            self.permits.close();
            all.forget();
        }
    }
}
