//! Faults that meet single commands, and single messages of subscriptions.

use std::{ops::RangeInclusive, time::Duration};

use bytes::Bytes;

use super::Command;
use crate::random::Random;

/// How often a fault happens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Times {
    /// Each time.
    Always,
    /// The next so many times.
    Next(usize),
    /// With a probability, drawn from the seed.
    Chance(f64),
}

impl Times {
    pub(super) fn check(self) {
        if let Self::Chance(p) = self {
            assert!((0.0..=1.0).contains(&p), "a probability is between 0 and 1, not {p}");
        }
    }

    fn hit(&mut self, random: &Random) -> bool {
        match self {
            Self::Always => true,
            Self::Next(0) => false,
            Self::Next(left) => {
                *left -= 1;
                true
            }
            Self::Chance(probability) => random.chance(*probability),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    Request,
    Reply,
}

/// What happens to one command.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) loss: Option<Loss>,
    pub(super) delay: Option<Duration>,
}

#[derive(Debug, Default)]
pub(super) struct Rules {
    losses: Vec<(Command, Loss, Times)>,
    delays: Vec<(Command, RangeInclusive<Duration>)>,
    lost_messages: Option<Times>,
    late_messages: Option<RangeInclusive<Duration>>,
}

impl Rules {
    pub(super) fn lose(&mut self, command: Command, loss: Loss, times: Times) {
        self.losses.push((command, loss, times));
    }

    pub(super) fn delay(&mut self, command: Command, range: RangeInclusive<Duration>) {
        self.delays.push((command, range));
    }

    pub(super) fn lose_messages(&mut self, times: Times) {
        self.lost_messages = Some(times);
    }

    pub(super) fn delay_messages(&mut self, range: RangeInclusive<Duration>) {
        self.late_messages = Some(range);
    }

    /// Decides whether the next message is lost.
    pub(super) fn loses_message(&mut self, random: &Random) -> bool {
        self.lost_messages.as_mut().is_some_and(|times| times.hit(random))
    }

    /// Draws how late the next message is.
    pub(super) fn delay_of_message(&self, random: &Random) -> Option<Duration> {
        self.late_messages.as_ref().map(|range| within(range, random))
    }

    /// Decides; of the rules that hit, the one that was given first counts.
    pub(super) fn draw(&mut self, args: &[Bytes], random: &Random) -> Fate {
        let mut losses = self.losses.iter_mut();
        let loss =
            losses.find_map(|(command, loss, times)| (command.means(args) && times.hit(random)).then_some(*loss));
        let delay = self.delays.iter().find(|(command, _)| command.means(args));
        Fate { loss, delay: delay.map(|(_, range)| within(range, random)) }
    }
}

/// Draws a duration from a range.
pub(super) fn within(range: &RangeInclusive<Duration>, random: &Random) -> Duration {
    let nanos = range.end().saturating_sub(*range.start()).as_nanos();
    let bound = u64::try_from(nanos).unwrap_or(u64::MAX - 1) + 1;
    *range.start() + Duration::from_nanos(random.below(bound))
}
