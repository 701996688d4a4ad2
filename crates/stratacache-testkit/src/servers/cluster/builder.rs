//! Starts nodes and makes a cluster of them.

use std::{sync::Arc, time::Duration};

use super::{
    RedisCluster,
    view::{brief, view},
};
use crate::{
    servers::{
        Program, RedisBuilder, RedisServer, ServerError,
        folder::{Folder, quoted},
        instance::Instance,
        tls,
        wait::until,
    },
    spawn,
};

const SLOTS: usize = 16_384;
const FORMED: Duration = Duration::from_secs(60);

/// Describes a cluster and starts it; made by [`RedisCluster::builder`].
#[derive(Debug, Clone)]
#[must_use = "a cluster runs when it is started"]
pub struct RedisClusterBuilder {
    masters: usize,
    replicas: usize,
    program: Program,
    node_timeout: Duration,
    password: Option<String>,
    tls: bool,
    settings: Vec<(String, String)>,
}

impl RedisClusterBuilder {
    pub(super) fn new(masters: usize, replicas: usize) -> Self {
        Self {
            masters,
            replicas,
            program: Program::Redis,
            node_timeout: Duration::from_millis(1500),
            password: None,
            tls: false,
            settings: Vec::new(),
        }
    }

    /// Sets the program of the nodes. Default: Redis.
    pub fn program(mut self, program: Program) -> Self {
        self.program = program;
        self
    }

    /// Sets after how long a silent node is thought to have failed. Default: 1.5 s.
    pub fn node_timeout(mut self, timeout: Duration) -> Self {
        self.node_timeout = timeout;
        self
    }

    /// Sets the password of the default user, the same at every node.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Lets clients connect with TLS only, as [`RedisBuilder::tls`] does, and the nodes speak to one another with TLS. One
    /// authority, [`RedisServer::ca_path`] of any node, signed the certificate of them all.
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Adds a line to the configuration file of every node, as [`RedisBuilder::config`] does.
    pub fn config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((key.into(), value.into()));
        self
    }

    /// Starts the nodes and waits until every one of them finds the cluster well, with every slot owned and every replica
    /// connected; up to 90 s.
    ///
    /// # Errors
    /// As of [`RedisBuilder::start`]; [`Timeout`](ServerError::Timeout) when they do not find together.
    ///
    /// # Panics
    /// Without a master, or with more than 1000.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the nodes are killed as soon as they have started.
    pub async fn start(self) -> Result<RedisCluster, ServerError> {
        assert!((1..=1000).contains(&self.masters), "a cluster has 1 to 1000 masters, not {}", self.masters);
        let (nodes, certificates) = spawn::blocking(move || self.form()).await?;
        Ok(RedisCluster::new(nodes.into_iter().map(RedisServer::new).collect(), certificates))
    }

    fn form(&self) -> Result<(Vec<Arc<Instance>>, Option<Folder>), ServerError> {
        let certificates = if self.tls { Some(Folder::new()?) } else { None };
        let mut node = self.node();
        if let Some(folder) = &certificates {
            let files = tls::make(folder.path())?;
            node = node.tls_of(files).config("tls-cluster", "yes").config("tls-replication", "yes");
        }
        let count = self.masters + self.replicas;
        let nodes = (0..count).map(|_| node.start_blocking()).collect::<Result<Vec<_>, _>>()?;
        for (i, node) in nodes.iter().enumerate() {
            // different epochs from the beginning, so that nobody has to settle who is right
            node.call(&["CLUSTER", "SET-CONFIG-EPOCH", &(i + 1).to_string()])?;
        }
        for (i, master) in nodes[..self.masters].iter().enumerate() {
            let [first, end] = [i, i + 1].map(|i| i * SLOTS / self.masters);
            master.call(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &(end - 1).to_string()])?;
        }
        for other in &nodes[1..] {
            nodes[0].call(&["CLUSTER", "MEET", "127.0.0.1", &other.address.port.to_string()])?;
        }
        wait_for(&nodes, "to know one another", |node| knows(node, count))?;
        for (i, replica) in nodes[self.masters..].iter().enumerate() {
            let master = nodes[i % self.masters].call(&["CLUSTER", "MYID"])?.text().unwrap_or_default();
            replica.call(&["CLUSTER", "REPLICATE", &master])?;
        }
        let replicas = self.replicas;
        wait_for(&nodes, "to find their cluster well", |node| finds_well(node, count, replicas))?;
        Ok((nodes, certificates))
    }

    fn node(&self) -> RedisBuilder {
        let mut node = RedisServer::builder(self.program)
            .config("cluster-enabled", "yes")
            .config("cluster-config-file", "nodes.conf")
            .config("cluster-node-timeout", self.node_timeout.as_millis().to_string())
            .config("repl-ping-replica-period", "1")
            // replicas stay where a test put them
            .config("cluster-allow-replica-migration", "no");
        if let Some(password) = &self.password {
            node = node.password(password).config("masterauth", quoted(password));
        }
        for (key, value) in &self.settings {
            node = node.config(key, value);
        }
        node.cluster = true;
        node
    }
}

fn wait_for(
    nodes: &[Arc<Instance>],
    what: &str,
    check: impl Fn(&Instance) -> Result<Result<(), String>, ServerError>,
) -> Result<(), ServerError> {
    nodes.iter().try_for_each(|node| until(format!("the nodes of a cluster {what}"), FORMED, || check(node)))
}

fn knows(node: &Instance, count: usize) -> Result<Result<(), String>, ServerError> {
    let seen = view(node)?;
    let all = seen.len() == count && seen.iter().all(|node| node.is_well);
    Ok(if all { Ok(()) } else { Err(brief(&[seen])) })
}

fn finds_well(node: &Instance, count: usize, replicas: usize) -> Result<Result<(), String>, ServerError> {
    if let Err(seen) = knows(node, count)? {
        return Ok(Err(seen));
    }
    let seen = view(node)?;
    let info = node.call(&["CLUSTER", "INFO"])?.text().unwrap_or_default();
    let replication = node.call(&["INFO", "replication"])?.text().unwrap_or_default();
    let well = seen.iter().filter(|node| node.master.is_some()).count() == replicas
        && info.contains("cluster_state:ok")
        && !replication.contains("master_link_status:down");
    Ok(if well { Ok(()) } else { Err(format!("{}\n{info}\n{replication}", brief(&[seen]))) })
}
