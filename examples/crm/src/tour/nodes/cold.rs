//! A thousand clients ask all nodes at once for what nobody has asked for yet.

use std::sync::Arc;

use anyhow::{Context, Result};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{sync::Barrier, task::JoinSet};

use super::{counters, stage::Stage};
use crate::{
    db::{Page, Statistics},
    tour::{client::Visitor, cold::READERS},
};

/// A company that no other client asks about before.
const COMPANY: u64 = 100;

/// How many SQL queries it took.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Cold {
    pub(super) readers: u64,
    pub(super) page_queries: u64,
    pub(super) statistics_queries: u64,
}

/// Lets all of them ask for a page, then for the slow statistics, each over a connection that is open before.
pub(super) async fn read_at_once(stage: &Arc<Stage>) -> Result<Cold> {
    let mut visitors = Vec::with_capacity(READERS);
    for n in 0..READERS {
        let address = stage.address(n % stage.nodes()).context("a node is missing")?;
        visitors.push(Visitor::connect(address).await?);
    }
    let (name, witness) = (stage.companies.name(COMPANY), &stage.witness);
    let (visitors, page_queries) = ask(stage, visitors, "/contacts?page=2", |page: Page| {
        for contact in &page.contacts {
            witness.owner(name, &contact.tenant);
        }
    })
    .await?;
    let judge = |statistics: Statistics| witness.statistics(name, &statistics);
    let (_, statistics_queries) = ask(stage, visitors, "/statistics", judge).await?;
    Ok(Cold { readers: READERS as u64, page_queries, statistics_queries })
}

/// Lets all of them ask for the same; returns how many SQL queries ran for it on all nodes.
async fn ask<T: DeserializeOwned>(
    stage: &Arc<Stage>,
    visitors: Vec<Visitor>,
    path: &'static str,
    judge: impl Fn(T),
) -> Result<(Vec<Visitor>, u64)> {
    let before = counters::of_all(stage).await?;
    let start = Arc::new(Barrier::new(visitors.len()));
    let mut readers = JoinSet::new();
    for mut visitor in visitors {
        let (stage, start) = (Arc::clone(stage), Arc::clone(&start));
        readers.spawn(async move {
            start.wait().await;
            let reply = visitor.get(path, stage.companies.token(COMPANY)).await?;
            anyhow::Ok((visitor, reply))
        });
    }
    let mut visitors = Vec::with_capacity(READERS);
    while let Some(reader) = readers.join_next().await {
        let (visitor, reply) = reader??;
        match reply.json() {
            Ok(value) => judge(value),
            Err(error) => stage.witness.unexpected(|| format!("{path}, cold: {error}")),
        }
        visitors.push(visitor);
    }
    Ok((visitors, counters::of_all(stage).await?.since(&before).sql_queries))
}
