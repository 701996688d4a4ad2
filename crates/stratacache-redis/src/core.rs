//! What tier and coordinator share.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use stratacache_core::clock::Millis;

use crate::{
    health::Counters,
    link::{Failure, Link},
    names::Names,
    rules::Rules,
    scripts::Scripts,
};

/// How the marks of a lane are bounded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Most marks of one generation; there are two.
    pub(crate) marks: u64,
    /// Most marks of one tenant in a generation.
    pub(crate) tenant_marks: u64,
    /// How many messages the stream keeps, about.
    pub(crate) stream: u64,
    /// How old a generation gets.
    pub(crate) retention: Duration,
}

pub(crate) struct Core {
    pub(crate) link: Link,
    pub(crate) names: Names,
    pub(crate) scripts: Scripts,
    pub(crate) rules: Rules,
    pub(crate) bounds: Bounds,
    pub(crate) max_weight: u64,
    pub(crate) counters: Counters,
    pub(crate) time: ServerTime,
}

impl Core {
    /// Returns the time of the server, as last heard and moved forward since.
    pub(crate) fn now(&self) -> Option<Millis> {
        self.time.at(self.link.clock.now())
    }
}

/// What the server's clock showed, and when that was heard.
#[derive(Debug, Default)]
pub(crate) struct ServerTime(Mutex<Option<(Millis, Duration)>>);

impl ServerTime {
    pub(crate) fn hear(&self, millis: Millis, heard: Duration) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none_or(|(_, before)| before < heard) {
            *known = Some((millis, heard));
        }
    }

    fn at(&self, now: Duration) -> Option<Millis> {
        let (millis, heard) = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some(millis + now.saturating_sub(heard).as_millis() as Millis)
    }
}

/// Makes 16 random bytes.
pub(crate) fn token() -> Result<u128, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| Failure::Garbled("the operating system gave no random bytes"))?;
    Ok(u128::from_le_bytes(bytes))
}
