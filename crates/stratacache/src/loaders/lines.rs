//! Turns at a loader: a few run at once, no faster than the rate, and the tenants that wait are served one after the other.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use stratacache_core::clock::Clock;
use tokio::{sync::Notify, time::sleep};

use super::Pace;

/// The lines in front of a loader, one for each tenant that waits.
pub(super) struct Lines {
    clock: Arc<dyn Clock>,
    /// Seats.
    most: usize,
    max_waiting: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Seats that are taken.
    taken: usize,
    waiting: usize,
    pace: Option<Pace>,
    /// Whoever is next has a seat, and waits until the rate lets it begin.
    pacing: bool,
    lines: HashMap<u64, VecDeque<Arc<Ticket>>, RandomState>,
    /// The tenants with a line, in turn; none of those that stand aside.
    order: VecDeque<u64>,
    /// Tenants that had a turn and could not use it, and how often.
    aside: HashMap<u64, usize, RandomState>,
}

/// What one that waits is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// It has a seat.
    Go,
    /// It has a seat, and is the one that waits for the rate.
    Pace,
    Refused,
}

/// One that waits. Its word is given under the lock of the lines.
#[derive(Default)]
struct Ticket {
    word: Mutex<Option<Word>>,
    told: Notify,
}

impl Ticket {
    fn tell(&self, word: Word) {
        *self.word.lock() = Some(word);
        // kept until it is waited for
        self.told.notify_one();
    }

    fn word(&self) -> Option<Word> {
        *self.word.lock()
    }
}

/// The right to run one load. Given back when dropped.
pub(crate) struct Seat {
    lines: Arc<Lines>,
    tenant: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.lines.state.lock();
        state.taken -= 1;
        self.lines.hand_out(&mut state);
    }
}

impl Seat {
    /// Gives the seat back since its tenant cannot use it yet: the tenant has no other turn until this one returns.
    pub(crate) fn step_aside(self) -> Aside {
        let (lines, tenant) = (Arc::clone(&self.lines), self.tenant);
        let mut state = lines.state.lock();
        *state.aside.entry(tenant).or_default() += 1;
        state.order.retain(|other| *other != tenant);
        drop(state);
        Aside { lines, tenant }
    }
}

/// Keeps a tenant's line waiting until it is dropped.
pub(crate) struct Aside {
    lines: Arc<Lines>,
    tenant: u64,
}

impl Drop for Aside {
    fn drop(&mut self) {
        let mut state = self.lines.state.lock();
        let Some(times) = state.aside.get_mut(&self.tenant) else { return };
        *times -= 1;
        if *times > 0 {
            return;
        }
        state.aside.remove(&self.tenant);
        if state.lines.contains_key(&self.tenant) {
            // it has left out a turn
            state.order.push_front(self.tenant);
        }
        self.lines.hand_out(&mut state);
    }
}

/// Stands in a line until it is dropped.
struct Standing<'a> {
    lines: &'a Arc<Lines>,
    tenant: u64,
    ticket: Arc<Ticket>,
    seated: bool,
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        if self.seated {
            return;
        }
        let mut state = self.lines.state.lock();
        match self.ticket.word() {
            None => state.leave(self.tenant, &self.ticket),
            Some(Word::Refused) => {}
            Some(word) => {
                state.pacing &= word != Word::Pace;
                state.taken -= 1;
            }
        }
        self.lines.hand_out(&mut state);
    }
}

impl Lines {
    pub(super) fn new(most: usize, max_waiting: usize, rate: Option<u32>, clock: &Arc<dyn Clock>) -> Self {
        let state = State { pace: rate.map(Pace::new), ..State::default() };
        Self { clock: Arc::clone(clock), most, max_waiting, state: Mutex::new(state) }
    }

    /// Waits for a seat; `None` if too many wait. One that stood aside has had its turn already, and stands at the head of its line.
    ///
    /// # Cancel safety
    /// May be dropped at any time; its seat goes to the next.
    pub(super) async fn take(self: &Arc<Self>, tenant: u64, aside: Option<Aside>) -> Option<Seat> {
        let mut standing = self.stand(tenant, aside)?;
        let word = loop {
            if let Some(word) = standing.ticket.word() {
                break word;
            }
            standing.ticket.told.notified().await;
        };
        match word {
            Word::Refused => return None,
            Word::Pace => standing.pace().await,
            Word::Go => {}
        }
        standing.seated = true;
        Some(Seat { lines: Arc::clone(self), tenant })
    }

