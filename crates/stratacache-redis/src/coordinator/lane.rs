//! The state of one lane on this node: what has been applied, and that it is applied once and in order.

use std::sync::{Mutex, MutexGuard, PoisonError};

use stratacache_core::{
    clock::Millis,
    coordinator::{LaneSnapshot, Subscriber},
    stamp::{Lane, Position},
};
use tokio::sync::oneshot;

use super::{
    message::{Entry, LaneReply, MOST},
    order::Orders,
};
use crate::rules::{Rule, Rules};

/// What is left to do after something was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing: the lane has applied all there was.
    Done,
    /// To ask again: there is more than one answer holds.
    More,
    /// To fetch the marks as a whole: something may have been missed.
    Gap,
}

#[derive(Debug, Default)]
struct State {
    position: Position,
    /// Nothing was missed since the last snapshot.
    whole: bool,
    /// When the lane was last known to be up to date, by the subscriber's clock.
    as_of: Option<Millis>,
}

/// Who waits for a SYNC.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) waiting: Vec<oneshot::Sender<stratacache_core::Result<Position>>>,
    pub(super) running: bool,
}

#[derive(Debug)]
pub(super) struct LaneState {
    pub(super) lane: Lane,
    rules: Rules,
    state: Mutex<State>,
    asked: Mutex<Asked>,
    orders: Mutex<Orders>,
    /// One snapshot at a time.
    pub(super) fetching: tokio::sync::Mutex<()>,
}

impl LaneState {
    pub(super) fn new(lane: Lane, rules: Rules) -> Self {
        let (state, asked, orders) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { lane, rules, state, asked, orders, fetching: tokio::sync::Mutex::new(()) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // a subscriber that panics leaves a position it was not told to the end: the lane is fetched as a whole
        self.state.lock().unwrap_or_else(|poisoned| {
            self.state.clear_poison();
            let mut state = PoisonError::into_inner(poisoned);
            state.whole = false;
            state
        })
    }

    pub(super) fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets who waits for something.
    pub(super) fn close(&self) {
        self.asked().waiting.clear();
        self.orders().close();
    }

    /// Returns up to where everything is applied.
    pub(super) fn position(&self) -> Position {
        self.state().position
    }

    pub(super) fn is_whole(&self) -> bool {
        self.state().whole
    }

    /// Tells whether the lane is whole and was up to date at a time.
    pub(super) fn is_fresh(&self, since: Millis) -> bool {
        let state = self.state();
        state.whole && state.as_of.is_some_and(|as_of| as_of >= since)
    }

    /// Tells whether everything up to a position is applied.
    pub(super) fn has_reached(&self, position: Position) -> bool {
        let state = self.state();
        state.whole && state.position.incarnation == position.incarnation && state.position.seq >= position.seq
    }

    /// Applies what the server answered. `asked`: when it was asked, by the subscriber's clock.
    pub(super) fn take(&self, subscriber: &dyn Subscriber, reply: &LaneReply, asked: Option<Millis>) -> Step {
        let mut state = self.state();
        if !state.whole {
            return Step::Gap;
        }
        if reply.position.incarnation != state.position.incarnation {
            if self.rules.has(Rule::Incarnation) {
                state.whole = false;
                return Step::Gap;
            }
            state.position.incarnation = reply.position.incarnation;
        }
        if !self.apply(&mut state, subscriber, &reply.entries) {
            return Step::Gap;
        }
        let mut step = Step::Done;
        if state.position.seq < reply.position.seq {
            if reply.entries.len() >= MOST {
                step = Step::More;
            } else if self.rules.has(Rule::NoticeGap) {
                // messages that should follow are not there
                state.whole = false;
                return Step::Gap;
            } else {
                state.position.seq = reply.position.seq;
            }
        }
        if let Some(asked) = asked
            && (step == Step::Done || !self.rules.has(Rule::AsOfAtClock))
        {
            let at = if self.rules.has(Rule::AsOfWhenSent) { asked } else { subscriber.now() };
            state.as_of = state.as_of.max(Some(at));
            subscriber.up_to_date(self.lane, at);
        }
        step
    }

    /// Applies messages that came by the stream.
    pub(super) fn follow(&self, subscriber: &dyn Subscriber, entries: &[Entry]) -> Step {
        let mut state = self.state();
        // what is not whole is being fetched, and the stream is read from there afterwards
        if !state.whole || self.apply(&mut state, subscriber, entries) { Step::Done } else { Step::Gap }
    }

    fn apply(&self, state: &mut State, subscriber: &dyn Subscriber, entries: &[Entry]) -> bool {
        for entry in entries {
            let same = entry.position.incarnation == state.position.incarnation
                || !self.rules.has(Rule::StreamCarriesIncarnation);
            if same && entry.position.seq <= state.position.seq {
                continue;
            }
            let follows = entry.position.seq == state.position.seq + 1 || !self.rules.has(Rule::NoticeGap);
            match entry.applied(self.lane) {
                Ok(mut message) if same && follows => {
                    message.position.incarnation = state.position.incarnation;
                    state.position.seq = entry.position.seq;
                    subscriber.apply(&message);
                }
                _ => {
                    state.whole = false;
                    return false;
                }
            }
        }
        true
    }

    /// Takes over the marks as a whole. `asked`: when the server was last asked, by the subscriber's clock.
    pub(super) fn replace(&self, subscriber: &dyn Subscriber, snapshot: LaneSnapshot, asked: Millis) {
        let mut state = self.state();
        *state = State { position: snapshot.position, whole: true, as_of: state.as_of.max(Some(asked)) };
        subscriber.snapshot(snapshot);
        subscriber.up_to_date(self.lane, asked);
    }
}
