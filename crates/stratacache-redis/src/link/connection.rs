//! One connection that comes back: with back-off and jitter, one attempt at a time.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::aio::MultiplexedConnection;
use stratacache_core::clock::Clock;

use super::{Endpoint, Failure};

const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);

/// How long to wait before connecting again: doubles, up to a second, less a random part.
#[derive(Debug)]
pub(crate) struct Backoff(Duration);

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self(FIRST)
    }

    pub(crate) fn next(&mut self) -> Duration {
        let full = self.0;
        self.0 = (full * 2).min(LONGEST);
        jitter(full)
    }

    pub(crate) fn reset(&mut self) {
        self.0 = FIRST;
    }
}

/// Returns between half of a duration and all of it, so that nodes do not move in step.
pub(crate) fn jitter(full: Duration) -> Duration {
    // without random bytes there is no jitter, and nothing else is lost
    let random = getrandom::u32().unwrap_or(u32::MAX);
    full.mul_f64(0.5 + 0.5 * f64::from(random) / f64::from(u32::MAX))
}

struct State {
    /// The number of this connection among all the node had.
    live: Option<(u64, MultiplexedConnection)>,
    not_before: Duration,
    backoff: Backoff,
}

pub(crate) struct Connection {
    endpoint: Endpoint,
    clock: Arc<dyn Clock>,
    epochs: Arc<AtomicU64>,
    state: Mutex<State>,
    connecting: tokio::sync::Mutex<()>,
}

impl Connection {
    pub(crate) fn new(endpoint: Endpoint, clock: Arc<dyn Clock>, epochs: Arc<AtomicU64>) -> Self {
        let state = State { live: None, not_before: Duration::ZERO, backoff: Backoff::new() };
        Self { endpoint, clock, epochs, state: Mutex::new(state), connecting: tokio::sync::Mutex::new(()) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // nothing in here panics between two changes
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the connection and its number; opens it if there is none and it is time to try again.
    pub(crate) async fn get(&self) -> Result<(u64, MultiplexedConnection), Failure> {
        if let Some(live) = self.state().live.clone() {
            return Ok(live);
        }
        let _one = self.connecting.lock().await;
        {
            let mut state = self.state();
            if let Some(live) = state.live.clone() {
                return Ok(live);
            }
            let now = self.clock.now();
            if now < state.not_before {
                return Err(Failure::Waiting);
            }
            // noted before the attempt, which may be dropped by a deadline
            let wait = state.backoff.next();
            state.not_before = now + wait;
        }
        let opened = self.endpoint.connect().await.map_err(|e| Failure::away(&e))?;
        let epoch = self.epochs.fetch_add(1, Ordering::AcqRel) + 1;
        let mut state = self.state();
        state.backoff.reset();
        state.live = Some((epoch, opened.clone()));
        Ok((epoch, opened))
    }

    /// Forgets a connection that broke or does not answer.
    pub(crate) fn drop_live(&self, epoch: Option<u64>) {
        let mut state = self.state();
        if state.live.as_ref().is_some_and(|(live, _)| epoch.is_none_or(|epoch| epoch == *live)) {
            state.live = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: usize = 1_000;

    /// When a node tries to connect, from the moment at which all lost their connections.
    fn attempts() -> impl Iterator<Item = Duration> {
        let mut backoff = Backoff::new();
        std::iter::repeat_with(move || backoff.next()).scan(Duration::ZERO, |at, wait| {
            *at += wait;
            Some(*at)
        })
    }

    #[test]
    fn a_thousand_nodes_that_lost_a_server_together_come_back_spread_over_a_second() {
        let away = Duration::from_secs(10);
        let mut came_back = [0_usize; 20];
        for _ in 0..NODES {
            let mut tried = 0;
            let back = attempts().inspect(|_| tried += 1).find(|at| *at >= away).unwrap_or_default();
            let slot = (back - away).as_millis() as usize / 50;
            came_back[slot] += 1; // nobody is later than a second
            assert!(tried <= 7 + 2 * 10 + 1, "a node tries twice a second at most, after the first: {tried}");
        }
        let most = came_back.iter().max().copied().unwrap_or_default();
        assert!(most <= NODES / 5, "within 50 ms came back: {came_back:?}");
        let slots = came_back.iter().filter(|count| **count > 0).count();
        assert!(slots >= 15, "{came_back:?}");
    }
}
