//! Positions in the order of invalidations.

use std::{fmt, str::FromStr};

use crate::{Error, Result, TenantId};

/// How many lanes order the tenants' invalidations: a constant of the format, the same in every topology.
pub const LANES: usize = 16;

/// A group of tenants that share one order of invalidations; [`Lane::GLOBAL`] orders the global tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane(u8);

impl Lane {
    /// The lane of the global tags.
    pub const GLOBAL: Self = Self(LANES as u8);

    /// Returns the lane of a tenant.
    #[must_use]
    pub fn of(tenant: &TenantId) -> Self {
        Self((xxhash_rust::xxh3::xxh3_64(tenant.as_str().as_bytes()) % LANES as u64) as u8)
    }

    /// Returns all lanes, the global one last.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=LANES as u8).map(Self)
    }

    /// Makes a lane from its index.
    #[must_use]
    pub const fn from_index(index: usize) -> Option<Self> {
        if index <= LANES { Some(Self(index as u8)) } else { None }
    }

    /// Returns the index, 0 to 16.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A place in the order of a lane; the first is 1, and 0 is before everything.
pub type Seq = u64;

/// Names one unbroken history of a lane. Positions of different incarnations cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Incarnation(pub u64);

impl Incarnation {
    /// Draws a new one at random.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) when the operating system has no random bytes.
    pub fn random() -> Result<Self> {
        let n = getrandom::u64().map_err(|e| {
            Error::new(crate::ErrorKind::Internal, "the operating system gave no random bytes").with_source(e)
        })?;
        Ok(Self(n.max(1)))
    }
}

/// A place in one history of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Position {
    /// The history.
    pub incarnation: Incarnation,
    /// The place in it.
    pub seq: Seq,
}

/// The position of a node taken before a load or write begins: an invalidation that comes later is newer than it.
///
/// It covers the tenant's lane and the lane of the global tags. Take one with `namespace.stamp()` before reading or
/// writing the source, and hand it to `insert(..).stamped(stamp)`.
///
/// Use it within seconds. The marks of single keys, which every insert and every invalidation of a key makes, are kept for
/// the loads under way; the others are forgotten every 10 s, and sooner when the lane, which tenants share, has more
/// than 1,024. An insert whose stamp is older than a mark that was forgotten counts as overtaken
/// ([`Token::is_superseded`]) even if nothing happened to its own key. That is the safe side: the value is missing until
/// it is loaded or inserted again, and never stale. A stamp since which the lane had no mark of a key is good for any time.
///
/// It is good for one tenant: the orders of two tenants cannot be compared, and an insert refuses the stamp of another.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The position in the tenant's lane.
    pub lane: Position,
    /// The position in the lane of the global tags.
    pub global: Position,
    /// How many discontinuities the node had seen, both lanes together.
    pub mep: u64,
    /// Whose it is: the low half of the tenant's scope.
    pub tenant: u64,
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stamp({}, global {})", self.lane.seq, self.global.seq)
    }
}

/// Proves that a write or invalidation took place, and gives reads elsewhere their `Since(token)`.
///
/// It travels as text, in a cookie or a header for example. One that was made up does no harm: a read that gets it asks the
/// coordinator, and is up to date.
///
/// ```
/// use stratacache_core::{Token, stamp::{Incarnation, Lane, Position}};
///
/// let token = Token::new(Lane::GLOBAL, Position { incarnation: Incarnation(0xbeef), seq: 42 });
/// let text = token.to_string();
/// assert_eq!(text, "16-beef-42");
/// assert_eq!(text.parse::<Token>()?, token);
/// # Ok::<(), stratacache_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    lane: Lane,
    position: Position,
    superseded: bool,
}

impl Token {
    /// Makes a token for a position in a lane.
    #[must_use]
    pub const fn new(lane: Lane, position: Position) -> Self {
        Self { lane, position, superseded: false }
    }

    /// Marks the write as one that a newer invalidation or write had already overtaken.
    #[must_use]
    pub const fn into_superseded(mut self) -> Self {
        self.superseded = true;
        self
    }

    /// Returns the lane.
    #[must_use]
    pub const fn lane(&self) -> Lane {
        self.lane
    }

    /// Returns the position.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// Tells whether an insert was overtaken: the old value is gone, but this one was not kept either, since something
    /// newer than its stamp had been invalidated or written in the meantime, or since its [`Stamp`] was too old to tell.
    #[must_use]
    pub const fn is_superseded(&self) -> bool {
        self.superseded
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { incarnation, seq } = self.position;
        write!(f, "{}-{:x}-{seq}", self.lane.index(), incarnation.0)
    }
}

impl FromStr for Token {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let mut parts = text.split('-');
            let lane = Lane::from_index(parts.next()?.parse().ok()?)?;
            let incarnation = Incarnation(u64::from_str_radix(parts.next()?, 16).ok()?);
            let position = Position { incarnation, seq: parts.next()?.parse().ok()? };
            parts.next().is_none().then_some(Self::new(lane, position))
        };
        parse().ok_or_else(|| Error::invalid("this is not the text of a token: give what `Token::to_string` gave"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lane_of_a_tenant_is_a_constant_of_the_format() {
        let lanes: Vec<usize> =
            ["acme", "globex", "1", "tenant-10"].map(|t| Lane::of(&TenantId::parse(t).unwrap()).index()).to_vec();
        assert!(lanes.iter().all(|l| *l < LANES));
        assert_eq!(lanes, ["acme", "globex", "1", "tenant-10"].map(|t| Lane::of(&TenantId::parse(t).unwrap()).index()));
        assert_eq!(Lane::all().count(), LANES + 1);
        assert_eq!(Lane::from_index(16), Some(Lane::GLOBAL));
        assert_eq!(Lane::from_index(17), None);
    }

    #[test]
    fn text_that_is_no_token_is_refused() {
        for text in ["", "1", "1-2", "1-2-", "17-1-1", "1-g-1", "1-1-1-1", "-1-1-1", "1-1-99999999999999999999999"] {
            assert!(text.parse::<Token>().is_err(), "{text}");
        }
        let token = Token::new(Lane::GLOBAL, Position { incarnation: Incarnation(u64::MAX), seq: u64::MAX });
        assert_eq!(token.to_string().parse::<Token>().unwrap(), token);
    }
}
