//! What the numbers say of a ttl.

use std::{fmt, time::Duration};

use serde::Serialize;
use stratacache_core::clock::Millis;

/// Fewer reads say nothing.
const ENOUGH_READS: u64 = 100;
/// Fewer loads again say nothing.
const ENOUGH_RELOADS: u64 = 10;
/// No ttl is advised above a day, which is where `max_ttl` stands.
const LONGEST: Millis = 24 * 3_600_000;

/// What the numbers of a kind say of its ttl. An estimate, and no more than that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "advice", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Advice {
    /// There were too few reads to say anything.
    TooFewReads,
    /// Nothing to change.
    Keep,
    /// Most loads again followed the end of a life, with no write through the resource in between: a longer ttl saves them. What others
    /// write past the resource is then seen later, too.
    Raise {
        /// The ttl that the saving was estimated for, in milliseconds.
        to_ms: u64,
        /// Of the loads again of the keys that are known, so many would not have been needed, about.
        saves_loads: u64,
    },
    /// Most loads again followed a write: the ttl hardly matters.
    WritesDecide,
    /// Hardly anything is read twice while it is kept: caching it brings little.
    HardlyReused,
}

/// What advice rests on.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Numbers {
    pub(super) reads: u64,
    pub(super) loads: u64,
    pub(super) ttl: Millis,
    pub(super) expired: u64,
    pub(super) written: u64,
    pub(super) other: u64,
}

impl Advice {
    pub(super) fn of(numbers: &Numbers) -> Self {
        let Numbers { reads, loads, ttl, expired, written, other } = *numbers;
        let again = expired + written + other;
        if reads < ENOUGH_READS || ttl == 0 {
            Self::TooFewReads
        } else if again >= ENOUGH_RELOADS && expired * 2 > again && ttl < LONGEST {
            let to_ms = (ttl * 4).min(LONGEST);
            Self::Raise {
                to_ms,
                saves_loads: expired - (u128::from(expired) * u128::from(ttl) / u128::from(to_ms)) as u64,
            }
        } else if loads * 5 > reads * 4 {
            Self::HardlyReused
        } else if again >= ENOUGH_RELOADS && written * 2 > again {
            Self::WritesDecide
        } else {
            Self::Keep
        }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFewReads => f.write_str("too few reads to say anything of the ttl"),
            Self::Keep => f.write_str("keep the ttl"),
            Self::Raise { to_ms, saves_loads } => {
                write!(f, "a ttl of {:?} would have saved about {saves_loads} loads", Duration::from_millis(*to_ms))
            }
            Self::WritesDecide => f.write_str("the ttl hardly matters: most loads again follow a write"),
            Self::HardlyReused => {
                f.write_str("hardly anything is read twice while it is kept: caching it brings little")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_follows_the_numbers() {
        let many = Numbers { reads: 1_000, loads: 100, ttl: 60_000, ..Numbers::default() };
        for (numbers, advice) in [
            (Numbers { reads: 99, ..many }, Advice::TooFewReads),
            (many, Advice::Keep),
            (Numbers { expired: 80, written: 20, ..many }, Advice::Raise { to_ms: 240_000, saves_loads: 60 }),
            (Numbers { expired: 20, written: 80, ..many }, Advice::WritesDecide),
            (Numbers { loads: 990, other: 9, ..many }, Advice::HardlyReused),
            (Numbers { expired: 80, ttl: LONGEST, ..many }, Advice::Keep),
            (Numbers { expired: 80, ttl: LONGEST / 2, ..many }, Advice::Raise { to_ms: LONGEST, saves_loads: 40 }),
        ] {
            assert_eq!(Advice::of(&numbers), advice, "{numbers:?}");
        }
    }
}
