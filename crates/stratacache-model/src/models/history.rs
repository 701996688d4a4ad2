//! Losses and older histories of the lane's keys: when a new incarnation begins (LOSS).
//!
//! One server with a replica that lags, one node, one writer who invalidates a tag, one reader. The entry lies somewhere that
//! no snapshot empties, as on a disk: its incarnation is all that tells it from an entry of the present history.

use stateright::{Model, Property};

use crate::{
    Case, Rule, Rules,
    protocol::{Incarnation, Position, Seq, Version},
};

/// The model.
#[derive(Debug, Clone)]
pub struct Histories {
    rules: Rules,
    losses: &'static [Loss],
    budget: u8,
    invalidations: u8,
    reads: u8,
}

/// What may be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The header alone.
    Header,
    /// The marks alone.
    Marks,
    /// The stream alone.
    Stream,
    /// Everything: an empty restart.
    All,
    /// The writes since the replica last followed: it takes over, or an old file is loaded.
    Newest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Header {
    incarnation: Incarnation,
    replid: u8,
    clk: Seq,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Marks {
    incarnation: Incarnation,
    tag: Seq,
}

/// The control keys of the lane on one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Server {
    header: Option<Header>,
    marks: Option<Marks>,
    /// The last id of the stream, where there is one, and the first position it can be read from.
    stream: Option<(Seq, Seq)>,
}

/// What a node knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Mirror {
    incarnation: Incarnation,
    applied: Seq,
    tag: Seq,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Entry {
    version: Version,
    stamp: Position,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Read {
    Idle,
    Synced,
    Stamped(Position),
    Loaded(Entry),
}

/// The state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    source: Version,
    done: Version,
    committed: bool,
    server: Server,
    replica: Server,
    replid: u8,
    /// Incarnations are drawn at random: no two are the same.
    drawn: Incarnation,
    mirror: Mirror,
    entry: Option<Entry>,
    read: Read,
    need: Version,
    invalidations: u8,
    reads: u8,
    losses: u8,
    stale: bool,
    hit: bool,
    /// Something was lost after it had been in use.
    lost: bool,
    invalidated_after_loss: bool,
}

/// The steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The writer goes on.
    Write,
    /// The reader goes on.
    Read,
    /// The replica follows.
    Replicate,
    /// Something is lost.
    Lose(Loss),
}

impl Histories {
    /// What every script does first: looks whether the keys belong together, and to this server's history.
    fn open(&self, state: &mut State) -> Header {
        let keys = &mut state.server;
        let whole = |header: &Header| {
            (header.replid == state.replid || !self.rules.has(Rule::HeaderReplid))
                && (keys.marks.is_some_and(|marks| marks.incarnation == header.incarnation)
                    || !self.rules.has(Rule::MarksCarryIncarnation))
        };
        if let Some(header) = keys.header.filter(whole) {
            return header;
        }
        state.drawn += 1;
        let header = Header { incarnation: state.drawn, replid: state.replid, clk: 0 };
        let kept = keys.marks.filter(|_| !self.rules.has(Rule::DeleteTogether)).map_or(0, |marks| marks.tag);
        keys.header = Some(header);
        keys.marks = Some(Marks { incarnation: state.drawn, tag: kept });
        if self.rules.has(Rule::DeleteTogether) {
            keys.stream = None;
        }
        header
    }

    /// INVAL; it fails where the stream has later ids already.
    fn invalidate(&self, state: &mut State) -> bool {
        let header = self.open(state);
        let clk = header.clk + 1;
        let keys = &mut state.server;
        let (last, first) = keys.stream.unwrap_or((header.clk, header.clk));
        if last >= clk {
            return false;
        }
        keys.header = Some(Header { clk, ..header });
        keys.marks = Some(Marks { incarnation: header.incarnation, tag: clk });
        keys.stream = Some((clk, first));
        true
    }

    /// SYNC, and a snapshot where it is needed.
    fn sync(&self, state: &mut State) {
        let header = self.open(state);
        let tag = state.server.marks.map_or(0, |marks| marks.tag);
        let mirror = &mut state.mirror;
        let readable = state.server.stream.is_some_and(|(_, first)| first <= mirror.applied);
        if header.incarnation != mirror.incarnation || (mirror.applied < header.clk && !readable) {
            *mirror = Mirror { incarnation: header.incarnation, applied: header.clk, tag };
        } else if mirror.applied < header.clk {
            // every message names the tag
            *mirror = Mirror { applied: header.clk, tag: header.clk, ..*mirror };
        }
    }

