//! A change of a value, step by step (`engine/update/shared.rs`).

use super::{Late, State, Update, Write, promises::Changes};
use crate::{
    Rule,
    protocol::{Entry, Incarnation, Lease, Position, ScopeKind, Seq, Stamp, Token},
};

/// What a change has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// None is under way.
    Idle,
    /// It is to be made again.
    Again,
    /// LEASE.
    Leased,
    /// SYNC, and its stamp.
    Stamped,
    /// GET, and the function.
    Made,
    /// The lane script.
    Marked,
    /// FILL, without a reply.
    Unsure,
    /// Its outcome was reported as unknown; the lease is to be given back.
    Unknown,
    /// FILL.
    Filled,
}

/// Who changes the value, and lives on the node of its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Changer {
    /// Changes to come.
    pub(super) left: u8,
    /// How far the present one has come.
    pub(super) step: Step,
    /// Attempts, those of earlier changes included: each has a token of its own.
    tries: u8,
    stamp: Stamp,
    dinc: Incarnation,
    base: Changes,
    own: Position,
    banned: Changes,
    /// Something came after it that may lose it.
    beaten: bool,
    /// A tag was invalidated since its stamp.
    dead: bool,
}

/// So many attempts there are at most; more are of no other kind.
const TRIES: u8 = 4;

impl Changer {
    /// Makes one with changes to make.
    pub(super) fn new(left: u8) -> Self {
        Self {
            left,
            step: Step::Idle,
            tries: 0,
            stamp: Stamp::default(),
            dinc: 0,
            base: 0,
            own: Position::default(),
            banned: 0,
            beaten: false,
            dead: false,
        }
    }

    /// Its node is gone, or it has been answered.
    pub(super) fn end(&mut self) {
        *self = Self { tries: self.tries, ..Self::new(self.left) };
    }

    fn again(&mut self) {
        *self = Self { tries: self.tries, step: Step::Again, ..Self::new(self.left) };
    }

    /// Something happened that may lose what has a stamp by now. `dead`: nobody may find it.
    pub(super) fn beat_stamped(&mut self, dead: bool) {
        let stamped = !matches!(self.step, Step::Idle | Step::Again | Step::Leased);
        self.beaten |= stamped;
        self.dead |= stamped && dead;
    }

    /// The entry was removed.
    pub(super) fn beat_filled(&mut self) {
        self.beaten |= self.step == Step::Filled;
    }

    fn token(&self, i: usize) -> Token {
        1 + i as u8 * 8 + self.tries
    }

    fn change(&self, i: usize) -> Changes {
        1 << (i as u8 * 2 + self.left)
    }

    fn write(&self, i: usize) -> Write {
        let entry = Entry {
            id: self.token(i),
            version: self.base | self.change(i),
            stamp: Position { incarnation: self.own.incarnation, ..self.stamp.position },
            own: self.own.seq,
            dinc: self.dinc,
            carried: true,
        };
        Write { entry, change: self.change(i), base: self.base, banned: self.banned, dead: self.dead }
    }
}

impl Update {
    /// Tells whether a changer can take its next step.
    pub(super) fn can_change(&self, state: &State, i: usize) -> bool {
        let one = &state.changers[i];
        let free = state.world.shard.lease.is_none() || !self.rules.has(Rule::ChangeUnderLease);
        match one.step {
            Step::Idle => one.left > 0 && free,
            Step::Again => free && one.tries < TRIES,
            _ => true,
        }
    }

    /// Takes the next step of a change.
    pub(super) fn change(&self, state: &mut State, i: usize) {
        let rules = self.rules;
        let State { world, changers, promises, .. } = state;
        let one = &mut changers[i];
        match one.step {
            Step::Idle | Step::Again => {
                one.left -= u8::from(one.step == Step::Idle);
                one.tries += 1;
                one.banned = promises.gone();
                one.dinc = world.shard.replid;
                if rules.has(Rule::ChangeUnderLease) {
                    let stamp = Position { seq: Seq::MAX, ..world.nodes[i].stamp().position };
                    world.shard.lease = Some(Lease { token: one.token(i), stamp });
                }
                one.step = Step::Leased;
            }
            Step::Leased => {
                if rules.has(Rule::ChangeSyncs) {
                    world.nodes[i].sync(rules, &world.lane);
                }
                one.stamp = world.nodes[i].stamp();
                one.step = Step::Stamped;
            }
            Step::Stamped => {
                let base = self.base(state, i);
                let one = &mut state.changers[i];
                one.base = base.map_or(0, |entry| entry.version);
                one.step = Step::Made;
            }
            Step::Made => self.mark(state, i),
            Step::Marked => self.fill(state, i),
            Step::Unsure => self.look(state, i),
            Step::Unknown => {
                release(state, i);
                state.changers[i].end();
            }
            Step::Filled => self.acknowledge(state, i),
        }
    }

    /// What there is, read under the lease: of the shared tier, else of the one below.
    fn base(&self, state: &State, i: usize) -> Option<Entry> {
        let (rules, world) = (self.rules, &state.world);
        let mirror = &world.nodes[i];
        let believed = |entry: &Entry| {
            let judged = match self.below {
                true => entry.carried && rules.has(Rule::PromotedByMarks),
                false => !rules.has(Rule::BaseByLease),
            };
            entry.dinc == world.shard.replid
                && mirror.judge_but_for_key(rules, entry)
                && (!judged || self.finds(mirror, entry))
        };
        world.shard.entry.filter(believed).or_else(|| state.below.filter(|entry| self.finds(mirror, entry)))
    }

