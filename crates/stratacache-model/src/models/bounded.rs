//! `Bounded` reads: what moves `as_of`, and what may be kept without the lane (READ, TAIL, TIME); `Latest` reads that share a
//! SYNC.
//!
//! One node, a primary and its replica, time in steps. Reads of the stream and SYNCs are sent, run and answered in steps of
//! their own. An entry that depends on the invalidations is taken to be in memory from the beginning, so that a read may be
//! served whenever the node believes itself to be near enough to the lane.

use stateright::{Model, Property};

use crate::{Case, Rule, Rules, protocol::Incarnation};

/// How many invalidations there are at most.
const MOST: usize = 3;
/// How old what a read misses may be.
const DELTA: u8 = 1;

/// The model.
#[derive(Debug, Clone)]
pub struct Bounded {
    rules: Rules,
    until: u8,
    invalidations: u8,
    trims: u8,
    failover: bool,
    suspends: u8,
    /// Entries of the stream carry the server's time, and may move `as_of`.
    timed: bool,
    /// SYNC returns at most so many messages.
    count: u8,
    /// A load while the lane cannot be reached.
    bypass: bool,
    /// How many `Latest` reads ask for a SYNC.
    asks: u8,
}

/// An invalidation in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Message {
    incarnation: Incarnation,
    id: u8,
    at: u8,
}

/// The control keys of the lane on one server. `implied`: the invalidations that a snapshot of it implies, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Server {
    incarnation: Incarnation,
    clk: u8,
    base: u8,
    stream: [Option<Message>; MOST],
    implied: u8,
}

/// A request on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Call {
    None,
    Sent(u8),
    /// When it was sent, and the server as it was when it ran.
    Ran(u8, Server),
}

/// A value loaded without the lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Bypassed {
    began: u8,
    put: Option<u8>,
    includes: u8,
}

/// A `Latest` read that waits for a SYNC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Asked {
    /// The invalidations it must not miss.
    due: u8,
    /// The SYNC under way is the one it waits for.
    served: bool,
}

/// The state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    now: u8,
    /// How long the node was suspended.
    slept: u8,
    /// The old primary, then the new one.
    servers: [Server; 2],
    primary: usize,
    connected: usize,
    incarnation: Incarnation,
    applied: u8,
    /// The invalidations the node knows, one bit each.
    known: u8,
    as_of: u8,
    tail: Call,
    sync: Call,
    bypassed: Option<Bypassed>,
    asked: Option<Asked>,
    asks: u8,
    /// A `Latest` read was served without knowing all it had to.
    missed: bool,
    /// When the invalidations ran.
    ran: [Option<u8>; MOST],
    trims: u8,
    suspends: u8,
}

/// The steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Time passes.
    Tick,
    /// The node is suspended for longer than delta.
    Suspend,
    /// An invalidation runs.
    Invalidate,
    /// The demoted primary follows the new one by one message.
    Replicate,
    /// The primary's stream is trimmed.
    Trim,
    /// The replica takes over, with a history of its own.
    Failover,
    /// The node finds the new primary.
    Reconnect,
    /// A read of the stream goes on.
    Tail,
    /// A SYNC goes on.
    Sync,
    /// A load without the lane goes on.
    Bypass,
    /// A `Latest` read asks for a SYNC.
    Ask,
}

impl Server {
    const fn new(incarnation: Incarnation, implied: u8) -> Self {
        Self { incarnation, clk: 0, base: 0, stream: [None; MOST], implied }
    }

    fn append(&mut self, message: Message) {
        self.stream[usize::from(self.clk)] = Some(message);
        self.clk += 1;
        self.implied |= 1 << message.id;
    }

    fn after(&self, applied: u8) -> impl Iterator<Item = (u8, Message)> {
        let from = usize::from(applied.max(self.base));
        let entries = self.stream.into_iter().enumerate().skip(from);
        entries.filter_map(|(i, message)| Some((i as u8 + 1, message?)))
    }
}

