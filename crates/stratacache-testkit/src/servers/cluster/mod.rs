//! A cluster of servers.

mod builder;
mod migration;
mod view;

use std::{sync::Arc, time::Duration};

use self::view::{Seen, brief, view};
pub use self::{builder::RedisClusterBuilder, migration::Migration};
use super::{
    RedisServer, ServerError,
    folder::Folder,
    instance::Instance,
    wait::{Deadline, until},
};
use crate::spawn;

// Nodes give their vote to the replicas of a master once in two node timeouts; a manual failover gives up after 5 s.
const ASK_AGAIN: Duration = Duration::from_secs(6);
const AGREED: Duration = Duration::from_secs(60);

/// How [`RedisCluster::failover`] makes a replica the master.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failover {
    /// Together with the old master, which becomes its replica; nothing is lost.
    Graceful,
    /// Without the old master, by a vote of the others.
    Force,
    /// Without asking anybody.
    Takeover,
}

/// A cluster that runs until it is dropped.
///
/// Its nodes are numbered: first the masters, then the replicas, each of the master with its number modulo the masters.
/// The numbers stay with the nodes when their roles change.
///
/// ```
/// # async fn example() -> Result<(), stratacache_testkit::servers::ServerError> {
/// use stratacache_testkit::servers::{Failover, RedisCluster};
///
/// let cluster = RedisCluster::start(3, 3).await?;
/// println!("clients begin with one of {:?}", cluster.urls());
/// cluster.node(0).kill().await?;
/// cluster.failover(3, Failover::Force).await?; // sooner than by waiting for the others to notice
/// assert_eq!(cluster.masters().await?, [1, 2, 3]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
    /// What the nodes read when they start again.
    _certificates: Option<Folder>,
}

impl RedisCluster {
    /// Begins the description of a cluster with so many masters and, in total, so many replicas.
    pub fn builder(masters: usize, replicas: usize) -> RedisClusterBuilder {
        RedisClusterBuilder::new(masters, replicas)
    }

    /// Starts a cluster of Redis without persistence.
    ///
    /// # Errors
    /// As of [`RedisClusterBuilder::start`].
    ///
    /// # Panics
    /// As [`RedisClusterBuilder::start`].
    ///
    /// # Cancel safety
    /// As of [`RedisClusterBuilder::start`].
    pub async fn start(masters: usize, replicas: usize) -> Result<Self, ServerError> {
        Self::builder(masters, replicas).start().await
    }

    fn new(nodes: Vec<RedisServer>, certificates: Option<Folder>) -> Self {
        Self { nodes, _certificates: certificates }
    }