    fn stand(self: &Arc<Self>, tenant: u64, aside: Option<Aside>) -> Option<Standing<'_>> {
        let mut state = self.state.lock();
        let returns = aside.is_some();
        let at_once = state.waiting == 0 && !state.pacing && state.taken < self.most;
        if !at_once && !returns && state.waiting >= self.max_waiting && !state.make_room(tenant) {
            return None;
        }
        let ticket = Arc::new(Ticket::default());
        state.enter(tenant, Arc::clone(&ticket), returns);
        self.hand_out(&mut state);
        drop(state);
        drop(aside); // its line moves on, and it is the first there
        Some(Standing { lines: self, tenant, ticket, seated: false })
    }

    /// Gives the seats that are free to those who wait, a tenant after the other.
    fn hand_out(&self, state: &mut State) {
        while state.taken < self.most && !state.pacing {
            let Some(ticket) = state.next() else { return };
            state.taken += 1;
            state.pacing = !state.may_begin(self.clock.now()).is_zero();
            ticket.tell(if state.pacing { Word::Pace } else { Word::Go });
        }
    }

    /// Sends all away who wait.
    pub(super) fn refuse_all(&self) {
        let mut state = self.state.lock();
        state.order.clear();
        state.waiting = 0;
        state.lines.drain().flat_map(|(_, line)| line).for_each(|ticket| ticket.tell(Word::Refused));
    }

    /// Returns how many seats are taken, and how many wait for one.
    pub(super) fn counts(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.taken, state.waiting)
    }
}

impl Standing<'_> {
    /// Waits until the rate lets one begin. Nobody else is given a seat meanwhile.
    async fn pace(&self) {
        loop {
            let wait = {
                let mut state = self.lines.state.lock();
                let wait = state.may_begin(self.lines.clock.now());
                if wait.is_zero() {
                    state.pacing = false;
                    self.ticket.tell(Word::Go);
                    self.lines.hand_out(&mut state);
                    return;
                }
                wait
            };
            sleep(wait.max(Duration::from_millis(1))).await;
        }
    }
}

impl State {
    /// Lets one begin if the rate does, else returns how long that takes.
    fn may_begin(&mut self, now: Duration) -> Duration {
        let Some(pace) = &mut self.pace else { return Duration::ZERO };
        let wait = pace.wait(now);
        if wait.is_zero() {
            pace.begin(now);
        }
        wait
    }

    fn enter(&mut self, tenant: u64, ticket: Arc<Ticket>, at_head: bool) {
        let line = self.lines.entry(tenant).or_default();
        if line.is_empty() && !self.aside.contains_key(&tenant) {
            self.order.push_back(tenant);
        }
        if at_head {
            line.push_front(ticket);
        } else {
            line.push_back(ticket);
        }
        self.waiting += 1;
    }

    /// Takes the first of the tenant whose turn it is.
    fn next(&mut self) -> Option<Arc<Ticket>> {
        let tenant = self.order.pop_front()?;
        let line = self.lines.get_mut(&tenant)?;
        let ticket = line.pop_front()?;
        if line.is_empty() {
            self.lines.remove(&tenant);
        } else {
            self.order.push_back(tenant);
        }
        self.waiting -= 1;
        Some(ticket)
    }

    fn leave(&mut self, tenant: u64, ticket: &Arc<Ticket>) {
        let Some(line) = self.lines.get_mut(&tenant) else { return };
        // who gives up has mostly waited longest
        let Some(place) = line.iter().position(|other| Arc::ptr_eq(other, ticket)) else { return };
        line.remove(place);
        self.waiting -= 1;
        if line.is_empty() {
            self.lines.remove(&tenant);
            self.order.retain(|other| *other != tenant);
        }
    }

    /// Sends the newest of the longest line away, unless that is the line which is to grow, or would then be shorter than it.
    fn make_room(&mut self, tenant: u64) -> bool {
        let own = self.lines.get(&tenant).map_or(0, VecDeque::len);
        let Some(longest) = self.lines.values_mut().max_by_key(|line| line.len()) else { return false };
        if longest.len() <= own + 1 {
            return false;
        }
        let Some(newest) = longest.pop_back() else { return false };
        newest.tell(Word::Refused);
        self.waiting -= 1;
        true
    }
}

#[cfg(test)]
mod tests;
