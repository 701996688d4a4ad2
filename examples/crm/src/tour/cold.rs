//! A thousand clients ask at once for what nobody has asked for yet.

use std::sync::Arc;

use anyhow::Result;
use tokio::{sync::Barrier, task::JoinSet};

use super::{Scene, client::Visitor};
use crate::db::{COMPANIES, Statistics};

/// How many ask.
pub(super) const READERS: usize = 1000;

/// Lets all of them ask for the statistics of one company, each over a connection that is open before.
pub(super) async fn read_at_once(scene: &Arc<Scene>) -> Result<()> {
    let start = Arc::new(Barrier::new(READERS));
    let company = COMPANIES - 1;
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        let (scene, start) = (Arc::clone(scene), Arc::clone(&start));
        let mut visitor = Visitor::connect(scene.address).await?;
        readers.spawn(async move {
            start.wait().await;
            let reply = visitor.get("/statistics", scene.token(company)).await?;
            if let Some(statistics) = scene.expect::<Statistics>(&reply) {
                scene.witness.statistics(scene.name(company), &statistics);
            }
            anyhow::Ok(())
        });
    }
    while let Some(reader) = readers.join_next().await {
        reader??;
    }
    Ok(())
}
