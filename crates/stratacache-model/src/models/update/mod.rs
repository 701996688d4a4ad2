//! A change of a value from what it is (UPDATE): read and written under the lease of its key.
//!
//! Two nodes, a changer on each, a reader, who never loads, and somebody who invalidates or inserts. A value is the set
//! of the changes that are in it. Replies are lost, calls are carried out after their caller gave up, leases run out,
//! nodes die. What was acknowledged is lost only
//!
//! * to an invalidation of the key, or an insert, that removed the entry after it was stored;
//! * to an invalidation of a tag that was ordered after the change took its stamp;
//! * with the history of the lane or of the data shard, or with a generation of marks;
//! * where a tier below the shared one promotes: there the last value counts for nothing once its key has another mark.

mod changer;
mod others;
mod promises;

use stateright::{Model, Property};

use self::{
    changer::Changer,
    others::{FIRST, Get, NODE, Other, Promotion},
    promises::{Broken, Changes, Promises},
};
use crate::{
    Case, Rule, Rules,
    protocol::{Entry, Fault, Faults, Mirror, Position, World},
};

/// The model.
#[derive(Debug, Clone)]
pub struct Update {
    rules: Rules,
    changes: [u8; 2],
    gets: u8,
    deeds: u8,
    kinds: &'static [Deed],
    losses: u8,
    faults: Faults,
    /// A tier is below the shared one, and holds a value.
    below: bool,
}

/// What is done to the key besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Deed {
    /// It is invalidated.
    Key,
    /// Its tag is.
    Tag,
    /// A value is inserted.
    Insert,
}

/// A value on its way into the shared tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Write {
    entry: Entry,
    change: Changes,
    base: Changes,
    /// What was gone when its lease was taken.
    banned: Changes,
    /// A tag was invalidated since its stamp.
    dead: bool,
}

/// A call that is carried out after its caller gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Late {
    /// The lane script.
    Mark,
    /// FILL.
    Fill(Write),
}

/// Its state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    world: World<0>,
    changers: [Changer; 2],
    get: Get,
    gets: u8,
    other: Other,
    deeds: u8,
    promotion: Promotion,
    below: Option<Entry>,
    late: Option<Late>,
    losses: u8,
    faults: Faults,
    promises: Promises,
    from_memory: bool,
    from_redis: bool,
}

/// Its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A changer goes on.
    Change(usize),
    /// A changer goes on, and the reply is lost; the call is carried out later, or at once.
    Lose(usize, bool),
    /// The call whose caller gave up is carried out.
    Late,
    /// The reader goes on.
    Get,
    /// Who invalidates or inserts goes on.
    Deed(Deed),
    /// What the tier below holds is promoted.
    Promote,
    /// A node applies the next message.
    Deliver(usize),
    /// A fault strikes, a node where it concerns one.
    Fault(Fault, usize),
}

impl Update {
    fn strike(&self, state: &mut State, fault: Fault, node: usize) {
        state.faults.strike(self.rules, &mut state.world, fault, node);
        match fault {
            Fault::Restart => {
                state.changers[node].end();
                if node == NODE {
                    (state.get, state.other) = (Get::Idle, Other::Idle);
                } else if state.promotion != Promotion::Idle {
                    state.promotion = Promotion::Done;
                }
            }
            Fault::LaneLoss | Fault::LaneFailover | Fault::ShardFailover | Fault::DropGeneration => {
                state.promises.may_lose();
                state.changers.iter_mut().for_each(|one| one.beat_stamped(false));
            }
            _ => {}
        }
    }

    fn carry_out_late(&self, state: &mut State) {
        match state.late.take() {
            Some(Late::Mark) => {
                let keep = self.rules.has(Rule::KeyMarksBelow);
                state.world.lane.invalidate(crate::protocol::ScopeKind::Key, keep);
            }
            Some(Late::Fill(write)) => {
                self.store(state, write);
            }
            None => {}
        }
    }
}

