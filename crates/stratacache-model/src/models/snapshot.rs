//! A new snapshot of the marks, taken in steps while the lane goes on (TAIL, LOSS).
//!
//! SYNC, then the two generations of marks scope by scope, then the stream since. Meanwhile scopes are invalidated, generations
//! change, the stream is trimmed, the lane is lost. No entries here: the property is that a finished snapshot covers every
//! mark of the history it names, up to the position it names.

use stateright::{Model, Property};

use crate::{
    Case, Rule, Rules,
    protocol::{Incarnation, Seq},
};

/// Scopes there are.
const SCOPES: usize = 2;
type Marks = [Seq; SCOPES];

/// The model.
#[derive(Debug, Clone)]
pub struct Snapshots {
    rules: Rules,
    budget: Budget,
}

/// How often something may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Budget {
    invalidations: u8,
    rotations: u8,
    trims: u8,
    losses: u8,
    /// Scans that a discontinuity makes necessary, beyond the first.
    scans: u8,
}

/// The header as a script returns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Header {
    incarnation: Incarnation,
    clk: Seq,
    generation: u8,
    floor: Seq,
}

/// The control keys of the lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Lane {
    header: Header,
    /// The marks of the present generation, and of the one before.
    marks: [Marks; 2],
    /// The position at which the generation before was closed.
    closed: Seq,
    /// What the messages name, one bit for each position; the stream begins after `base`.
    second: u16,
    base: Seq,
    /// The last mark of each scope, which nobody stores.
    truth: Marks,
}

impl Lane {
    const fn new(incarnation: Incarnation) -> Self {
        let header = Header { incarnation, clk: 1, generation: 1, floor: 0 };
        Self { header, marks: [[0; SCOPES]; 2], closed: 0, second: 0, base: 1, truth: [0; SCOPES] }
    }

    fn invalidate(&mut self, scope: usize) {
        self.header.clk += 1;
        let seq = self.header.clk;
        self.marks[0][scope] = seq;
        self.truth[scope] = seq;
        self.second |= (scope as u16) << seq;
    }

    fn rotate(&mut self) {
        self.header.generation += 1;
        self.header.floor = self.header.floor.max(self.closed);
        self.closed = self.header.clk;
        self.marks = [[0; SCOPES], self.marks[0]];
    }

    /// HSCAN: returns what a generation says of a scope; nothing if there is no such generation any more.
    fn scan(&self, generation: u8, scope: usize) -> Seq {
        match self.header.generation.checked_sub(generation) {
            Some(age) if age < 2 => self.marks[usize::from(age)][scope],
            _ => 0,
        }
    }
}

/// The snapshot being taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Taking {
    before: Header,
    scanned: u8,
    marks: Marks,
}

/// The state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    lane: Lane,
    taking: Option<Taking>,
    budget: Budget,
    finished: bool,
    uncovered: bool,
}

/// The steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The snapshot goes on.
    Snapshot,
    /// A scope is invalidated.
    Invalidate(usize),
    /// A generation of marks begins, and the one before the last is dropped.
    Rotate,
    /// The stream is trimmed.
    Trim,
    /// The lane is lost, and begins anew.
    Lose,
}

impl Snapshots {
    fn finish(&self, state: &mut State, taking: Taking) {
        let (lane, before) = (&state.lane, taking.before);
        let after = lane.header;
        let again = (self.rules.has(Rule::RescanOnIncarnation) && after.incarnation != before.incarnation)
            || (self.rules.has(Rule::RescanOnGeneration) && after.generation != before.generation)
            || (self.rules.has(Rule::RescanOnGap) && lane.base > before.clk);
        if again {
            state.taking = None;
            return;
        }
        let mut marks = taking.marks;
        if self.rules.has(Rule::ReplayAfterScan) {
            for seq in before.clk.max(lane.base) + 1..=after.clk {
                let scope = usize::from(lane.second >> seq & 1);
                marks[scope] = marks[scope].max(seq);
            }
        }
        let floor = if self.rules.has(Rule::FloorAfterScan) { after.floor } else { before.floor };
        state.uncovered = (0..SCOPES).any(|scope| marks[scope].max(floor) < lane.truth[scope]);
        state.finished = true;
    }
}

