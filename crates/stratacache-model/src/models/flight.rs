//! Flights: who may share a load in a process (FLIGHT, LEADER).
//!
//! One node, several readers, one writer. The entry depends on a key and a tag of the tenant's lane and on a global tag. The
//! loader adds the tags, so that a reader who joins knows only the key. Redis holds no entries here: what is not in memory is
//! loaded.

use stateright::{Model, Property};

use crate::{
    Case, Rule, Rules,
    protocol::{Lane, Mirror, ScopeKind, Stamp, Version},
};

const TENANT: usize = 0;
const GLOBAL: usize = 1;

/// The model, with `R` readers.
#[derive(Debug, Clone)]
pub struct Flights<const R: usize> {
    rules: Rules,
    scopes: &'static [Scope],
    invalidations: u8,
    faults: &'static [Fault],
    budget: u8,
}

/// What an invalidation names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The key.
    Key,
    /// The tag.
    Tag,
    /// The global tag.
    Global,
}

/// What may go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The stream of the tenant's lane is trimmed.
    Trim,
    /// The tenant's lane is lost.
    LaneLoss,
    /// The node forgets marks of keys.
    Evict,
    /// A leader is dropped.
    Drop,
}

/// What the node knew of both lanes.
type Stamps = [Stamp; 2];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Load {
    Running,
    Loaded(Version),
    Landed(Version),
    Failed,
}

/// A load under way, or one whose waiters have not all left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Flight {
    stamps: Stamps,
    load: Load,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    Idle,
    /// SYNC of both lanes.
    Synced,
    /// It leads its own flight.
    Leads,
    /// It waits for the flight that another reader leads.
    Waits(usize),
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Reader {
    step: Step,
    need: Version,
    start: Stamps,
    joined: u8,
}

/// The state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State<const R: usize> {
    source: Version,
    done: Version,
    lanes: [Lane; 2],
    mirrors: [Mirror; 2],
    memory: Option<(Version, Stamps)>,
    /// The flight that is found under the key, by its leader.
    table: Option<usize>,
    flights: [Option<Flight>; R],
    readers: [Reader; R],
    writer: Option<Scope>,
    invalidations: u8,
    faults: u8,
    stale: bool,
    restless: bool,
    shared: bool,
    shared_again: bool,
}

/// The steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A reader begins, or looks into memory and the flight table, or looks at the flight it waits for.
    Read(usize),
    /// A flight goes on.
    Fly(usize),
    /// The writer commits.
    Commit(Scope),
    /// The writer's lane script.
    Invalidate(Scope),
    /// A mirror applies the next message.
    Deliver(usize),
    /// A fault strikes; a leader where it is one.
    Fault(Fault, usize),
}

impl<const R: usize> State<R> {
    fn stamps(&self) -> Stamps {
        self.mirrors.map(|mirror| mirror.stamp())
    }
}

fn mep(stamps: &Stamps) -> u8 {
    stamps[TENANT].mep + stamps[GLOBAL].mep
}

fn is_running(flight: &Flight) -> bool {
    matches!(flight.load, Load::Running | Load::Loaded(_))
}

impl<const R: usize> Flights<R> {
    fn has(&self, rule: Rule) -> bool {
        self.rules.has(rule)
    }

    fn in_force(&self, state: &State<R>, stamps: &Stamps) -> bool {
        !self.has(Rule::OrphanFlights) || mep(stamps) == mep(&state.stamps())
    }

    fn key_allows(&self, state: &State<R>, stamps: &Stamps) -> bool {
        let (tenant, began) = (&state.mirrors[TENANT], stamps[TENANT].position.seq);
        tenant.key() <= began && (began >= tenant.kfloor || !self.has(Rule::JoinAboveKfloor))
    }

    fn tags_allow(&self, state: &State<R>, stamps: &Stamps) -> bool {
        let allows = |lane: usize| state.mirrors[lane].tag <= stamps[lane].position.seq;
        allows(TENANT) && (allows(GLOBAL) || !self.has(Rule::CaptureGlobal))
    }

