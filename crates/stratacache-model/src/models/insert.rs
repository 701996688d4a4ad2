//! `insert` against loads, invalidations and other inserts (INSERT).
//!
//! Two nodes, a writer on each, who inserts or invalidates, and a reader or two. A value that was inserted is older than the
//! token it is stored under, so key and tags are judged by different positions.

use stateright::{Model, Property};

use crate::{
    Case, Rule, Rules,
    protocol::{Entry, Fault, Faults, Invalidator, Lease, Position, ScopeKind, Stamp, Token, Version, World},
};

/// The model, with `R` readers.
#[derive(Debug, Clone)]
pub struct Inserts<const R: usize> {
    rules: Rules,
    on: [usize; R],
    reads: u8,
    writes: [u8; 2],
    faults: Faults,
}

/// What an insert has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    /// The call, or `stamp()`.
    Stamp,
    /// The write of the source.
    Commit,
    /// The fence script: the entry is removed, the lease becomes the insert's.
    Fence,
    /// The lane script.
    Mark,
    /// SYNC up to the own position.
    Sync,
    /// FILL.
    Fill,
    /// The put into memory.
    Put,
}

/// An insert under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Insert {
    next: Step,
    version: Version,
    stamp: Stamp,
    own: Position,
    token: Token,
    dinc: u8,
}

/// A writer, who lives on the node of its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Writer {
    left: u8,
    insert: Option<Insert>,
    invalidator: Invalidator,
}

/// Its state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State<const R: usize> {
    world: World<R>,
    writers: [Writer; 2],
    faults: Faults,
    inserted_read: bool,
}

/// Its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A reader goes on.
    Read(usize),
    /// A reader waited long enough for the lease of another.
    LoadWithoutLease(usize),
    /// A writer begins an insert, or goes on with it.
    Insert(usize),
    /// A writer begins an invalidation, or goes on with it.
    Invalidate(usize, ScopeKind),
    /// A node applies the next message.
    Deliver(usize),
    /// A fault strikes.
    Fault(Fault, usize),
}

impl<const R: usize> Inserts<R> {
    fn begin(&self, writer: usize, left: u8) -> Insert {
        let first = if self.rules.has(Rule::StampBeforeSource) { Step::Stamp } else { Step::Commit };
        Insert {
            next: first,
            version: 0,
            stamp: Stamp::default(),
            own: Position::default(),
            token: 20 + writer as u8 * 4 + left,
            dinc: 0,
        }
    }

    /// Takes the next step of a writer's insert.
    fn insert(&self, state: &mut State<R>, writer: usize) {
        let world = &mut state.world;
        let before = self.rules.has(Rule::StampBeforeSource);
        let Writer { left, insert, .. } = &mut state.writers[writer];
        let insert = insert.get_or_insert_with(|| {
            *left -= 1;
            self.begin(writer, *left)
        });
        insert.next = match insert.next {
            Step::Stamp => {
                insert.stamp = world.nodes[writer].stamp();
                if before { Step::Commit } else { Step::Fence }
            }
            Step::Commit => {
                world.source += 1;
                insert.version = world.source;
                if before { Step::Fence } else { Step::Stamp }
            }
            Step::Fence => {
                world.shard.del_fence();
                if self.rules.has(Rule::InsertToken) {
                    world.shard.lease = Some(Lease { token: insert.token, stamp: insert.stamp.position });
                }
                insert.dinc = world.shard.replid;
                Step::Mark
            }
            Step::Mark => {
                let seq = world.lane.invalidate(ScopeKind::Key, self.rules.has(Rule::KeyMarksBelow));
                insert.own = Position { incarnation: world.lane.incarnation, seq };
                if self.rules.has(Rule::SyncToOwn) { Step::Sync } else { Step::Fill }
            }
            Step::Sync => {
                world.nodes[writer].sync(self.rules, &world.lane);
                Step::Fill
            }
            Step::Fill => match self.fill(world, writer, insert) {
                true => Step::Put,
                false => return Self::end(state, writer),
            },
            Step::Put => {
                let mirror = &mut world.nodes[writer];
                let entry = Self::entry(insert);
                if self.may_store(mirror, insert) && mirror.judge(self.rules, &entry) {
                    mirror.memory = Some(entry);
                }
                return Self::end(state, writer);
            }
        };
    }

