//! The checker: a pure function over what the nodes wrote down.
//!
//! A read that began at s must not return a version older than the newest one that was committed before the *call* of an
//! invalidation that returned `Ok` before s, of anything the entry depends on. `Latest`: as it stands. `Since(token)`: of
//! the invalidations up to the token. `Within(bound)`: before s - bound.
//!
//! An invalidation that waits (`Queued`) binds only the reads of its own node, in the same life, and these however they ask;
//! when it was applied it is one that returned `Ok` then.

mod history;
mod loads;
mod queued;
mod rates;
mod source;
#[cfg(test)]
mod tests;
mod violation;

use std::collections::{BTreeMap, HashMap};

use self::{
    history::{History, Invalidation},
    queued::Waiting,
    source::Source,
};
pub(crate) use self::{
    loads::{LoadFigure, loads_of_quiet_times},
    rates::Rates,
    violation::{Broken, Violation},
};
use crate::{
    log::{Asked, BelowCounted, Counted, Event, Op, Seen, What},
    time::{Nanos, ms},
    world::{Form, KEYS, Key, Scope, is_absence},
};

/// The caches' own time has milliseconds: of two readings, each is up to one behind.
const CLOCK_STEP: Nanos = ms(1);
/// Violations of which the text is kept.
const KEPT: usize = 50;

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Reads of a key, by how they were asked for.
    pub(crate) reads: BTreeMap<&'static str, u64>,
    /// Calls that invalidated, expired or inserted, by scope.
    pub(crate) invalidations: u64,
    /// Of these, those that returned `Ok`, or were queued and then applied.
    pub(crate) acknowledged: u64,
    /// Of these, those that were queued.
    pub(crate) queued: u64,
    /// Reads that had to be newer than they asked for, since an invalidation waited on their node.
    pub(crate) quarantined: u64,
    /// What the caches counted.
    pub(crate) counted: Counted,
    /// What they counted of the tiers below memory.
    pub(crate) below: BelowCounted,
    /// Versions written to the source.
    pub(crate) writes: u64,
    /// Runs of a loader that read the source.
    pub(crate) loads: u64,
    /// Reads without a value.
    pub(crate) failed_reads: u64,
    /// Invalidations under way while a loader ran for something they cover.
    pub(crate) overlaps: u64,
    /// The longest read.
    pub(crate) longest_read: Nanos,
}

impl Figures {
    pub(crate) fn operations(&self) -> u64 {
        self.reads.values().sum::<u64>() + self.invalidations + self.writes
    }
}

/// Takes events in batches and remembers what later ones are judged by.
#[derive(Debug)]
pub(crate) struct Checker {
    /// A read takes no longer.
    limit: Nanos,
    sources: Vec<Source>,
    scopes: HashMap<Scope, History>,
    /// By node.
    waiting_here: HashMap<u32, Waiting>,
    dependencies: Vec<Vec<Scope>>,
    /// When nodes stood still, by number.
    frozen: HashMap<u32, Vec<(Nanos, Nanos)>>,
    /// Reads that ended after the last cut.
    waiting: Vec<(u32, Event)>,
    /// Loads of this batch and the one before.
    recent_loads: [Vec<(Key, Nanos, Nanos)>; 2],
    pub(crate) rates: Rates,
    pub(crate) figures: Figures,
    violations: Vec<Violation>,
    violated: BTreeMap<Broken, u64>,
}

impl Checker {
    /// Makes a checker that has seen nothing.
    pub(crate) fn new(limit: Nanos) -> Self {
        Self {
            limit,
            sources: vec![Source::default(); KEYS as usize],
            scopes: HashMap::new(),
            waiting_here: HashMap::new(),
            dependencies: Key::all().map(Key::scopes).collect(),
            frozen: HashMap::new(),
            waiting: Vec::new(),
            recent_loads: Default::default(),
            rates: Rates::default(),
            figures: Figures::default(),
            violations: Vec::new(),
            violated: BTreeMap::new(),
        }
    }

