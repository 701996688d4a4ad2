//! Caches that answer the same sequence of requests, each holding about as many entries.

mod lru;
mod peers;
mod strata;

use anyhow::{Result, ensure};

use crate::requests::Request;

pub(crate) use strata::budget_for;

/// A cache that answers requests: it reads, and inserts what is missing.
pub(crate) trait Rival {
    /// Answers the requests in their order and tells of each whether it was there.
    fn answer(&mut self, requests: &[Request], answered: &mut dyn FnMut(Request, bool)) -> Result<()>;

    /// Counts the entries it holds.
    fn held(&mut self) -> u64;
}

/// The room that all rivals have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Entries that a peer may hold.
    pub(crate) entries: usize,
    /// Bytes with which Strata holds about as many.
    pub(crate) strata_bytes: u64,
}

/// An engine by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Strata,
    QuickCache,
    Moka,
    Foyer,
    Lru,
}

impl Engine {
    pub(crate) const ALL: [Self; 5] = [Self::Strata, Self::QuickCache, Self::Moka, Self::Foyer, Self::Lru];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Strata => "Strata",
            Self::QuickCache => "quick_cache",
            Self::Moka => "moka",
            Self::Foyer => "foyer, S3-FIFO",
            Self::Lru => "exact LRU",
        }
    }

    /// Makes an empty cache.
    pub(crate) fn make(self, room: Room) -> Result<Box<dyn Rival>> {
        Ok(match self {
            Self::Strata => Box::new(strata::Strata::new(room.strata_bytes)?),
            Self::QuickCache => peers::quick_cache(room.entries),
            Self::Moka => peers::moka(room.entries),
            Self::Foyer => peers::foyer(room.entries),
            Self::Lru => peers::lru(room.entries),
        })
    }
}

/// Returns the value of a request, by which a reader tells it from another's.
fn value_of(request: Request) -> u32 {
    request.key ^ (u32::from(request.tenant) << 24)
}

/// Checks a value that was found.
fn check(request: Request, found: u32) -> Result<()> {
    ensure!(found == value_of(request), "{request:?} was answered with another entry's value, {found}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::single::KINDS;

    #[test]
    fn every_rival_holds_no_more_than_it_may_and_finds_what_it_has_just_inserted() {
        let requests = KINDS[1].requests(20_000, 9);
        let twice: Vec<Request> = requests.iter().flat_map(|r| [*r, *r]).collect();
        let room = Room { entries: 2_000, strata_bytes: budget_for(2_000, &twice).unwrap() };
        for engine in Engine::ALL {
            let mut rival = engine.make(room).unwrap();
            let (mut first, mut second, mut turn) = (0, 0, false);
            rival
                .answer(&twice, &mut |_, hit| {
                    turn = !turn;
                    *if turn { &mut first } else { &mut second } += u64::from(hit);
                })
                .unwrap();
            let held = rival.held();
            assert!((1_000..=2_050).contains(&held), "{engine:?} holds {held}");
            assert!(first > 5_000 && first < 16_000, "{engine:?}: {first}");
            assert!(second > 15_000, "{engine:?}: {second} of 20,000 repeated at once");
        }
    }
}
