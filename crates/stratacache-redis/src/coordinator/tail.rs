//! The tail: invalidations as they happen, read from the streams of all lanes on a connection of its own.
//!
//! It makes nodes quick, not right: what it brings is applied only where it follows without a gap, and nothing is believed
//! to be up to date because it is silent.

use std::{sync::Arc, time::Duration};

use redis::{Cmd, Value, aio::MultiplexedConnection};
use stratacache_core::stamp::{LANES, Lane};
use tokio::sync::watch;

use super::{
    Shared,
    lane::Step,
    message::{Entry, MOST},
};
use crate::link::{Backoff, Failure, Node, bytes, list};

/// How long the server holds a question while there is nothing new.
const BLOCK: Duration = Duration::from_millis(200);
/// How much longer an answer may take before the connection counts as broken.
const GRACE: Duration = Duration::from_secs(1);

/// The id of a beat: milliseconds and number.
pub(super) type BeatId = (u64, u64);

/// Starts to follow the streams, and returns the last beat that came by.
pub(super) fn start(shared: &Arc<Shared>, node: &Arc<Node>) -> watch::Receiver<BeatId> {
    let (sender, seen) = watch::channel((0, 0));
    let (task, node) = (Arc::clone(shared), Arc::clone(node));
    shared.spawner.start(async move {
        let mut backoff = Backoff::new();
        loop {
            let failure = follow(&task, &node, &sender, &mut backoff).await;
            tracing::debug!(error = failure.message(), "the tail is cut and connects again");
            tokio::time::sleep(backoff.next()).await;
        }
    });
    seen
}

/// Follows until the connection fails.
async fn follow(shared: &Arc<Shared>, node: &Node, beats: &watch::Sender<BeatId>, backoff: &mut Backoff) -> Failure {
    let opened = tokio::time::timeout(GRACE, node.endpoint.connect()).await;
    let mut connection = match opened {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Failure::away(&error),
        Err(_) => return Failure::Hung,
    };
    // there is one beat at most, so this is as good as the last
    let mut last_beat = b"0".to_vec();
    loop {
        match read(shared, &mut connection, beats, &mut last_beat).await {
            Ok(()) => backoff.reset(),
            Err(failure) => {
                if let Failure::Refused(refusal) = &failure
                    && refusal.is_no_primary()
                {
                    // UNBLOCKED: it is no primary any more
                    node.doubt();
                }
                return failure;
            }
        }
    }
}

async fn read(
    shared: &Arc<Shared>,
    connection: &mut MultiplexedConnection,
    beats: &watch::Sender<BeatId>,
    last_beat: &mut Vec<u8>,
) -> Result<(), Failure> {
    let names = &shared.core.names;
    let mut ask = Cmd::new();
    ask.arg("XREAD").arg("COUNT").arg(MOST).arg("BLOCK").arg(BLOCK.as_millis() as u64).arg("STREAMS");
    for lane in Lane::all() {
        ask.arg(&names.lane(lane).stream);
    }
    ask.arg(&names.beats);
    for lane in Lane::all() {
        ask.arg(format!("{}-0", shared.lane(lane).position().seq));
    }
    ask.arg(&last_beat[..]);
    let reply = tokio::time::timeout(BLOCK + GRACE, connection.send_packed_command(&ask)).await;
    let reply = reply.map_err(|_| Failure::Hung)?.map_err(|e| Failure::lost(&e))?;
    for stream in list(reply)? {
        let mut parts = list(stream)?.into_iter();
        let (Some(key), Some(messages)) = (parts.next(), parts.next()) else { return Err(Failure::Garbled("XREAD")) };
        let (key, messages) = (bytes(key)?, list(messages)?);
        match Lane::all().find(|lane| names.lane(*lane).stream.as_bytes() == key) {
            Some(lane) => deliver(shared, lane, messages)?,
            None => {
                if let Some(last) = messages.into_iter().next_back() {
                    let id = bytes(list(last)?.into_iter().next().ok_or(Failure::Garbled("XREAD"))?)?;
                    beats.send_replace(beat_id(&id).ok_or(Failure::Garbled("the id of a beat"))?);
                    *last_beat = id;
                }
            }
        }
    }
    Ok(())
}

fn deliver(shared: &Arc<Shared>, lane: Lane, messages: Vec<Value>) -> Result<(), Failure> {
    let Some(subscriber) = shared.subscriber() else { return Ok(()) };
    let entries: Result<Vec<Entry>, Failure> = messages.into_iter().map(entry).collect();
    // what is no message of ours is a gap: SYNC tells what is missing
    let step = shared.lane(lane).follow(&**subscriber, &entries.unwrap_or_default());
    if step == Step::Gap {
        shared.fetch_soon(lane);
    }
    Ok(())
}

fn entry(message: Value) -> Result<Entry, Failure> {
    let mut parts = list(message)?.into_iter();
    let (Some(id), Some(fields)) = (parts.next(), parts.next()) else { return Err(Failure::Garbled("XREAD")) };
    let mut fields = list(fields)?.into_iter();
    let mut value = || {
        fields.next();
        fields.next().ok_or(Failure::Garbled("a message"))
    };
    Entry::new(&bytes(id)?, &bytes(value()?)?, bytes(value()?)?)
}

pub(super) fn beat_id(id: &[u8]) -> Option<BeatId> {
    let (millis, number) = std::str::from_utf8(id).ok()?.split_once('-')?;
    Some((millis.parse().ok()?, number.parse().ok()?))
}

const _: () = assert!(LANES == 16, "the streams of 16 lanes and of the global one are read");