    fn entry(insert: &Insert) -> Entry {
        Entry {
            id: insert.token,
            version: insert.version,
            stamp: Position { incarnation: insert.own.incarnation, ..insert.stamp.position },
            own: insert.own.seq,
            dinc: insert.dinc,
            carried: true,
        }
    }

    /// Tells whether nothing that the node knows came between the stamp and the own position.
    fn may_store(&self, mirror: &crate::protocol::Mirror, insert: &Insert) -> bool {
        let (rules, began) = (self.rules, insert.stamp.position);
        insert.own.incarnation == began.incarnation
            && (mirror.mep == insert.stamp.mep || !rules.has(Rule::RefuseAfterGap))
            && (began.seq >= mirror.kfloor || !rules.has(Rule::InsertAboveKfloor))
            && !(rules.has(Rule::RefuseOvertaken) && mirror.key_marked_between(began.seq, insert.own.seq))
    }

    fn fill(&self, world: &mut World<R>, writer: usize, insert: &Insert) -> bool {
        if !self.may_store(&world.nodes[writer], insert) {
            return false;
        }
        let entry = Self::entry(insert);
        if self.rules.has(Rule::InsertToken) {
            return world.shard.fill(insert.token, entry);
        }
        world.shard.entry = Some(entry);
        true
    }

    fn end(state: &mut State<R>, writer: usize) {
        if let Some(insert) = state.writers[writer].insert.take() {
            state.world.done = state.world.done.max(insert.version);
        }
    }
}

impl<const R: usize> Model for Inserts<R> {
    type State = State<R>;
    type Action = Action;

    fn init_states(&self) -> Vec<State<R>> {
        vec![State {
            world: World::new(self.rules, self.on, self.reads),
            writers: self.writes.map(|left| Writer { left, insert: None, invalidator: Invalidator::Idle }),
            faults: self.faults,
            inserted_read: false,
        }]
    }

    fn actions(&self, state: &State<R>, actions: &mut Vec<Action>) {
        let world = &state.world;
        if world.violated {
            return;
        }
        for i in 0..R {
            if world.can_read(self.rules, i) {
                actions.push(Action::Read(i));
            } else if world.waits_for_lease(self.rules, i) {
                actions.push(Action::LoadWithoutLease(i));
            }
        }
        for (i, writer) in state.writers.iter().enumerate() {
            if writer.insert.is_some() || (writer.invalidator == Invalidator::Idle && writer.left > 0) {
                actions.push(Action::Insert(i));
            }
            if writer.insert.is_none() {
                let choices = writer.invalidator.choices(writer.left);
                actions.extend(choices.iter().map(|scope| Action::Invalidate(i, *scope)));
            }
        }
        actions.extend(world.behind(self.rules).map(Action::Deliver));
        actions.extend(state.faults.choices(world).map(|(fault, node)| Action::Fault(fault, node)));
    }

