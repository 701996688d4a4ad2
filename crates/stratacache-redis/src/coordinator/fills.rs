//! What nodes tell each other by pub/sub, on a connection of its own: notices of fills, and probes. A notice that is lost
//! costs its waiter a moment, no more.

use std::{sync::Arc, time::Duration};

use redis::{PushInfo, PushKind, Value};
use stratacache_core::EntryName;
use tokio::sync::Notify;

use super::{Shared, ask};
use crate::{
    health::Counters,
    link::{Backoff, Failure},
};

/// How often the connection is tried, and how long an answer may take.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) fn start(shared: &Arc<Shared>) {
    let task = Arc::clone(shared);
    shared.spawner.start(async move {
        let mut backoff = Backoff::new();
        loop {
            let failure = listen(&task, &mut backoff).await;
            tracing::debug!(error = failure.message(), "notices of fills are cut and connect again");
            // who waits looks for itself
            task.waiters.wake_all();
            tokio::time::sleep(backoff.next()).await;
        }
    });
}

async fn in_time<T>(work: impl Future<Output = redis::RedisResult<T>>) -> Result<T, Failure> {
    tokio::time::timeout(PATIENCE, work).await.map_err(|_| Failure::Hung)?.map_err(|e| Failure::lost(&e))
}

/// Listens until the connection fails.
async fn listen(shared: &Arc<Shared>, backoff: &mut Backoff) -> Failure {
    match listening(shared, backoff).await {
        Ok(never) => match never {},
        Err(failure) => failure,
    }
}

async fn listening(shared: &Arc<Shared>, backoff: &mut Backoff) -> Result<std::convert::Infallible, Failure> {
    // weak: the connection holds it
    let (hearer, cut) = (Arc::downgrade(shared), Arc::new(Notify::new()));
    let ended = Arc::clone(&cut);
    let sender = move |push: PushInfo| {
        match push.kind {
            PushKind::Message => {
                if let Some(hearer) = hearer.upgrade() {
                    hear(&hearer, &push.data);
                }
            }
            PushKind::Disconnection => ended.notify_one(),
            _ => {}
        }
        Ok::<(), std::convert::Infallible>(())
    };
    // in a cluster every server passes messages on to all
    let masters = shared.core.link.masters().await?;
    let (node, _) = masters.first().ok_or(Failure::Garbled("no masters"))?;
    let mut connection = in_time(node.endpoint.listen(sender)).await?;
    in_time(connection.subscribe(&shared.core.names.fills)).await?;
    let own = shared.asks.node().map(|node| shared.core.names.answers(node));
    for channel in own.iter().chain([&shared.core.names.asks]) {
        // notices of fills are worth more than probes
        if let Err(failure) = in_time(connection.subscribe(channel)).await {
            tracing::debug!(error = failure.message(), "probes of coherence are not heard");
        }
    }
    backoff.reset();
    // what was filled before this subscription was told to nobody
    shared.waiters.wake_all();
    let mut ping = redis::Cmd::new();
    ping.arg("PING");
    loop {
        tokio::select! {
            () = cut.notified() => return Err(Failure::Lost("the connection was closed".to_owned())),
            () = tokio::time::sleep(PATIENCE) => drop(in_time(connection.send_packed_command(&ping)).await?),
        }
    }
}

/// Takes a message: its channel, and what was published there.
fn hear(shared: &Shared, message: &[Value]) {
    let [Value::BulkString(channel), Value::BulkString(bytes)] = message else { return };
    let (names, counters) = (&shared.core.names, &shared.core.counters);
    if *channel == names.fills.as_bytes() {
        if let Ok(name) = <[u8; 16]>::try_from(&bytes[..]) {
            shared.waiters.wake(EntryName::from_bytes(name));
        }
    } else if *channel == names.asks.as_bytes() {
        ask::heard(shared, bytes);
    } else if !shared.asks.answered(bytes) {
        Counters::add(&counters.garbled);
    }
}
