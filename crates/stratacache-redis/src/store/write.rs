//! Putting and removing entries.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use redis::Value;
use stratacache_core::{
    EntryName,
    clock::Millis,
    stamp::Incarnation,
    tier::{Fence, PutItem, PutOutcome, TierError},
};

use super::{each, verify};
use crate::{
    core::Core,
    link::{Command, Failure, accepted, command, number},
    names::slot,
};

/// Most bytes in one pipeline, so that one large batch does not use up the deadline.
const CHUNK: usize = 4 << 20;

pub(super) async fn put_many(core: &Arc<Core>, items: Vec<PutItem>) -> Result<Vec<PutOutcome>, TierError> {
    let now = core.now().unwrap_or_default();
    let mut outcomes: Vec<Option<PutOutcome>> = items.iter().map(|_| None).collect();
    let mut chunk: Vec<(usize, PutItem)> = Vec::new();
    let mut bytes = 0;
    let mut last_failure = None;
    let count = items.len();
    for (at, item) in items.into_iter().enumerate() {
        if item.envelope.len() as u64 > core.max_weight {
            outcomes[at] = Some(PutOutcome::TooLarge);
        } else if item.expires_at <= now && item.fence.is_none() {
            // it would be gone at once: as good as stored. Under a lease it takes the place of what is there
            outcomes[at] = Some(PutOutcome::Stored);
        } else {
            bytes += item.envelope.len();
            chunk.push((at, item));
        }
        if bytes >= CHUNK || at + 1 == count {
            for (at, outcome) in put_chunk(core, std::mem::take(&mut chunk), now).await {
                let outcome = outcome.unwrap_or_else(|failure| {
                    let error = TierError::from(failure);
                    last_failure = Some(error.clone());
                    PutOutcome::Failed(error)
                });
                outcomes[at] = Some(outcome);
            }
            bytes = 0;
        }
    }
    let outcomes: Vec<PutOutcome> = outcomes.into_iter().map(|o| o.unwrap_or(PutOutcome::Stored)).collect();
    match last_failure {
        Some(error) if outcomes.iter().all(|outcome| matches!(outcome, PutOutcome::Failed(_))) => Err(error),
        _ => Ok(outcomes),
    }
}

async fn put_chunk(
    core: &Arc<Core>,
    chunk: Vec<(usize, PutItem)>,
    now: Millis,
) -> Vec<(usize, Result<PutOutcome, Failure>)> {
    let mut done = Vec::new();
    let mut places = Vec::new();
    let mut commands = Vec::new();
    for (at, item) in chunk {
        let life = item.expires_at.saturating_sub(now);
        let made = match item.fence {
            Some(fence) => Ok(fill(core, &item, fence, life)),
            None => plain(core, &item, life).await,
        };
        match made {
            Ok(command) => {
                places.push(at);
                commands.push((item.name, command));
            }
            Err(failure) => done.push((at, Err(failure))),
        }
    }
    for (at, reply) in places.into_iter().zip(each(core, commands).await) {
        done.push((at, reply.and_then(outcome)));
    }
    done
}

fn outcome(reply: Value) -> Result<PutOutcome, Failure> {
    match reply {
        Value::Okay => Ok(PutOutcome::Stored),
        reply => Ok(if number(reply)? == 1 { PutOutcome::Stored } else { PutOutcome::Fenced }),
    }
}

/// FILL: stores only while the token is in the lease; what has no life left only removes what was there.
fn fill(core: &Core, item: &PutItem, fence: Fence, life: Millis) -> Command {
    let keys = vec![core.names.entry(item.name), core.names.lease(item.name)];
    let args = vec![
        Bytes::copy_from_slice(&fence.0.to_le_bytes()),
        item.envelope.clone(),
        Bytes::from(life.to_string()),
        Bytes::copy_from_slice(core.names.fills.as_bytes()),
        Bytes::copy_from_slice(&item.name.to_bytes()),
    ];
    Command::script(&core.scripts.fill, keys, args)
}

/// A put without a fence belongs to the history that the server was last known to be of.
async fn plain(core: &Core, item: &PutItem, life: Millis) -> Result<Command, Failure> {
    let node = core.link.owner(slot(&core.names.entry(item.name)), core.link.until()).await?;
    let store = match node.store(None, core.link.clock.now(), super::read::TRUST) {
        Some(store) => store,
        None => verify(core, &node, core.names.nothing(item.name)).await?,
    };
    let value = stored(store, &item.envelope);
    let (key, life) = (core.names.entry(item.name), life.to_string());
    Ok(command(&[b"SET", key.as_bytes(), &value, b"PX", life.as_bytes()]))
}

fn stored(store: Incarnation, envelope: &Bytes) -> Bytes {
    let mut value = BytesMut::with_capacity(8 + envelope.len());
    value.extend_from_slice(&store.0.to_le_bytes());
    value.extend_from_slice(envelope);
    value.freeze()
}

/// DEL_FENCE: the entry and its lease, in one command.
pub(super) async fn remove_many(
    core: &Arc<Core>,
    names: Vec<EntryName>,
) -> Result<Vec<Result<(), TierError>>, TierError> {
    let unlink = |name: EntryName| {
        let keys = [core.names.entry(name), core.names.lease(name)];
        (name, command(&[b"UNLINK", keys[0].as_bytes(), keys[1].as_bytes()]))
    };
    let replies = each(core, names.into_iter().map(unlink).collect()).await;
    let results: Vec<Result<(), TierError>> =
        replies.into_iter().map(|reply| reply.and_then(accepted).map(drop).map_err(TierError::from)).collect();
    if let Some(Err(error)) = results.first()
        && results.iter().all(Result::is_err)
    {
        return Err(error.clone());
    }
    Ok(results)
}
