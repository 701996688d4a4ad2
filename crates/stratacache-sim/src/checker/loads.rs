//! How often a key is loaded between two invalidations.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::{
    log::{Event, Leased, Op},
    time::Nanos,
    world::{Form, Key, Scope},
};

/// What was seen of the times between two invalidations of a key in which it was loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LoadFigure {
    /// How many such times.
    pub(crate) times: u64,
    /// How many loads began in them.
    pub(crate) loads: u64,
    /// The most in one.
    pub(crate) most: u64,
    /// How many had more loads than there are nodes and leases that expired meanwhile.
    pub(crate) above: u64,
    /// Leases that expired in them.
    pub(crate) expired: u64,
    /// Reads of any key, meanwhile, that could not learn of invalidations, and may have loaded for memory only.
    pub(crate) bypasses: u64,
}

impl LoadFigure {
    pub(crate) fn add(&mut self, other: &Self) {
        self.times += other.times;
        self.loads += other.loads;
        self.most = self.most.max(other.most);
        self.above += other.above;
        self.expired += other.expired;
        self.bypasses += other.bypasses;
    }

    /// Returns how many loads there were for each key that was invalidated.
    pub(crate) fn each(&self) -> f64 {
        self.loads as f64 / self.times.max(1) as f64
    }

    /// Tells whether more times than a share of them had too many loads, and more than the bypasses explain, or than
    /// chance does where there are few: three standard deviations of so rare a thing.
    pub(crate) fn is_above(&self, share: f64) -> bool {
        let expected = self.times as f64 * share;
        self.above as f64 > expected + 3.0 * expected.sqrt() + self.bypasses as f64
    }
}

/// What happened to one key.
#[derive(Debug, Default)]
struct Story {
    /// When something it depends on was being invalidated.
    busy: Vec<(Nanos, Nanos)>,
    loads: Vec<Nanos>,
    /// When leases expired.
    expired: Vec<Nanos>,
}

/// Counts the loads of plain keys, refreshes left out, that began while no invalidation of theirs was under way.
///
/// Plain keys live longer than a run, so that only invalidations ask for loads. One of which nobody heard what became of it is
/// under way until its node starts anew; one that waits, until it was applied.
pub(crate) fn loads_of_quiet_times(events: &[(u32, Event)], nodes: u64) -> LoadFigure {
    let mut figure = LoadFigure::default();
    for story in stories(events, &mut figure).into_values() {
        let Story { mut busy, loads, expired } = story;
        busy.sort_unstable();
        let Some((_, mut quiet_since)) = busy.first().copied() else { continue };
        for (called, returned) in &busy[1..] {
            if *called > quiet_since {
                let within = |times: &[Nanos]| times.iter().filter(|at| (quiet_since..*called).contains(*at)).count();
                let (count, lost) = (within(&loads) as u64, within(&expired) as u64);
                figure.times += u64::from(count > 0);
                figure.loads += count;
                figure.most = figure.most.max(count);
                figure.above += u64::from(count > nodes + lost);
                figure.expired += lost;
            }
            quiet_since = quiet_since.max(*returned);
        }
    }
    figure
}

/// Sorts what happened by key, and counts what belongs to none.
fn stories(events: &[(u32, Event)], figure: &mut LoadFigure) -> HashMap<Key, Story> {
    let plain = |key: &Key| key.form() == Form::Plain;
    let mut stories: HashMap<Key, Story> = HashMap::new();
    // by node; what it has begun, and the leases that it has
    let mut begun: BTreeMap<u32, Vec<(Scope, Nanos)>> = BTreeMap::new();
    let mut held: HashMap<(u32, Key), Nanos> = HashMap::new();
    let end = events.iter().map(|(_, event)| event.at()).max().unwrap_or_default();
    for (node, event) in events {
        let mut busy = |scope: Scope, called, until| {
            let keys = scope.keys().filter(plain);
            keys.for_each(|key| stories.entry(key).or_default().busy.push((called, until)));
        };
        match *event {
            Event::Called { scope, at, .. } => begun.entry(*node).or_default().push((scope, at)),
            Event::Returned { scope, called, at, .. } => {
                busy(scope, called, at);
                begun.entry(*node).or_default().retain(|begun| *begun != (scope, called));
            }
            Event::Started { at } => {
                begun.remove(node).into_iter().flatten().for_each(|(scope, called)| busy(scope, called, at));
            }
            Event::Loaded { op: Op::Load, key, began, .. } if plain(&key) => {
                stories.entry(key).or_default().loads.push(began);
            }
            Event::Lease { what: Leased::Held, key, life, at } => {
                // a lease that ended before it was granted again was noticed below
                if let Some(expires) = held.insert((*node, key), at + life).filter(|expires| *expires < at) {
                    stories.entry(key).or_default().expired.push(expires);
                }
            }
            Event::Lease { what: Leased::Ended, key, at, .. } => {
                if let Some(expires) = held.remove(&(*node, key)).filter(|expires| *expires < at) {
                    stories.entry(key).or_default().expired.push(expires);
                }
            }
            Event::Counted { counted, .. } => figure.bypasses += counted.bypasses,
            _ => {}
        }
    }
    for (scope, called) in begun.into_values().flatten() {
        for key in scope.keys().filter(plain) {
            stories.entry(key).or_default().busy.push((called, end));
        }
    }
    held.into_iter().for_each(|((_, key), expires)| stories.entry(key).or_default().expired.push(expires));
    stories
}
