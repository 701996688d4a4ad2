//! A data shard that fails over while its old primary still answers (READ, LOSS).
//!
//! One node, connected to the old primary until it notices; invalidations run on the new one. The lane is elsewhere and well,
//! but the node may forget marks of keys, as by a gap. The old primary is cut off at first (it takes no writes, and believes
//! in its own history), then follows the new one.

use stateright::{Model, Property};

use crate::{
    Case, Rule, Rules,
    protocol::{Entry, Fault, Lane, Mirror, ScopeKind, Shard, Stamp, Version},
};

const OLD: usize = 0;
const NEW: usize = 1;

/// The model.
#[derive(Debug, Clone)]
pub struct Shards {
    rules: Rules,
    invalidations: u8,
    reads: u8,
    trims: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Read {
    Idle,
    Synced,
    /// The entry in the reply, and the `replid` that came with it.
    Got(Option<Entry>, u8),
    Stamped(u8),
    Loaded(Version, u8),
}

/// The state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    source: Version,
    done: Version,
    lane: Lane,
    mirror: Mirror,
    shards: [Shard; 2],
    /// What the replica of the old primary lacks: the last write.
    lagging: Option<Entry>,
    primary: usize,
    connected: usize,
    /// The old primary follows the new one.
    follows: bool,
    read: Read,
    stamp: Stamp,
    need: Version,
    /// The writer has committed (1) and fenced (2).
    writing: u8,
    invalidations: u8,
    reads: u8,
    trims: u8,
    stale: bool,
    hit: bool,
}

/// The steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The reader goes on.
    Read,
    /// The writer goes on.
    Write,
    /// The mirror applies the next message.
    Deliver,
    /// A fault of the lane strikes.
    Fault(Fault),
    /// The replica takes over, with the last write or without.
    Failover {
        /// It lacks the last write.
        lagging: bool,
    },
    /// The old primary follows the new one.
    Follow,
    /// The node finds the new primary.
    Reconnect,
}

impl Shards {
    /// Returns the shard the node talks to, unless that refuses: `writes` says what is sent contains a write.
    fn reach(state: &mut State, writes: bool) -> Option<&mut Shard> {
        let refused = writes && state.connected != state.primary;
        (!refused).then(|| &mut state.shards[state.connected])
    }

    fn read(&self, state: &mut State) -> Option<()> {
        state.read = match state.read {
            Read::Idle => {
                state.reads -= 1;
                state.need = state.done;
                state.mirror.sync(self.rules, &state.lane);
                Read::Synced
            }
            Read::Synced => {
                state.stamp = state.mirror.stamp();
                // refused: the read waits for the new primary
                let shard = Self::reach(state, self.rules.has(Rule::ShardWrites))?;
                Read::Got(shard.entry, shard.replid)
            }
            Read::Got(entry, replid) => {
                let own = |entry: &Entry| entry.dinc == replid || !self.rules.has(Rule::DataIncarnation);
                match entry.filter(|entry| state.mirror.judge(self.rules, entry) && own(entry)) {
                    Some(entry) => {
                        state.stale |= entry.version < state.need;
                        state.hit |= state.done > 1 && state.primary == NEW;
                        state.need = 0;
                        Read::Idle
                    }
                    None => {
                        state.stamp = state.mirror.stamp();
                        Read::Stamped(replid)
                    }
                }
            }
            Read::Stamped(replid) => Read::Loaded(state.source, replid),
            Read::Loaded(version, dinc) => {
                let stamp = state.stamp.position;
                let entry = Entry { id: 1, version, stamp, own: 0, dinc, carried: false };
                // the token is gone when the key was fenced since the stamp
                let fenced = state.lane.clk > stamp.seq || state.writing == 2;
                if let Some(shard) = Self::reach(state, true).filter(|_| !fenced) {
                    let lacked = shard.entry;
                    shard.entry = Some(entry);
                    state.lagging = lacked;
                }
                state.need = 0;
                Read::Idle
            }
        };
        Some(())
    }

    fn write(state: &mut State) {
        match state.writing {
            0 => {
                state.invalidations -= 1;
                state.source += 1;
                state.writing = 1;
            }
            1 => {
                state.lagging = state.shards[state.primary].entry;
                state.shards[state.primary].del_fence();
                state.writing = 2;
            }
            _ => {
                state.lane.invalidate(ScopeKind::Key, false);
                state.done = state.source;
                state.writing = 0;
            }
        }
    }
}

impl Model for Shards {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let lane = Lane::new(1);
        vec![State {
            source: 1,
            done: 1,
            lane,
            mirror: Mirror::new(self.rules, &lane),
            shards: [Shard::new(); 2],
            lagging: None,
            primary: OLD,
            connected: OLD,
            follows: false,
            read: Read::Idle,
            stamp: Stamp::default(),
            need: 0,
            writing: 0,
            invalidations: self.invalidations,
            reads: self.reads,
            trims: self.trims,
            stale: false,
            hit: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.stale {
            return;
        }
        if state.read != Read::Idle || state.reads > 0 {
            actions.push(Action::Read);
        }
        if state.writing > 0 || state.invalidations > 0 {
            actions.push(Action::Write);
        }
        if state.mirror.is_behind(self.rules, &state.lane) {
            actions.push(Action::Deliver);
        }
        if state.trims > 0 && state.lane.base < state.lane.clk {
            actions.push(Action::Fault(Fault::Trim));
        }
        if state.trims > 0 && state.mirror.key() > 0 {
            actions.push(Action::Fault(Fault::Restart));
        }
        if state.primary == OLD {
            actions.extend([false, true].map(|lagging| Action::Failover { lagging }));
        } else if !state.follows {
            actions.push(Action::Follow);
        }
        if state.connected != state.primary {
            actions.push(Action::Reconnect);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Read => self.read(&mut state)?,
            Action::Write => Self::write(&mut state),
            Action::Deliver => state.mirror.tail(self.rules, &state.lane),
            Action::Fault(Fault::Trim) => {
                state.trims -= 1;
                state.lane.trim();
            }
            Action::Fault(_) => {
                state.trims -= 1;
                state.mirror.snapshot(self.rules, &state.lane);
                (state.read, state.need) = (Read::Idle, 0);
            }
            Action::Failover { lagging } => {
                let old = state.shards[OLD];
                let entry = if lagging { state.lagging } else { old.entry };
                state.shards[NEW] = Shard { replid: old.replid + 1, entry, lease: None };
                state.primary = NEW;
            }
            Action::Follow => {
                state.shards[OLD] = state.shards[NEW];
                state.follows = true;
            }
            Action::Reconnect => state.connected = state.primary,
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("fresh", |_, state: &State| !state.stale),
            Property::sometimes("hit on the new primary after an invalidation", |_, state: &State| {
                state.hit && state.connected == NEW
            }),
        ]
    }
}

/// Returns what is explored.
#[must_use]
pub fn cases() -> Vec<Case> {
    let of = |off: &[Rule]| Shards { rules: Rules::without(off), invalidations: 2, reads: 4, trims: 1 };
    let size = "2 inv., 4 reads, 1 failover, 1 gap";
    let large = Shards { invalidations: 4, reads: 6, trims: 3, ..of(&[]) };
    let mut cases = vec![
        Case::holds("shard", size, of(&[])),
        Case::holds("shard", "4 inv., 6 reads, 1 failover, 3 gaps", large).deep(),
    ];
    for off in [Rule::DataIncarnation, Rule::ShardWrites] {
        cases.push(Case::refuted("shard", &[off], size, of(&[off])));
    }
    cases
}
