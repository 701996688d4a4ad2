//! At the end, when all is quiet: each node shows each contact that was written as SQLite has it.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use stratacache::resource::Source;
use tokio::time::{Instant, sleep};

use super::{
    counters,
    counts::{Judged, Probes},
    rover::Rover,
    stage::Stage,
};
use crate::db::{Db, company};

/// How long invalidations may still be repeated.
const PATIENCE: Duration = Duration::from_secs(30);
/// How far a read may be behind, and a little.
const QUIET: Duration = Duration::from_millis(1100);

/// Compares; also those whose answer got lost.
pub(super) async fn compare(stage: &Arc<Stage>, db: &Db) -> Result<Probes> {
    let began = Instant::now();
    while counters::of_all(stage).await?.writes_under_way > 0 {
        ensure!(began.elapsed() < PATIENCE, "writes are still under way {} s after the last", PATIENCE.as_secs());
        sleep(Duration::from_millis(50)).await;
    }
    sleep(QUIET).await;
    let (judged, mut rover) = (Judged::default(), Rover::new(stage));
    for (n, id) in stage.ledger.all() {
        let truth = db.of(&company(n)).one(&id).await?;
        for node in 0..stage.nodes() {
            let Some(seen) = rover.contact(node, n, id, None).await? else { continue };
            let fine = truth.as_ref() == Some(&seen.value);
            if !fine {
                stage.witness.stale(|| format!("at the end node {} shows contact {id} as it was before", seen.node));
            }
            judged.add(fine);
        }
    }
    Ok(judged.read())
}
