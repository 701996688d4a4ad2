//! Everything that is done to a run. Whatever is done is undone before it returns, also where it fails.

mod cluster;
mod data;
mod lane;
mod link;
mod node;
mod server;
mod store;
mod two;

use std::{fmt, pin::Pin, time::Duration};

use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::{
    random::Random,
    stage::{Ground, Stage},
};

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
    /// The object store answers 500, 503 or 403.
    StoreRefuse,
    /// The object store answers nothing, or does what it was asked and does not say so.
    StoreHang,
    /// Objects arrive cut off, with wrong lengths, or without end.
    StoreDamage,
    /// The object store is slow.
    StoreSlow,
    /// Old objects come back: put back into the store, or by answers that were given before.
    StoreReplay,
    /// A disk beside the store has no room left.
    DiskFull,
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

/// What is done where there is an object store, beside what is done to that: nodes die with writes that wait, entries go from
/// the server and are left in the store, histories end, and the way to the server is slow.
const BESIDE_STORE: [Fault; 8] = [
    Fault::NodeKill,
    Fault::NodeKillInside,
    Fault::NodeAway,
    Fault::RedisKill,
    Fault::Delay,
    Fault::ControlKey,
    Fault::FlushAll,
    Fault::Evict,
];

/// What a fault is done to. Two at once are of two groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Node,
    Server,
    Link,
    Data,
    Lane,
    Store,
    Cluster,
    Several,
}

impl Fault {
    /// Returns all kinds for a stage. No proxy stands before a cluster, to which nodes find their way themselves: what is
    /// done to connections, and what a node is made to lag behind with, is left to the other stage.
    pub(crate) fn all(ground: Ground) -> Vec<Self> {
        let fits = |fault: &Self| match (ground, fault.group()) {
            (_, Group::Several) | (Ground::Server | Ground::Cluster, Group::Node) => true,
            (Ground::Server, Group::Server | Group::Link | Group::Data | Group::Lane) => true,
            (Ground::Cluster, Group::Data) => *fault != Self::Evict,
            (Ground::Cluster, Group::Cluster) | (Ground::Store, Group::Store) => true,
            (Ground::Store, _) => BESIDE_STORE.contains(fault),
            (Ground::Server | Ground::Cluster, _) => false,
        };
        Self::value_variants().iter().copied().filter(fits).collect()
    }

    /// Tells whether it is of no use unless it has hit something.
    pub(crate) fn must_hit(self) -> bool {
        self.group() == Group::Store
    }

    /// Tells whether everything cached outlives it: what is loaded again is loaded for want of a lease or of an answer.
    pub(crate) fn leaves_entries(self) -> bool {
        match self.group() {
            Group::Node | Group::Link => true,
            Group::Server => self == Self::RedisStop,
            // what comes back or is refused is loaded again
            Group::Store => matches!(self, Self::StoreSlow | Self::DiskFull),
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
            Self::StoreRefuse
            | Self::StoreHang
            | Self::StoreDamage
            | Self::StoreSlow
            | Self::StoreReplay
            | Self::DiskFull => Group::Store,
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
            Group::Link | Group::Data | Group::Lane | Group::Store => random.millis(20, 250),
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
                Group::Store => store::inject(self, stage, random).await,
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
    fn an_object_store_meets_its_own_faults_which_must_hit_and_nodes_die_beside_it() {
        let all = Fault::all(Ground::Store);
        let own: Vec<_> = all.iter().filter(|fault| fault.must_hit()).collect();
        assert_eq!(own.len(), 6, "{own:?}");
        assert!([Fault::NodeKill, Fault::Evict, Fault::Two].iter().all(|fault| all.contains(fault)), "{all:?}");
        for other in [Ground::Server, Ground::Cluster] {
            assert!(!Fault::all(other).iter().any(|fault| fault.must_hit()), "{other}");
        }
    }

    #[test]
    fn a_cluster_meets_every_fault_that_needs_no_proxy_and_no_single_server() {
        let all = Fault::all(Ground::Cluster);
        for group in [Group::Node, Group::Cluster, Group::Several] {
            let of_group = Fault::value_variants().iter().filter(|fault| fault.group() == group);
            of_group.for_each(|fault| assert!(all.contains(fault), "{fault}"));
        }
        for fault in [Fault::Trim, Fault::ControlKey, Fault::FlushAll, Fault::ScriptFlush] {
            assert!(all.contains(&fault), "{fault}");
        }
        assert!(!all.iter().any(|fault| matches!(fault.group(), Group::Server | Group::Link | Group::Lane)));
        let either = [Fault::all(Ground::Server), Fault::all(Ground::Store), all].concat();
        assert!(Fault::value_variants().iter().all(|fault| either.contains(fault)), "none is left out everywhere");
    }
}