    fn read(&self, state: &mut State) {
        state.read = match state.read {
            Read::Idle => {
                state.reads -= 1;
                state.need = state.done;
                self.sync(state);
                Read::Synced
            }
            Read::Synced => {
                let mirror = state.mirror;
                let valid =
                    |entry: &Entry| entry.stamp.incarnation == mirror.incarnation && mirror.tag <= entry.stamp.seq;
                match state.entry.filter(valid) {
                    Some(entry) => {
                        state.stale |= entry.version < state.need;
                        state.hit |= state.done > 1;
                        Read::Idle
                    }
                    None => Read::Stamped(Position { incarnation: mirror.incarnation, seq: mirror.applied }),
                }
            }
            Read::Stamped(stamp) => Read::Loaded(Entry { version: state.source, stamp }),
            Read::Loaded(entry) => {
                state.entry = Some(entry);
                Read::Idle
            }
        };
    }
}

impl Model for Histories {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let server = Server {
            header: Some(Header { incarnation: 1, replid: 1, clk: 0 }),
            marks: Some(Marks { incarnation: 1, tag: 0 }),
            stream: None,
        };
        vec![State {
            source: 1,
            done: 1,
            committed: false,
            server,
            replica: server,
            replid: 1,
            drawn: 1,
            mirror: Mirror { incarnation: 1, applied: 0, tag: 0 },
            entry: None,
            read: Read::Idle,
            need: 0,
            invalidations: self.invalidations,
            reads: self.reads,
            losses: self.budget,
            stale: false,
            hit: false,
            lost: false,
            invalidated_after_loss: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.stale {
            return;
        }
        if state.committed || state.invalidations > 0 {
            actions.push(Action::Write);
        }
        if state.read != Read::Idle || state.reads > 0 {
            actions.push(Action::Read);
        }
        if state.losses > 0 {
            actions.extend(self.losses.iter().map(|loss| Action::Lose(*loss)));
            if self.losses.contains(&Loss::Newest) && state.replica != state.server {
                actions.push(Action::Replicate);
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Write if !state.committed => {
                state.invalidations -= 1;
                state.source += 1;
                state.committed = true;
            }
            Action::Write => {
                if self.invalidate(&mut state) {
                    state.done = state.source;
                    state.invalidated_after_loss |= state.lost && state.drawn > 1;
                }
                state.committed = false;
            }
            Action::Read => self.read(&mut state),
            Action::Replicate => state.replica = state.server,
            Action::Lose(loss) => {
                state.losses -= 1;
                state.lost |= state.server.stream.is_some();
                match loss {
                    Loss::Header => state.server.header = None,
                    Loss::Marks => state.server.marks = None,
                    Loss::Stream => state.server.stream = None,
                    Loss::All => state.server = Server { header: None, marks: None, stream: None },
                    Loss::Newest => state.server = state.replica,
                }
                if matches!(loss, Loss::All | Loss::Newest) {
                    state.replid += 1;
                }
            }
        }
        if state.losses == 0 || !self.losses.contains(&Loss::Newest) {
            state.replica = state.server;
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("fresh", |_, state: &State| !state.stale),
            Property::sometimes("hit after an invalidation", |_, state: &State| state.hit),
            Property::sometimes("an invalidation succeeds in a new history", |_, state: &State| {
                state.invalidated_after_loss
            }),
        ]
    }
}

/// Returns what is explored.
#[must_use]
pub fn cases() -> Vec<Case> {
    const ALL: &[Loss] = &[Loss::Header, Loss::Marks, Loss::Stream, Loss::All, Loss::Newest];
    let of = |off: &[Rule], losses, budget| Histories {
        rules: Rules::without(off),
        losses,
        budget,
        invalidations: 3,
        reads: 4,
    };
    let large = Histories { invalidations: 4, reads: 5, ..of(&[], ALL, 3) };
    let mut cases = vec![
        Case::holds("history", "3 inv., 4 reads, any 2 of 5 losses", of(&[], ALL, 2)),
        Case::holds("history", "4 inv., 5 reads, any 3 of 5 losses", large).deep(),
    ];
    for (rule, losses) in
        [(Rule::MarksCarryIncarnation, &[Loss::Marks, Loss::Stream][..]), (Rule::HeaderReplid, &[Loss::Newest])]
    {
        let off = &[rule];
        cases.push(Case::refuted("history", off, format!("3 inv., 4 reads, 2 of {losses:?}"), of(off, losses, 2)));
    }
    // the stream refuses positions below its last one: nothing could be invalidated any more
    let off = &[Rule::DeleteTogether];
    let instance = Histories { invalidations: 2, ..of(off, &[Loss::Header], 1) };
    cases.push(Case::useless("history", off, "2 inv., 4 reads, 1 of [Header]", instance));
    cases
}