impl Model for Update {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut world = World::new(self.rules, [], 0);
        let mut below = None;
        if self.below {
            world.lane.set_flag(self.rules.has(Rule::FlagRaisesKfloor));
            world.nodes = [Mirror::new(self.rules, &world.lane); 2];
            let stamp = Position { incarnation: world.lane.incarnation, seq: world.lane.clk };
            below = Some(Entry { id: 0, version: FIRST, stamp, own: 0, dinc: 0, carried: false });
        }
        vec![State {
            world,
            changers: self.changes.map(Changer::new),
            get: Get::Idle,
            gets: self.gets,
            other: Other::Idle,
            deeds: self.deeds,
            promotion: Promotion::Idle,
            below,
            late: None,
            losses: self.losses,
            faults: self.faults,
            promises: Promises::new(if self.below { FIRST } else { 0 }, self.below),
            from_memory: false,
            from_redis: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.promises.broken.is_some() {
            return;
        }
        for i in 0..2 {
            if self.can_change(state, i) {
                actions.push(Action::Change(i));
            }
            let lost = [false, true].into_iter().filter(|late| state.losses > 0 && self.can_lose(state, i, *late));
            actions.extend(lost.map(|late| Action::Lose(i, late)));
        }
        if state.late.is_some() {
            actions.push(Action::Late);
        }
        if state.get != Get::Idle || state.gets > 0 {
            actions.push(Action::Get);
        }
        if self.can_promote(state) {
            actions.push(Action::Promote);
        }
        actions.extend(self.deeds(state).map(Action::Deed));
        actions.extend(state.world.behind(self.rules).map(Action::Deliver));
        actions.extend(state.faults.choices(&state.world).map(|(fault, node)| Action::Fault(fault, node)));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Change(i) => self.change(&mut state, i),
            Action::Lose(i, late) => {
                state.losses -= 1;
                self.lose(&mut state, i, late);
            }
            Action::Late => self.carry_out_late(&mut state),
            Action::Get => self.get(&mut state),
            Action::Deed(deed) => self.go_on(&mut state, deed),
            Action::Promote => self.promote(&mut state),
            Action::Deliver(node) => state.world.deliver(self.rules, node),
            Action::Fault(fault, node) => self.strike(&mut state, fault, node),
        }
        state.faults.watch(&last.world, &mut state.world);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn no(state: &State, broken: Broken) -> bool {
            state.promises.broken != Some(broken)
        }
        vec![
            Property::always("no acknowledged change is lost", |_, state| no(state, Broken::Lost)),
            Property::always("no change is made twice", |_, state| no(state, Broken::Twice)),
            Property::always("what was invalidated is gone", |_, state| no(state, Broken::Revived)),
            Property::always("no read is older than a change before it", |_, state| no(state, Broken::Old)),
            Property::always("what was reported as not made is not", |_, state| no(state, Broken::Denied)),
            Property::always("what was acknowledged is found", |_, state| no(state, Broken::Hidden)),
            Property::sometimes("a changed value is read from memory", |_, state: &State| state.from_memory),
            Property::sometimes("a changed value is read from redis", |_, state: &State| state.from_redis),
        ]
    }
}

const FAULTS: &[Fault] = &[Fault::Trim, Fault::Restart, Fault::Evict, Fault::LeaseExpiry];
const LOSSES: &[Fault] = &[Fault::LaneLoss, Fault::LaneFailover, Fault::ShardFailover, Fault::DropGeneration];
const KEY: &[Deed] = &[Deed::Key];
const TAG: &[Deed] = &[Deed::Tag];
const INSERT: &[Deed] = &[Deed::Insert];