    /// Judges what is in memory, by everything.
    fn valid(&self, state: &State<R>, stamps: &Stamps) -> bool {
        let (tenant, global) = (&state.mirrors[TENANT], &state.mirrors[GLOBAL]);
        mep(stamps) == mep(&state.stamps())
            && tenant.tag.max(tenant.key()) <= stamps[TENANT].position.seq
            && stamps[TENANT].position.seq >= tenant.kfloor
            && global.tag <= stamps[GLOBAL].position.seq
    }

    /// Tells whether a reader may wait for a flight: the tags are not known yet.
    fn may_join(&self, state: &State<R>, reader: &Reader, flight: &Flight) -> bool {
        if reader.joined == 0 || !self.has(Rule::ReenterOnce) {
            return !self.has(Rule::JudgeJoin)
                || (self.in_force(state, &flight.stamps) && self.key_allows(state, &flight.stamps));
        }
        if !self.has(Rule::ReenterNotOlder) {
            return true;
        }
        let not_older = (0..2).all(|lane| flight.stamps[lane].position.seq >= reader.start[lane].position.seq);
        let (theirs, own) = (mep(&flight.stamps), mep(&reader.start));
        if !self.has(Rule::ReenterSameHistory) {
            return theirs > own || not_older;
        }
        theirs > own || (theirs == own && not_older)
    }

    /// Tells whether a waiter takes what its flight brought.
    fn takes(&self, state: &State<R>, reader: &Reader, flight: &Flight) -> bool {
        let judged = reader.joined < 2 || !self.has(Rule::ReenterOnce);
        !judged
            || !self.has(Rule::JudgeLanding)
            || (self.in_force(state, &flight.stamps)
                && self.key_allows(state, &flight.stamps)
                && self.tags_allow(state, &flight.stamps))
    }

    /// Looks for a flight that a reader may wait for.
    fn find(&self, state: &State<R>, reader: &Reader) -> Option<usize> {
        let in_table = |leader: &usize| state.table == Some(*leader) || !self.has(Rule::TableHoldsNewest);
        let joins = |flight: &Flight| is_running(flight) && self.may_join(state, reader, flight);
        (0..R).filter(in_table).find(|leader| state.flights[*leader].as_ref().is_some_and(joins))
    }

    /// Puts readers, who are alike, into an order: states that differ only in who is who are one.
    fn order(state: &mut State<R>) {
        let rank = |step: Step| match step {
            Step::Idle => 0,
            Step::Synced => 1,
            Step::Leads => 2,
            Step::Waits(_) => 3,
            Step::Ended => 4,
        };
        let mut was: [usize; R] = std::array::from_fn(|i| i);
        was.sort_by_key(|i| {
            let reader = &state.readers[*i];
            (rank(reader.step), reader.need, reader.start, reader.joined, state.flights[*i], state.table == Some(*i))
        });
        let now = |before: usize| was.iter().position(|i| *i == before).unwrap_or(before);
        state.flights = was.map(|i| state.flights[i]);
        state.readers = was.map(|i| state.readers[i]);
        state.table = state.table.map(now);
        for reader in &mut state.readers {
            if let Step::Waits(leader) = reader.step {
                reader.step = Step::Waits(now(leader));
            }
        }
    }

