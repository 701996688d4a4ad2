//! A restart of everything with a warm object store: all servers end, Redis loses its entries, and what is read afterwards
//! comes from the objects, but for what was written meanwhile.
//!
//! Objects are judged by the order of invalidations, which Redis holds. As long as it goes on they are of use; with an empty
//! Redis another order begins, and what was before is never served. Both are shown.

mod reads;
mod report;

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result};
use serde::Deserialize;

pub(super) use report::Everything;

use self::{reads::Reading, report::Answered};
use super::{
    fresh::fresh,
    nodes::{Launch, Node, OwnRedis},
    scene::Scene,
    witness::Witness,
};
use crate::{
    server::{Extras, Keys},
    tour::client::Visitor,
};

/// What the act needs of its tour.
pub(super) struct Act<'a> {
    pub(super) folder: &'a Path,
    pub(super) nodes: usize,
    /// Of somebody else, if there is one: its entries are left alone, and it is not restarted.
    pub(super) redis: Option<String>,
    pub(super) extras: Extras,
    pub(super) keys: &'a Keys,
    pub(super) witness: &'a Arc<Witness>,
}

impl Act<'_> {
    /// Plays it.
    pub(super) async fn play(self) -> Result<Everything> {
        let mut own = match self.redis {
            Some(_) => None,
            None => Some(OwnRedis::start().await?),
        };
        let url = self.redis.clone().or_else(|| own.as_ref().map(OwnRedis::url)).context("there is no Redis")?;
        fresh(self.folder, Some(url.clone()), &self.extras).await?;
        let launch = Launch {
            folder: self.folder.to_owned(),
            redis: url,
            keys: self.keys.to_text(),
            extras: self.extras.clone(),
        };

        let mut cast = self.begin(&launch).await?;
        let cold = cast.read_all().await?;
        let changed_before = cast.change(0).await?;
        cast.end().await?;

        if let Some(redis) = &own {
            redis.forget_entries().await?;
        }
        let mut cast = self.begin(&launch).await?;
        let warm = cast.read_all().await?;
        let changed_after = cast.change(1).await?;
        cast.end().await?;

        let without_order = match &mut own {
            Some(redis) => {
                redis.kill().await?;
                redis.start_empty().await?;
                let mut cast = self.begin(&launch).await?;
                let answered = cast.read_all().await?;
                cast.end().await?;
                Some(answered)
            }
            None => None,
        };
        Ok(Everything { nodes: self.nodes, cold, warm, changed_before, changed_after, without_order })
    }

    /// Starts all servers.
    async fn begin(&self, launch: &Launch) -> Result<Cast> {
        let mut cast = Cast { nodes: Vec::new(), scenes: Vec::new(), admin_token: self.keys.admin_token().to_owned() };
        for _ in 0..self.nodes {
            let node = launch.node().await?;
            cast.scenes.push(Scene::new(node.address, self.keys, self.witness));
            cast.nodes.push(node);
        }
        Ok(cast)
    }
}

/// Servers that run, and a door to each.
struct Cast {
    nodes: Vec<Node>,
    scenes: Vec<Arc<Scene>>,
    admin_token: String,
}

/// What one server says of itself; of more tiers than these nobody asks.
#[derive(Deserialize)]
struct Counters {
    sql_queries: u64,
    cache: CacheCounters,
}

#[derive(Deserialize)]
struct CacheCounters {
    tiers: Vec<TierCounters>,
}

#[derive(Deserialize)]
struct TierCounters {
    name: String,
    hits: u64,
}

impl Cast {
    /// Reads everything there is to read here once, each thing on another server than what was read before.
    async fn read_all(&mut self) -> Result<Answered> {
        let reads = Reading::all(&self.scenes).await?;
        let mut answered = Answered { reads, ..Answered::default() };
        for scene in &self.scenes {
            let mut visitor = Visitor::connect(scene.address).await?;
            let Counters { sql_queries, cache } = visitor.get("/admin/node", &self.admin_token).await?.json()?;
            answered.sql_queries += sql_queries;
            for TierCounters { name, hits } in cache.tiers {
                match &*name {
                    "redis" => answered.redis += hits,
                    "object" => answered.objects += hits,
                    _ => {}
                }
            }
        }
        Ok(answered)
    }

    /// Changes contacts, each read at once on another server with the token of its write.
    async fn change(&mut self, turn: u64) -> Result<u64> {
        reads::change(&self.scenes, turn).await
    }

    async fn end(self) -> Result<()> {
        for node in self.nodes {
            node.stop().await?;
        }
        Ok(())
    }
}
