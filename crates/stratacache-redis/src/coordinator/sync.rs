//! SYNC: one serves all who asked before it was sent.

use std::sync::Arc;

use stratacache_core::{
    Result,
    stamp::{Lane, Position},
};
use tokio::sync::oneshot;

use super::{
    Shared,
    lane::{LaneState, Step},
    snapshot,
};
use crate::{link::Failure, rules::Rule};

/// How many answers a SYNC reads before it gives up on a lane that moves faster than it is read.
const ROUNDS: usize = 64;

/// Brings the subscriber up to date with a lane. It goes on for the others when the caller goes away.
pub(super) async fn sync(shared: &Arc<Shared>, lane: Lane) -> Result<Position> {
    let (sender, answer) = oneshot::channel();
    let start = {
        let mut asked = shared.lane(lane).asked();
        asked.waiting.push(sender);
        !std::mem::replace(&mut asked.running, true)
    };
    if start {
        let task = Arc::clone(shared);
        shared.spawner.start(async move { serve(&task, task.lane(lane)).await });
    }
    // close forgets who waits, and who came later is told here
    shared.open()?;
    answer.await.map_err(|_| Failure::Closed)?
}

async fn serve(shared: &Arc<Shared>, state: &LaneState) {
    loop {
        let waiting = {
            let mut asked = state.asked();
            let waiting = std::mem::take(&mut asked.waiting);
            asked.running = !waiting.is_empty();
            waiting
        };
        if waiting.is_empty() {
            return;
        }
        let result = round(shared, state).await.map_err(stratacache_core::Error::from);
        let late = match shared.core.rules.has(Rule::AskBeforeSent) {
            true => Vec::new(),
            false => std::mem::take(&mut state.asked().waiting),
        };
        for waiter in waiting.into_iter().chain(late) {
            // whoever went away does not want it
            let _ = waiter.send(result.clone());
        }
    }
}

/// Asks until everything is applied that had been ordered when the last question was sent.
async fn round(shared: &Arc<Shared>, state: &LaneState) -> std::result::Result<Position, Failure> {
    let Some(subscriber) = shared.subscriber() else {
        return Ok(shared.ask(state.lane, Position::default()).await?.position);
    };
    for _ in 0..ROUNDS {
        let asked = subscriber.now();
        let reply = shared.ask(state.lane, state.position()).await?;
        match state.take(&**subscriber, &reply, Some(asked)) {
            Step::Done => return Ok(state.position()),
            Step::More => {}
            Step::Gap => {
                shared.core.counters.gaps.count();
                snapshot::fetch(shared, state).await?;
            }
        }
    }
    Err(Failure::Away("a lane moves faster than it is read".to_owned()))
}
