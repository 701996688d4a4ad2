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

    /// Tells whether any key rests now.
    pub(crate) fn any_rests(&self, now: Millis) -> bool {
        self.0.lock().values().any(|failure| now < failure.until)
    }

    /// Ends the rest of a key.
    pub(crate) fn forget(&self, key: &Scope) {
        self.0.lock().remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loaders::LoaderLimits;
    use std::time::Duration;
    use stratacache_core::{
        Deployment, NamespacePath, TenantId,
        stamp::{Incarnation, Position},
    };

    fn stamp() -> Stamp {
        let position = Position { incarnation: Incarnation(0), seq: 0 };
        Stamp { lane: position, global: position, mep: 0, tenant: 0 }
    }

    fn scope(n: u32) -> Scope {
        let deployment = Deployment::new(Deployment::DEFAULT_SECRET);
        deployment.prefix_scope(&TenantId::global(), &NamespacePath::default(), &n.to_be_bytes())
    }

    #[test]
    fn the_table_is_bounded_and_forgets_what_rests_least() {
        let limits = LoaderLimits::new().back_off(Duration::from_millis(100), Duration::from_secs(10));
        let rule = limits.back_off_rule().unwrap();
        let failing = Failing::default();
        for n in 0..MOST as u32 + 100 {
            failing.note(scope(n), stamp(), &rule, u64::from(n), 0.0);
        }
        assert_eq!(failing.0.lock().len(), MOST);
        assert!(failing.0.lock().contains_key(&scope(MOST as u32 + 99)) && !failing.0.lock().contains_key(&scope(0)));
    }

    #[test]
    fn failures_count_in_a_row_until_the_key_was_left_in_peace() {
        let limits = LoaderLimits::new().back_off(Duration::from_millis(100), Duration::from_secs(1));
        let rule = limits.back_off_rule().unwrap();
        let (failing, key) = (Failing::default(), scope(1));
        let rests = |now| {
            failing.note(key, stamp(), &rule, now, 0.999_999);
            failing.resting(&key, now).unwrap().until - now
        };
        assert_eq!([rests(0), rests(100), rests(500)], [99, 199, 399]);
        assert_eq!(rests(10_000), 99, "long after, it starts anew");
        assert_eq!(failing.resting(&key, 10_100), None);
    }
}
