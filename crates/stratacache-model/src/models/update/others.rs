//! What else happens to the key: invalidations, inserts, reads, and what a tier below promotes.

use super::{Deed, State, Update, Write, promises::Changes};
use crate::{
    Rule,
    protocol::{Entry, Incarnation, Lease, Mirror, Position, ScopeKind, Stamp, Token},
};

/// Who invalidates or inserts lives on this node, and so does the reader.
pub(super) const NODE: usize = 1;
/// The change that is an insert: nothing was before it.
const INSERT: Changes = 1 << 6;
/// What was in the tier below from the beginning.
pub(super) const FIRST: Changes = 1 << 7;
const TOKEN_OF_INSERT: Token = 40;
const TOKEN_OF_PROMOTION: Token = 41;

/// How far a deed has come. `beats`: what is gone when it returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Other {
    /// Nothing is under way.
    Idle,
    /// The tier below has removed the entry.
    Begun(Deed, Stamp),
    /// DEL_FENCE.
    Fenced(Deed, Stamp, Changes),
    /// An insert has taken the lease.
    Taken(Stamp, Incarnation, Changes),
    /// The lane script of an insert.
    Ordered(Write, Stamp),
    /// FILL of an insert.
    Inserted(Write, Stamp),
}

impl Update {
    /// Returns what may be done to the key now.
    pub(super) fn deeds<'a>(&'a self, state: &'a State) -> impl Iterator<Item = Deed> + 'a {
        let going_on = match state.other {
            Other::Idle => None,
            Other::Begun(deed, ..) | Other::Fenced(deed, ..) => Some(deed),
            _ => Some(Deed::Insert),
        };
        let may = move |deed: &Deed| going_on.map_or(state.deeds > 0, |going_on| going_on == *deed);
        self.kinds.iter().copied().filter(may)
    }

    /// Takes the next step of a deed.
    pub(super) fn go_on(&self, state: &mut State, deed: Deed) {
        let rules = self.rules;
        let mark = |state: &mut State, scope| state.world.lane.invalidate(scope, rules.has(Rule::KeyMarksBelow));
        state.other = match state.other {
            Other::Idle if deed == Deed::Tag => {
                state.deeds -= 1;
                let beats = state.promises.may_lose();
                state.changers.iter_mut().for_each(|one| one.beat_stamped(true));
                if let Some(super::Late::Fill(write)) = &mut state.late {
                    write.dead = true;
                }
                mark(state, ScopeKind::Tag);
                state.promises.invalidated(beats);
                Other::Idle
            }
            Other::Idle => {
                state.deeds -= 1;
                state.below = None;
                Other::Begun(deed, state.world.nodes[NODE].stamp())
            }
            Other::Begun(deed, stamp) => {
                state.world.shard.del_fence();
                state.changers.iter_mut().for_each(super::Changer::beat_filled);
                Other::Fenced(deed, stamp, state.promises.may_lose())
            }
            Other::Fenced(Deed::Insert, stamp, beats) => {
                let shard = &mut state.world.shard;
                shard.lease = Some(Lease { token: TOKEN_OF_INSERT, stamp: stamp.position });
                Other::Taken(stamp, shard.replid, beats)
            }
            Other::Fenced(_, _, beats) => {
                mark(state, ScopeKind::Key);
                state.promises.invalidated(beats);
                Other::Idle
            }
            Other::Taken(stamp, dinc, beats) => {
                let own = mark(state, ScopeKind::Key);
                state.world.nodes[NODE].sync(rules, &state.world.lane);
                self.ordered(state, stamp, own, (dinc, beats))
            }
            Other::Ordered(write, stamp) => match self.store(state, write) {
                true => Other::Inserted(write, stamp),
                false => {
                    state.promises.invalidated(write.banned);
                    Other::Idle
                }
            },
            Other::Inserted(write, stamp) => {
                let mirror = &mut state.world.nodes[NODE];
                if self.finds(mirror, &write.entry) && mirror.may_put(rules, stamp) {
                    mirror.memory = Some(write.entry);
                }
                state.promises.invalidated(write.banned);
                state.promises.acknowledge(INSERT, false);
                Other::Idle
            }
        };
    }

