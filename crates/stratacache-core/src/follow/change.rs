//! One change, and its place in the order.

use std::fmt;

use super::ChangeTarget;
use crate::{Result, clock::Millis};

/// A place in the order of one source: two numbers, of which the first counts more.
///
/// What they mean is the source's own: transaction and row of an outbox, the two numbers of a stream's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    major: u64,
    minor: u64,
}

impl Position {
    /// The place before everything.
    pub const START: Self = Self::new(0, 0);

    /// Makes it.
    #[must_use]
    pub const fn new(major: u64, minor: u64) -> Self {
        Self { major, minor }
    }

    /// Returns the number that counts more.
    #[must_use]
    pub const fn major(self) -> u64 {
        self.major
    }

    /// Returns the number that counts less.
    #[must_use]
    pub const fn minor(self) -> u64 {
        self.minor
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.major, self.minor)
    }
}

/// Something that has changed: whose it is, and what of the cache depends on it.
///
/// Nothing in it is trusted: the follower checks the tenant and the targets, and sets aside what is not valid.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Change {
    /// Its place in the order of the source.
    pub position: Position,
    /// The tenant as it was written; `None` for data of no tenant.
    pub tenant: Option<Box<str>>,
    /// What depends on it, or why that cannot be understood.
    pub targets: Result<Vec<ChangeTarget>>,
    /// How old it was when it was returned, in milliseconds of the source's clock; `None` where the source cannot tell.
    pub age: Option<Millis>,
}

impl Change {
    /// Makes a change of a tenant's data, or of data of no tenant.
    #[must_use]
    pub fn new(position: Position, tenant: Option<&str>, targets: Vec<ChangeTarget>) -> Self {
        Self { position, tenant: tenant.map(Box::from), targets: Ok(targets), age: None }
    }

    /// Makes a change whose targets are in their [stable JSON form](ChangeTarget).
    #[must_use]
    pub fn from_json(position: Position, tenant: Option<&str>, targets: &str) -> Self {
        Self { position, tenant: tenant.map(Box::from), targets: super::targets_from_json(targets), age: None }
    }

    /// Makes a change that cannot be understood.
    #[must_use]
    pub fn unreadable(position: Position, reason: impl Into<String>) -> Self {
        Self { position, tenant: None, targets: Err(crate::Error::invalid(reason)), age: None }
    }

    /// Says how old it is, in milliseconds.
    #[must_use]
    pub const fn aged(mut self, age: Millis) -> Self {
        self.age = Some(age);
        self
    }
}
