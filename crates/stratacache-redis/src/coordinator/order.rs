//! INVAL: what many tasks invalidate in a lane at the same time goes in one pipeline.
//!
//! Only the last one of a pipeline asks for what the node has not applied, so that many of them do not each bring all the
//! others.

use std::sync::Arc;

use bytes::Bytes;
use stratacache_core::{
    Result,
    coordinator::Invalidate,
    stamp::{Lane, Position},
};
use tokio::sync::oneshot;

use super::{
    Shared,
    lane::{LaneState, Step},
    message::{self, LaneReply},
    sync,
};
use crate::link::{Command, Failure};

/// How many pipelines of one lane are under way. While they are, the next one gathers.
const PIPELINES: u8 = 2;
/// Most invalidations in one.
const BATCH: usize = 128;

/// Invalidations of a lane that wait to be sent.
#[derive(Debug, Default)]
pub(super) struct Orders {
    waiting: Vec<Order>,
    running: u8,
}

impl Orders {
    pub(super) fn close(&mut self) {
        self.waiting.clear();
    }
}

#[derive(Debug)]
struct Order {
    args: Vec<Bytes>,
    done: oneshot::Sender<Result<Position>>,
}

/// Orders an invalidation, and returns when this node has applied everything up to it.
pub(super) async fn invalidate(shared: &Arc<Shared>, request: Invalidate) -> Result<Position> {
    let bounds = shared.core.bounds;
    let args = vec![
        Bytes::copy_from_slice(&request.at.to_le_bytes()),
        message::records(&request.scopes),
        request.tenant.map(|scope| Bytes::copy_from_slice(&scope.to_bytes())).unwrap_or_default(),
        Bytes::from(bounds.marks.to_string()),
        Bytes::from(bounds.tenant_marks.to_string()),
        Bytes::from(bounds.stream.to_string()),
        Bytes::from(bounds.retention.as_millis().to_string()),
    ];
    let (done, answer) = oneshot::channel();
    let start = {
        let mut orders = shared.lane(request.lane).orders();
        orders.waiting.push(Order { args, done });
        let start = orders.running < PIPELINES;
        orders.running += u8::from(start);
        start
    };
    if start {
        let (task, lane) = (Arc::clone(shared), request.lane);
        shared.spawner.start(async move { serve(&task, task.lane(lane)).await });
    }
    // close forgets who waits, and who came later is told here
    shared.open()?;
    answer.await.map_err(|_| Failure::Closed)?
}

async fn serve(shared: &Arc<Shared>, state: &LaneState) {
    loop {
        let batch: Vec<Order> = {
            let mut orders = state.orders();
            let count = orders.waiting.len().min(BATCH);
            if count == 0 {
                orders.running -= 1;
                return;
            }
            orders.waiting.drain(..count).collect()
        };
        let (args, waiting): (Vec<_>, Vec<_>) = batch.into_iter().map(|order| (order.args, order.done)).unzip();
        let results = match send(shared, state, args).await {
            Ok(results) => results,
            Err(failure) => waiting.iter().map(|_| Err(failure.clone().into())).collect(),
        };
        for (done, result) in waiting.into_iter().zip(results) {
            // whoever went away does not want it
            let _ = done.send(result);
        }
    }
}

async fn send(
    shared: &Arc<Shared>,
    state: &LaneState,
    batch: Vec<Vec<Bytes>>,
) -> std::result::Result<Vec<Result<Position>>, Failure> {
    let (lane, last) = (state.lane, batch.len() - 1);
    let command = |(at, args)| {
        let seen = if at == last { state.position() } else { Position::default() };
        shared.lane_command(&shared.core.scripts.inval, lane, seen, args)
    };
    let commands: Vec<Command> = batch.into_iter().enumerate().map(command).collect::<std::result::Result<_, _>>()?;
    let (_, answer) = shared.core.link.call(shared.core.names.lane(lane).slot, &commands).await?;
    let replies: Vec<std::result::Result<LaneReply, Failure>> =
        answer.values.into_iter().map(|reply| shared.read(reply)).collect();
    if let (Some(subscriber), Some(Ok(reply))) = (shared.subscriber(), replies.last())
        && state.take(&**subscriber, reply, None) == Step::Gap
    {
        shared.core.counters.gaps.count();
    }
    let positions = replies.into_iter().map(|reply| Ok(reply.map(|reply| reply.position)?));
    applied(shared, lane, positions.collect()).await
}

/// What is ordered is nobody told of until this node has applied it.
async fn applied(
    shared: &Arc<Shared>,
    lane: Lane,
    positions: Vec<Result<Position>>,
) -> std::result::Result<Vec<Result<Position>>, Failure> {
    let state = shared.lane(lane);
    let missing = positions.iter().flatten().any(|position| !state.has_reached(*position));
    if shared.subscriber().is_none() || !missing {
        return Ok(positions);
    }
    let synced = sync::sync(shared, lane).await;
    let told = |position: Result<Position>| match (&synced, position) {
        (Err(error), Ok(position)) if !state.has_reached(position) => Err(error.clone()),
        (_, position) => position,
    };
    Ok(positions.into_iter().map(told).collect())
}