    fn next_state(&self, last: &State<R>, action: Action) -> Option<State<R>> {
        let mut state = last.clone();
        match action {
            Action::Read(i) => {
                let node = &state.world.nodes[self.on[i]];
                let inserted = |entry: Option<Entry>| entry.is_some_and(|entry| entry.own > 0);
                let from_memory = inserted(node.memory) && last.world.readers[i].step == crate::protocol::Step::Synced;
                state.world.read(self.rules, i);
                let ended = state.world.readers[i].step == crate::protocol::Step::Idle;
                state.inserted_read |= from_memory && ended;
            }
            Action::LoadWithoutLease(i) => state.world.load_without_lease(i),
            Action::Insert(i) => self.insert(&mut state, i),
            Action::Invalidate(i, scope) => {
                let writer = &mut state.writers[i];
                if writer.invalidator == Invalidator::Idle {
                    writer.left -= 1;
                }
                writer.invalidator.step(self.rules, &mut state.world, scope);
            }
            Action::Deliver(node) => state.world.deliver(self.rules, node),
            Action::Fault(fault, node) => {
                state.faults.strike(self.rules, &mut state.world, fault, node);
                if fault == Fault::Restart {
                    // its writer is gone too, without an answer
                    state.writers[node].insert = None;
                    state.writers[node].invalidator = Invalidator::Idle;
                }
            }
        }
        state.faults.watch(&last.world, &mut state.world);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("fresh", |_, state: &State<R>| !state.world.violated),
            Property::sometimes("an inserted value is read from memory", |_, state: &State<R>| state.inserted_read),
        ]
    }
}

/// Returns what is explored.
#[must_use]
pub fn cases() -> Vec<Case> {
    let one = Inserts { rules: Rules::ALL, on: [0], reads: 2, writes: [1, 1], faults: Faults::none() };
    let two = Inserts { rules: Rules::ALL, on: [0, 1], reads: 1, writes: [1, 1], faults: Faults::none() };
    let faulty = |budget| Inserts { faults: Faults::of(Fault::ALL, budget), ..one.clone() };
    let mut cases = vec![
        Case::holds("insert", "2 writers x 1, 1 reader x 2, no fault", one.clone()),
        Case::holds("insert", "2 writers x 1, 2 readers x 1, no fault", two.clone()).deep(),
        Case::holds("insert", "2 writers x 1, 1 reader x 2, any 1 of 7 faults", faulty(1)),
        Case::holds("insert", "2 writers x 1, 2 readers x 2, no fault", Inserts { reads: 2, ..two.clone() }).deep(),
        Case::holds("insert", "2 writers (2 and 1), 1 reader x 2, no fault", Inserts { writes: [2, 1], ..one.clone() })
            .deep(),
        Case::holds("insert", "2 writers x 1, 1 reader x 2, any 2 of 7 faults", faulty(2)).deep(),
    ];
    for (off, faults) in [
        (&[Rule::StampBeforeSource][..], &[][..]),
        (&[Rule::TagsByStamp], &[]),
        (&[Rule::RefuseOvertaken], &[]),
        (&[Rule::SyncToOwn], &[]),
        (&[Rule::CarriedFlag], &[Fault::Trim]),
        (&[Rule::InsertAboveKfloor], &[Fault::Evict]),
        (&[Rule::RefuseAfterGap], &[Fault::LaneLoss]),
        (&[Rule::RefuseAfterGap, Rule::InsertAboveKfloor], &[Fault::Trim]),
    ] {
        let faults_to_come = Faults::of(faults, faults.len() as u8);
        let instance = Inserts { rules: Rules::without(off), faults: faults_to_come, ..one.clone() };
        cases.push(Case::refuted("insert", off, format!("2 writers x 1, 1 reader x 2, {faults:?}"), instance));
    }
    // the token keeps an older insert from replacing a newer one; what it lets through is never served
    let off = &[Rule::InsertToken];
    let without = |budget| Inserts { rules: Rules::without(off), ..faulty(budget) };
    cases.push(Case::unneeded("insert", off, "2 writers x 1, 1 reader x 2, any 1 of 7 faults", without(1)));
    cases.push(Case::unneeded("insert", off, "2 writers x 1, 1 reader x 2, any 2 of 7 faults", without(2)).deep());
    // its own mark would make every inserted entry invalid
    let off = &[Rule::KeyByOwn];
    let instance = Inserts { rules: Rules::without(off), ..one };
    cases.push(Case::useless("insert", off, "2 writers x 1, 1 reader x 2, no fault", instance));
    cases
}
