//! Entries that outlive the mirror: a disk below memory and Redis (BELOW, LOSS).
//!
//! Two nodes, each with a disk of its own that survives restarts and snapshots, a reader on each, one writer. The lane drops
//! generations of marks, nodes forget marks of keys. An object store differs in being shared; its entries are judged alike.

use stateright::{Model, Property};

use crate::{
    Case, Rule, Rules,
    protocol::{Entry, Fault, Faults, Invalidator, Lease, ScopeKind, Source, Stamp, Step, World},
};

/// The model.
#[derive(Debug, Clone)]
pub struct Below {
    rules: Rules,
    reads: [u8; 2],
    invalidations: u8,
    faults: Faults,
    /// The flag is set, and the disks are open, from the beginning.
    open: bool,
}

/// An entry on its way up from the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Promotion {
    /// It was read and judged.
    Read(Entry),
    /// LEASE was granted for it.
    Leased(Entry),
}

/// Its state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    world: World<2>,
    writer: Invalidator,
    invalidations: u8,
    faults: Faults,
    disks: [Option<Entry>; 2],
    /// What a flight's task has still to write to the disk, and what its node knew when the load or GET began.
    pending: [Option<(Entry, Stamp)>; 2],
    promotions: [Option<Promotion>; 2],
    /// How often a node may still set the flag of the header.
    openings: u8,
}

/// Its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A reader goes on.
    Read(usize),
    /// A reader waited long enough for the lease of another.
    LoadWithoutLease(usize),
    /// A promotion goes on.
    Promote(usize),
    /// A node writes to its disk.
    WriteDisk(usize),
    /// A node opens its disk: it sets the flag of the header.
    Open(usize),
    /// The writer goes on.
    Write(ScopeKind),
    /// A node applies the next message.
    Deliver(usize),
    /// A fault strikes.
    Fault(Fault, usize),
}

impl Below {
    fn valid_on_disk(&self, state: &State, node: usize, entry: &Entry) -> bool {
        let carried = self.rules.has(Rule::DiskByKfloor);
        state.world.nodes[node].judge(self.rules, &Entry { carried, ..*entry })
    }

    /// Takes the next step of a read, which looks at the disk between memory and Redis.
    fn read(&self, state: &mut State, i: usize) {
        let before = state.world.readers[i];
        let at_disk = {
            let mirror = &state.world.nodes[i];
            before.step == Step::Synced && !mirror.memory.is_some_and(|entry| mirror.judge(self.rules, &entry))
        };
        let found = state.disks[i].filter(|entry| self.valid_on_disk(state, i, entry));
        if let Some(entry) = found.filter(|_| at_disk) {
            state.world.readers[i].stamp = state.world.nodes[i].stamp();
            state.promotions[i] = Some(Promotion::Read(entry));
            return;
        }
        state.world.read(self.rules, i);
        if state.world.readers[i].step == Step::Idle {
            let returned = match before.step {
                Step::Got(entry) => entry,
                Step::Filled(entry) => Some(entry),
                _ => None,
            };
            if let Some(entry) = returned {
                state.pending[i] = Some((entry, before.stamp));
            }
        }
    }

    /// Takes the next step of a disk hit: into Redis where it can be had at once, into memory, to the caller.
    fn promote(&self, state: &mut State, i: usize, promotion: Promotion) {
        let began = state.world.readers[i].stamp;
        let world = &mut state.world;
        let entry = match promotion {
            Promotion::Read(entry) if world.shard.lease.is_none() && world.shard.entry.is_none() => {
                let token = 40 + i as u8 * 4 + world.readers[i].left;
                world.readers[i].token = token;
                world.readers[i].dinc = world.shard.replid;
                world.shard.lease = Some(Lease { token, stamp: began.position });
                state.promotions[i] = Some(Promotion::Leased(entry));
                return;
            }
            Promotion::Read(entry) | Promotion::Leased(entry) => entry,
        };
        let reader = world.readers[i];
        let stamp = if self.rules.has(Rule::PromotionKeepsStamp) { entry.stamp } else { began.position };
        let carried = self.rules.has(Rule::PromotionCarries);
        let promoted = Entry { id: reader.token, stamp, dinc: reader.dinc, carried, ..entry };
        if self.valid_on_disk(state, i, &entry) {
            if reader.token != 0 && !state.world.shard.fill(reader.token, promoted) {
                let anyway = !self.rules.has(Rule::PromotionNeedsToken);
                state.world.shard.entry = state.world.shard.entry.or(Some(promoted).filter(|_| anyway));
            }
            state.world.put(self.rules, i, promoted);
        }
        state.promotions[i] = None;
        state.world.finish(i, entry.version, Source::Disk);
    }

    fn write_disk(&self, state: &mut State, node: usize) {
        let Some((entry, began)) = state.pending[node].take() else { return };
        let judged = self.valid_on_disk(state, node, &entry) && state.world.nodes[node].mep == began.mep;
        if judged || !self.rules.has(Rule::JudgeBeforeDisk) {
            state.disks[node] = Some(Entry { id: 0, dinc: 0, ..entry });
        }
    }
}

