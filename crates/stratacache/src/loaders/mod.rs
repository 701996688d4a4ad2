//! What protects the sources behind loaders: fair turns, a rate, a breaker, retries on a budget, a rest for keys that fail.

mod budget;
mod failing;
mod limits;
mod lines;
mod loader;
mod pace;
mod stats;

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;
use stratacache_core::{Error, Result, clock::Clock};

pub(crate) use budget::Budget;
pub(crate) use failing::{Failing, Failure};
pub(crate) use limits::BackOff;
pub use limits::{LoaderLimits, Retry};
pub(crate) use lines::Seat;
pub(crate) use loader::{Begun, Loader, Refused};
pub(crate) use pace::Pace;
pub use stats::LoaderStats;

/// The loaders that were declared, by name.
#[derive(Default)]
pub(crate) struct Loaders {
    by_name: HashMap<Arc<str>, Arc<Loader>, RandomState>,
    /// Some of them let keys rest that fail.
    pub(crate) keys_rest: bool,
}

impl Loaders {
    pub(crate) fn new(declared: Vec<(Arc<str>, LoaderLimits)>, clock: &Arc<dyn Clock>) -> Self {
        let keys_rest = declared.iter().any(|(_, limits)| limits.back_off_rule().is_some());
        let made = declared.into_iter().map(|(name, limits)| {
            let loader = Loader::new(Arc::clone(&name), limits, clock);
            (name, Arc::new(loader))
        });
        Self { by_name: made.collect(), keys_rest }
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Arc<Loader>> {
        self.by_name.get(name)
    }

    /// Returns all of them, by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Loader> {
        let mut all: Vec<&Loader> = self.by_name.values().map(|loader| &**loader).collect();
        all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        all.into_iter()
    }

    /// Returns a loader.
    ///
    /// # Errors
    /// That names it, and those there are.
    pub(crate) fn get(&self, name: &str) -> Result<Arc<Loader>> {
        self.find(name).cloned().ok_or_else(|| not_declared(name, self.by_name.keys().map(|known| &**known)))
    }
}

/// Says that there is no loader of a name.
pub(crate) fn not_declared<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let mut known: Vec<String> = known.map(|name| format!("{name:?}")).collect();
    known.sort_unstable();
    let known =
        if known.is_empty() { "none is declared".to_owned() } else { format!("there are {}", known.join(", ")) };
    Error::invalid(format!(
        "there is no loader {name:?}: declare it with builder.loader({name:?}, LoaderLimits::new()); {known}"
    ))
}