    /// Notes that a node stands still from now on.
    pub(crate) fn freezes(&mut self, node: u32, at: Nanos) {
        self.frozen.entry(node).or_default().push((at, Nanos::MAX));
    }

    /// Notes that it goes on.
    pub(crate) fn thaws(&mut self, node: u32, at: Nanos) {
        if let Some((_, end)) = self.frozen.entry(node).or_default().last_mut() {
            *end = at;
        }
    }

    /// Takes what was written down since the last call. Everything that ended up to `cut` has been handed over with this
    /// batch or before, except for what a node that stands still has not written yet.
    pub(crate) fn absorb(&mut self, batch: &[(u32, Event)], cut: Nanos) {
        let mut reads = std::mem::take(&mut self.waiting);
        self.recent_loads.swap(0, 1);
        self.recent_loads[1].clear();
        for (node, event) in batch {
            match *event {
                Event::Begun { key, version, at } => self.sources[key.0 as usize].begun(version, at),
                Event::Committed { key, version, at } => {
                    self.sources[key.0 as usize].committed(version, at);
                    self.figures.writes += 1;
                }
                Event::Called { .. } => self.figures.invalidations += 1,
                Event::Returned { what, scope, called, at, token } => {
                    self.waiting_here.entry(*node).or_default().ends(scope, called, at);
                    let Some(token) = token else { continue };
                    self.figures.acknowledged += 1;
                    if what != What::Expire {
                        let invalidation = Invalidation { returned: at, called, token };
                        self.scopes.entry(scope).or_default().add(invalidation);
                    }
                }
                Event::Loaded { key, began, ended, .. } => {
                    self.figures.loads += 1;
                    self.recent_loads[1].push((key, began, ended));
                }
                Event::Read { .. } => reads.push((*node, *event)),
                Event::Started { at } => self.waiting_here.entry(*node).or_default().dies(at),
                Event::Queued { scope, called, at } => {
                    self.figures.queued += 1;
                    self.waiting_here.entry(*node).or_default().begins(scope, called, at);
                }
                Event::Counted { counted, .. } => self.count(*node, counted),
                Event::Below { below, .. } => self.figures.below.add(&below),
                Event::Incoherent { scope, peer, seq, stamp, .. } => {
                    let note = format!("scope {scope:016x}, invalidated at {seq}, stamp {stamp}, peer {peer:016x}");
                    self.report(Violation::noted(Broken::Incoherent, *node, note));
                }
                Event::Lease { .. } => {}
            }
        }
        self.count_overlaps();
        for (node, event) in reads {
            if event.at() > cut {
                self.waiting.push((node, event));
            } else {
                self.judge(node, &event);
            }
        }
    }

    /// Judges the reads that ended after the last cut. Every log is complete now.
    pub(crate) fn finish(&mut self) {
        self.absorb(&[], Nanos::MAX);
    }

    /// Notes a violation that is not in the logs.
    pub(crate) fn report(&mut self, violation: Violation) {
        *self.violated.entry(violation.broken).or_default() += 1;
        if self.violations.len() < KEPT {
            self.violations.push(violation);
        }
    }

    /// Returns the first violations.
    pub(crate) fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Returns how many violations there are of each kind.
    pub(crate) fn violated(&self) -> &BTreeMap<Broken, u64> {
        &self.violated
    }

    fn count(&mut self, node: u32, counted: Counted) {
        let sum = &mut self.figures.counted;
        sum.bypasses += counted.bypasses;
        sum.probes += counted.probes;
        sum.unanswered += counted.unanswered;
        sum.incoherent += counted.incoherent;
        if counted.incoherent > 0 {
            let note = format!("its probes found {} nodes that would serve what was invalidated", counted.incoherent);
            self.report(Violation::noted(Broken::Incoherent, node, note));
        }
    }

    fn count_overlaps(&mut self) {
        for (key, began, ended) in self.recent_loads.iter().flatten() {
            for scope in &self.dependencies[key.0 as usize] {
                if let Some(history) = self.scopes.get_mut(scope) {
                    self.figures.overlaps += history.mark_overlaps(*began, *ended);
                }
            }
        }
    }

