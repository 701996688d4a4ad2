//! The memory tier's fast path: every load and store of it is a step (FAST, MEMORY).
//!
//! One node, one applier, loaders that put and readers. The entry depends on a key and a tag of the tenant's lane and on a
//! global tag; another tag of the tenant shares its slot of the filter. Steps are sequentially consistent.

use stateright::{Model, Property};

use crate::{
    Case, Rule, Rules,
    protocol::{Seq, Version},
};

const TENANT: usize = 0;
const GLOBAL: usize = 1;

/// The model, with `R` readers and `L` loaders.
#[derive(Debug, Clone)]
pub struct Memory<const R: usize, const L: usize> {
    rules: Rules,
    scopes: &'static [Scope],
    messages: u8,
    reads: u8,
    loads: u8,
}

/// What an invalidation names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The key.
    Key,
    /// The tag.
    Tag,
    /// Another tag of the tenant, in the same slot of the filter.
    OtherTag,
    /// The global tag.
    GlobalTag,
    /// Not an invalidation that came, but one of the key that was missed: a snapshot of the tenant's lane.
    MissedKey,
}

/// One number for each lane, the tenant's first.
type Pair = [Seq; 2];

/// An entry in the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Entry {
    id: u8,
    version: Version,
    stamp: Pair,
    /// Nothing it depends on was invalidated up to here.
    validated: Pair,
    mep: u8,
    judged: bool,
}

/// What applying writes, in some order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Write {
    Exact,
    Filter,
    Last,
    KeyMark,
    Remove,
    Kfloor,
    Mep,
    Drop,
}

/// A message being applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Applying {
    scope: Scope,
    seq: Seq,
    covers: Version,
    written: u8,
}

/// What a reader holds in its hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Look {
    Idle,
    /// The entry.
    Held(Entry),
    /// The last marks, read before the marks.
    Last(Entry, Pair),
    /// Whether the marks allow it, read before the last marks.
    Marks(Entry, bool),
    /// Judged valid: what is noted, if it is not read again.
    Valid(Entry, Pair),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Reader {
    look: Look,
    left: u8,
    need: Version,
}

/// What a loader has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Load {
    Idle,
    Stamped(Pair, u8),
    Loaded(Entry),
    Judged(Entry),
    Put(u8),
    Refused(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Loader {
    load: Load,
    left: u8,
}

/// The state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State<const R: usize, const L: usize> {
    source: Version,
    clk: Pair,
    messages: u8,
    applying: Option<Applying>,
    exact: Pair,
    filter: Pair,
    key: Seq,
    kfloor: Seq,
    mep: u8,
    last: Pair,
    applied: Pair,
    covered: Version,
    map: Option<Entry>,
    readers: [Reader; R],
    loaders: [Loader; L],
    stale: bool,
    fast: bool,
}

/// The steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A message comes; its writer has committed.
    Begin(Scope),
    /// The applier writes.
    Apply,
    /// A reader looks.
    Read(usize),
    /// A loader goes on.
    Load(usize),
}

const fn lane(scope: Scope) -> usize {
    match scope {
        Scope::GlobalTag => GLOBAL,
        Scope::Key | Scope::Tag | Scope::OtherTag | Scope::MissedKey => TENANT,
    }
}

impl<const R: usize, const L: usize> Memory<R, L> {
    fn has(&self, rule: Rule) -> bool {
        self.rules.has(rule)
    }

    fn key_allows(state: &State<R, L>, entry: &Entry) -> bool {
        state.key <= entry.stamp[TENANT] && entry.stamp[TENANT] >= state.kfloor
    }

