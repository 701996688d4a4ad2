//! Fills against invalidations: stamp, lease, marks, gaps and histories (READ, INVALIDATE, TAIL, LOSS).
//!
//! Two nodes, a reader on each, one writer who invalidates the key or its tag, and faults of Redis and of a node.

use stateright::{Model, Property};

use crate::{
    Case, Rule, Rules,
    protocol::{Fault, Faults, Invalidator, ScopeKind, Source, World},
};

/// The model.
#[derive(Debug, Clone)]
pub struct Fill {
    rules: Rules,
    reads: u8,
    invalidations: u8,
    faults: Faults,
}

/// Its state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    world: World<2>,
    writer: Invalidator,
    invalidations: u8,
    faults: Faults,
}

/// Its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A reader goes on.
    Read(usize),
    /// A reader waited long enough for the lease of another.
    LoadWithoutLease(usize),
    /// The writer goes on.
    Write(ScopeKind),
    /// A node applies the next message.
    Deliver(usize),
    /// A fault strikes, a node where it concerns one.
    Fault(Fault, usize),
}

impl Model for Fill {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            world: World::new(self.rules, [0, 1], self.reads),
            writer: Invalidator::Idle,
            invalidations: self.invalidations,
            faults: self.faults,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let world = &state.world;
        if world.violated {
            return;
        }
        for i in 0..world.readers.len() {
            if world.can_read(self.rules, i) {
                actions.push(Action::Read(i));
            } else if world.waits_for_lease(self.rules, i) {
                actions.push(Action::LoadWithoutLease(i));
            }
        }
        actions.extend(state.writer.choices(state.invalidations).iter().map(|scope| Action::Write(*scope)));
        actions.extend(world.behind(self.rules).map(Action::Deliver));
        actions.extend(state.faults.choices(world).map(|(fault, node)| Action::Fault(fault, node)));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Read(i) => state.world.read(self.rules, i),
            Action::LoadWithoutLease(i) => state.world.load_without_lease(i),
            Action::Write(scope) => {
                if state.writer == Invalidator::Idle {
                    state.invalidations -= 1;
                }
                state.writer.step(self.rules, &mut state.world, scope);
            }
            Action::Deliver(node) => state.world.deliver(self.rules, node),
            Action::Fault(fault, node) => state.faults.strike(self.rules, &mut state.world, fault, node),
        }
        state.faults.watch(&last.world, &mut state.world);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("fresh", |_, state: &State| !state.world.violated),
            Property::sometimes("memory hit after an invalidation", |_, state: &State| {
                state.world.from == Some(Source::Memory)
            }),
            Property::sometimes("redis hit after an invalidation", |_, state: &State| {
                state.world.from == Some(Source::Redis)
            }),
        ]
    }
}

/// Returns what is explored.
#[must_use]
pub fn cases() -> Vec<Case> {
    let calm = Fill { rules: Rules::ALL, reads: 2, invalidations: 2, faults: Faults::none() };
    let any = |budget, invalidations| Fill { faults: Faults::of(Fault::ALL, budget), invalidations, ..calm.clone() };
    let mut cases = vec![
        Case::holds("fill", "2 nodes x 2 reads, 2 invalidations, no fault", calm.clone()),
        Case::holds("fill", "2 nodes x 2 reads, 1 invalidation, any 1 of 7 faults", any(1, 1)),
        Case::holds("fill", "2 nodes x 2 reads, 2 invalidations, any 1 of 7 faults", any(1, 2)).deep(),
        Case::holds("fill", "2 nodes x 2 reads, 1 invalidation, any 2 of 7 faults", any(2, 1)).deep(),
        Case::holds("fill", "2 nodes x 2 reads, 2 invalidations, any 2 of 7 faults", any(2, 2)).deep(),
    ];
    for (off, faults) in [
        (&[Rule::StampBeforeLoad][..], &[][..]),
        (&[Rule::FillNeedsToken], &[Fault::Trim]),
        (&[Rule::KeyMarks], &[]),
        (&[Rule::JudgeLower], &[]),
        (&[Rule::NoticeGap], &[Fault::Trim]),
        (&[Rule::Incarnation], &[Fault::LaneLoss]),
        (&[Rule::Incarnation], &[Fault::LaneFailover]),
        (&[Rule::DataIncarnation], &[Fault::ShardFailover, Fault::Restart]),
        (&[Rule::PutAboveKfloor], &[Fault::Evict]),
        (&[Rule::PutAfterSameMep, Rule::PutAboveKfloor], &[Fault::Trim]),
        (&[Rule::FenceBeforeMark], &[Fault::Trim]),
    ] {
        let invalidations = if faults.len() < 2 { 2 } else { 1 };
        let instance = Fill {
            rules: Rules::without(off),
            faults: Faults::of(faults, faults.len() as u8),
            invalidations,
            ..calm.clone()
        };
        cases.push(Case::refuted(
            "fill",
            off,
            format!("2 nodes x 2 reads, {invalidations} inv., {faults:?}"),
            instance,
        ));
    }
    // what PutAfterSameMep refuses, PutAboveKfloor refuses too: a snapshot is newer than what began before it
    let off = &[Rule::PutAfterSameMep];
    let instance = Fill { rules: Rules::without(off), ..any(1, 1) };
    cases.push(Case::unneeded("fill", off, "2 nodes x 2 reads, 1 inv., any 1 of 7 faults", instance));
    let instance = Fill { rules: Rules::without(off), ..any(2, 1) };
    cases.push(Case::unneeded("fill", off, "2 nodes x 2 reads, 1 inv., any 2 of 7 faults", instance).deep());
    cases
}
