//! The pulse: several times a second each lane is asked for what is new, and each server for its history.

use std::{sync::Arc, time::Duration};

use stratacache_core::stamp::Lane;

use super::{Shared, lane::Step};
use crate::{
    health::Counters,
    link::{Command, Failure, Node, jitter},
    spawn,
    store::verify,
};

/// The longest pause: a third of the delta of `Bounded` reads, less the time an answer takes.
const PAUSE: Duration = Duration::from_millis(300);
/// A lane that was heard of so lately is not asked, in milliseconds.
const LATELY: u64 = 100;

pub(super) fn start(shared: &Arc<Shared>) {
    let task = Arc::clone(shared);
    shared.spawner.start(async move {
        loop {
            tokio::time::sleep(jitter(PAUSE)).await;
            if let Err(failure) = beat(&task).await {
                tracing::debug!(error = failure.message(), "no server of the cluster answers");
            }
        }
    });
}

async fn beat(shared: &Arc<Shared>) -> Result<(), Failure> {
    let core = &shared.core;
    let mut work = Vec::new();
    for (node, slots) in core.link.masters().await? {
        let lanes: Vec<Lane> = Lane::all().filter(|lane| slots.has(core.names.lane(*lane).slot)).collect();
        let key = core.names.nothing_in(|slot| slots.has(slot));
        work.push(ask(Arc::clone(shared), node, lanes, key));
    }
    spawn::all(work).await;
    Ok(())
}

/// Asks one server for everything, in one pipeline for the lanes and one for its history.
async fn ask(shared: Arc<Shared>, node: Arc<Node>, lanes: Vec<Lane>, key: String) {
    // failures have been counted by the breaker, and the next pulse comes soon
    if let Err(failure) = verify(&shared.core, &node, key).await {
        tracing::trace!(error = failure.message(), "no pulse");
        return;
    }
    if let Err(failure) = ask_lanes(&shared, &node, lanes).await {
        tracing::trace!(error = failure.message(), "no pulse");
    }
}

async fn ask_lanes(shared: &Arc<Shared>, node: &Node, lanes: Vec<Lane>) -> Result<(), Failure> {
    let Some(subscriber) = shared.subscriber() else { return Ok(()) };
    let asked = subscriber.now();
    let due = lanes.into_iter().filter(|lane| !shared.lane(*lane).is_fresh(asked.saturating_sub(LATELY)));
    let due: Vec<Lane> = due.collect();
    if due.is_empty() {
        return Ok(());
    }
    let sync = |lane: &Lane| {
        let seen = shared.lane(*lane).position();
        shared.lane_command(&shared.core.scripts.sync, *lane, seen, Vec::new())
    };
    let commands: Vec<Command> = due.iter().map(sync).collect::<Result<_, _>>()?;
    let answer = shared.core.link.send(node, &commands, shared.core.link.until()).await?;
    for (lane, reply) in due.into_iter().zip(answer.values) {
        Counters::add(&shared.core.counters.syncs);
        // a lane that has moved to another server is asked there by the next pulse
        let Ok(reply) = shared.read(reply) else { continue };
        if shared.lane(lane).take(&**subscriber, &reply, Some(asked)) != Step::Done {
            shared.fetch_soon(lane);
        }
    }
    Ok(())
}
