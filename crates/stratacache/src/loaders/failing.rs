//! Keys whose load failed, and that rest.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use stratacache_core::{Scope, Stamp, clock::Millis};

use super::BackOff;

/// Keys that one tenant remembers.
const MOST: usize = 4096;

/// A failure of a key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Failure {
    /// In a row.
    failures: u32,
    pub(crate) until: Millis,
    /// The stamp of the load: what was invalidated after it ends the rest.
    pub(crate) stamp: Stamp,
}

/// The keys of one tenant that rest.
#[derive(Default)]
pub(crate) struct Failing(Mutex<HashMap<Scope, Failure, RandomState>>);

impl Failing {
    /// Notes that the load of a key failed; `random` is in [0, 1).
    pub(crate) fn note(&self, key: Scope, stamp: Stamp, rule: &BackOff, now: Millis, random: f64) {
        let mut keys = self.0.lock();
        let most = rule.most.as_millis() as u64;
        let in_a_row =
            keys.get(&key).filter(|last| now < last.until.saturating_add(most)).map_or(0, |last| last.failures);
        let failures = in_a_row.saturating_add(1);
        if keys.len() >= MOST && !keys.contains_key(&key) {
            // the one whose rest ends first, most of all one that is over
            let first = keys.iter().min_by_key(|(_, failure)| failure.until).map(|(key, _)| *key);
            first.and_then(|first| keys.remove(&first));
        }
        let until = now.saturating_add((rule.pause(failures, random).as_millis() as u64).max(1));
        keys.insert(key, Failure { failures, until, stamp });
    }

    /// Returns the failure after which a key rests now.
    pub(crate) fn resting(&self, key: &Scope, now: Millis) -> Option<Failure> {
        self.0.lock().get(key).filter(|failure| now < failure.until).copied()
    }

    /// Ends the rest of a key.
    pub(crate) fn forget(&self, key: &Scope) {
        self.0.lock().remove(key);
    }
}
