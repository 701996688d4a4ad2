//! What the journal says, in memory.

use std::collections::HashMap;

use stratacache_core::{
    Scope,
    clock::Millis,
    coordinator::{Applied, JournalSnapshot, MarkRecord, ScopeKind, Strength},
    stamp::{Incarnation, LANES, Lane, Seq},
};

use super::format::Note;

/// Most marks that are kept; beyond, the oldest quarter is forgotten and the floors of their lanes rise.
pub(crate) const MAX_MARKS: usize = 262_144;

/// The state that the notes of a journal add up to.
#[derive(Debug, Clone)]
pub(crate) struct State {
    incarnation: Incarnation,
    ceiling: Seq,
    floors: [Seq; LANES + 1],
    marks: HashMap<(Lane, Scope, Strength), MarkRecord>,
    time: Millis,
    /// No mark is older than this.
    oldest: Millis,
}

impl State {
    pub(crate) fn new(incarnation: Incarnation) -> Self {
        Self { incarnation, ceiling: 1, floors: [0; LANES + 1], marks: HashMap::new(), time: 0, oldest: Millis::MAX }
    }

    pub(crate) const fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    pub(crate) const fn time(&self) -> Millis {
        self.time
    }

    pub(crate) const fn ceiling(&self) -> Seq {
        self.ceiling
    }

    /// Takes a note in.
    pub(crate) fn note(&mut self, note: Note) {
        match note {
            Note::Open { .. } | Note::Clean => {}
            Note::Ceiling(seq) => self.ceiling = self.ceiling.max(seq),
            Note::Floor(lane, seq) => self.raise(lane, seq),
            Note::Marks(marks) => marks.into_iter().for_each(|mark| self.mark(mark)),
            Note::Time(at) => self.time = self.time.max(at),
        }
    }

    fn mark(&mut self, mark: MarkRecord) {
        if mark.seq <= self.floors[mark.lane.index()] {
            return;
        }
        self.ceiling = self.ceiling.max(mark.seq + 1);
        self.oldest = self.oldest.min(mark.at);
        let kept = self.marks.entry((mark.lane, mark.scope, mark.strength)).or_insert(mark);
        if kept.seq < mark.seq {
            *kept = mark;
        }
    }

    fn raise(&mut self, lane: Lane, seq: Seq) {
        let floor = &mut self.floors[lane.index()];
        *floor = (*floor).max(seq);
        let floors = self.floors;
        self.marks.retain(|_, mark| mark.seq > floors[mark.lane.index()]);
    }

    /// Forgets marks made before a time and returns the floors that this raised.
    pub(crate) fn forget_before(&mut self, keep_since: Millis) -> Vec<Note> {
        if self.oldest >= keep_since {
            return Vec::new();
        }
        let mut floors = self.floors;
        let mut oldest = Millis::MAX;
        for mark in self.marks.values() {
            if mark.at < keep_since {
                let floor = &mut floors[mark.lane.index()];
                *floor = (*floor).max(mark.seq);
            } else {
                oldest = oldest.min(mark.at);
            }
        }
        self.oldest = oldest;
        self.lift(floors)
    }

    /// Makes room for more marks and returns the floors that this raised.
    pub(crate) fn make_room(&mut self, more: usize) -> Vec<Note> {
        if self.marks.len() + more <= MAX_MARKS {
            return Vec::new();
        }
        let mut times: Vec<Millis> = self.marks.values().map(|mark| mark.at).collect();
        let quarter = times.len() / 4;
        let (_, limit, _) = times.select_nth_unstable(quarter);
        let limit = *limit;
        let notes = self.forget_before(limit + 1);
        tracing::warn!(
            max_marks = MAX_MARKS,
            "the disk tier holds the most marks it can: the oldest were forgotten, and after a restart older entries of \
             their lanes are misses"
        );
        notes
    }

    fn lift(&mut self, floors: [Seq; LANES + 1]) -> Vec<Note> {
        let raised = Lane::all().filter(|lane| floors[lane.index()] > self.floors[lane.index()]);
        let notes = raised.map(|lane| Note::Floor(lane, floors[lane.index()])).collect();
        self.floors = floors;
        self.marks.retain(|_, mark| mark.seq > floors[mark.lane.index()]);
        notes
    }

    /// Returns the notes that bring this state back.
    pub(crate) fn notes(&self) -> impl Iterator<Item = Note> {
        let floors = Lane::all().map(|lane| Note::Floor(lane, self.floors[lane.index()]));
        let numbers = [Note::Ceiling(self.ceiling), Note::Time(self.time)];
        let marks: Vec<MarkRecord> = self.marks.values().copied().collect();
        let marks: Vec<Note> = marks.chunks(1024).map(|some| Note::Marks(some.to_vec())).collect();
        numbers.into_iter().chain(floors).chain(marks)
    }

    /// Returns what the coordinator starts from.
    pub(crate) fn snapshot(&self) -> JournalSnapshot {
        let mut snapshot = JournalSnapshot::empty(self.incarnation);
        snapshot.ceiling = self.ceiling;
        snapshot.floors = self.floors.to_vec();
        snapshot.marks = self.marks.values().copied().collect();
        snapshot.time = self.time;
        snapshot
    }
}

/// Returns the marks of an invalidation that must outlive the process.
///
/// A hard mark of a key need not: its entry was removed before the invalidation was ordered.
pub(crate) fn marks_of(message: &Applied) -> Vec<MarkRecord> {
    let kept = message.scopes.iter().filter(|m| m.kind != ScopeKind::Key || m.strength == Strength::Soft);
    kept.map(|marked| MarkRecord {
        lane: message.lane,
        scope: marked.scope,
        kind: marked.kind,
        strength: marked.strength,
        tenant: marked.tenant,
        seq: message.position.seq,
        at: message.at,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(n: u64, at: Millis) -> MarkRecord {
        let mut scope = [0; 16];
        scope[..8].copy_from_slice(&n.to_le_bytes());
        MarkRecord {
            lane: Lane::GLOBAL,
            scope: Scope::from_bytes(scope),
            kind: ScopeKind::Tag,
            strength: Strength::Hard,
            tenant: 0,
            seq: n,
            at,
        }
    }

    #[test]
    fn forgetting_a_mark_raises_the_floor_of_its_lane_to_it() {
        let mut state = State::new(Incarnation(1));
        state.note(Note::Marks((1..=10).map(|n| mark(n, n * 100)).collect()));
        assert_eq!(state.forget_before(450), [Note::Floor(Lane::GLOBAL, 4)]);
        let snapshot = state.snapshot();
        assert_eq!(snapshot.floors[16], 4);
        assert!(snapshot.marks.iter().all(|m| m.seq > 4));
        assert_eq!(snapshot.marks.len(), 6);
        assert!(state.forget_before(450).is_empty());
    }

    #[test]
    fn a_position_in_a_mark_is_below_the_ceiling() {
        let mut state = State::new(Incarnation(1));
        state.note(Note::Marks(vec![mark(41, 0)]));
        assert_eq!(state.ceiling(), 42);
    }

    #[test]
    fn too_many_marks_forget_the_oldest_and_no_validity_is_invented() {
        let mut state = State::new(Incarnation(1));
        state.note(Note::Marks((1..=MAX_MARKS as u64).map(|n| mark(n, n)).collect()));
        let notes = state.make_room(1);
        let quarter = MAX_MARKS as u64 / 4 + 1;
        assert_eq!(notes, [Note::Floor(Lane::GLOBAL, quarter)]);
        assert_eq!(state.snapshot().marks.len() as u64, MAX_MARKS as u64 - quarter);
    }
}
