//! What may go wrong with Redis and with a node.

use super::{Lane, Shard, World};
use crate::{Rule, Rules};

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The stream is trimmed before a node has read it.
    Trim,
    /// The lane's control keys are lost.
    LaneLoss,
    /// The lane fails over to a replica that lacks the last write.
    LaneFailover,
    /// The data shard fails over to a replica that lacks the last write.
    ShardFailover,
    /// A node restarts.
    Restart,
    /// A node forgets marks of keys for want of room.
    Evict,
    /// A lease runs out.
    LeaseExpiry,
    /// The lane drops a generation of marks.
    DropGeneration,
}

impl Fault {
    /// Those that concern every model of nodes and Redis.
    pub const ALL: &'static [Self] = &[
        Self::Trim,
        Self::LaneLoss,
        Self::LaneFailover,
        Self::ShardFailover,
        Self::Restart,
        Self::Evict,
        Self::LeaseExpiry,
    ];
}

/// The faults to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Faults {
    kinds: &'static [Fault],
    left: u8,
    /// What a lagging replica holds, while one may take over.
    lane_replica: Option<Lane>,
    shard_replica: Option<Shard>,
}

impl Faults {
    /// Returns no faults.
    #[must_use]
    pub const fn none() -> Self {
        Self::of(&[], 0)
    }

    /// Returns some faults of some kinds.
    #[must_use]
    pub const fn of(kinds: &'static [Fault], left: u8) -> Self {
        Self { kinds, left, lane_replica: None, shard_replica: None }
    }

    /// Returns what may strike now, and the node it strikes (0 where it concerns none).
    pub fn choices<const R: usize>(&self, world: &World<R>) -> impl Iterator<Item = (Fault, usize)> {
        let kinds = if self.left > 0 { self.kinds } else { &[] };
        let at = |fault: Fault, node: usize| self.may_strike(world, fault, node).then_some((fault, node));
        kinds.iter().flat_map(move |fault| [at(*fault, 0), at(*fault, 1)]).flatten()
    }

    fn may_strike<const R: usize>(&self, world: &World<R>, fault: Fault, node: usize) -> bool {
        let once = node == 0;
        match fault {
            Fault::Trim => once && world.lane.base < world.lane.clk,
            Fault::LaneLoss => once && world.lane.clk > 1,
            Fault::LaneFailover => once && self.lane_replica.is_some_and(|replica| replica != world.lane),
            Fault::ShardFailover => once && self.shard_replica.is_some_and(|replica| replica != world.shard),
            Fault::Restart => true,
            Fault::Evict => world.nodes[node].key() > 0,
            Fault::LeaseExpiry => once && world.shard.lease.is_some(),
            Fault::DropGeneration => once && (world.lane.tag > 0 || world.lane.key > 0),
        }
    }

    /// Lets a fault strike.
    pub fn strike<const R: usize>(&mut self, rules: Rules, world: &mut World<R>, fault: Fault, node: usize) {
        self.left -= 1;
        // whoever answers for the keys after a loss or a failover has another `replid`
        let next = if rules.has(Rule::Incarnation) { world.lane.incarnation + 1 } else { world.lane.incarnation };
        match fault {
            Fault::Trim => world.lane.trim(),
            Fault::LaneLoss => world.lane = Lane::new(next),
            Fault::LaneFailover => {
                if let Some(replica) = self.lane_replica {
                    // the first script on the new primary begins a new history
                    world.lane = if rules.has(Rule::Incarnation) { Lane::new(next) } else { replica };
                }
            }
            Fault::ShardFailover => {
                if let Some(replica) = self.shard_replica {
                    world.shard = Shard { replid: world.shard.replid + 1, ..replica };
                }
            }
            Fault::Restart => world.restart(rules, node),
            Fault::Evict => world.nodes[node].evict_key_marks(rules),
            Fault::LeaseExpiry => world.shard.lease = None,
            Fault::DropGeneration => {
                world.lane.drop_generation(rules.has(Rule::DropRaisesFloor), rules.has(Rule::DropRaisesKfloor));
            }
        }
    }

    /// Notes what a replica lacks after a step, and merges states that differ only in what nobody can see any more.
    pub fn watch<const R: usize>(&mut self, last: &World<R>, world: &mut World<R>) {
        let may = |fault| self.left > 0 && self.kinds.contains(&fault);
        self.lane_replica = match may(Fault::LaneFailover) {
            true if world.lane != last.lane => Some(last.lane),
            true => self.lane_replica,
            false => None,
        };
        self.shard_replica = match may(Fault::ShardFailover) {
            true if world.shard != last.shard => Some(last.shard),
            true => self.shard_replica,
            false => None,
        };
        if self.lane_replica.is_none() {
            world.forget();
        }
    }
}