    /// Returns the URLs of all nodes.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(RedisServer::url).collect()
    }

    /// Returns the nodes.
    #[must_use]
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// Returns a node by its number.
    ///
    /// # Panics
    /// When there is none with that number.
    #[must_use]
    pub fn node(&self, number: usize) -> &RedisServer {
        let count = self.nodes.len();
        assert!(number < count, "there is no node {number} among {count}");
        &self.nodes[number]
    }

    /// Returns the slot of a key.
    ///
    /// # Errors
    /// When no node runs.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, it changes nothing.
    pub async fn slot_of(&self, key: impl AsRef<[u8]>) -> Result<u16, ServerError> {
        let key = key.as_ref().to_vec();
        self.blocking(move |nodes| {
            let args = [b"CLUSTER".as_slice(), b"KEYSLOT", &key];
            let slot = first_up(nodes)?.call(&args)?.integer();
            Ok(slot.and_then(|slot| u16::try_from(slot).ok()).unwrap_or_default())
        })
        .await
    }

    /// Returns the number of the node that owns a slot, if all nodes that run agree; waits up to 60 s until they do.
    ///
    /// # Errors
    /// [`Timeout`](ServerError::Timeout) when they do not.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, it changes nothing.
    pub async fn owner_of(&self, slot: u16) -> Result<usize, ServerError> {
        self.agreed(format!("the nodes to agree who owns slot {slot}"), move |ports, seen| {
            let owner = seen.iter().find(|node| node.is_master && node.owns(slot))?;
            ports.iter().position(|port| *port == owner.port)
        })
        .await
    }

    /// Returns the numbers of the nodes that run and own slots, if all nodes that run agree; waits up to 60 s until they do.
    ///
    /// # Errors
    /// [`Timeout`](ServerError::Timeout) when they do not.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, it changes nothing.
    pub async fn masters(&self) -> Result<Vec<usize>, ServerError> {
        self.agreed("the nodes to agree who the masters are".to_owned(), |ports, seen| {
            let is_master =
                |port| seen.iter().any(|node| node.port == port && node.is_master && !node.slots.is_empty());
            Some((0..ports.len()).filter(|i| is_master(ports[*i])).collect())
        })
        .await
    }

    /// Makes a replica the master of its slots; waits until every node that runs has noticed, up to 60 s.
    ///
    /// # Errors
    /// [`Refused`](ServerError::Refused) when the node is no replica, or when a graceful one meets a master that is gone;
    /// [`Timeout`](ServerError::Timeout).
    ///
    /// # Panics
    /// When there is no node with that number.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the failover goes on.
    pub async fn failover(&self, number: usize, how: Failover) -> Result<(), ServerError> {
        let port = self.node(number).plain_port();
        self.blocking(move |nodes| {
            let mut command = vec!["CLUSTER", "FAILOVER"];
            match how {
                Failover::Graceful => {}
                Failover::Force => command.push("FORCE"),
                Failover::Takeover => command.push("TAKEOVER"),
            }
            nodes[number].call(&command)?;
            let mut again = Deadline::after(ASK_AGAIN);
            until(format!("node {number} to become a master"), AGREED, || {
                let views = views(nodes)?;
                let is_it = |node: &Seen| node.port == port && node.is_master && !node.slots.is_empty();
                if views.iter().all(|seen| seen.iter().any(is_it)) {
                    return Ok(Ok(()));
                }
                if again.is_over() {
                    again = Deadline::after(ASK_AGAIN);
                    let is_master = view(&nodes[number])?.iter().any(is_it);
                    let asked = if is_master { outbid(nodes, number) } else { nodes[number].call(&command).map(drop) };
                    return Ok(Err(format!("asked again: {asked:?}\n{}", brief(&views))));
                }
                Ok(Err(brief(&views)))
            })
        })
        .await
    }

    /// Waits until every node that runs finds the cluster able to serve every slot; up to 60 s. For after a node was
    /// killed, failed over or restarted.
    ///
    /// # Errors
    /// [`Timeout`](ServerError::Timeout), with what a node says.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, it changes nothing.
    pub async fn until_well(&self) -> Result<(), ServerError> {
        self.blocking(|nodes| {
            nodes.iter().filter(|node| node.is_up()).try_for_each(|node| {
                until("a node to find the cluster well", AGREED, || {
                    let info = node.call(&["CLUSTER", "INFO"])?.text().unwrap_or_default();
                    Ok(if info.contains("cluster_state:ok") { Ok(()) } else { Err(info) })
                })
            })
        })
        .await
    }

    async fn agreed<T: PartialEq + Send + 'static>(
        &self,
        what: String,
        pick: impl Fn(&[u16], &[Seen]) -> Option<T> + Send + 'static,
    ) -> Result<T, ServerError> {
        let ports: Vec<_> = self.nodes.iter().map(RedisServer::plain_port).collect();
        self.blocking(move |nodes| {
            first_up(nodes)?;
            let up: Vec<_> = nodes.iter().zip(&ports).filter(|(node, _)| node.is_up()).map(|(_, port)| *port).collect();
            let picked = until(what, AGREED, || {
                let views = views(nodes)?;
                let mut picks = views.iter().map(|seen| {
                    let up: Vec<_> = seen.iter().filter(|node| up.contains(&node.port)).cloned().collect();
                    pick(&ports, &up)
                });
                let first = picks.next().flatten();
                let agreed = first.is_some() && picks.all(|pick| pick == first);
                Ok(first.filter(|_| agreed).ok_or_else(|| brief(&views)))
            })?;
            Ok(picked)
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&[Arc<Instance>]) -> Result<T, ServerError> + Send + 'static,
    ) -> Result<T, ServerError> {
        let nodes: Vec<_> = self.nodes.iter().map(|node| node.instance().clone()).collect();
        spawn::blocking(move || work(&nodes)).await
    }
}

fn first_up(nodes: &[Arc<Instance>]) -> Result<&Instance, ServerError> {
    let none = || std::io::Error::other("no node of the cluster runs");
    nodes.iter().find(|node| node.is_up()).map(AsRef::as_ref).ok_or_else(none).map_err(ServerError::io("asking a node"))
}

/// Returns what each node that runs sees.
fn views(nodes: &[Arc<Instance>]) -> Result<Vec<Vec<Seen>>, ServerError> {
    nodes.iter().filter(|node| node.is_up()).map(|node| view(node)).collect()
}

/// Gives a master an epoch above that of all others. One that was killed just as it had raised its own may have left the number that its
/// replica was elected with: the others then believe neither, and only the dead one could resolve that.
fn outbid(nodes: &[Arc<Instance>], number: usize) -> Result<(), ServerError> {
    for (other, node) in nodes.iter().enumerate().filter(|(_, node)| node.is_up()) {
        if other != number && view(node)?.iter().any(|seen| seen.is_me && seen.is_master) {
            node.call(&["CLUSTER", "BUMPEPOCH"])?;
        }
    }
    // at once, or when it has heard of the others' epochs and is asked again
    nodes[number].call(&["CLUSTER", "BUMPEPOCH"]).map(drop)
}

/// Waits until every node that runs sees something.
fn wait_until_all_see(
    nodes: &[Arc<Instance>],
    what: String,
    sees: impl Fn(&[Seen]) -> bool,
) -> Result<(), ServerError> {
    until(what, AGREED, || {
        let views = views(nodes)?;
        Ok(if views.iter().all(|seen| sees(seen)) { Ok(()) } else { Err(brief(&views)) })
    })
}