    fn read(&self, state: &mut State<R>, i: usize) {
        let reader = state.readers[i];
        match reader.step {
            Step::Idle => {
                for (mirror, lane) in state.mirrors.iter_mut().zip(&state.lanes) {
                    mirror.sync(self.rules, lane);
                }
                let start = state.stamps();
                state.readers[i] = Reader { step: Step::Synced, need: state.done, start, joined: 0 };
            }
            Step::Synced => {
                if let Some((version, _)) = state.memory.filter(|(_, stamps)| self.valid(state, stamps)) {
                    return Self::finish(state, i, version);
                }
                match self.find(state, &reader) {
                    Some(leader) => {
                        state.readers[i].step = Step::Waits(leader);
                        state.readers[i].joined += 1;
                        state.restless |= state.readers[i].joined > 2;
                    }
                    None => {
                        // an orphan stays in the air for those who wait for it
                        state.flights[i] = Some(Flight { stamps: state.stamps(), load: Load::Running });
                        state.table = Some(i);
                        state.readers[i].step = Step::Leads;
                    }
                }
            }
            Step::Waits(leader) => {
                if let Some(flight) = state.flights[leader] {
                    self.look(state, i, &flight);
                }
            }
            Step::Leads | Step::Ended => {}
        }
        Self::sweep(state);
    }

    /// A waiter looks at its flight: it takes what it brought, fails with it, or is refused and begins again.
    fn look(&self, state: &mut State<R>, i: usize, flight: &Flight) {
        let reader = state.readers[i];
        match flight.load {
            Load::Landed(version) if self.takes(state, &reader, flight) => {
                state.shared = true;
                state.shared_again |= reader.joined > 1;
                Self::finish(state, i, version);
            }
            Load::Landed(_) => state.readers[i].step = Step::Synced,
            Load::Failed => state.readers[i].step = Step::Ended,
            Load::Running | Load::Loaded(_) => {}
        }
    }

    fn fly(&self, state: &mut State<R>, leader: usize) {
        let Some(flight) = state.flights[leader] else { return };
        match flight.load {
            Load::Running => self.set(state, leader, Load::Loaded(state.source)),
            Load::Loaded(version) => {
                if self.valid(state, &flight.stamps) {
                    state.memory = Some((version, flight.stamps));
                }
                self.leave_table(state, leader);
                self.set(state, leader, Load::Landed(version));
                Self::finish(state, leader, version);
            }
            Load::Landed(_) | Load::Failed => {}
        }
        Self::sweep(state);
    }

    fn set(&self, state: &mut State<R>, leader: usize, load: Load) {
        if let Some(flight) = &mut state.flights[leader] {
            flight.load = load;
        }
    }

    fn leave_table(&self, state: &mut State<R>, leader: usize) {
        if state.table == Some(leader) || !self.has(Rule::OwnerRemoves) {
            state.table = None;
        }
    }

    fn drop_leader(&self, state: &mut State<R>, leader: usize) {
        state.readers[leader].step = Step::Ended;
        self.leave_table(state, leader);
        if self.has(Rule::DropGuard) {
            self.set(state, leader, Load::Failed);
        } else {
            state.flights[leader] = None;
        }
        Self::sweep(state);
    }

    fn finish(state: &mut State<R>, i: usize, version: Version) {
        state.stale |= version < state.readers[i].need;
        state.readers[i].step = Step::Ended;
    }

    /// Forgets flights that have landed and that nobody waits for any more.
    fn sweep(state: &mut State<R>) {
        for leader in 0..R {
            let over = |flight: &Flight| matches!(flight.load, Load::Landed(_) | Load::Failed);
            let awaited = state.readers.iter().any(|reader| reader.step == Step::Waits(leader));
            if state.flights[leader].as_ref().is_some_and(over) && !awaited {
                state.flights[leader] = None;
            }
        }
    }

    fn strike(&self, state: &mut State<R>, fault: Fault, leader: usize) {
        state.faults -= 1;
        match fault {
            Fault::Trim => state.lanes[TENANT].trim(),
            Fault::LaneLoss => state.lanes[TENANT] = Lane::new(state.lanes[TENANT].incarnation + 1),
            Fault::Evict => state.mirrors[TENANT].evict_key_marks(self.rules),
            Fault::Drop => self.drop_leader(state, leader),
        }
    }

    fn may_strike(&self, state: &State<R>, fault: Fault, leader: usize) -> bool {
        let lane = &state.lanes[TENANT];
        match fault {
            Fault::Drop => state.flights[leader].as_ref().is_some_and(is_running),
            Fault::Trim => leader == 0 && lane.base < lane.clk,
            Fault::LaneLoss => leader == 0 && lane.clk > 1,
            Fault::Evict => leader == 0 && state.mirrors[TENANT].key() > 0,
        }
    }
}

