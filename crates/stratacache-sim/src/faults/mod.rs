//! Everything that is done to a run. Whatever is done is undone before it returns, also where it fails.

mod cluster;
mod data;
mod lane;
mod link;
mod node;
mod server;
mod two;

use std::{fmt, pin::Pin, time::Duration};

use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::{random::Random, stage::Stage};

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fault {
    /// A node is killed anywhere.
    NodeKill,
    /// A node is killed before or after a step of the protocol.
    NodeKillInside,
    /// A node stands still, and goes on.
    NodeStop,
    /// A node is killed, and comes back with a clock that is wrong by up to an hour.
    NodeSkew,
    /// A node is killed, and comes back after a while.
    NodeAway,
    /// The server is killed and comes back empty.
    RedisKill,
    /// The server is killed and comes back as of its last snapshot.
    RedisKillSnapshot,
    /// The server is killed and comes back with everything.
    RedisKillLog,
    /// The server stands still, and goes on.
    RedisStop,
    /// A replica that is behind takes over; the old primary is dead, or does not take writes and is still read from.
    Failover,
    /// Connections are cut.
    Cut,
    /// Nothing goes through, and later everything.
    Hang,
    /// No connection is accepted.
    Refuse,
    /// Replies are late.
    Delay,
    /// Few bytes go through in a second.
    Throttle,
    /// Replies come byte by byte.
    Split,
    /// A command is carried out, and its reply is lost.
    LostReply,
    /// A command is lost.
    LostRequest,
    /// Only the tail is cut, late, or without replies.
    Tail,
    /// Notices of fills and questions of the probe are lost or late.
    Notice,
    /// Streams are emptied.
    Trim,
    /// A control key is deleted.
    ControlKey,
    /// Everything is deleted.
    FlushAll,
    /// Scripts are forgotten.
    ScriptFlush,
    /// There is too little memory, and entries are evicted.
    Evict,
    /// Messages go missing from the streams before a node has read them.
    Missing,
    /// Marks are dropped for want of room while a node lags behind, which then has to fetch what is left.
    Dropped,
    /// Marks are deleted when a node has to fetch them.
    Forgotten,
    /// A node fetches the marks slowly, and they change meanwhile.
    SlowSnapshot,
    /// What a node is told of lanes is late, and its tail hears nothing.
    LateSync,
    /// The same, and meanwhile another node forgets what it knew of keys.
    LateFill,
    /// A node has more invalidations to hear of than one answer holds.
    Flood,
    /// Headers are deleted, and the marks that they told about are left.
    Header,
    /// Two histories begin shortly after each other, and a node is told late of the first.
    Histories,
    /// Two at once.
    Two,
    /// A replica of a cluster takes over in order.
    ClusterFailover,
    /// A master of a cluster is killed, and its replica takes over.
    ClusterKill,
    /// A slot moves from one master to another.
    ClusterMigrate,
    /// A master of a cluster stands still, and goes on.
    ClusterStop,
    /// A master of a cluster is killed, a replica takes over that is behind, and a node starts anew.
    ClusterLag,
    /// A master of a cluster is replaced without its knowledge; it takes no writes, and is still read from.
    ClusterIsolate,
}

/// What a fault is done to. Two at once are of two groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Node,
    Server,
    Link,
    Data,
    Lane,
    Cluster,
    Several,
}

impl Fault {
    /// Returns all kinds for a stage. No proxy stands before a cluster, to which nodes find their way themselves: what is
    /// done to connections, and what a node is made to lag behind with, is left to the other stage.
    pub(crate) fn all(cluster: bool) -> Vec<Self> {
        let fits = |fault: &Self| match fault.group() {
            Group::Cluster => cluster,
            Group::Node | Group::Several => true,
            Group::Data => !cluster || *fault != Self::Evict,
            Group::Server | Group::Link | Group::Lane => !cluster,
        };
        Self::value_variants().iter().copied().filter(fits).collect()
    }