    /// An insert that was overtaken is not stored, and its lease is given back.
    fn ordered(&self, state: &mut State, stamp: Stamp, own: u8, (dinc, beats): (Incarnation, Changes)) -> Other {
        let (mirror, began) = (&state.world.nodes[NODE], stamp.position);
        let overtaken = mirror.mep != stamp.mep
            || mirror.incarnation != began.incarnation
            || began.seq < mirror.kfloor
            || mirror.key_marked_between(began.seq, own);
        if overtaken {
            let shard = &mut state.world.shard;
            shard.lease = shard.lease.filter(|lease| lease.token != TOKEN_OF_INSERT);
            state.promises.invalidated(beats);
            return Other::Idle;
        }
        let (id, version) = (TOKEN_OF_INSERT, INSERT);
        let entry = Entry { id, version, stamp: began, own, dinc, carried: true };
        Other::Ordered(Write { entry, change: INSERT, base: 0, banned: beats, dead: false }, stamp)
    }

    /// Tells whether a reader believes an entry: it is valid, and no other mark lies between its stamp and its own.
    pub(super) fn finds(&self, mirror: &Mirror, entry: &Entry) -> bool {
        let last = entry.own > 0 && mirror.key() == entry.own;
        mirror.judge(self.rules, entry) && !(last && mirror.key_marked_between(entry.stamp.seq, entry.own))
    }
}

/// What a plain `get` has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Get {
    /// It has not begun.
    Idle,
    /// SYNC.
    Synced(Promised),
    /// GET: the entry in the reply, the history of the shard, and what the node knew before.
    Got(Promised, Option<Entry>, Incarnation, Stamp),
}

/// What was promised when a read began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Promised {
    kept: Changes,
    gone: Changes,
}

impl Update {
    /// Takes the next step of a `Latest` read that does not load.
    pub(super) fn get(&self, state: &mut State) {
        let (world, promises) = (&mut state.world, &mut state.promises);
        let node = &mut world.nodes[NODE];
        state.get = match state.get {
            Get::Idle => {
                state.gets -= 1;
                node.sync(self.rules, &world.lane);
                Get::Synced(Promised { kept: promises.kept(), gone: promises.gone() })
            }
            Get::Synced(promised) => match node.memory.filter(|entry| self.finds(node, entry)) {
                Some(entry) => {
                    promises.returned(entry.version, promised.kept, promised.gone);
                    state.from_memory |= entry.version & FIRST == 0;
                    Get::Idle
                }
                None => Get::Got(promised, world.shard.entry, world.shard.replid, node.stamp()),
            },
            Get::Got(promised, got, dinc, stamp) => {
                if let Some(entry) = got.filter(|entry| self.finds(node, entry) && entry.dinc == dinc) {
                    promises.returned(entry.version, promised.kept, promised.gone);
                    state.from_redis |= entry.version & FIRST == 0;
                    if node.may_put(self.rules, stamp) {
                        node.memory = Some(entry);
                    }
                }
                Get::Idle
            }
        };
    }
}

/// How far what the tier below holds has come into the shared one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Promotion {
    /// It has not begun.
    Idle,
    /// A reader on node 0 has found it.
    Read(Entry),
    /// It has taken the lease, whoever held it.
    Leased(Entry),
    /// It is over.
    Done,
}

impl Update {
    /// Tells whether a promotion can take its next step.
    pub(super) fn can_promote(&self, state: &State) -> bool {
        match state.promotion {
            Promotion::Idle => state.below.is_some() && state.world.shard.entry.is_none(),
            Promotion::Read(_) | Promotion::Leased(_) => true,
            Promotion::Done => false,
        }
    }

    /// Takes the next step of a promotion.
    pub(super) fn promote(&self, state: &mut State) {
        let world = &mut state.world;
        let node = &mut world.nodes[0];
        state.promotion = match state.promotion {
            Promotion::Idle => {
                node.sync(self.rules, &world.lane);
                let found = state.below.filter(|entry| self.finds(node, entry));
                found.map_or(Promotion::Done, Promotion::Read)
            }
            Promotion::Read(entry) => {
                let stamp = Position { seq: node.applied, incarnation: node.incarnation };
                world.shard.lease = Some(Lease { token: TOKEN_OF_PROMOTION, stamp });
                let promoted = Entry { id: TOKEN_OF_PROMOTION, dinc: world.shard.replid, carried: true, ..entry };
                Promotion::Leased(promoted)
            }
            Promotion::Leased(entry) => {
                if self.finds(node, &entry) {
                    world.shard.fill(TOKEN_OF_PROMOTION, entry);
                }
                Promotion::Done
            }
            Promotion::Done => Promotion::Done,
        };
    }
}
