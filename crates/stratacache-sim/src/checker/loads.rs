//! How often a key is loaded between two invalidations.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::{
    log::{Event, Op},
    time::Nanos,
    world::{Form, Key},
};

/// What was seen of the times between two invalidations of a key in which it was loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct LoadFigure {
    /// How many such times.
    pub(crate) times: u64,
    /// How many loads began in them.
    pub(crate) loads: u64,
    /// The most in one.
    pub(crate) most: u64,
    /// How many had more loads than there are nodes.
    pub(crate) above: u64,
}

/// Counts the loads of plain keys, refreshes left out, that began and ended while no invalidation of theirs was under way.
///
/// Plain keys live longer than a run, so that only invalidations ask for loads.
pub(crate) fn loads_of_quiet_times(events: &[(u32, Event)], nodes: u64) -> LoadFigure {
    let plain = |key: &Key| key.form() == Form::Plain;
    let mut busy: HashMap<Key, Vec<(Nanos, Nanos)>> = HashMap::new();
    let mut loads: HashMap<Key, Vec<Nanos>> = HashMap::new();
    for (_, event) in events {
        match *event {
            Event::Returned { scope, called, at, .. } => {
                for key in scope.keys().filter(plain) {
                    busy.entry(key).or_default().push((called, at));
                }
            }
            Event::Loaded { op: Op::Load, key, began, .. } if plain(&key) => loads.entry(key).or_default().push(began),
            _ => {}
        }
    }
    let mut figure = LoadFigure::default();
    for (key, mut busy) in busy {
        busy.sort_unstable();
        let Some(loads) = loads.get_mut(&key) else { continue };
        loads.sort_unstable();
        let mut quiet_since = busy[0].1;
        for (called, returned) in &busy[1..] {
            if *called > quiet_since {
                let count = loads.iter().filter(|began| (quiet_since..*called).contains(*began)).count() as u64;
                figure.times += u64::from(count > 0);
                figure.loads += count;
                figure.most = figure.most.max(count);
                figure.above += u64::from(count > nodes);
            }
            quiet_since = quiet_since.max(*returned);
        }
    }
    figure
}
