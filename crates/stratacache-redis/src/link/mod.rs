//! The way to the servers: deadlines, breakers, reconnecting, and who owns which slot.

mod cluster;
mod command;
mod connection;
mod endpoint;
mod failure;
mod node;

use std::{sync::Arc, time::Duration};

use redis::{Cmd, ServerErrorKind, Value};
use stratacache_core::{breaker::Turns, clock::Clock};

use cluster::Cluster;
pub(crate) use command::{Answer, Command, accepted, bytes, list, number};
pub(crate) use connection::{Backoff, Connection, jitter};
pub(crate) use endpoint::Endpoint;
pub(crate) use failure::{Denied, Failure, Refusal};
pub(crate) use node::Node;

/// The slots of a server.
pub(crate) enum Slots {
    /// It is the only server.
    All,
    /// Those that it has in a cluster, in order.
    Some(Vec<u16>),
}

impl Slots {
    pub(crate) fn has(&self, slot: u16) -> bool {
        match self {
            Self::All => true,
            Self::Some(slots) => slots.binary_search(&slot).is_ok(),
        }
    }
}

/// How often a command follows the slot it is about to another server.
const HOPS: usize = 4;

enum Topology {
    Single(Arc<Node>),
    Cluster(Cluster),
}

/// What tier and coordinator send everything through.
pub(crate) struct Link {
    topology: Topology,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) deadline: Duration,
    /// Of the breakers of all servers.
    pub(crate) turns: Turns,
}

/// How a link is made.
pub(crate) struct LinkSettings {
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) cluster: bool,
    pub(crate) connections: usize,
    pub(crate) deadline: Duration,
    pub(crate) window: Duration,
}

impl Link {
    pub(crate) fn new(mut settings: LinkSettings, clock: Arc<dyn Clock>) -> Self {
        let LinkSettings { connections, deadline, window, .. } = settings;
        let time = Arc::clone(&clock);
        let turns = Turns::new();
        let tell = turns.clone();
        let make = move |endpoint| Node::new(endpoint, connections, deadline, window, tell.clone(), Arc::clone(&time));
        let topology = if settings.cluster {
            Topology::Cluster(Cluster::new(settings.endpoints, make, Arc::clone(&clock)))
        } else {
            Topology::Single(Arc::new(make(settings.endpoints.swap_remove(0))))
        };
        Self { topology, clock, deadline, turns }
    }

    /// Returns until when a call that begins now may last.
    pub(crate) fn until(&self) -> Duration {
        self.clock.now() + self.deadline
    }

    /// Returns the only server, where there is only one.
    pub(crate) fn single(&self) -> Option<&Arc<Node>> {
        match &self.topology {
            Topology::Single(node) => Some(node),
            Topology::Cluster(_) => None,
        }
    }

    /// Tells whether no server is left alone by its breaker.
    pub(crate) fn is_alive(&self) -> bool {
        match &self.topology {
            Topology::Single(node) => !node.breaker.is_open(),
            Topology::Cluster(cluster) => cluster.is_alive(),
        }
    }

    /// Returns the servers that take writes, with the slots of each.
    pub(crate) async fn masters(&self) -> Result<Vec<(Arc<Node>, Slots)>, Failure> {
        match &self.topology {
            Topology::Single(node) => Ok(vec![(Arc::clone(node), Slots::All)]),
            Topology::Cluster(cluster) => {
                let masters = self.in_time(self.until(), cluster.masters(self.until())).await?;
                Ok(masters.into_iter().map(|(node, slots)| (node, Slots::Some(slots))).collect())
            }
        }
    }

    /// Returns the server of a slot.
    pub(crate) async fn owner(&self, slot: u16, until: Duration) -> Result<Arc<Node>, Failure> {
        match &self.topology {
            Topology::Single(node) => Ok(Arc::clone(node)),
            Topology::Cluster(cluster) => self.in_time(until, cluster.owner(slot, until)).await,
        }
    }

    async fn in_time<T>(&self, until: Duration, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let left = until.saturating_sub(self.clock.now());
        tokio::time::timeout(left, work).await.map_err(|_| Failure::Hung)?
    }

    /// Sends commands to one server.
    pub(crate) async fn send(&self, node: &Node, commands: &[Command], until: Duration) -> Result<Answer, Failure> {
        let answer = node.send(commands, until).await;
        if let Topology::Cluster(cluster) = &self.topology
            && answer.as_ref().map_or(true, |answer| answer.values.iter().any(is_about_slots))
        {
            // who does not answer may have been replaced
            cluster.moved();
        }
        answer
    }

    /// Sends commands about keys of one slot to its owner, wherever that has gone, and returns who answered.
    pub(crate) async fn call(&self, slot: u16, commands: &[Command]) -> Result<(Arc<Node>, Answer), Failure> {
        let until = self.until();
        let mut node = self.owner(slot, until).await?;
        let mut asking = false;
        for _ in 0..HOPS {
            let answer = if asking {
                self.send_asking(&node, commands, until).await?
            } else {
                self.send(&node, commands, until).await?
            };
            let Some((refusal, Topology::Cluster(cluster))) = redirected(&answer).map(|to| (to, &self.topology)) else {
                return Ok((node, answer));
            };
            asking = refusal.kind == Some(ServerErrorKind::Ask);
            let named = refusal.to.as_ref().and_then(|(host, port)| cluster.at(host, *port));
            node = named.ok_or(Failure::Refused(refusal))?;
        }
        Err(Failure::Away("the slot keeps moving".to_owned()))
    }

    /// A server that is about to own a slot answers only to who has been sent by the present owner.
    async fn send_asking(&self, node: &Node, commands: &[Command], until: Duration) -> Result<Answer, Failure> {
        // a script that the server does not have would be sent again without the word in front: send its text at once
        let asking = || Command::plain(&["ASKING"]);
        let pairs: Vec<Command> =
            commands.iter().flat_map(|command| [asking(), Command::Plain(command.to_cmd(true))]).collect();
        let mut answer = self.send(node, &pairs, until).await?;
        let mut at = 0;
        answer.values.retain(|_| {
            at += 1;
            at % 2 == 0
        });
        Ok(answer)
    }
}

/// Tells whether who answered may not own the slot any more: the map is then asked for again.
fn is_about_slots(value: &Value) -> bool {
    use ServerErrorKind as S;
    matches!(value, Value::ServerError(e)
        if matches!(e.kind(), Some(S::Moved | S::Ask | S::TryAgain)) || Refusal::new(e).is_no_primary())
}

fn redirected(answer: &Answer) -> Option<Refusal> {
    answer.values.iter().find_map(|value| match value {
        Value::ServerError(e) if matches!(e.kind(), Some(ServerErrorKind::Moved | ServerErrorKind::Ask)) => {
            Some(Refusal::new(e))
        }
        _ => None,
    })
}

/// Makes a command of words that are not all text.
pub(crate) fn command(words: &[&[u8]]) -> Command {
    let mut cmd = Cmd::new();
    for word in words {
        cmd.arg(*word);
    }
    Command::Plain(cmd)
}