impl Bounded {
    fn has(&self, rule: Rule) -> bool {
        self.rules.has(rule)
    }

    /// Returns the time on the node's clock.
    fn clock(&self, state: &State) -> u8 {
        if self.has(Rule::BootTime) { state.now } else { state.now - state.slept }
    }

    fn tail(&self, state: &mut State) -> Option<()> {
        let now = self.clock(state);
        state.tail = match state.tail {
            Call::None => Call::Sent(now),
            Call::Sent(sent) => {
                let server = state.servers[state.connected];
                // a read that blocks: without entries there is no reply worth having
                server.after(state.applied).next()?;
                Call::Ran(sent, server)
            }
            Call::Ran(sent, server) => {
                self.tail_reply(state, sent, &server);
                Call::None
            }
        };
        Some(())
    }

    fn tail_reply(&self, state: &mut State, sent: u8, server: &Server) {
        let mut last = None;
        for (seq, message) in server.after(state.applied) {
            let other = self.has(Rule::StreamCarriesIncarnation) && message.incarnation != state.incarnation;
            if other || seq != state.applied + 1 {
                return; // a gap: nothing moves before a SYNC
            }
            (state.applied, last) = (seq, Some(message));
            state.known |= 1 << message.id;
        }
        let Some(last) = last else { return };
        if self.timed {
            let time = if self.has(Rule::EntryTime) { last.at } else { sent };
            state.as_of = state.as_of.max(time);
        } else if !self.has(Rule::AsOfBySync) {
            state.as_of = state.as_of.max(sent);
        }
    }

    fn sync(&self, state: &mut State) {
        let now = self.clock(state);
        let demoted = state.primary != state.connected;
        state.sync = match state.sync {
            Call::None => {
                state.asked = state.asked.map(|asked| Asked { served: true, ..asked });
                Call::Sent(now)
            }
            Call::Sent(_) if demoted && self.has(Rule::SyncWrites) => Self::cut(state),
            Call::Sent(sent) => Call::Ran(sent, state.servers[state.connected]),
            Call::Ran(sent, server) => {
                self.sync_reply(state, if self.has(Rule::AsOfWhenSent) { sent } else { now }, &server);
                if let Some(asked) = state.asked.take_if(|asked| asked.served && state.applied >= server.clk) {
                    state.missed |= asked.due & !state.known != 0;
                }
                Self::cut(state)
            }
        };
    }

    fn sync_reply(&self, state: &mut State, time: u8, server: &Server) {
        let gap = self.has(Rule::SyncNoticesGap) && server.base > state.applied;
        if server.incarnation != state.incarnation || gap {
            (state.incarnation, state.applied) = (server.incarnation, server.clk);
            state.known |= server.implied;
        } else {
            for (seq, message) in server.after(state.applied).take(usize::from(self.count)) {
                state.known |= 1 << message.id;
                state.applied = seq;
            }
            if !self.has(Rule::SyncNoticesGap) {
                state.applied = state.applied.max(server.base);
            }
        }
        if state.applied >= server.clk || !self.has(Rule::AsOfAtClock) {
            state.as_of = state.as_of.max(time);
        }
    }

    /// The SYNC under way is over; who still waits for it waits for another.
    fn cut(state: &mut State) -> Call {
        state.asked = state.asked.map(|asked| Asked { served: false, ..asked });
        Call::None
    }

    /// Returns the invalidations that have run.
    fn ran(state: &State) -> u8 {
        ((1u16 << state.ran.iter().flatten().count()) - 1) as u8
    }

    /// Returns the invalidations that a read which begins now must not miss.
    fn due(state: &State) -> u8 {
        let due = |at: &Option<u8>| at.is_some_and(|at| at + DELTA < state.now);
        state.ran.iter().enumerate().filter(|(_, at)| due(at)).fold(0, |all, (id, _)| all | 1 << id)
    }

