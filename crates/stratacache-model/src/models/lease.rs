//! Leases: takeover, renewal, expiry, death of the leader (READ, WRITES).
//!
//! Two nodes, a reader on each, one writer. A lease may end under a load, a leader may die and leave its lease, a waiter
//! may lose its patience; a trimmed stream makes nodes forget the marks of keys, so that leases alone keep old fills out.

use stateright::{Model, Property};

use crate::{
    Case, Rule, Rules,
    protocol::{Invalidator, ScopeKind, World},
};

/// The model.
#[derive(Debug, Clone)]
pub struct Leases {
    rules: Rules,
    reads: u8,
    invalidations: u8,
    budget: Budget,
}

/// How often something may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Budget {
    trims: u8,
    expiries: u8,
    deaths: u8,
}

/// Its state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    world: World<2>,
    writer: Invalidator,
    invalidations: u8,
    budget: Budget,
    /// Somebody was granted the lease of somebody else.
    taken_over: bool,
    /// A leader died, and its lease ended by itself.
    inherited: bool,
}

/// Its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A reader goes on.
    Read(usize),
    /// A reader waited long enough for the lease of another.
    LoadWithoutLease(usize),
    /// A reader prolongs its lease while it loads.
    Renew(usize),
    /// A leader dies and leaves its lease.
    Die(usize),
    /// The lease ends.
    Expire,
    /// The writer goes on.
    Write(ScopeKind),
    /// A node applies the next message.
    Deliver(usize),
    /// The stream is trimmed.
    Trim,
}

impl Model for Leases {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            world: World::new(self.rules, [0, 1], self.reads),
            writer: Invalidator::Idle,
            invalidations: self.invalidations,
            budget: self.budget,
            taken_over: false,
            inherited: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let (world, budget) = (&state.world, &state.budget);
        if world.violated {
            return;
        }
        for (i, reader) in world.readers.iter().enumerate() {
            if world.can_read(self.rules, i) {
                actions.push(Action::Read(i));
            } else if world.waits_for_lease(self.rules, i) {
                actions.push(Action::LoadWithoutLease(i));
            }
            if reader.is_loading() && reader.token != 0 {
                if !self.rules.has(Rule::RenewOnlyOwn) && world.shard.lease.is_none() {
                    actions.push(Action::Renew(i));
                }
                if budget.deaths > 0 {
                    actions.push(Action::Die(i));
                }
            }
        }
        if world.shard.lease.is_some() && budget.expiries > 0 {
            actions.push(Action::Expire);
        }
        actions.extend(state.writer.choices(state.invalidations).iter().map(|scope| Action::Write(*scope)));
        actions.extend(world.behind(self.rules).map(Action::Deliver));
        if budget.trims > 0 && world.lane.base < world.lane.clk {
            actions.push(Action::Trim);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        let world = &mut state.world;
        match action {
            Action::Read(i) => {
                let held = world.shard.lease;
                world.read(self.rules, i);
                state.taken_over |= held.is_some() && world.shard.lease.is_some() && held != world.shard.lease;
            }
            Action::LoadWithoutLease(i) => world.load_without_lease(i),
            Action::Renew(i) => world.renew(self.rules, i),
            Action::Die(i) => {
                state.budget.deaths -= 1;
                world.readers[i].end();
            }
            Action::Expire => {
                state.budget.expiries -= 1;
                world.shard.lease = None;
                state.inherited |= state.budget.deaths < self.budget.deaths;
            }
            Action::Write(scope) => {
                if state.writer == Invalidator::Idle {
                    state.invalidations -= 1;
                }
                state.writer.step(self.rules, world, scope);
            }
            Action::Deliver(node) => world.deliver(self.rules, node),
            Action::Trim => {
                state.budget.trims -= 1;
                world.lane.trim();
            }
        }
        state.world.forget();
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![Property::always("fresh", |_, state: &State| !state.world.violated)];
        if self.rules.has(Rule::Takeover) {
            properties.push(Property::sometimes("a lease is taken over", |_, state: &State| state.taken_over));
        }
        if self.budget.deaths > 0 && self.budget.expiries > 0 {
            properties.push(Property::sometimes("redis is filled after a leader died", |_, state: &State| {
                state.inherited && state.world.shard.entry.is_some()
            }));
        }
        properties
    }
}

/// Returns what is explored.
#[must_use]
pub fn cases() -> Vec<Case> {
    let none = Budget { trims: 0, expiries: 0, deaths: 0 };
    let calm = Leases { rules: Rules::ALL, reads: 2, invalidations: 1, budget: none };
    let with = |trims, expiries, deaths, invalidations| Leases {
        budget: Budget { trims, expiries, deaths },
        invalidations,
        ..calm.clone()
    };
    let without = |off: &[Rule], model: Leases| Leases { rules: Rules::without(off), ..model };
    let mut cases = vec![
        Case::holds("lease", "2 nodes x 2 reads, 1 inv., 1 trim, 1 expiry, 1 death", with(1, 1, 1, 1)),
        Case::holds("lease", "2 nodes x 2 reads, 1 inv., 1 trim, 2 expiries, 2 deaths", with(1, 2, 2, 1)).deep(),
        Case::holds("lease", "2 nodes x 2 reads, 2 inv., 1 trim, 1 expiry, 1 death", with(1, 1, 1, 2)).deep(),
    ];
    for off in [Rule::FillNeedsToken, Rule::RenewOnlyOwn, Rule::FillRefusesNoLease, Rule::LeaselessStaysInMemory] {
        let off = &[off];
        cases.push(Case::refuted(
            "lease",
            off,
            "2 nodes x 2 reads, 1 inv., 1 trim, 1 expiry",
            without(off, with(1, 1, 0, 1)),
        ));
    }
    for off in [Rule::Takeover, Rule::TakeoverHasOwnToken] {
        let off = &[off];
        let size = "2 nodes x 2 reads, 1 inv., 1 trim, 1 expiry, 1 death";
        cases.push(Case::unneeded("lease", off, size, without(off, with(1, 1, 1, 1))));
    }
    cases
}