impl Model for Below {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut world = World::new(self.rules, [0, 1], 0);
        if self.open {
            world.lane.set_flag(self.rules.has(Rule::FlagRaisesKfloor));
            world.nodes = [crate::protocol::Mirror::new(self.rules, &world.lane); 2];
        }
        for (reader, reads) in world.readers.iter_mut().zip(self.reads) {
            reader.left = reads;
        }
        vec![State {
            world,
            writer: Invalidator::Idle,
            invalidations: self.invalidations,
            faults: self.faults,
            disks: [None; 2],
            pending: [None; 2],
            promotions: [None; 2],
            openings: 2,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let world = &state.world;
        if world.violated {
            return;
        }
        for i in 0..2 {
            match state.promotions[i] {
                Some(_) => actions.push(Action::Promote(i)),
                None if world.can_read(self.rules, i) => actions.push(Action::Read(i)),
                None if world.waits_for_lease(self.rules, i) => actions.push(Action::LoadWithoutLease(i)),
                None => {}
            }
            if state.pending[i].is_some() {
                actions.push(Action::WriteDisk(i));
            }
            if !world.nodes[i].flag && state.openings > 0 {
                actions.push(Action::Open(i));
            }
        }
        actions.extend(state.writer.choices(state.invalidations).iter().map(|scope| Action::Write(*scope)));
        actions.extend(world.behind(self.rules).map(Action::Deliver));
        actions.extend(state.faults.choices(world).map(|(fault, node)| Action::Fault(fault, node)));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Read(i) => self.read(&mut state, i),
            Action::LoadWithoutLease(i) => state.world.load_without_lease(i),
            Action::Promote(i) => self.promote(&mut state, i, last.promotions[i]?),
            Action::WriteDisk(node) => self.write_disk(&mut state, node),
            Action::Open(node) => {
                state.openings -= 1;
                state.world.lane.set_flag(self.rules.has(Rule::FlagRaisesKfloor));
                let (mirror, lane) = (&mut state.world.nodes[node], &state.world.lane);
                if mirror.incarnation == lane.incarnation {
                    mirror.flag = true;
                    mirror.kfloor = mirror.kfloor.max(lane.kfloor);
                }
            }
            Action::Write(scope) => {
                if state.writer == Invalidator::Idle {
                    state.invalidations -= 1;
                }
                state.writer.step(self.rules, &mut state.world, scope);
            }
            Action::Deliver(node) => state.world.deliver(self.rules, node),
            Action::Fault(fault, node) => {
                state.faults.strike(self.rules, &mut state.world, fault, node);
                if fault == Fault::Restart {
                    (state.pending[node], state.promotions[node]) = (None, None);
                }
            }
        }
        state.faults.watch(&last.world, &mut state.world);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("fresh", |_, state: &State| !state.world.violated),
            Property::sometimes("disk hit after an invalidation", |_, state: &State| {
                state.world.from == Some(Source::Disk)
            }),
        ]
    }
}

const FAULTS: &[Fault] = &[Fault::Restart, Fault::Trim, Fault::DropGeneration, Fault::Evict];
const WITH_LOSS: &[Fault] = &[Fault::Restart, Fault::Trim, Fault::DropGeneration, Fault::Evict, Fault::LaneLoss];

/// Returns what is explored.
#[must_use]
pub fn cases() -> Vec<Case> {
    let of = |faults, budget| Below {
        rules: Rules::ALL,
        reads: [3, 0],
        invalidations: 1,
        faults: Faults::of(faults, budget),
        open: true,
    };
    let two = |faults, budget| Below { reads: [2, 2], ..of(faults, budget) };
    let opening = |faults, budget| Below { open: false, ..of(faults, budget) };
    let mut cases = vec![
        Case::holds("below", "1 node x 3 reads, 1 inv., any 2 of 4 faults", of(FAULTS, 2)),
        Case::holds("below", "1 node x 3 reads, 1 inv., any 2 of 5 faults, opened at any time", opening(WITH_LOSS, 2)),
        Case::holds("below", "2 nodes x 2 reads, 1 inv., any 1 of 4 faults", two(FAULTS, 1)).deep(),
        Case::holds("below", "2 nodes x 2 reads, 1 inv., any 2 of 4 faults", two(FAULTS, 2)).deep(),
    ];
    for (off, faults, budget) in [
        (Rule::KeyMarksBelow, &[Fault::Restart][..], 1),
        (Rule::DiskByKfloor, &[Fault::Restart, Fault::DropGeneration], 2),
        (Rule::DropRaisesKfloor, &[Fault::Restart, Fault::DropGeneration], 2),
        (Rule::DropRaisesFloor, &[Fault::Restart, Fault::DropGeneration], 2),
        (Rule::EvictRaisesKfloor, &[Fault::Evict], 1),
        (Rule::PutAboveKfloor, &[Fault::Evict], 1),
        (Rule::PromotionCarries, &[Fault::Restart, Fault::DropGeneration], 3),
    ] {
        let off = &[off];
        let instance = Below { rules: Rules::without(off), ..of(faults, budget) };
        cases.push(Case::refuted("below", off, format!("1 node x 3 reads, 1 inv., {budget} of {faults:?}"), instance));
    }
    let off = &[Rule::FlagRaisesKfloor];
    let instance = Below { rules: Rules::without(off), ..opening(&[Fault::Restart], 1) };
    cases.push(Case::refuted("below", off, "1 node x 3 reads, 1 inv., 1 of [Restart], opened at any time", instance));
    for off in [Rule::PutAfterSameMep, Rule::PromotionKeepsStamp, Rule::PromotionNeedsToken, Rule::JudgeBeforeDisk] {
        let off = &[off];
        let instance = Below { rules: Rules::without(off), ..of(FAULTS, 2) };
        cases.push(Case::unneeded("below", off, "1 node x 3 reads, 1 inv., any 2 of 4 faults", instance));
        let instance = Below { rules: Rules::without(off), ..two(FAULTS, 2) };
        cases.push(Case::unneeded("below", off, "2 nodes x 2 reads, 1 inv., any 2 of 4 faults", instance).deep());
    }
    cases
}
