//! `expire` and the stale windows: soft marks beside hard ones (VALID).
//!
//! One node, one writer who invalidates or expires, one reader with `stale_if_error` whose loads may fail, one refresh behind.

use stateright::{Model, Property};

use crate::{
    Case, Rule, Rules,
    protocol::{Seq, Version},
};

/// The model.
#[derive(Debug, Clone)]
pub struct Expiry {
    rules: Rules,
    marks: u8,
    reads: u8,
    refreshes: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Entry {
    version: Version,
    stamp: Seq,
    /// Its ttl has passed.
    aged: bool,
}

/// A load under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Load {
    Idle,
    Stamped(Seq),
    Loaded(Entry),
}

/// The state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    source: Version,
    /// The newest version that an invalidation, and that an expiry, has covered.
    invalidated: Version,
    expired: Version,
    clk: Seq,
    hard: Seq,
    soft: Seq,
    entry: Option<Entry>,
    reader: Load,
    /// What the present read must not be older than: to be served at all, and to be served as fresh.
    need: [Version; 2],
    refresh: Load,
    writer: Option<Mark>,
    marks: u8,
    reads: u8,
    refreshes: u8,
    outdated: Option<&'static str>,
    served_stale: bool,
}

/// How the writer marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mark {
    /// `invalidate`.
    Hard,
    /// `expire`.
    Soft,
}

/// The steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The writer commits.
    Commit(Mark),
    /// The writer marks.
    Mark,
    /// The entry's ttl passes.
    Age,
    /// The reader goes on, and its load, if it does one, succeeds.
    Read,
    /// The reader's load fails.
    Fail,
    /// The refresh goes on.
    Refresh,
}

impl Expiry {
    fn is_valid(state: &State, entry: &Entry) -> bool {
        state.hard <= entry.stamp
    }

    fn is_fresh(state: &State, entry: &Entry) -> bool {
        Self::is_valid(state, entry) && !entry.aged && state.soft <= entry.stamp
    }

    fn serve(state: &mut State, entry: &Entry, fresh: bool) {
        let [at_all, as_fresh] = state.need;
        if entry.version < at_all {
            state.outdated = Some("an invalidated value was served");
        } else if fresh && entry.version < as_fresh {
            state.outdated = Some("an expired value was served as fresh");
        }
        state.served_stale |= !fresh && state.expired > 1;
        (state.reader, state.need) = (Load::Idle, [0; 2]);
    }

    /// Takes the next step of a load; a loaded entry is put.
    fn load(state: &mut State, load: Load) -> Load {
        match load {
            Load::Idle => Load::Stamped(state.clk),
            Load::Stamped(stamp) => Load::Loaded(Entry { version: state.source, stamp, aged: false }),
            Load::Loaded(entry) => {
                if Self::is_valid(state, &entry) && state.entry.is_none_or(|held| held.stamp <= entry.stamp) {
                    state.entry = Some(entry);
                }
                Load::Idle
            }
        }
    }

    fn read(&self, state: &mut State, fails: bool) {
        match state.reader {
            Load::Idle => {
                state.reads -= 1;
                state.need = [state.invalidated, state.expired.max(state.invalidated)];
                match state.entry.filter(|entry| Self::is_fresh(state, entry)) {
                    Some(entry) => Self::serve(state, &entry, true),
                    None => state.reader = Load::Stamped(state.clk),
                }
            }
            Load::Stamped(_) if fails => {
                let may = |entry: &Entry| Self::is_valid(state, entry) || !self.rules.has(Rule::JudgeBeforeStale);
                match state.entry.filter(may) {
                    Some(entry) => Self::serve(state, &entry, false),
                    None => (state.reader, state.need) = (Load::Idle, [0; 2]),
                }
            }
            Load::Stamped(_) => state.reader = Self::load(state, state.reader),
            Load::Loaded(entry) => {
                Self::load(state, state.reader);
                Self::serve(state, &entry, true);
            }
        }
    }
}

impl Model for Expiry {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            source: 1,
            invalidated: 1,
            expired: 1,
            clk: 1,
            hard: 0,
            soft: 0,
            entry: None,
            reader: Load::Idle,
            need: [0; 2],
            refresh: Load::Idle,
            writer: None,
            marks: self.marks,
            reads: self.reads,
            refreshes: self.refreshes,
            outdated: None,
            served_stale: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.outdated.is_some() {
            return;
        }
        match state.writer {
            Some(_) => actions.push(Action::Mark),
            None if state.marks > 0 => actions.extend([Action::Commit(Mark::Hard), Action::Commit(Mark::Soft)]),
            None => {}
        }
        if state.entry.is_some_and(|entry| !entry.aged) {
            actions.push(Action::Age);
        }
        match state.reader {
            Load::Idle if state.reads == 0 => {}
            Load::Stamped(_) => actions.extend([Action::Read, Action::Fail]),
            Load::Idle | Load::Loaded(_) => actions.push(Action::Read),
        }
        if state.refresh != Load::Idle || state.refreshes > 0 {
            actions.push(Action::Refresh);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Commit(mark) => {
                state.marks -= 1;
                state.source += 1;
                state.writer = Some(mark);
            }
            Action::Mark => {
                state.clk += 1;
                match state.writer.take()? {
                    Mark::Hard => (state.hard, state.invalidated) = (state.clk, state.source),
                    Mark::Soft => {
                        state.expired = state.source;
                        if self.rules.has(Rule::SoftByStamp) {
                            state.soft = state.clk;
                        } else if let Some(entry) = &mut state.entry {
                            entry.aged = true;
                        }
                    }
                }
            }
            Action::Age => state.entry.as_mut()?.aged = true,
            Action::Read => self.read(&mut state, false),
            Action::Fail => self.read(&mut state, true),
            Action::Refresh => {
                if state.refresh == Load::Idle {
                    state.refreshes -= 1;
                }
                state.refresh = Self::load(&mut state, last.refresh);
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("nothing outdated is served", |_, state: &State| state.outdated.is_none()),
            Property::sometimes("an expired value is served stale", |_, state: &State| state.served_stale),
        ]
    }
}

/// Returns what is explored.
#[must_use]
pub fn cases() -> Vec<Case> {
    let of = |off: &[Rule]| Expiry { rules: Rules::without(off), marks: 3, reads: 3, refreshes: 2 };
    let large = Expiry { marks: 5, reads: 4, refreshes: 3, ..of(&[]) };
    let size = "3 marks, 3 reads, 2 refreshes";
    let mut cases = vec![
        Case::holds("expire", size, of(&[])),
        Case::holds("expire", "5 marks, 4 reads, 3 refreshes", large).deep(),
    ];
    for off in [Rule::JudgeBeforeStale, Rule::SoftByStamp] {
        cases.push(Case::refuted("expire", &[off], size, of(&[off])));
    }
    cases
}
