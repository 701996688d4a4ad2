//! Which tiers below memory an operation uses.

use super::same_text;

/// How many tiers one [`Tiers`] can name.
pub const MAX_NAMED_TIERS: usize = 4;

/// What is done with a tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Access {
    read: bool,
    write: bool,
}

impl Access {
    const BOTH: Self = Self { read: true, write: true };
    const NONE: Self = Self { read: false, write: false };
}

/// Says which tiers below memory are read and written, by their names.
///
/// Memory is always used. What is invalidated, expired, cleared or replaced is so in every tier, whatever this says: an
/// insert that leaves a tier out removes what that tier holds.
///
/// ```
/// use stratacache_core::Tiers;
///
/// const WITHOUT_OBJECT: Tiers = Tiers::all().skip("object");
/// assert!(WITHOUT_OBJECT.reads("redis") && !WITHOUT_OBJECT.reads("object"));
/// let only_redis = Tiers::memory_only().and("redis");
/// assert!(only_redis.writes("redis") && !only_redis.writes("disk"));
/// let no_new_objects = Tiers::all().read_only("object");
/// assert!(no_new_objects.reads("object") && !no_new_objects.writes("object"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tiers {
    others: Access,
    named: [Option<(&'static str, Access)>; MAX_NAMED_TIERS],
}

impl Default for Tiers {
    fn default() -> Self {
        Self::all()
    }
}

impl Tiers {
    /// Uses every tier. The default.
    #[must_use]
    pub const fn all() -> Self {
        Self { others: Access::BOTH, named: [None; MAX_NAMED_TIERS] }
    }

    /// Uses memory only, and the tiers that are added with [`and`](Self::and) and its relatives.
    #[must_use]
    pub const fn memory_only() -> Self {
        Self { others: Access::NONE, named: [None; MAX_NAMED_TIERS] }
    }

    /// Reads and writes a tier.
    ///
    /// # Panics
    /// When more than four tiers are named.
    #[must_use]
    pub const fn and(self, tier: &'static str) -> Self {
        self.with(tier, Access::BOTH)
    }

    /// Leaves a tier out: neither reads nor writes it.
    ///
    /// # Panics
    /// When more than four tiers are named.
    #[must_use]
    pub const fn skip(self, tier: &'static str) -> Self {
        self.with(tier, Access::NONE)
    }

    /// Reads a tier and does not write it.
    ///
    /// # Panics
    /// When more than four tiers are named.
    #[must_use]
    pub const fn read_only(self, tier: &'static str) -> Self {
        self.with(tier, Access { read: true, write: false })
    }

    /// Writes a tier and does not read it.
    ///
    /// # Panics
    /// When more than four tiers are named.
    #[must_use]
    pub const fn write_only(self, tier: &'static str) -> Self {
        self.with(tier, Access { read: false, write: true })
    }

    const fn with(mut self, tier: &'static str, access: Access) -> Self {
        let mut slot = 0;
        while slot < MAX_NAMED_TIERS {
            match self.named[slot] {
                Some((name, _)) if !same_text(name, tier) => slot += 1,
                _ => {
                    self.named[slot] = Some((tier, access));
                    return self;
                }
            }
        }
        panic!("at most 4 tiers can be named")
    }

    fn access(&self, tier: &str) -> Access {
        self.named.iter().flatten().find(|(name, _)| *name == tier).map_or(self.others, |(_, access)| *access)
    }

    /// Tells whether a tier is read.
    #[must_use]
    pub fn reads(&self, tier: &str) -> bool {
        self.access(tier).read
    }

    /// Tells whether a tier is written.
    #[must_use]
    pub fn writes(&self, tier: &str) -> bool {
        self.access(tier).write
    }

    /// Returns the names that were given.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.named.iter().flatten().map(|(name, _)| *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_last_of_a_tier_holds() {
        let tiers = Tiers::all().skip("object").read_only("object").write_only("redis");
        assert_eq!((tiers.reads("object"), tiers.writes("object")), (true, false));
        assert_eq!((tiers.reads("redis"), tiers.writes("redis")), (false, true));
        assert_eq!((tiers.reads("disk"), tiers.writes("disk")), (true, true));
        assert_eq!(tiers.names().collect::<Vec<_>>(), ["object", "redis"]);
    }

    #[test]
    #[should_panic = "at most 4 tiers"]
    fn more_than_four_names_are_refused() {
        let _ = ["a", "b", "c", "d", "e"].into_iter().fold(Tiers::all(), Tiers::skip);
    }
}