    /// Tells whether everything cached outlives it: what is loaded again is loaded for want of a lease or of an answer.
    pub(crate) fn leaves_entries(self) -> bool {
        match self.group() {
            Group::Node | Group::Link => true,
            Group::Server => self == Self::RedisStop,
            Group::Data => self == Self::ScriptFlush,
            Group::Cluster => matches!(self, Self::ClusterStop | Self::ClusterMigrate),
            Group::Lane | Group::Several => false,
        }
    }

    fn group(self) -> Group {
        match self {
            Self::NodeKill | Self::NodeKillInside | Self::NodeStop | Self::NodeSkew | Self::NodeAway => Group::Node,
            Self::RedisKill | Self::RedisKillSnapshot | Self::RedisKillLog | Self::RedisStop | Self::Failover => {
                Group::Server
            }
            Self::Cut
            | Self::Hang
            | Self::Refuse
            | Self::Delay
            | Self::Throttle
            | Self::Split
            | Self::LostReply
            | Self::LostRequest
            | Self::Tail
            | Self::Notice => Group::Link,
            Self::Trim | Self::ControlKey | Self::FlushAll | Self::ScriptFlush | Self::Evict => Group::Data,
            Self::Missing
            | Self::Dropped
            | Self::Forgotten
            | Self::SlowSnapshot
            | Self::LateSync
            | Self::LateFill
            | Self::Flood
            | Self::Header
            | Self::Histories => Group::Lane,
            Self::Two => Group::Several,
            Self::ClusterFailover
            | Self::ClusterKill
            | Self::ClusterMigrate
            | Self::ClusterStop
            | Self::ClusterLag
            | Self::ClusterIsolate => Group::Cluster,
        }
    }

    /// Returns how long to wait after one, for things to go wrong.
    fn gap(self, random: &mut Random) -> Duration {
        match self.group() {
            Group::Node | Group::Several => random.millis(20, 250),
            Group::Server => random.millis(100, 600),
            Group::Link | Group::Data | Group::Lane => random.millis(20, 250),
            Group::Cluster => random.millis(50, 400),
        }
    }

    /// Injects one fault or a few of this kind, undoes what does not end by itself, and waits a little.
    pub(crate) async fn inject(self, stage: &Stage, random: &mut Random) -> Result<()> {
        self.inject_once(stage, random).await?;
        tokio::time::sleep(self.gap(random)).await;
        Ok(())
    }

    fn inject_once<'a>(
        self,
        stage: &'a Stage,
        random: &'a mut Random,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>> {
        Box::pin(async move {
            match self.group() {
                Group::Node => node::inject(self, stage, random).await,
                Group::Server => server::inject(self, stage, random).await,
                Group::Link => link::inject(self, stage, random).await,
                Group::Data => data::inject(self, stage, random).await,
                Group::Lane => lane::inject(self, stage, random).await,
                Group::Cluster => cluster::inject(self, stage, random).await,
                Group::Several => two::inject(stage, random).await,
            }
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.pad(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// Draws how long something stands still: mostly shortly, now and then up to 5 s.
fn standstill(random: &mut Random) -> Duration {
    match random.below(40) {
        0 => random.millis(2000, 5000),
        1..=9 => random.millis(250, 1000),
        _ => random.millis(10, 250),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_meets_every_fault_that_needs_no_proxy_and_no_single_server() {
        let all = Fault::all(true);
        for group in [Group::Node, Group::Cluster, Group::Several] {
            let of_group = Fault::value_variants().iter().filter(|fault| fault.group() == group);
            of_group.for_each(|fault| assert!(all.contains(fault), "{fault}"));
        }
        for fault in [Fault::Trim, Fault::ControlKey, Fault::FlushAll, Fault::ScriptFlush] {
            assert!(all.contains(&fault), "{fault}");
        }
        assert!(!all.iter().any(|fault| matches!(fault.group(), Group::Server | Group::Link | Group::Lane)));
        let either = [Fault::all(false), all].concat();
        assert!(Fault::value_variants().iter().all(|fault| either.contains(fault)), "none is left out everywhere");
    }
}
