//! What a run takes place on: servers, a proxy before each node, the nodes, and the ledger of what they did.

mod backend;
mod ground;
mod ledger;
mod process;
mod store;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use stratacache_testkit::{proxy::FaultProxy, servers::RedisCluster};
use tokio::sync::{Mutex, MutexGuard};

pub(crate) use self::{
    backend::{Duo, Persisted},
    ground::Ground,
    ledger::{FAULTS, Injection, LIMIT, Ledger},
    process::NodeProcess,
    store::Store,
};
use crate::{
    checker::{Broken, Violation},
    faults::Fault,
    node::{self, Aim, READ_LIMIT, STORE_READ_LIMIT, Setup},
    time::{self, Nanos},
};

/// What a stage is like.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The binary, for the nodes.
    pub(crate) program: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) seed: u64,
    pub(crate) nodes: u32,
    /// Operations of each node in a second.
    pub(crate) rate: u32,
    pub(crate) ground: Ground,
    /// Marks are dropped, and streams cut, every few seconds.
    pub(crate) few_marks: bool,
    /// Connections of a node that carry commands.
    pub(crate) connections: usize,
    /// Nodes have disks.
    pub(crate) disks: bool,
    /// What is below memory is encrypted; tenants are destroyed, and their keys rotated.
    pub(crate) encrypted: bool,
    /// One in so many invalidations is probed.
    pub(crate) probe: Option<u32>,
    /// What there is more of than usual.
    pub(crate) aim: Aim,
    pub(crate) without_rule: Option<String>,
}

impl Settings {
    /// Tells whether only invalidations and faults ask for loads. Where nodes have disks or an object store, lanes keep marks
    /// of keys, too; where marks are few as well, these are dropped all the time, and with them what they might have been about.
    pub(crate) fn leaves_entries(&self) -> bool {
        !(self.few_marks && (self.disks || self.ground.is_store()))
    }

    /// Returns how long a read may take.
    pub(crate) fn read_limit(&self) -> Nanos {
        if self.ground.is_store() { STORE_READ_LIMIT } else { READ_LIMIT }
    }
}

/// The servers of a run.
pub(crate) enum Backend {
    /// A server with or without a replica, and a proxy before each node.
    One { duo: Mutex<Duo>, proxies: Vec<FaultProxy> },
    /// A cluster, to which nodes connect directly.
    Cluster(RedisCluster),
}

/// Everything that a run is made of. Faults share it.
pub(crate) struct Stage {
    pub(crate) settings: Settings,
    pub(crate) backend: Backend,
    store: Option<Store>,
    nodes: Vec<Mutex<NodeProcess>>,
    ledger: std::sync::Mutex<Ledger>,
}

impl Stage {
    /// Starts servers, proxies and nodes, and waits until the nodes work.
    pub(crate) async fn start(mut settings: Settings) -> Result<Self> {
        settings.folder = fresh(&settings.folder)?;
        node::create_source(&settings.folder).context("making the source")?;
        let backend = if settings.ground.is_cluster() {
            Backend::Cluster(backend::cluster().await?)
        } else {
            let duo = Duo::start(Persisted::Nothing).await?;
            let mut proxies = Vec::new();
            for node in 0..settings.nodes {
                let seed = settings.seed ^ u64::from(node) << 40;
                proxies.push(FaultProxy::start(duo.primary.addr(), seed).await.context("starting a proxy")?);
            }
            Backend::One { duo: Mutex::new(duo), proxies }
        };
        let store = match settings.ground {
            Ground::Store => Some(Store::start(settings.nodes, settings.seed).await?),
            Ground::Server | Ground::Cluster => None,
        };
        let ledger = std::sync::Mutex::new(Ledger::new(&settings.folder, settings.read_limit())?);
        let mut stage = Self { settings, backend, store, nodes: Vec::new(), ledger };
        for number in 0..stage.settings.nodes {
            let process = NodeProcess::start(&stage.settings.program, stage.setup(number, 0, 0))?;
            stage.ledger().follow(number, 0, &stage.settings.folder);
            stage.nodes.push(Mutex::new(process));
        }
        for node in &stage.nodes {
            node.lock().await.until_ready().await?;
        }
        Ok(stage)
    }

    pub(crate) fn setup(&self, number: u32, life: u32, skew_ms: i64) -> Setup {
        let url = match &self.backend {
            Backend::One { proxies, .. } => proxies[number as usize].url(),
            Backend::Cluster(cluster) => {
                let hosts: Vec<_> = cluster.nodes().iter().map(|node| node.addr().to_string()).collect();
                format!("redis-cluster://{}", hosts.join(","))
            }
        };
        Setup {
            node: number,
            nodes: self.settings.nodes,
            life,
            seed: self.settings.seed,
            url,
            folder: self.settings.folder.clone(),
            skew_ms,
            rate: self.settings.rate,
            few_marks: self.settings.few_marks,
            connections: self.settings.connections,
            disk: self.disk_of(number),
            store: self.store.as_ref().map(|store| store.proxies()[number as usize].url()),
            encrypted: self.settings.encrypted,
            probe: self.settings.probe,
            aim: self.settings.aim,
            without_rule: self.settings.without_rule.clone(),
        }
    }

