//! The options of the tier, checked when it connects.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use stratacache::{
    Error, ErrorKind, Result,
    clock::{Clock, SystemClock},
};
use tokio::time::timeout;

use crate::{
    connection::{Broken, Connection},
    pool::Pool,
    tier::{Memcached, Time},
};

/// Bytes of an item that are not its value: what Memcached keeps of it, its key and where it is cut into pieces.
const OVERHEAD: u64 = 1024;
/// Memcached takes keys of 250 bytes; 32 are ours.
const LONGEST_PREFIX: usize = 100;

/// Sets up a [`Memcached`]; made by [`Memcached::builder`].
#[must_use = "a builder does nothing until `connect` is called"]
pub struct MemcachedBuilder {
    address: String,
    name: String,
    prefix: String,
    connections: u32,
    deadline: Duration,
    clock: Arc<dyn Clock>,
}

impl MemcachedBuilder {
    pub(crate) fn new(address: String) -> Self {
        Self {
            address,
            name: "memcached".to_owned(),
            prefix: "strata:".to_owned(),
            connections: 8,
            deadline: Duration::from_millis(250),
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// Sets the name of the tier, by which policies and statistics know it. Default `memcached`; another where a cache has two of them.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets what keys begin with, up to 100 printable ASCII characters. Default `strata:`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets how many connections there are at most, each used by one operation at a time. Default 8.
    pub const fn connections(mut self, connections: u32) -> Self {
        self.connections = connections;
        self
    }

    /// Sets how long an operation may take, unless the cache says otherwise by `tier_deadline`. Default 250 ms.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the clock by which lives are counted. Default: the system's; tests give that of their cache.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Connects, and asks the server for its largest item.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for an option that cannot be; [`Unavailable`](ErrorKind::Unavailable) when there is
    /// no Memcached; [`Timeout`](ErrorKind::Timeout) when it does not answer within ten times the deadline.
    pub async fn connect(self) -> Result<Memcached> {
        let fine = |byte: &u8| byte.is_ascii_graphic();
        if self.prefix.len() > LONGEST_PREFIX || !self.prefix.as_bytes().iter().all(fine) {
            let rule = "prefix: at most 100 printable ASCII characters, and no spaces";
            return Err(Error::invalid(rule));
        }
        if self.connections == 0 || self.deadline.is_zero() {
            return Err(Error::invalid("connections and deadline must be more than 0"));
        }
        let patience = self.deadline.saturating_mul(10);
        let asked = timeout(patience, first_look(&self.address)).await;
        let largest = asked.map_err(|_| {
            Error::new(ErrorKind::Timeout, format!("memcached did not answer within {patience:?}; is it there at all?"))
        })??;
        let max_weight = largest.saturating_sub(OVERHEAD);
        Ok(Memcached {
            pool: Pool::new(self.address, max_weight, self.connections),
            next: AtomicU64::new(0),
            name: self.name,
            prefix: self.prefix,
            max_weight,
            deadline: self.deadline,
            time: Time::new(self.clock),
        })
    }
}

/// Opens a connection and asks for the largest item.
async fn first_look(address: &str) -> Result<u64> {
    let away = |error: std::io::Error| {
        Error::new(ErrorKind::Unavailable, "memcached cannot be reached; start it, or correct host and port")
            .with_source(error)
    };
    let other =
        |_: Broken| Error::new(ErrorKind::Unavailable, "what answers there is not a memcached of version 1.6 or newer");
    let connection = Connection::open(address, 0).await.map_err(away)?;
    let settings = connection.settings().await.map_err(other)?;
    let largest = settings.iter().find(|(name, _)| name == "item_size_max").and_then(|(_, value)| value.parse().ok());
    largest.ok_or_else(|| other(Broken::Ended))
}