impl Model for Snapshots {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State { lane: Lane::new(1), taking: None, budget: self.budget, finished: false, uncovered: false }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.finished {
            return;
        }
        let budget = &state.budget;
        if state.taking.is_some() || budget.scans > 0 {
            actions.push(Action::Snapshot);
        }
        if budget.invalidations > 0 {
            actions.extend((0..SCOPES).map(Action::Invalidate));
        }
        if budget.rotations > 0 {
            actions.push(Action::Rotate);
        }
        if budget.trims > 0 && state.lane.base < state.lane.header.clk {
            actions.push(Action::Trim);
        }
        if budget.losses > 0 {
            actions.push(Action::Lose);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Snapshot => match state.taking {
                None => {
                    state.budget.scans -= 1;
                    state.taking = Some(Taking { before: state.lane.header, scanned: 0, marks: [0; SCOPES] });
                }
                Some(taking) if usize::from(taking.scanned) < 2 * SCOPES => {
                    // the older generation first
                    let (age, scope) = (1 - taking.scanned / SCOPES as u8, usize::from(taking.scanned) % SCOPES);
                    let mut marks = taking.marks;
                    marks[scope] = marks[scope].max(state.lane.scan(taking.before.generation - age, scope));
                    state.taking = Some(Taking { scanned: taking.scanned + 1, marks, ..taking });
                }
                Some(taking) => self.finish(&mut state, taking),
            },
            Action::Invalidate(scope) => {
                state.budget.invalidations -= 1;
                state.lane.invalidate(scope);
            }
            Action::Rotate => {
                state.budget.rotations -= 1;
                state.lane.rotate();
            }
            Action::Trim => {
                state.budget.trims -= 1;
                state.lane.base = state.lane.header.clk;
            }
            Action::Lose => {
                state.budget.losses -= 1;
                state.lane = Lane::new(state.lane.header.incarnation + 1);
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("a snapshot covers every mark", |_, state: &State| !state.uncovered),
            Property::sometimes("a snapshot is finished after a loss and a rotation", |_, state: &State| {
                state.finished && state.lane.header.incarnation > 1 && state.lane.header.generation > 1
            }),
        ]
    }
}

/// Returns what is explored.
#[must_use]
pub fn cases() -> Vec<Case> {
    let budget = Budget { invalidations: 4, rotations: 2, trims: 1, losses: 1, scans: 3 };
    let large = Budget { invalidations: 5, rotations: 3, trims: 1, losses: 1, scans: 3 };
    let of = |off: &[Rule], budget| Snapshots { rules: Rules::without(off), budget };
    let size = "2 scopes, 4 inv., 2 rotations, 1 trim, 1 loss";
    let larger = "2 scopes, 5 inv., 3 rotations, 1 trim, 1 loss";
    let mut cases =
        vec![Case::holds("snapshot", size, of(&[], budget)), Case::holds("snapshot", larger, of(&[], large)).deep()];
    for off in [
        &[Rule::ReplayAfterScan][..],
        &[Rule::RescanOnIncarnation],
        &[Rule::RescanOnGap],
        &[Rule::RescanOnGeneration, Rule::FloorAfterScan],
    ] {
        cases.push(Case::refuted("snapshot", off, size, of(off, budget)));
    }
    // each of the two makes up for the other: what a dropped generation said is below the newer floor
    for off in [Rule::RescanOnGeneration, Rule::FloorAfterScan] {
        cases.push(Case::unneeded("snapshot", &[off], size, of(&[off], budget)));
        cases.push(Case::unneeded("snapshot", &[off], larger, of(&[off], large)).deep());
    }
    cases
}