impl<const R: usize> Model for Flights<R> {
    type State = State<R>;
    type Action = Action;

    fn init_states(&self) -> Vec<State<R>> {
        let lanes = [Lane::new(1), Lane::new(1)];
        let reader = Reader { step: Step::Idle, need: 0, start: [Stamp::default(); 2], joined: 0 };
        vec![State {
            source: 1,
            done: 1,
            lanes,
            mirrors: lanes.map(|lane| Mirror::new(self.rules, &lane)),
            memory: None,
            table: None,
            flights: [None; R],
            readers: [reader; R],
            writer: None,
            invalidations: self.invalidations,
            faults: self.budget,
            stale: false,
            restless: false,
            shared: false,
            shared_again: false,
        }]
    }

    fn actions(&self, state: &State<R>, actions: &mut Vec<Action>) {
        if state.stale || state.restless {
            return;
        }
        for (i, reader) in state.readers.iter().enumerate() {
            let landed = |leader: usize| {
                let load = state.flights[leader].map(|flight| flight.load);
                matches!(load, Some(Load::Landed(_) | Load::Failed))
            };
            match reader.step {
                Step::Idle | Step::Synced => actions.push(Action::Read(i)),
                Step::Waits(leader) if landed(leader) => actions.push(Action::Read(i)),
                Step::Waits(_) | Step::Leads | Step::Ended => {}
            }
            if state.flights[i].is_some() && !landed(i) {
                actions.push(Action::Fly(i));
            }
        }
        match state.writer {
            None if state.invalidations > 0 => actions.extend(self.scopes.iter().map(|scope| Action::Commit(*scope))),
            None => {}
            Some(scope) => actions.push(Action::Invalidate(scope)),
        }
        let behind = |lane: &usize| state.mirrors[*lane].is_behind(self.rules, &state.lanes[*lane]);
        actions.extend((0..2).filter(behind).map(Action::Deliver));
        if state.faults > 0 {
            for (fault, leader) in self.faults.iter().flat_map(|fault| (0..R).map(move |leader| (*fault, leader))) {
                if self.may_strike(state, fault, leader) {
                    actions.push(Action::Fault(fault, leader));
                }
            }
        }
    }

    fn next_state(&self, last: &State<R>, action: Action) -> Option<State<R>> {
        let mut state = last.clone();
        match action {
            Action::Read(i) => self.read(&mut state, i),
            Action::Fly(leader) => self.fly(&mut state, leader),
            Action::Commit(scope) => {
                state.invalidations -= 1;
                state.source += 1;
                state.writer = Some(scope);
            }
            Action::Invalidate(scope) => {
                let (lane, kind) = match scope {
                    Scope::Key => (TENANT, ScopeKind::Key),
                    Scope::Tag => (TENANT, ScopeKind::Tag),
                    Scope::Global => (GLOBAL, ScopeKind::Tag),
                };
                state.lanes[lane].invalidate(kind, false);
                state.writer = None;
                state.done = state.source;
            }
            Action::Deliver(lane) => state.mirrors[lane].tail(self.rules, &state.lanes[lane]),
            Action::Fault(fault, leader) => self.strike(&mut state, fault, leader),
        }
        for (lane, mirror) in state.lanes.iter_mut().zip(&state.mirrors) {
            lane.forget(if mirror.incarnation == lane.incarnation { mirror.applied } else { 0 });
        }
        Self::order(&mut state);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("fresh", |_, state: &State<R>| !state.stale),
            Property::always("calm: a waiter joins two flights at most", |_, state: &State<R>| !state.restless),
            Property::always("calm: two loads under way have different stamps", |_, state: &State<R>| {
                let running = state.flights.iter().flatten().filter(|flight| is_running(flight));
                let stamps: Vec<_> = running.map(|flight| flight.stamps).collect();
                stamps.iter().enumerate().all(|(i, each)| !stamps[..i].contains(each))
            }),
            Property::always("nobody waits for nobody", |_, state: &State<R>| {
                let waited = |reader: &Reader| if let Step::Waits(leader) = reader.step { Some(leader) } else { None };
                state.readers.iter().filter_map(waited).all(|leader| state.flights[leader].is_some())
            }),
            Property::sometimes("a load is shared", |_, state: &State<R>| state.shared),
        ];
        if R > 2 && self.invalidations > 1 {
            properties.push(Property::sometimes(
                "a refused waiter takes the result of a second flight",
                |_, state: &State<R>| state.shared_again,
            ));
        }
        properties
    }
}

