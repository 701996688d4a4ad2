//! One server, with a replica if need be.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use stratacache_testkit::{
    proxy::FaultProxy,
    servers::{Persistence, Program, RedisCluster, RedisServer},
};

/// What is left of the data when the server is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Persisted {
    Nothing,
    /// What the last `SAVE` wrote.
    Snapshot,
    /// Everything.
    Log,
}

/// A server, and a replica that hears of it through a proxy.
pub(crate) struct Duo {
    pub(crate) primary: Arc<RedisServer>,
    pub(crate) replica: Option<(Arc<RedisServer>, FaultProxy)>,
    pub(crate) persisted: Persisted,
}

impl Duo {
    pub(crate) async fn start(persisted: Persisted) -> Result<Self> {
        let persistence = match persisted {
            Persisted::Nothing => Persistence::None,
            Persisted::Snapshot => Persistence::Rdb,
            Persisted::Log => Persistence::Aof,
        };
        let primary = RedisServer::builder(Program::Redis).persistence(persistence).start().await?;
        Ok(Self { primary: Arc::new(primary), replica: None, persisted })
    }

    /// Makes sure that there is a replica that has everything.
    pub(crate) async fn with_replica(&mut self) -> Result<()> {
        if self.replica.is_none() {
            let link = FaultProxy::start(self.primary.addr(), 0).await.context("starting the replica's proxy")?;
            let from = format!("127.0.0.1 {}", link.addr().port());
            let replica = RedisServer::builder(Program::Redis).config("replicaof", from).start().await?;
            self.replica = Some((Arc::new(replica), link));
        }
        if let Some((replica, _)) = &self.replica {
            replica.until_synced(&self.primary).await?;
        }
        Ok(())
    }
}

/// Starts a cluster of three masters and three replicas.
pub(super) async fn cluster() -> Result<RedisCluster> {
    Ok(RedisCluster::start(3, 3).await?)
}
