//! Which commands of a connection cost one round trip together.

/// The rule, as [`Controls::round_trips`](super::Controls::round_trips) tells it.
#[derive(Debug, Default)]
pub(super) struct Trips {
    current: u64,
    phase: Phase,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The next command begins a round trip.
    #[default]
    Idle,
    /// Nothing of the current one was answered.
    Open,
    /// It was answered while the next command was half read: that one still belongs to it.
    Answered,
}

impl Trips {
    /// Takes in a command that was read; returns its round trip and whether it is new.
    pub(super) fn read(&mut self) -> (u64, bool) {
        let new = self.phase == Phase::Idle;
        if new {
            self.current += 1;
            self.phase = Phase::Open;
        }
        (self.current, new)
    }

    /// Notes that a reply is about to be sent, after everything readable was read.
    pub(super) fn answer(&mut self, trip: u64, half_read: bool) {
        if trip == self.current && self.phase == Phase::Open {
            self.phase = if half_read { Phase::Answered } else { Phase::Idle };
        }
    }

    /// Notes that nothing is readable and nothing half read.
    pub(super) fn dry(&mut self) {
        if self.phase == Phase::Answered {
            self.phase = Phase::Idle;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_belong_together_until_one_of_them_is_answered() {
        let mut trips = Trips::default();
        assert_eq!([trips.read(), trips.read()], [(1, true), (1, false)]);
        trips.answer(1, false);
        assert_eq!(trips.read(), (2, true));
        trips.answer(1, false); // the second reply of the first trip says nothing about the second
        assert_eq!(trips.read(), (2, false));
    }

    #[test]
    fn a_long_pipeline_is_one_round_trip_although_its_first_reply_comes_before_its_last_command() {
        let mut trips = Trips::default();
        assert_eq!(trips.read(), (1, true));
        trips.answer(1, true);
        assert_eq!([trips.read(), trips.read()], [(1, false), (1, false)]);
        trips.dry();
        assert_eq!(trips.read(), (2, true));
    }
}