    /// Returns where the disk of a node is. With an object store the first has none, and the others' are on small devices.
    fn disk_of(&self, number: u32) -> Option<PathBuf> {
        let folder = match &self.store {
            None if self.settings.disks => &self.settings.folder,
            Some(store) if number > 0 => store.device(number).map_or(&*self.settings.folder, |device| device.path()),
            _ => return None,
        };
        Some(folder.join(format!("disk-{number}")))
    }

    /// Returns the object store, where there is one.
    pub(crate) fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// Returns the node for whoever does something to it; nobody else does meanwhile.
    pub(crate) async fn node(&self, number: u32) -> MutexGuard<'_, NodeProcess> {
        self.nodes[number as usize].lock().await
    }

    /// Returns the server with its replica, for whoever does something to it.
    ///
    /// # Panics
    /// On a stage with a cluster.
    pub(crate) async fn duo(&self) -> MutexGuard<'_, Duo> {
        match &self.backend {
            Backend::One { duo, .. } => duo.lock().await,
            Backend::Cluster(_) => panic!("a cluster has no single server: its faults are others"),
        }
    }

    /// Returns the proxies; none before a cluster.
    pub(crate) fn proxies(&self) -> &[FaultProxy] {
        match &self.backend {
            Backend::One { proxies, .. } => proxies,
            Backend::Cluster(_) => &[],
        }
    }

    pub(crate) const fn is_cluster(&self) -> bool {
        matches!(self.backend, Backend::Cluster(_))
    }

    /// Returns the cluster.
    ///
    /// # Panics
    /// On a stage without.
    pub(crate) fn cluster(&self) -> &RedisCluster {
        match &self.backend {
            Backend::Cluster(cluster) => cluster,
            Backend::One { .. } => panic!("one server is no cluster"),
        }
    }

    /// Connects every node to another server.
    pub(crate) async fn move_all(&self, to: &Duo) {
        for proxy in self.proxies() {
            proxy.retarget(to.primary.addr());
            proxy.cut().await;
        }
    }

    /// Returns what is known of the run, for a moment.
    pub(crate) fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Notes that faults were injected.
    pub(crate) fn injected(&self, fault: Fault, count: u64, what: impl Into<String>) {
        self.ledger().injected(fault, count, what.into());
    }

    /// Kills a node if it still runs, and starts it again with a clock that is wrong by so much.
    pub(crate) async fn restart_node(&self, node: &mut NodeProcess, skew_ms: i64) -> Result<()> {
        node.kill().await?;
        self.ledger().thaws(node.number());
        let setup = self.setup(node.number(), node.life() + 1, skew_ms);
        self.ledger().follow(setup.node, setup.life, &self.settings.folder);
        *node = NodeProcess::start(&self.settings.program, setup)?;
        Ok(())
    }

    /// Ends every fault that still goes on, and starts what does not run.
    pub(crate) async fn heal(&self) -> Result<()> {
        self.proxies().iter().for_each(|proxy| proxy.heal());
        self.store().into_iter().for_each(Store::heal);
        for number in 0..self.settings.nodes {
            let mut node = self.node(number).await;
            if let Some(how) = node.has_ended()? {
                self.ledger().checker.report(Violation::noted(Broken::Ended, number, how));
                self.restart_node(&mut node, 0).await?;
            }
            node.until_ready().await?;
        }
        Ok(())
    }

    /// Ends the run in order: the nodes close, the logs are read to their end.
    pub(crate) async fn finish(&self) -> Result<()> {
        for number in 0..self.settings.nodes {
            let mut node = self.node(number).await;
            if let Some(violation) = node.quit().await? {
                self.ledger().checker.report(violation);
            }
        }
        let mut ledger = self.ledger();
        ledger.absorb(time::now())?;
        ledger.checker.finish();
        ledger.read_complaints(&self.settings.folder)
    }
}

/// Makes a folder that was not there: logs of an earlier run, or of one beside this one, may bear the same name.
fn fresh(folder: &Path) -> Result<PathBuf> {
    for number in 1_u32.. {
        let path =
            if number == 1 { folder.to_owned() } else { PathBuf::from(format!("{}-{number}", folder.display())) };
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| path).with_context(|| format!("making {}", folder.display())),
        }
    }
    bail!("there are too many folders like {}", folder.display())
}

/// Reads the logs from time to time, as long as it is polled.
pub(crate) async fn keep_the_ledger(stage: &Stage) -> Result<()> {
    loop {
        tokio::time::sleep(Duration::from_millis(250)).await;
        stage.ledger().absorb(time::now())?;
    }
}
