//! The canary: a beat that goes out by the main connection must come back by the tail.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::sync::watch;

use super::{
    Shared,
    tail::{BeatId, beat_id},
};
use crate::{
    health::Counters,
    link::{Command, Failure, bytes},
    names::slot,
};

const EVERY: Duration = Duration::from_secs(5);
const WITHIN: Duration = Duration::from_secs(2);

pub(super) fn start(shared: &Arc<Shared>, seen: watch::Receiver<BeatId>) {
    let task = Arc::clone(shared);
    shared.spawner.start(async move {
        let mut seen = seen;
        loop {
            // a server that does not answer is known by other means
            if let Ok(sent) = beat(&task).await {
                let came = tokio::time::timeout(WITHIN, seen.wait_for(|last| *last >= sent)).await;
                let silent = !matches!(came, Ok(Ok(_)));
                let counters = &task.core.counters;
                if !silent {
                    Counters::add(&counters.beats);
                }
                if counters.silent.swap(silent, Ordering::Relaxed) != silent {
                    match silent {
                        true => tracing::warn!(
                            "the stream of invalidations is silent although redis answers: nodes learn of \
                             invalidations by asking, up to 300 ms later"
                        ),
                        false => tracing::info!("the stream of invalidations is heard again"),
                    }
                }
            }
            tokio::time::sleep(EVERY).await;
        }
    });
}

async fn beat(shared: &Shared) -> Result<BeatId, Failure> {
    let key = &shared.core.names.beats;
    let add = Command::plain(&["XADD", key, "MAXLEN", "1", "*", "b", ""]);
    let (_, answer) = shared.core.link.call(slot(key), &[add]).await?;
    beat_id(&bytes(answer.one()?)?).ok_or(Failure::Garbled("the id of a beat"))
}