/// Returns what is explored.
#[must_use]
pub fn cases() -> Vec<Case> {
    let calm = Update {
        rules: Rules::ALL,
        changes: [1, 1],
        gets: 2,
        deeds: 1,
        kinds: &[Deed::Key, Deed::Tag],
        losses: 0,
        faults: Faults::none(),
        below: false,
    };
    // one read: what two see of each other is in the first case
    let one_read = Update { gets: 1, ..calm.clone() };
    let any = |faults, budget| Update { faults: Faults::of(faults, budget), ..one_read.clone() };
    let lossy = Update { losses: 1, ..one_read.clone() };
    let below = Update { below: true, ..one_read.clone() };
    let three = Update { changes: [2, 1], ..one_read.clone() };
    let inserting = |faults| Update { kinds: INSERT, ..any(faults, 1) };
    let ends = &[Fault::Restart, Fault::LeaseExpiry];
    let mut cases = vec![
        Case::holds("update", "2 changes, 2 reads, 1 inv., no fault", calm.clone()),
        Case::holds("update", "2 changes, 1 read, 1 inv., a node dies or a lease ends", any(ends, 1)),
        Case::holds(
            "update",
            "2 changes, 1 read, 1 of [Tag], [LaneLoss]",
            Update { kinds: TAG, ..any(&[Fault::LaneLoss], 1) },
        ),
        Case::holds("update", "2 changes, 1 read, 1 inv., 1 reply lost", lossy.clone()),
        Case::holds("update", "2 changes, 1 read, 1 insert, a lease ends", inserting(&[Fault::LeaseExpiry])),
        Case::holds("update", "2 changes, 1 read, 1 of [Key], a tier below", Update { kinds: KEY, ..below.clone() }),
        Case::holds("update", "2 changes, 1 read, 1 inv., any 1 of 4 faults", any(FAULTS, 1)).deep(),
        Case::holds("update", "2 changes, 1 read, 1 inv., any 1 of 4 losses", any(LOSSES, 1)).deep(),
        Case::holds("update", "2 changes, 1 read, 1 insert, any 1 of 4 faults", inserting(FAULTS)).deep(),
        Case::holds("update", "2 changes, 1 read, 1 inv., a tier below", below.clone()).deep(),
        Case::holds("update", "3 changes, 1 read, 1 inv., 1 reply lost", Update { losses: 1, ..three.clone() }).deep(),
        Case::holds("update", "2 changes, 1 read, 1 inv., any 2 of 4 faults", any(FAULTS, 2)).deep(),
    ];
    for (off, kinds, faults) in [
        (Rule::ChangeUnderLease, KEY, &[][..]),
        (Rule::ChangeSyncs, TAG, &[]),
        (Rule::ChangeMarks, KEY, &[]),
        (Rule::ChangeUndisturbed, KEY, &[]),
        (Rule::FillNeedsToken, KEY, &[]),
        (Rule::FillRefusesNoLease, KEY, &[Fault::LeaseExpiry]),
        (Rule::TagsByStamp, TAG, &[]),
        (Rule::KeyMarks, KEY, &[]),
        (Rule::KeyByOwn, KEY, &[]),
    ] {
        let off = &[off];
        let faults_to_come = Faults::of(faults, faults.len() as u8);
        let instance = Update { rules: Rules::without(off), kinds, faults: faults_to_come, ..calm.clone() };
        cases.push(Case::refuted("update", off, format!("2 changes, 2 reads, 1 of {kinds:?}, {faults:?}"), instance));
    }
    for off in [Rule::LookAfterLost, Rule::UnknownIfNotSeen] {
        let off = &[off];
        let instance = Update { rules: Rules::without(off), ..lossy.clone() };
        cases.push(Case::refuted("update", off, "2 changes, 1 read, 1 inv., 1 reply lost", instance));
    }
    // who died after its mark leaves its lease, too
    let off = &[Rule::BaseByLease];
    let faults = Faults::of(&[Fault::Restart, Fault::LeaseExpiry], 2);
    let instance = Update { rules: Rules::without(off), kinds: &[], faults, ..three.clone() };
    cases.push(Case::refuted("update", off, "3 changes, 1 read, [Restart, LeaseExpiry]", instance));
    let off = &[Rule::ChangeSameHistory];
    let faults = Faults::of(&[Fault::LaneLoss], 1);
    let instance = Update { rules: Rules::without(off), kinds: TAG, faults, ..three };
    cases.push(Case::refuted("update", off, "3 changes, 1 read, 1 of [Tag], [LaneLoss]", instance));
    let off = &[Rule::PromotedByMarks];
    let instance = Update { rules: Rules::without(off), kinds: KEY, ..below };
    cases.push(Case::refuted("update", off, "2 changes, 1 read, 1 of [Key], a tier below", instance));
    cases
}