/// Returns what is explored.
#[must_use]
pub fn cases() -> Vec<Case> {
    const SCOPES: &[Scope] = &[Scope::Key, Scope::Tag, Scope::Global];
    const FAULTS: &[Fault] = &[Fault::Trim, Fault::LaneLoss, Fault::Evict, Fault::Drop];
    fn of<const R: usize>(invalidations: u8, faults: &'static [Fault], budget: u8) -> Flights<R> {
        Flights { rules: Rules::ALL, scopes: SCOPES, invalidations, faults, budget }
    }
    let mut cases = vec![
        Case::holds("flight", "3 readers, 2 inv., no fault", of::<3>(2, &[], 0)),
        Case::holds("flight", "3 readers, 1 inv., any 2 of 4 faults", of::<3>(1, FAULTS, 2)),
        Case::holds("flight", "3 readers, 2 inv., any 1 of 4 faults", of::<3>(2, FAULTS, 1)),
        Case::holds("flight", "3 readers, 2 inv., any 2 of 4 faults", of::<3>(2, FAULTS, 2)).deep(),
        Case::holds("flight", "4 readers, 2 inv., any 1 of 4 faults", of::<4>(2, FAULTS, 1)).deep(),
    ];
    for (off, invalidations, faults) in [
        (&[Rule::JudgeLanding][..], 1, &[][..]),
        (&[Rule::JoinAboveKfloor], 1, &[Fault::Evict]),
        (&[Rule::OrphanFlights], 2, &[Fault::LaneLoss]),
        (&[Rule::OrphanFlights, Rule::JoinAboveKfloor], 1, &[Fault::Trim]),
        (&[Rule::TableHoldsNewest, Rule::ReenterNotOlder], 2, &[]),
        (&[Rule::TableHoldsNewest, Rule::ReenterSameHistory], 2, &[Fault::LaneLoss]),
        (&[Rule::CaptureGlobal], 1, &[]),
        (&[Rule::DropGuard], 0, &[Fault::Drop]),
        (&[Rule::OwnerRemoves], 1, &[]),
    ] {
        let instance = Flights { rules: Rules::without(off), ..of::<3>(invalidations, faults, faults.len() as u8) };
        cases.push(Case::refuted("flight", off, format!("3 readers, {invalidations} inv., {faults:?}"), instance));
    }
    let off = &[Rule::ReenterOnce];
    let instance = Flights { rules: Rules::without(off), scopes: &[Scope::Tag], ..of::<4>(3, &[], 0) };
    cases.push(Case::refuted("flight", off, "4 readers, 3 inv. of the tag, no fault", instance));
    // judging when the flight lands is enough to be fresh; judging at the join spares a wait in vain
    // what a refused waiter finds in the table began after it joined, so it is never older than the waiter's start
    for off in
        [&[Rule::JudgeJoin][..], &[Rule::ReenterNotOlder], &[Rule::ReenterSameHistory], &[Rule::TableHoldsNewest]]
    {
        let instance = Flights { rules: Rules::without(off), ..of::<3>(2, FAULTS, 1) };
        cases.push(Case::unneeded("flight", off, "3 readers, 2 inv., any 1 of 4 faults", instance));
    }
    cases
}
