//! The versions of one key in the source.

use crate::time::Nanos;

/// Times and versions, both growing: a key has one writer at a time.
#[derive(Debug, Clone, Default)]
pub(super) struct Source {
    begun: Vec<(Nanos, u64)>,
    committed: Vec<(Nanos, u64)>,
}

impl Source {
    pub(super) fn begun(&mut self, version: u64, at: Nanos) {
        insert(&mut self.begun, version, at);
    }

    pub(super) fn committed(&mut self, version: u64, at: Nanos) {
        insert(&mut self.committed, version, at);
    }

    /// Returns the newest version that may have been in the source by some time.
    pub(super) fn begun_before(&self, time: Nanos) -> u64 {
        newest(&self.begun, time)
    }

    /// Returns the newest version that was in the source by some time for certain.
    pub(super) fn committed_before(&self, time: Nanos) -> u64 {
        newest(&self.committed, time)
    }
}

fn insert(list: &mut Vec<(Nanos, u64)>, version: u64, at: Nanos) {
    let place = list.partition_point(|(other, _)| *other <= at);
    list.insert(place, (at, version));
}

fn newest(list: &[(Nanos, u64)], time: Nanos) -> u64 {
    let count = list.partition_point(|(at, _)| *at <= time);
    count.checked_sub(1).map_or(0, |last| list[last].1)
}
