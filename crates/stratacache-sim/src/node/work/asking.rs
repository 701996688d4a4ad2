//! How new a read is asked to be.

use std::time::Duration;

use stratacache::{Consistency, OnDisconnect, Policy, Tiers, Token, WriteMode, millis, seconds};

use super::{super::Aim, Bench, doors::policy_of};
use crate::{log::Asked, random::Random, world::Key};

const USUAL: Duration = seconds(1);
const TIGHT: Duration = millis(100);
/// Share of what there is more of than usual.
const MANY: f64 = 0.4;
const LENIENT: Duration = seconds(3);
/// Share of reads that ask the object store, where there is one: what is above it has nearly everything.
const FROM_STORE: f64 = 0.03;
/// For these, memory has nothing that is older.
const FORGETFUL: Duration = millis(30);

/// Returns the share of reads that ask the object store.
fn from_store(aim: Aim) -> f64 {
    if aim == Aim::Objects { MANY } else { FROM_STORE }
}

/// What a read asks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asking {
    /// Nothing: the default.
    Usual,
    Tight,
    /// The same, said by the policy of the call.
    TightPolicy,
    Latest,
    Since(Token),
    /// The default, and something older while the node is cut off.
    ServeStale,
    /// The newest, or an error.
    Fail,
    /// The default, from the object store unless memory has just got it.
    FromStore(Tiers),
}

impl Asking {
    pub(super) fn draw(bench: &Bench, key: Key, random: &mut Random) -> Self {
        match random.below(100) {
            _ if bench.aim == Aim::TightBounds && random.chance(MANY) => Self::Tight,
            _ if bench.aim == Aim::Readers && random.chance(MANY) => Self::Latest,
            _ if bench.passes_by.is_some() && random.chance(from_store(bench.aim)) => {
                bench.passes_by.map_or(Self::Usual, Self::FromStore)
            }
            0..=7 => Self::Latest,
            8..=12 => bench.board.read(key.tenant()).map_or(Self::Latest, Self::Since),
            13..=14 => Self::Tight,
            15 => Self::TightPolicy,
            16..=17 => Self::ServeStale,
            18..=19 => Self::Fail,
            _ => Self::Usual,
        }
    }

    /// Returns what the checker holds the answer to.
    pub(super) fn asked(self) -> Asked {
        let within = |bound: Duration| Asked::Within(bound.as_millis() as u64);
        match self {
            Self::Usual | Self::FromStore(_) => within(USUAL),
            Self::Tight | Self::TightPolicy => within(TIGHT),
            Self::ServeStale => within(LENIENT),
            Self::Latest | Self::Fail => Asked::Latest,
            Self::Since(token) => Asked::Since(token),
        }
    }

    /// Returns the policy to ask with, if not that of the namespace.
    pub(super) fn policy(self, key: Key, write: WriteMode) -> Option<Policy> {
        let policy = policy_of(key.form(), write);
        match self {
            Self::ServeStale => Some(policy.on_disconnect(OnDisconnect::ServeStale(LENIENT))),
            Self::Fail => Some(policy.on_disconnect(OnDisconnect::Fail)),
            Self::TightPolicy => Some(policy.consistency(Consistency::Bounded(TIGHT))),
            Self::FromStore(tiers) => Some(policy.tiers(tiers).tier_ttl("memory", FORGETFUL)),
            _ => None,
        }
    }

    /// Returns the consistency to ask with, if not the usual one.
    pub(super) fn consistency(self) -> Option<Consistency> {
        match self {
            Self::Usual | Self::TightPolicy | Self::ServeStale | Self::FromStore(_) => None,
            Self::Tight => Some(Consistency::Bounded(TIGHT)),
            Self::Latest | Self::Fail => Some(Consistency::Latest),
            Self::Since(token) => Some(Consistency::Since(token)),
        }
    }
}

/// Makes a read of a key what it asks for; a macro, since each operation that is still to be awaited is a type of its own.
macro_rules! as_asked {
    ($read:expr, $key:expr, $asking:expr, $write:expr) => {{
        let mut read = $read;
        if $key.is_global() {
            read = read.tag($crate::node::work::doors::global_tag());
        }
        if let Some(policy) = $asking.policy($key, $write) {
            read = read.policy(policy);
        }
        if let Some(consistency) = $asking.consistency() {
            read = read.consistency(consistency);
        }
        read
    }};
}
pub(super) use as_asked;
