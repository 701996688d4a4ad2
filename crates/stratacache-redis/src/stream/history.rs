//! What was read of a stream, by count: so that entries which were trimmed before anybody read them are noticed.

use std::collections::VecDeque;

use stratacache_core::follow::Position;

/// So many batches that were read and not acknowledged are told apart.
const MAX_BATCHES: usize = 4096;

/// What a stream says of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    /// Entries that were ever added.
    pub(super) added: u64,
    /// Entries that are there.
    pub(super) length: u64,
    pub(super) last: Position,
}

/// What this node knows of its consumer's place.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The last entry that was read, and the how-manieth of the stream it was: at most, where some were deleted by hand.
    read: Position,
    ordinal: u64,
    /// The same for the ends of batches that are not acknowledged.
    ends: VecDeque<(Position, u64)>,
}

impl History {
    pub(super) fn read(&self) -> Position {
        self.read
    }

    /// Goes on from what the consumer has applied, unless more was read here.
    pub(super) fn resume(&mut self, position: Position, ordinal: u64) {
        if position > self.read {
            *self = Self { read: position, ordinal, ends: VecDeque::new() };
        }
    }

    /// Tells whether entries after what was read are gone, or the stream is not the one that was read.
    pub(super) fn is_broken(&self, extent: &Extent) -> bool {
        // entries go from the front: those that are gone are the first ever added
        let gone = extent.added.saturating_sub(extent.length);
        gone > self.ordinal || extent.added < self.ordinal || extent.last < self.read
    }

    /// Begins anew, before the first entry that is there.
    pub(super) fn begin_anew(&mut self, extent: &Extent) {
        *self = Self { ordinal: extent.added.saturating_sub(extent.length), ..Self::default() };
    }

    /// Notes a batch.
    pub(super) fn note(&mut self, last: Position, entries: u64) {
        self.read = last;
        self.ordinal += entries;
        if self.ends.len() == MAX_BATCHES {
            // two become one: what is acknowledged in between counts as the first of them
            self.ends.remove(MAX_BATCHES / 2);
        }
        self.ends.push_back((self.read, self.ordinal));
    }

    /// Returns the how-manieth an acknowledged entry was, at least; `None` where none before it is known.
    pub(super) fn ordinal_of(&mut self, through: Position) -> Option<u64> {
        let before = self.ends.iter().take_while(|(end, _)| *end <= through).count();
        let found = self.ends.get(before.checked_sub(1)?).map(|(_, ordinal)| *ordinal);
        self.ends.drain(..before - 1);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: u64) -> Position {
        Position::new(n, 0)
    }

    fn extent(added: u64, length: u64) -> Extent {
        Extent { added, length, last: at(added) }
    }

    #[test]
    fn entries_that_were_trimmed_before_they_were_read_are_a_gap_and_others_are_not() {
        let mut history = History::default();
        assert!(!history.is_broken(&extent(0, 0)) && !history.is_broken(&extent(5, 5)));
        assert!(history.is_broken(&extent(5, 4)));
        history.note(at(3), 3);
        assert!(!history.is_broken(&extent(5, 2)), "what was read may go");
        assert!(history.is_broken(&extent(6, 2)));
        history.begin_anew(&extent(6, 2));
        assert!(!history.is_broken(&extent(6, 2)) && history.read() == Position::START);
    }

    #[test]
    fn a_stream_that_was_deleted_and_made_again_is_a_gap() {
        let mut history = History::default();
        history.resume(at(100), 100);
        assert!(history.is_broken(&extent(0, 0)) && history.is_broken(&extent(7, 7)));
        assert!(!history.is_broken(&extent(100, 3)));
    }

    #[test]
    fn what_is_acknowledged_counts_as_much_as_the_last_batch_before_it() {
        let mut history = History::default();
        history.note(at(10), 10);
        history.note(at(20), 10);
        assert_eq!(history.ordinal_of(at(5)), None);
        assert_eq!(history.ordinal_of(at(15)), Some(10));
        assert_eq!(history.ordinal_of(at(20)), Some(20));
        for n in 3..10_000 {
            history.note(at(n * 10), 10);
        }
        assert!(history.ends.len() <= MAX_BATCHES);
        assert_eq!(history.ordinal_of(at(99_990)), Some(99_990));
    }
}
