//! Keys whose load failed, and that rest.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use stratacache_core::{Scope, Stamp, clock::Millis};

use super::BackOff;

/// Keys that one tenant remembers, in each of two tables.
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

type Keys = HashMap<Scope, Failure, RandomState>;

/// The keys of one tenant that rest.
#[derive(Default)]
pub(crate) struct Failing {
    /// After a load of their own.
    own: Mutex<Keys>,
    /// After a load of many, of which nobody knows for whose sake it failed: only loads of many heed it.
    together: Mutex<Keys>,
}

/// Returns how often in a row a key has failed, this time included.
fn once_more(last: Option<&Failure>, rule: &BackOff, now: Millis) -> u32 {
    let most = rule.most.as_millis() as u64;
    last.filter(|last| now < last.until.saturating_add(most)).map_or(1, |last| last.failures.saturating_add(1))
}

fn until(failures: u32, rule: &BackOff, now: Millis, random: f64) -> Millis {
    now.saturating_add((rule.pause(failures, random).as_millis() as u64).max(1))
}

impl Failing {
    /// Notes that the load of a key failed; `random` is in [0, 1).
    pub(crate) fn note(&self, key: Scope, stamp: Stamp, rule: &BackOff, now: Millis, random: f64) {
        let mut keys = self.own.lock();
        let failures = once_more(keys.get(&key), rule, now);
        if keys.len() >= MOST && !keys.contains_key(&key) {
            // the one whose rest ends first, most of all one that is over
            let first = keys.iter().min_by_key(|(_, failure)| failure.until).map(|(key, _)| *key);
            first.and_then(|first| keys.remove(&first));
        }
        keys.insert(key, Failure { failures, until: until(failures, rule, now, random), stamp });
    }

    /// Notes that a load of many keys failed. They rest equally long, so that they are loaded together again. Where there is no room
    /// for all, none is noted: some would not keep the others from being loaded.
    pub(crate) fn note_together(&self, failed: &[(Scope, Stamp)], rule: &BackOff, now: Millis, random: f64) {
        let mut keys = self.together.lock();
        let fits = |keys: &Keys| keys.len() + failed.iter().filter(|(key, _)| !keys.contains_key(key)).count() <= MOST;
        if !fits(&keys) {
            keys.retain(|_, failure| now < failure.until);
            if !fits(&keys) {
                return;
            }
        }
        let failures = failed.iter().map(|(key, _)| once_more(keys.get(key), rule, now)).max().unwrap_or(1);
        let until = until(failures, rule, now, random);
        keys.extend(failed.iter().map(|(key, stamp)| (*key, Failure { failures, until, stamp: *stamp })));
    }

    /// Returns the failure of its own after which a key rests now.
    pub(crate) fn resting(&self, key: &Scope, now: Millis) -> Option<Failure> {
        self.own.lock().get(key).filter(|failure| now < failure.until).copied()
    }

    /// Returns the failure after which a key rests now for loads of many.
    pub(crate) fn resting_together(&self, key: &Scope, now: Millis) -> Option<Failure> {
        let together = self.together.lock().get(key).filter(|failure| now < failure.until).copied();
        together.or_else(|| self.resting(key, now))
    }

    /// Tells whether any key rests now.
    pub(crate) fn any_rests(&self, now: Millis) -> bool {
        [&self.own, &self.together].into_iter().any(|keys| keys.lock().values().any(|failure| now < failure.until))
    }

    /// Ends the rest of a key.
    pub(crate) fn forget(&self, key: &Scope) {
        self.own.lock().remove(key);
        self.together.lock().remove(key);
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
        assert_eq!(failing.own.lock().len(), MOST);
        assert!(
            failing.own.lock().contains_key(&scope(MOST as u32 + 99)) && !failing.own.lock().contains_key(&scope(0))
        );
    }

    #[test]
    fn many_keys_rest_equally_long_all_or_none_and_take_no_room_from_others() {
        let limits = LoaderLimits::new().back_off(Duration::from_millis(100), Duration::from_secs(1));
        let rule = limits.back_off_rule().unwrap();
        let failing = Failing::default();
        let many = |range: std::ops::Range<u32>| range.map(|n| (scope(n), stamp())).collect::<Vec<_>>();
        let rests = |n, now| failing.resting_together(&scope(n), now).map(|failure| failure.until - now);
        failing.note(scope(0), stamp(), &rule, 0, 0.999_999);
        failing.note_together(&many(0..3), &rule, 0, 0.999_999);
        failing.note_together(&many(2..5), &rule, 100, 0.999_999);
        assert_eq!([rests(1, 0), rests(2, 100), rests(4, 100)], [Some(99), Some(199), Some(199)], "that of the worst");
        assert_eq!(failing.resting(&scope(4), 100), None, "not for a load of its own");
        let most = MOST as u32;
        failing.note_together(&many(10..10 + most), &rule, 150, 0.0);
        assert_eq!(rests(10, 150), None, "three still rest");
        failing.note_together(&many(10..10 + most), &rule, 300, 0.0);
        assert_eq!((rests(10, 300), rests(9 + most, 300)), (Some(50), Some(50)));
        assert_eq!((failing.together.lock().len(), failing.own.lock().len()), (MOST, 1));
        failing.note_together(&many(10..10 + most), &rule, 360, 0.0);
        assert_eq!(rests(10, 360), Some(100), "there is always room for the same ones");
        assert!(failing.any_rests(400) && !failing.any_rests(460));
        failing.forget(&scope(10));
        assert_eq!(rests(10, 400), None);
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
