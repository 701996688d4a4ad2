//! The invalidations of one scope.

use std::collections::HashMap;

use stratacache::Token;

use crate::time::Nanos;

/// One that returned `Ok`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Invalidation {
    pub(crate) returned: Nanos,
    pub(crate) called: Nanos,
    pub(crate) token: Token,
}

#[derive(Debug)]
struct Entry {
    invalidation: Invalidation,
    /// Where, up to here, the one is that was called last.
    latest: usize,
    overlapped: bool,
}

/// A token names a place in one history of one lane.
type Line = (usize, u64);

/// In the order in which they returned.
#[derive(Debug, Default)]
pub(super) struct History {
    entries: Vec<Entry>,
    by_place: HashMap<Line, Vec<(u64, Invalidation)>>,
}

impl History {
    pub(super) fn add(&mut self, invalidation: Invalidation) {
        let (line, seq) = place(&invalidation.token);
        let line = self.by_place.entry(line).or_default();
        let at = line.partition_point(|(other, _)| *other <= seq);
        line.insert(at, (seq, invalidation));
        let at = self.entries.partition_point(|entry| entry.invalidation.returned <= invalidation.returned);
        self.entries.insert(at, Entry { invalidation, latest: at, overlapped: false });
        // what a node wrote down late moves what returned after it
        for i in at..self.entries.len() {
            let before = i.checked_sub(1).map(|before| self.entries[before].latest);
            let own = self.entries[i].invalidation.called;
            self.entries[i].latest = before.filter(|b| self.entries[*b].invalidation.called >= own).unwrap_or(i);
        }
    }

    /// Returns, of those that returned before a time, the one that was called last.
    pub(super) fn latest_call(&self, before: Nanos) -> Option<Invalidation> {
        let count = self.entries.partition_point(|entry| entry.invalidation.returned < before);
        let last = count.checked_sub(1)?;
        Some(self.entries[self.entries[last].latest].invalidation)
    }

    /// The same of those whose place is not after that of a token, in its lane and history.
    pub(super) fn latest_call_up_to(&self, token: &Token, before: Nanos) -> Option<Invalidation> {
        let (line, seq) = place(token);
        let line = self.by_place.get(&line)?;
        let count = line.partition_point(|(other, _)| *other <= seq);
        // those before were called before, but for a few that overlapped: looking at some is enough to be right
        let candidates = line[..count].iter().rev().take(16).map(|(_, invalidation)| *invalidation);
        candidates.filter(|invalidation| invalidation.returned < before).max_by_key(|invalidation| invalidation.called)
    }

    /// Returns how many were under way at some point of a time, and are told so for the first time.
    pub(super) fn mark_overlaps(&mut self, from: Nanos, to: Nanos) -> u64 {
        let first = self.entries.partition_point(|entry| entry.invalidation.returned < from);
        let mut count = 0;
        for entry in &mut self.entries[first..] {
            if entry.invalidation.called <= to && !entry.overlapped {
                entry.overlapped = true;
                count += 1;
            }
        }
        count
    }
}

fn place(token: &Token) -> (Line, u64) {
    ((token.lane().index(), token.position().incarnation.0), token.position().seq)
}