    fn serves(&self, state: &State) -> bool {
        self.clock(state) <= state.as_of + DELTA || !self.has(Rule::BoundedByAsOf)
    }

    fn serves_bypassed(&self, state: &State) -> Option<Bypassed> {
        let from = |each: &Bypassed| if self.has(Rule::BypassFromStart) { Some(each.began) } else { each.put };
        let kept = |each: &Bypassed| each.put.is_some() && from(each).is_some_and(|from| state.now <= from + DELTA);
        state.bypassed.filter(kept)
    }
}

impl Model for Bounded {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            now: 0,
            slept: 0,
            servers: [Server::new(1, 0); 2],
            primary: 0,
            connected: 0,
            incarnation: 1,
            applied: 0,
            known: 0,
            as_of: 0,
            tail: Call::None,
            sync: Call::None,
            bypassed: None,
            asked: None,
            asks: self.asks,
            missed: false,
            ran: [None; MOST],
            trims: self.trims,
            suspends: self.suspends,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let primary = &state.servers[state.primary];
        let ran = state.ran.iter().flatten().count() as u8;
        let mut may = |condition: bool, action: Action| {
            if condition {
                actions.push(action)
            }
        };
        may(state.now < self.until, Action::Tick);
        may(state.suspends > 0 && state.now < self.until, Action::Suspend);
        may(ran < self.invalidations, Action::Invalidate);
        may(state.primary == 1 && state.servers[0] != state.servers[1], Action::Replicate);
        may(state.trims > 0 && primary.base < primary.clk, Action::Trim);
        may(self.failover && state.primary == 0, Action::Failover);
        may(state.primary != state.connected, Action::Reconnect);
        may(!self.bypass, Action::Tail);
        may(!self.bypass, Action::Sync);
        may(state.asks > 0 && state.asked.is_none(), Action::Ask);
        may(self.bypass && state.bypassed.is_none_or(|each| each.put.is_none()), Action::Bypass);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Tick => state.now += 1,
            Action::Suspend => {
                state.suspends -= 1;
                state.now += DELTA + 1;
                state.slept += DELTA + 1;
            }
            Action::Invalidate => {
                let id = state.ran.iter().flatten().count();
                let server = &mut state.servers[state.primary];
                server.append(Message { incarnation: server.incarnation, id: id as u8, at: state.now });
                state.ran[id] = Some(state.now);
            }
            Action::Replicate => {
                let [old, new] = &mut state.servers;
                if old.incarnation != new.incarnation {
                    *old = Server::new(new.incarnation, 0);
                }
                let (_, message) = new.after(old.clk).next()?;
                old.append(message);
            }
            Action::Trim => {
                state.trims -= 1;
                let server = &mut state.servers[state.primary];
                (server.base, server.stream) = (server.clk, [None; MOST]);
            }
            Action::Failover => {
                // the first script there finds another `replid`: what was before is invalid, whatever was lost
                state.primary = 1;
                state.servers[1] = Server::new(2, Self::ran(&state));
            }
            Action::Reconnect => {
                state.connected = state.primary;
                (state.tail, state.sync) = (Call::None, Self::cut(&mut state));
            }
            Action::Tail => self.tail(&mut state)?,
            Action::Sync => self.sync(&mut state),
            Action::Bypass => match &mut state.bypassed {
                Some(bypassed) => bypassed.put = Some(state.now),
                None => {
                    let includes = Self::ran(&state);
                    state.bypassed = Some(Bypassed { began: state.now, put: None, includes });
                }
            },
            Action::Ask => {
                state.asks -= 1;
                let served = state.sync != Call::None && !self.has(Rule::AskBeforeSent);
                state.asked = Some(Asked { due: Self::ran(&state), served });
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![Property::always("bounded", |model: &Self, state: &State| {
            let due = Self::due(state);
            let lane = !model.serves(state) || due & !state.known == 0;
            lane && model.serves_bypassed(state).is_none_or(|each| due & !each.includes == 0)
        })];
        if self.asks > 0 {
            properties.push(Property::always("latest", |_, state: &State| !state.missed));
        }
        if self.bypass {
            properties.push(Property::sometimes(
                "served although the lane is out of reach",
                |model: &Self, state: &State| !model.serves(state) && model.serves_bypassed(state).is_some(),
            ));
        } else {
            properties.push(Property::sometimes("served long after an invalidation", |model: &Self, state: &State| {
                state.now > DELTA + 1 && Self::due(state) != 0 && model.serves(state)
            }));
        }
        properties
    }
}