    /// Returns the oldest version a read may return, and the invalidation that says so.
    pub(crate) fn required(&self, key: Key, asked: Asked, began: Nanos) -> (u64, Option<(Scope, Invalidation)>) {
        let mut required = (0, None);
        for scope in &self.dependencies[key.0 as usize] {
            let Some(history) = self.scopes.get(scope) else { continue };
            let latest_call = match asked {
                Asked::Latest => history.latest_call(began),
                Asked::Within(bound) => history.latest_call(began.saturating_sub(ms(bound) + CLOCK_STEP)),
                Asked::Since(token) => history.latest_call_up_to(&token, began),
            };
            let Some(invalidation) = latest_call else { continue };
            let version = self.sources[key.0 as usize].committed_before(invalidation.called);
            if version > required.0 {
                required = (version, Some((*scope, invalidation)));
            }
        }
        required
    }

    /// The same of what waits on a node, which binds the reads of its own life, whatever they ask for. What is wanted is the
    /// call, not a token: there is none.
    fn required_here(&self, node: u32, key: Key, began: Nanos) -> u64 {
        let Some(waiting) = self.waiting_here.get(&node) else { return 0 };
        let calls = self.dependencies[key.0 as usize].iter().filter_map(|scope| waiting.latest_call(*scope, began));
        calls.max().map_or(0, |called| self.sources[key.0 as usize].committed_before(called))
    }

    fn judge(&mut self, node: u32, event: &Event) {
        let Event::Read { op, key, asked, seen, hit, began, ended } = *event else { return };
        let name = match asked {
            Asked::Latest => "latest",
            Asked::Since(_) => "since",
            Asked::Within(_) => "bounded",
        };
        *self.figures.reads.entry(name).or_default() += 1;
        self.figures.failed_reads += u64::from(matches!(seen, Seen::Failed | Seen::Hung));
        if op == Op::Load {
            let hit = hit && matches!(seen, Seen::Version(_) | Seen::Absent);
            self.rates.add(ended, hit);
        }
        let awake = (ended - began).saturating_sub(self.standstill(node, began, ended));
        self.figures.longest_read = self.figures.longest_read.max(awake);
        let newest = self.sources[key.0 as usize].begun_before(ended);
        let (mut required, mut by) = self.required(key, asked, began);
        let (here, mut note) = (self.required_here(node, key, began), String::new());
        if here > required {
            self.figures.quarantined += 1;
            (required, by) = (here, None);
            "by an invalidation that waits on this node".clone_into(&mut note);
        }
        let violation = |broken, required, by| Violation {
            broken,
            node,
            key: Some(key),
            read: Some(*event),
            required,
            by,
            note: if broken == Broken::Stale { note } else { String::new() },
        };
        let found = match seen {
            Seen::Version(version) if version < required => Some(violation(Broken::Stale, required, by)),
            Seen::Version(version) if version > newest || is_absence(key.form(), version) => {
                Some(violation(Broken::NeverWritten, newest, None))
            }
            Seen::Absent if key.form() != Form::Negative => Some(violation(Broken::NeverWritten, 0, None)),
            Seen::Absent if !(required..=newest.max(required)).any(|v| is_absence(key.form(), v)) => {
                Some(violation(Broken::Stale, required, by))
            }
            Seen::Foreign(_) => Some(violation(Broken::Foreign, 0, None)),
            Seen::Hung => Some(violation(Broken::Late, 0, None)),
            _ if awake > self.limit => Some(violation(Broken::Late, 0, None)),
            _ => None,
        };
        if let Some(found) = found {
            self.report(found);
        }
    }

    /// Returns for how much of a time a node stood still.
    fn standstill(&self, node: u32, from: Nanos, to: Nanos) -> Nanos {
        let times = self.frozen.get(&node).map_or(&[][..], Vec::as_slice);
        times.iter().rev().map(|(begin, end)| (*end).min(to).saturating_sub((*begin).max(from))).sum()
    }
}
