//! The control keys of a lane, and the scripts that work on them.

use std::collections::BTreeMap;

use stratacache_core::{
    Scope,
    coordinator::{Applied, Floors, Invalidate, LaneSnapshot, MarkRecord, ScopeKind, Strength},
    stamp::{Incarnation, Lane, Position, Seq},
};

/// Header, marks and stream. Each method is one script.
#[derive(Debug)]
pub(super) struct LaneKeys {
    lane: Lane,
    incarnation: Incarnation,
    clk: Seq,
    floors: Floors,
    /// A tier that outlives the nodes' memory of marks is open somewhere: marks of keys are kept.
    keeps_keys: bool,
    marks: BTreeMap<(Scope, bool), MarkRecord>,
    /// The stream begins after this position.
    base: Seq,
    stream: Vec<Applied>,
}

/// What a node is told that asks from a place: the messages since, or everything.
#[derive(Debug, Clone)]
pub(super) enum News {
    /// Dense from the place that was asked from.
    Messages(Vec<Applied>),
    /// That place is of another history, or the stream begins later.
    Snapshot(LaneSnapshot),
}

impl LaneKeys {
    pub(super) fn new(lane: Lane, incarnation: Incarnation) -> Self {
        Self {
            lane,
            incarnation,
            clk: 1,
            floors: Floors::default(),
            keeps_keys: false,
            marks: BTreeMap::new(),
            base: 1,
            stream: Vec::new(),
        }
    }

    pub(super) const fn position(&self) -> Position {
        Position { incarnation: self.incarnation, seq: self.clk }
    }

    pub(super) fn invalidate(&mut self, request: &Invalidate) -> Position {
        self.clk += 1;
        for marked in &request.scopes {
            let of_key = marked.kind == ScopeKind::Key && marked.strength == Strength::Hard;
            if of_key && !self.keeps_keys {
                continue;
            }
            let record = MarkRecord {
                lane: self.lane,
                scope: marked.scope,
                kind: marked.kind,
                strength: marked.strength,
                tenant: marked.tenant,
                seq: self.clk,
                at: request.at,
            };
            self.marks.insert((marked.scope, marked.strength == Strength::Soft), record);
        }
        self.stream.push(Applied::new(self.lane, self.position(), request.scopes.clone(), request.at));
        self.position()
    }

    /// Answers a node that has applied everything up to a place.
    pub(super) fn since(&self, place: Position) -> News {
        let unbroken = place.incarnation == self.incarnation && place.seq >= self.base;
        match unbroken {
            true => News::Messages(self.after(place.seq).cloned().collect()),
            false => News::Snapshot(self.snapshot()),
        }
    }

    /// Reads the stream behind an id, as it is: the ids alone say nothing of the history.
    pub(super) fn after(&self, seq: Seq) -> impl Iterator<Item = &Applied> {
        self.stream.iter().filter(move |message| message.position.seq > seq)
    }

    pub(super) fn snapshot(&self) -> LaneSnapshot {
        let keys = if self.keeps_keys { self.floors.keys } else { self.clk };
        let floors = Floors { marks: self.floors.marks, keys };
        LaneSnapshot::new(self.lane, self.position(), floors, self.marks.values().copied().collect())
    }

    pub(super) fn keep_key_marks(&mut self) {
        if !self.keeps_keys {
            self.floors.keys = self.clk;
            self.keeps_keys = true;
        }
    }

    pub(super) fn trim(&mut self) {
        self.base = self.clk;
        self.stream.clear();
    }

    pub(super) fn drop_generation(&mut self) {
        self.marks.clear();
        self.floors = Floors { marks: self.clk, keys: self.clk };
    }
}