/// Returns what is explored.
#[must_use]
pub fn cases() -> Vec<Case> {
    let plain = Bounded {
        rules: Rules::ALL,
        until: 4,
        invalidations: 2,
        trims: 0,
        failover: false,
        suspends: 0,
        timed: false,
        count: 9,
        bypass: false,
        asks: 0,
    };
    let trimmed = Bounded { trims: 1, ..plain.clone() };
    let failing = Bounded { failover: true, ..plain.clone() };
    let timed = Bounded { timed: true, ..failing.clone() };
    let bypass = Bounded { bypass: true, ..plain.clone() };
    let all = Bounded { trims: 1, failover: true, ..plain.clone() };
    let latest = Bounded { asks: 1, until: 3, ..failing.clone() };
    let mut cases = vec![
        Case::holds("bounded", "time 4, 2 inv., trim, failover", all.clone()),
        Case::holds("bounded", "time 4, 2 inv., failover, times in the stream", timed.clone()),
        Case::holds("bounded", "time 4, 2 inv., 1 suspend", Bounded { suspends: 1, ..plain.clone() }),
        Case::holds(
            "bounded",
            "time 4, 3 inv., SYNC by 1 message",
            Bounded { count: 1, invalidations: 3, ..plain.clone() },
        ),
        Case::holds("bounded", "time 4, 2 inv., lane out of reach", bypass.clone()),
        Case::holds("bounded", "time 3, 2 inv., failover, a Latest read", latest.clone()),
        Case::holds("bounded", "time 5, 3 inv., trim, failover", Bounded { until: 5, invalidations: 3, ..all.clone() })
            .deep(),
        Case::holds(
            "bounded",
            "time 5, 3 inv., trim, failover, times in the stream",
            Bounded { until: 5, invalidations: 3, timed: true, ..all.clone() },
        )
        .deep(),
    ];
    for (rule, size, instance) in [
        (Rule::AsOfBySync, "failover", &failing),
        (Rule::AsOfWhenSent, "no fault", &plain),
        (Rule::AsOfAtClock, "SYNC by 1 message", &Bounded { count: 1, ..plain.clone() }),
        (Rule::SyncWrites, "failover", &failing),
        (Rule::SyncNoticesGap, "trim", &trimmed),
        (Rule::StreamCarriesIncarnation, "failover, times in the stream", &timed),
        (Rule::EntryTime, "failover, times in the stream", &timed),
        (Rule::BoundedByAsOf, "no fault", &plain),
        (Rule::BootTime, "1 suspend", &Bounded { suspends: 1, ..plain.clone() }),
        (Rule::AskBeforeSent, "failover, a Latest read", &latest),
        (Rule::BypassFromStart, "lane out of reach", &bypass),
    ] {
        let off = &[rule];
        let instance = Bounded { rules: Rules::without(off), ..instance.clone() };
        let size = format!("time {}, {} inv., {size}", instance.until, instance.invalidations);
        cases.push(Case::refuted("bounded", off, size, instance));
    }
    let off = &[Rule::StreamCarriesIncarnation];
    let instance = Bounded { rules: Rules::without(off), invalidations: 3, ..failing };
    cases.push(Case::refuted("bounded", off, "time 4, 3 inv., failover", instance));
    cases
}