    fn writes(&self, scope: Scope) -> &'static [Write] {
        match scope {
            Scope::Key if self.has(Rule::KeyMarkBeforeRemove) => &[Write::KeyMark, Write::Remove],
            Scope::Key => &[Write::Remove, Write::KeyMark],
            Scope::MissedKey if self.has(Rule::KfloorBeforeDrop) => &[Write::Kfloor, Write::Mep, Write::Drop],
            Scope::MissedKey => &[Write::Drop, Write::Kfloor, Write::Mep],
            _ if self.has(Rule::MarksBeforeLast) => &[Write::Exact, Write::Filter, Write::Last],
            _ => &[Write::Last, Write::Exact, Write::Filter],
        }
    }

    fn apply(&self, state: &mut State<R, L>, message: Applying) {
        let (lane, seq) = (lane(message.scope), message.seq);
        let Some(write) = self.writes(message.scope).get(usize::from(message.written)) else {
            state.applied[lane] = seq;
            state.covered = message.covers;
            state.applying = None;
            return;
        };
        match write {
            Write::Exact if message.scope == Scope::OtherTag => {}
            Write::Exact => state.exact[lane] = seq,
            Write::Filter => state.filter[lane] = seq,
            Write::Last => state.last[lane] = seq,
            Write::KeyMark => state.key = seq,
            Write::Kfloor => (state.key, state.kfloor) = (0, seq),
            Write::Mep => state.mep += 1,
            Write::Drop => state.map = None,
            Write::Remove => state.map = state.map.filter(|entry| entry.stamp[TENANT] >= seq),
        }
        state.applying = Some(Applying { written: message.written + 1, ..message });
    }

    /// Compares what is noted on an entry with the last marks.
    fn is_noted(&self, validated: Pair, last: Pair) -> bool {
        match self.has(Rule::PairOfLanes) {
            true => validated[TENANT] >= last[TENANT] && validated[GLOBAL] >= last[GLOBAL],
            false => validated[TENANT].max(validated[GLOBAL]) >= last[TENANT].max(last[GLOBAL]),
        }
    }

    fn read(&self, state: &mut State<R, L>, i: usize) {
        let allows = |entry: &Entry| {
            (0..2).all(|lane| state.filter[lane] <= entry.stamp[lane] || state.exact[lane] <= entry.stamp[lane])
        };
        let look = match state.readers[i].look {
            Look::Idle => match state.map {
                Some(entry) => {
                    state.readers[i].left -= 1;
                    state.readers[i].need = state.covered;
                    Look::Held(entry)
                }
                None => Look::Idle,
            },
            Look::Held(entry) => {
                let by_key = !entry.judged && self.has(Rule::UnjudgedByKey);
                let other = entry.mep != state.mep && self.has(Rule::EntryCarriesMep);
                if other || (by_key && !Self::key_allows(state, &entry)) {
                    Look::Idle
                } else if !self.has(Rule::LastBeforeMarks) {
                    Look::Marks(entry, allows(&entry))
                } else if self.is_noted(entry.validated, state.last) {
                    return Self::hit(state, i, &entry, true);
                } else {
                    Look::Last(entry, state.last)
                }
            }
            Look::Last(entry, last) if allows(&entry) => Look::Valid(entry, last),
            Look::Last(..) => Look::Idle,
            Look::Marks(entry, _) if self.is_noted(entry.validated, state.last) => {
                return Self::hit(state, i, &entry, true);
            }
            Look::Marks(entry, true) => Look::Valid(entry, state.last),
            Look::Marks(_, false) => Look::Idle,
            Look::Valid(entry, last) => {
                let noted = if self.has(Rule::NoteWhatWasRead) { last } else { state.last };
                if let Some(held) = state.map.as_mut().filter(|held| held.id == entry.id) {
                    held.validated = noted;
                }
                return Self::hit(state, i, &entry, false);
            }
        };
        state.readers[i].look = look;
        if look == Look::Idle {
            state.readers[i].need = 0;
        }
    }

    fn hit(state: &mut State<R, L>, i: usize, entry: &Entry, fast: bool) {
        state.stale |= entry.version < state.readers[i].need;
        state.fast |= fast && state.covered > 1;
        (state.readers[i].look, state.readers[i].need) = (Look::Idle, 0);
    }

    fn load(&self, state: &mut State<R, L>, i: usize) {
        let loader = state.loaders[i];
        let by_id = |map: Option<Entry>, id: u8| map.filter(|entry| entry.id == id);
        let next = match loader.load {
            Load::Idle => {
                state.loaders[i].left -= 1;
                // mep first: a discontinuity in between then shows
                Load::Stamped(state.applied, state.mep)
            }
            Load::Stamped(stamp, mep) => {
                let id = 1 + i as u8 * 4 + loader.left;
                Load::Loaded(Entry { id, version: state.source, stamp, validated: stamp, mep, judged: false })
            }
            Load::Loaded(entry) if self.has(Rule::JudgeAfterPut) => {
                state.map = Some(entry);
                Load::Put(entry.id)
            }
            Load::Loaded(entry) if !Self::key_allows(state, &entry) => Load::Idle,
            Load::Loaded(entry) => Load::Judged(entry),
            Load::Judged(entry) => {
                state.map = Some(Entry { judged: true, ..entry });
                Load::Idle
            }
            Load::Put(id) => match by_id(state.map, id) {
                Some(entry) if !Self::key_allows(state, &entry) => Load::Refused(id),
                Some(entry) => {
                    state.map = Some(Entry { judged: true, ..entry });
                    Load::Idle
                }
                None => Load::Idle,
            },
            Load::Refused(id) => {
                state.map = state.map.filter(|entry| entry.id != id);
                Load::Idle
            }
        };
        state.loaders[i].load = next;
    }
}

impl<const R: usize, const L: usize> Model for Memory<R, L> {
    type State = State<R, L>;
    type Action = Action;

    fn init_states(&self) -> Vec<State<R, L>> {
        vec![State {
            source: 1,
            clk: [0; 2],
            messages: self.messages,
            applying: None,
            exact: [0; 2],
            filter: [0; 2],
            key: 0,
            kfloor: 0,
            mep: 0,
            last: [0; 2],
            applied: [0; 2],
            covered: 1,
            map: None,
            readers: [Reader { look: Look::Idle, left: self.reads, need: 0 }; R],
            loaders: [Loader { load: Load::Idle, left: self.loads }; L],
            stale: false,
            fast: false,
        }]
    }

