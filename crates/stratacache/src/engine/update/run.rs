//! Serving one line: what waits is changed together, again where somebody else was faster.

use std::{sync::Arc, time::Duration};

use stratacache_core::{Error, ErrorKind, Result};
use tokio::time::sleep;

use super::{Changed, Job, line::Serving};
use crate::{codec::CacheValue, engine::Engine};

/// So often others may be faster.
const TRIES: u32 = 64;
/// Between two tries, doubling up to the longest, and jittered.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(64);
/// Other nodes may have waited longer than who comes next here.
const AFTER_YOU: Duration = Duration::from_millis(2);

/// How an attempt ended: with a result for each change, or with somebody else having been faster and nothing changed.
pub(super) enum Attempt<V> {
    Done(Vec<Result<Changed<V>>>),
    Again,
}

/// Serves a line until nobody waits in it.
pub(super) async fn serve<V: CacheValue>(engine: Arc<Engine>, mut serving: Serving) {
    // what the shared tier held last: its lease is granted to who has seen that
    let mut seen = None;
    while let Some(mut jobs) = serving.next::<V>() {
        let results = match engine.change(&mut jobs, &mut seen).await {
            Ok(results) => results,
            Err(error) => jobs.iter().map(|_| Err(error.clone())).collect(),
        };
        for (job, result) in jobs.into_iter().zip(results) {
            let _ = job.done.send(result); // a caller that went away does not want it
        }
        if engine.shared && serving.is_wanted::<V>() {
            sleep(AFTER_YOU).await;
        }
    }
}

impl Engine {
    async fn change<V: CacheValue>(
        self: &Arc<Self>,
        jobs: &mut [Job<V>],
        seen: &mut Option<u64>,
    ) -> Result<Vec<Result<Changed<V>>>> {
        let Some(policy) = jobs.first().map(|job| job.request.policy) else { return Ok(Vec::new()) };
        let leased = self.leased_for(&policy).filter(|_| self.goes_below::<V>(&policy));
        let mut pause = FIRST_PAUSE;
        for _ in 0..TRIES {
            self.check_open()?;
            let attempt = match leased {
                Some(index) => self.change_shared(index, jobs, seen).await?,
                None => self.change_here(jobs).await?,
            };
            match attempt {
                Attempt::Done(results) => return Ok(results),
                Attempt::Again => {}
            }
            sleep(pause.mul_f64(0.5 + self.jitter.unit())).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        let message = format!("the value was inserted or invalidated {TRIES} times meanwhile, and was not changed");
        Err(Error::new(ErrorKind::Overloaded, message))
    }
}