    fn mark(&self, state: &mut State, i: usize) {
        let rules = self.rules;
        let State { world, changers, .. } = state;
        let one = &mut changers[i];
        one.own = Position { seq: 0, ..one.stamp.position };
        if rules.has(Rule::ChangeMarks) {
            let seq = world.lane.invalidate(ScopeKind::Key, rules.has(Rule::KeyMarksBelow));
            // nobody is told of a position before it was applied
            world.nodes[i].sync(rules, &world.lane);
            one.own = Position { incarnation: world.lane.incarnation, seq };
        }
        let began = one.stamp.position;
        let disturbed = one.own.seq > 0 && world.nodes[i].key_marked_between(began.seq, one.own.seq);
        let other = world.nodes[i].incarnation != began.incarnation || one.own.incarnation != began.incarnation;
        if (other && rules.has(Rule::ChangeSameHistory)) || (disturbed && rules.has(Rule::ChangeUndisturbed)) {
            release(state, i);
            state.changers[i].again();
        } else {
            one.step = Step::Marked;
        }
    }

    fn fill(&self, state: &mut State, i: usize) {
        let write = state.changers[i].write(i);
        match self.store(state, write) {
            true => state.changers[i].step = Step::Filled,
            // somebody has invalidated or inserted the key, or the lease ended
            false => state.changers[i].again(),
        }
    }

    /// FILL.
    pub(super) fn store(&self, state: &mut State, write: Write) -> bool {
        let State { world, promises, .. } = state;
        let (shard, entry) = (&mut world.shard, write.entry);
        if entry.dinc != shard.replid {
            return false; // its lease is of another history
        }
        if !shard.fill(entry.id, entry) {
            let always = !self.rules.has(Rule::ChangeUnderLease) || !self.rules.has(Rule::FillNeedsToken);
            let none_needed = shard.lease.is_none() && !self.rules.has(Rule::FillRefusesNoLease);
            if !always && !none_needed {
                return false;
            }
            (shard.entry, shard.lease) = (Some(entry), None);
        }
        promises.store(write.change, write.base, write.banned);
        if write.dead {
            promises.invalidated(write.change);
        }
        true
    }

    /// The value is put into memory, and the caller is told.
    fn acknowledge(&self, state: &mut State, i: usize) {
        let State { world, changers, promises, .. } = state;
        let one = &mut changers[i];
        let entry = one.write(i).entry;
        let mirror = &mut world.nodes[i];
        if self.finds(mirror, &entry) && mirror.may_put(self.rules, one.stamp) {
            mirror.memory = Some(entry);
        }
        // its own mark is the last, and it is there: others find it, but for what makes them miss all that is carried
        let there = world.shard.entry == Some(entry) && mirror.key() == entry.own && entry.own >= mirror.kfloor;
        promises.is_found(!there || one.beaten || self.finds(mirror, &entry));
        promises.acknowledge(one.change(i), one.beaten);
        one.end();
    }

    /// The next call of a changer brings no reply. `late`: nor is it carried out yet.
    pub(super) fn lose(&self, state: &mut State, i: usize, late: bool) {
        let one = state.changers[i];
        match one.step {
            Step::Made => {
                if late {
                    state.late = Some(Late::Mark);
                } else {
                    state.world.lane.invalidate(ScopeKind::Key, self.rules.has(Rule::KeyMarksBelow));
                }
                release(state, i);
            }
            Step::Marked => {
                let write = one.write(i);
                if late {
                    state.late = Some(Late::Fill(write));
                } else {
                    self.store(state, write);
                }
                state.changers[i].step = Step::Unsure;
                return;
            }
            Step::Unsure => {
                state.changers[i].step = Step::Unknown;
                return;
            }
            // LEASE: nobody has it, until it ends
            _ => self.change(state, i),
        }
        let change = state.changers[i].change(i);
        state.promises.deny(change);
        state.changers[i].end();
    }

    /// Tells whether losing the reply of its next call is worth a state of its own.
    pub(super) fn can_lose(&self, state: &State, i: usize, late: bool) -> bool {
        let rules = self.rules;
        match state.changers[i].step {
            Step::Made => rules.has(Rule::ChangeMarks) && (!late || state.late.is_none()),
            Step::Marked => !late || state.late.is_none(),
            Step::Unsure => !late,
            Step::Idle | Step::Again => !late && rules.has(Rule::ChangeUnderLease) && self.can_change(state, i),
            _ => false,
        }
    }

    fn look(&self, state: &mut State, i: usize) {
        let one = state.changers[i];
        let there = state.world.shard.entry.is_some_and(|entry| entry.id == one.token(i));
        if !self.rules.has(Rule::LookAfterLost) {
            release(state, i);
            state.changers[i].again();
        } else if there {
            state.changers[i].step = Step::Filled;
        } else if self.rules.has(Rule::UnknownIfNotSeen) {
            state.changers[i].step = Step::Unknown;
        } else {
            release(state, i);
            state.changers[i].again();
        }
    }
}

fn release(state: &mut State, i: usize) {
    let token = state.changers[i].token(i);
    state.world.shard.lease = state.world.shard.lease.filter(|lease| lease.token != token);
}