    fn actions(&self, state: &State<R, L>, actions: &mut Vec<Action>) {
        if state.stale {
            return;
        }
        match state.applying {
            Some(_) => actions.push(Action::Apply),
            None if state.messages > 0 => actions.extend(self.scopes.iter().map(|scope| Action::Begin(*scope))),
            None => {}
        }
        for (i, reader) in state.readers.iter().enumerate() {
            if reader.look != Look::Idle || (reader.left > 0 && state.map.is_some()) {
                actions.push(Action::Read(i));
            }
        }
        for (i, loader) in state.loaders.iter().enumerate() {
            if loader.load != Load::Idle || loader.left > 0 {
                actions.push(Action::Load(i));
            }
        }
    }

    fn next_state(&self, last: &State<R, L>, action: Action) -> Option<State<R, L>> {
        let mut state = last.clone();
        match action {
            Action::Begin(scope) => {
                let lane = lane(scope);
                state.messages -= 1;
                state.clk[lane] += 1;
                // a tag the entry does not carry covers nothing
                let covers = if scope == Scope::OtherTag { state.covered } else { state.source + 1 };
                state.source = state.source.max(covers);
                state.applying = Some(Applying { scope, seq: state.clk[lane], covers, written: 0 });
            }
            Action::Apply => self.apply(&mut state, last.applying?),
            Action::Read(i) => self.read(&mut state, i),
            Action::Load(i) => self.load(&mut state, i),
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("fresh", |_, state: &State<R, L>| !state.stale),
            Property::sometimes(
                "a hit without a look at the marks, after an invalidation",
                |_, state: &State<R, L>| state.fast,
            ),
        ]
    }
}

/// Returns what is explored.
#[must_use]
pub fn cases() -> Vec<Case> {
    const ALL: &[Scope] = &[Scope::Key, Scope::Tag, Scope::OtherTag, Scope::GlobalTag, Scope::MissedKey];
    const TAGS: &[Scope] = &[Scope::Tag, Scope::OtherTag];
    fn of<const R: usize, const L: usize>(messages: u8, reads: u8, loads: u8) -> Memory<R, L> {
        Memory { rules: Rules::ALL, scopes: ALL, messages, reads, loads }
    }
    let mut cases = vec![
        Case::holds("memory", "1 reader x 3, 1 loader x 2, 2 messages of 5 kinds", of::<1, 1>(2, 3, 2)),
        Case::holds("memory", "2 readers x 1, 2 loaders x 1, 2 messages of 5 kinds", of::<2, 2>(2, 1, 1)),
        Case::holds("memory", "2 readers x 2, 2 loaders x 1, 2 messages of 5 kinds", of::<2, 2>(2, 2, 1)).deep(),
        Case::holds("memory", "1 reader x 3, 1 loader x 2, 3 messages of 5 kinds", of::<1, 1>(3, 3, 2)).deep(),
        Case::holds("memory", "2 readers x 2, 1 loader x 2, 2 messages of 5 kinds", of::<2, 1>(2, 2, 2)).deep(),
    ];
    for (off, scopes) in [
        (&[Rule::MarksBeforeLast][..], TAGS),
        (&[Rule::LastBeforeMarks], TAGS),
        (&[Rule::NoteWhatWasRead], TAGS),
        (&[Rule::PairOfLanes], &[Scope::Tag, Scope::GlobalTag][..]),
        (&[Rule::UnjudgedByKey], &[Scope::Key]),
        (&[Rule::JudgeAfterPut], &[Scope::Key]),
        (&[Rule::KeyMarkBeforeRemove], &[Scope::Key]),
        (&[Rule::EntryCarriesMep, Rule::KfloorBeforeDrop], &[Scope::MissedKey]),
    ] {
        let instance = Memory { rules: Rules::without(off), scopes, ..of::<2, 1>(3, 2, 2) };
        cases.push(Case::refuted("memory", off, format!("2 readers x 2, 1 loader x 2, 3 of {scopes:?}"), instance));
    }
    for off in [Rule::EntryCarriesMep, Rule::KfloorBeforeDrop] {
        let off = &[off];
        let instance = Memory { rules: Rules::without(off), ..of::<1, 1>(2, 3, 2) };
        cases.push(Case::unneeded("memory", off, "1 reader x 3, 1 loader x 2, 2 messages of 5 kinds", instance));
        let instance = Memory { rules: Rules::without(off), ..of::<1, 1>(3, 3, 2) };
        cases.push(Case::unneeded("memory", off, "1 reader x 3, 1 loader x 2, 3 messages of 5 kinds", instance).deep());
    }
    cases
}
