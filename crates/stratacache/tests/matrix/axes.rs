//! The axes, their values, and which of their combinations are cases: those in which each value can make a difference.

use std::fmt;

use stratacache::{Codec, Compress, Consistency, MemoryForm, OnWriteError, Policy, WriteMode, hours, minutes, seconds};

/// A tier below memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Disk,
    Redis,
    Object,
}

impl Level {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Redis => "redis",
            Self::Object => "object",
        }
    }
}

/// The tiers below memory, from the top.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    pub(crate) name: &'static str,
    pub(crate) below: &'static [Level],
}

impl Order {
    pub(crate) fn has(self, level: Level) -> bool {
        self.below.contains(&level)
    }
}

/// How new reads must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Newness {
    Bounded,
    Latest,
    /// Since the last invalidation by whomever; the token travels with the source.
    Since,
}

impl Newness {
    pub(crate) const ALL: [Self; 3] = [Self::Bounded, Self::Latest, Self::Since];

    const fn name(self) -> &'static str {
        match self {
            Self::Bounded => "bounded",
            Self::Latest => "latest",
            Self::Since => "since",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    MessagePack,
    Json,
    Postcard,
    /// A codec of the keyspace.
    Own,
}

impl Coding {
    const ALL: [Self; 4] = [Self::MessagePack, Self::Json, Self::Postcard, Self::Own];

    const fn name(self) -> &'static str {
        match self {
            Self::MessagePack => "message_pack",
            Self::Json => "json",
            Self::Postcard => "postcard",
            Self::Own => "own",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Squeeze {
    Off,
    Lz4,
    Zstd,
}

impl Squeeze {
    const ALL: [Self; 3] = [Self::Off, Self::Lz4, Self::Zstd];

    const fn name(self) -> &'static str {
        match self {
            Self::Off => "plain",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// Bodies of the script are larger than that, and worth it.
    const fn of_policy(self) -> Compress {
        match self {
            Self::Off => Compress::Off,
            Self::Lz4 => Compress::Lz4 { over: 16 },
            Self::Zstd => Compress::Zstd { level: 1, over: 16 },
        }
    }
}

/// Whether what is below memory is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encryption {
    Off,
    On,
}

impl Encryption {
    const ALL: [Self; 2] = [Self::Off, Self::On];

    const fn name(self) -> &'static str {
        match self {
            Self::Off => "clear",
            Self::On => "encrypted",
        }
    }
}

/// Where values are written, and what the failure of a tier means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writing {
    /// Through; inserts are strict and loads are not, as everywhere where nobody says.
    Through,
    Strict,
    BestEffort,
    MemoryOnly,
    Behind,
}

impl Writing {
    const ALL: [Self; 5] = [Self::Through, Self::Strict, Self::BestEffort, Self::MemoryOnly, Self::Behind];

    const fn name(self) -> &'static str {
        match self {
            Self::Through => "through",
            Self::Strict => "strict",
            Self::BestEffort => "best_effort",
            Self::MemoryOnly => "memory_only",
            Self::Behind => "behind",
        }
    }

    const fn mode(self) -> WriteMode {
        match self {
            Self::Through | Self::Strict | Self::BestEffort => WriteMode::Through,
            Self::MemoryOnly => WriteMode::MemoryOnly,
            Self::Behind => WriteMode::Behind,
        }
    }

    /// Tells whether an insert fails that a tier refuses.
    pub(crate) const fn is_strict_for_inserts(self) -> bool {
        matches!(self, Self::Through | Self::Strict)
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) order: Order,
    pub(crate) newness: Newness,
    pub(crate) coding: Coding,
    pub(crate) squeeze: Squeeze,
    pub(crate) encryption: Encryption,
    pub(crate) form: MemoryForm,
    pub(crate) writing: Writing,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = if self.form == MemoryForm::Encoded { "encoded" } else { "decoded" };
        let bytes = [self.coding.name(), self.squeeze.name(), self.encryption.name(), form].join("/");
        write!(f, "{}/{}/{bytes}/{}", self.order.name, self.newness.name(), self.writing.name())
    }
}

impl Case {
    /// Tells whether values are written below memory.
    pub(crate) fn writes_below(&self) -> bool {
        !self.order.below.is_empty() && self.writing != Writing::MemoryOnly
    }

    /// Tells whether values become bytes anywhere.
    pub(crate) fn makes_bytes(&self) -> bool {
        self.writes_below() || self.form == MemoryForm::Encoded
    }

    /// Tells whether nodes share the order of invalidations.
    pub(crate) fn is_shared(&self) -> bool {
        self.order.has(Level::Redis)
    }

    /// Tells whether what a tier holds is of use after the cache was closed and opened again. The order of invalidations must
    /// have outlived it: Redis has it all, and the journal of the disk as much as the disk itself needs.
    pub(crate) fn keeps_over_restarts(&self, level: Level) -> bool {
        self.writes_below() && self.order.has(level) && (self.is_shared() || level == Level::Disk)
    }

    /// Tells whether any tier keeps something.
    pub(crate) fn survives_restarts(&self) -> bool {
        self.order.below.iter().any(|level| self.keeps_over_restarts(*level))
    }

    pub(crate) fn policy(&self) -> Policy {
        let policy = Policy::ttl(minutes(5))
            .jitter(0.0)
            .negative_ttl(minutes(2))
            .stale_if_error(hours(1))
            .compress(self.squeeze.of_policy())
            .codec(match self.coding {
                Coding::Json => Codec::Json,
                Coding::Postcard => Codec::Postcard,
                Coding::MessagePack | Coding::Own => Codec::MessagePack,
            })
            .consistency(match self.newness {
                Newness::Bounded => Consistency::Bounded(seconds(1)),
                Newness::Latest => Consistency::Latest,
                Newness::Since => Consistency::Inherit, // each call has its token
            })
            .write(self.writing.mode());
        match self.writing {
            Writing::Strict => policy.on_write_error(OnWriteError::Strict),
            Writing::BestEffort => policy.on_write_error(OnWriteError::BestEffort),
            Writing::Through | Writing::MemoryOnly | Writing::Behind => policy,
        }
    }

    /// Tells whether each value of it can make a difference.
    fn is_worthwhile(&self) -> bool {
        // how new a read must be has little to do with bytes: half of the pairs of these, each value among them
        let pairs =
            self.newness == Newness::Bounded || (self.coding as usize + self.squeeze as usize).is_multiple_of(2);
        // half of the triples of these, each pair among them; what is nowhere below memory is encrypted nowhere
        let encrypted = self.encryption == Encryption::On;
        let even = self.coding as usize + self.squeeze as usize + self.form as usize + usize::from(encrypted);
        let encryption = if self.writes_below() { even.is_multiple_of(2) } else { !encrypted };
        let bytes = self.makes_bytes() || (self.coding, self.squeeze) == (Coding::MessagePack, Squeeze::Off);
        // without a tier below all ways of writing are one
        let writing = !self.order.below.is_empty() || self.writing == Writing::Through;
        pairs && encryption && bytes && writing
    }
}

/// Returns the cases of a stack and a consistency.
pub(crate) fn expand(order: Order, newness: Newness) -> Vec<Case> {
    let mut cases = Vec::new();
    for coding in Coding::ALL {
        for squeeze in Squeeze::ALL {
            for encryption in Encryption::ALL {
                for form in [MemoryForm::Decoded, MemoryForm::Encoded] {
                    for writing in Writing::ALL {
                        cases.push(Case { order, newness, coding, squeeze, encryption, form, writing });
                    }
                }
            }
        }
    }
    cases.retain(Case::is_worthwhile);
    cases
}
