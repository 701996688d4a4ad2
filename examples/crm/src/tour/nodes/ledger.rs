//! Which writes were acknowledged, and when: what a read that began later must show.

use std::{collections::HashMap, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

/// No read takes longer; older writes are of interest only as the newest of them.
const KEPT: Duration = Duration::from_secs(60);

/// Remembers the writes of all contacts.
#[derive(Default)]
pub(super) struct Ledger {
    written: Mutex<HashMap<i64, Written>>,
}

struct Written {
    company: u64,
    /// When the answers arrived, and the versions they said, newest last.
    acknowledged: Vec<(Instant, i64)>,
}

impl Ledger {
    /// Notes that a write begins. Its answer may get lost.
    pub(super) fn begins(&self, company: u64, id: i64) {
        self.written.lock().entry(id).or_insert_with(|| Written { company, acknowledged: Vec::new() });
    }

    /// Notes the answer to a write.
    pub(super) fn acknowledged(&self, id: i64, version: i64, at: Instant) {
        let mut written = self.written.lock();
        let Some(Written { acknowledged, .. }) = written.get_mut(&id) else { return };
        acknowledged.push((at, version));
        let old = acknowledged.iter().take_while(|(then, _)| at.duration_since(*then) > KEPT).count();
        acknowledged.drain(..old.saturating_sub(1));
    }

    /// Returns the newest version that was acknowledged before a moment; `None` if none was.
    pub(super) fn newest_before(&self, id: i64, moment: Instant) -> Option<i64> {
        let written = self.written.lock();
        written.get(&id)?.acknowledged.iter().filter(|(at, _)| *at <= moment).map(|(_, version)| *version).max()
    }

    /// Returns all contacts that were written, or may have been, and their companies.
    pub(super) fn all(&self) -> Vec<(u64, i64)> {
        self.written.lock().iter().map(|(id, written)| (written.company, *id)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_read_must_show_what_was_acknowledged_before_it_and_nothing_newer() {
        let (ledger, start) = (Ledger::default(), Instant::now());
        ledger.begins(7, 1);
        assert_eq!(ledger.newest_before(1, start + s(1)), None, "not acknowledged");
        ledger.acknowledged(1, 5, start);
        ledger.acknowledged(1, 6, start + s(2));
        assert_eq!(ledger.newest_before(1, start + s(1)), Some(5));
        assert_eq!(ledger.newest_before(1, start + s(2)), Some(6));
        assert_eq!(ledger.newest_before(2, start + s(2)), None, "another contact");
        assert_eq!(ledger.all(), [(7, 1)]);
    }

    #[test]
    fn of_old_writes_the_newest_is_remembered() {
        let (ledger, start) = (Ledger::default(), Instant::now());
        ledger.begins(7, 1);
        for n in 0..1000 {
            ledger.acknowledged(1, n, start + s(n as u64));
        }
        assert_eq!(ledger.newest_before(1, start + s(938)), Some(938));
        assert_eq!(ledger.newest_before(1, start + s(900)), None);
    }
}
