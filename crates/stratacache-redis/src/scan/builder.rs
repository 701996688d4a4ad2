//! What a scan is told.

use std::{fmt, path::PathBuf, time::Duration};

use stratacache_core::{Result, stamp::Lane};

use super::RedisScan;
use crate::{
    access::{self, Purpose},
    connect::{Connected, Way},
    link::{Command, Failure, Link, bytes, list, number},
    names::Names,
    startup,
};

/// How long a server that did not answer is left alone.
const WINDOW: Duration = Duration::from_secs(1);

/// Prepares a [`RedisScan`]; made by [`RedisScan::builder`].
#[derive(Clone)]
#[must_use = "nothing is connected before `build`"]
pub struct RedisScanBuilder {
    url: String,
    prefix: String,
    ca_file: Option<PathBuf>,
    deadline: Duration,
}

impl RedisScanBuilder {
    pub(super) fn new(url: String) -> Self {
        Self { url, prefix: "strata".to_owned(), ca_file: None, deadline: Duration::from_secs(1) }
    }

    /// Sets the prefix of the deployment, as the nodes have it. Default `strata`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Trusts the authorities in a PEM file, instead of those of the system, for `rediss://` and `rediss-cluster://`.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// Sets how long any command may take, 1 ms to 60 s. Default 1 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Returns the permissions that the user of the scan needs, for the [`prefix`](Self::prefix) that was set:
    /// `ACL SETUSER <user> on ><password>` and then this.
    ///
    /// For the default prefix it is [`REDIS_SCAN_ACL`](crate::REDIS_SCAN_ACL).
    ///
    /// # Errors
    /// [`InvalidInput`](stratacache_core::ErrorKind::InvalidInput) for a bad prefix.
    pub fn acl(&self) -> Result<String> {
        access::acl(Purpose::Scan, &self.prefix)
    }

    /// Connects, and tries every permission.
    ///
    /// # Errors
    /// [`InvalidInput`](stratacache_core::ErrorKind::InvalidInput) for a bad URL or value, for a replica, and where no node
    /// of a deployment with this prefix ever connected; `Unavailable` or `Timeout` where no server answers, or a permission
    /// is missing: the message names the line that grants it. It never holds the user or the password.
    pub async fn build(self) -> Result<RedisScan> {
        let names = Names::new(&self.prefix)?;
        let way = Way {
            url: &self.url,
            ca_file: self.ca_file.as_deref(),
            connections: 1,
            deadline: self.deadline,
            window: WINDOW,
        };
        let Connected { link, cluster, server } = way.link().await?;
        startup::check(&link, cluster, Purpose::Scan, &names).await?;
        let is_known = try_commands(&link, &names).await.map_err(|failure| Purpose::Scan.explain(failure, &names))?;
        if !is_known {
            return Err(names.never_used());
        }
        Ok(RedisScan { link, names, server })
    }
}

/// Runs what needs permissions once, and tells whether a deployment of this prefix is there.
async fn try_commands(link: &Link, names: &Names) -> Result<bool, Failure> {
    for (node, slots) in link.masters().await? {
        let key = names.no_entry_in(|slot| slots.has(slot));
        let commands = [
            Command::plain(&["SCAN", "0", "MATCH", &names.entries(), "COUNT", "1"]),
            Command::plain(&["GETRANGE", &key, "0", "0"]),
        ];
        let values = link.send(&node, &commands, link.until()).await?.values;
        let [scanned, read] = <[_; 2]>::try_from(values).map_err(|_| Failure::Garbled("replies are missing"))?;
        list(scanned)?;
        bytes(read)?;
    }
    let lane = names.lane(Lane::GLOBAL);
    let exists = Command::plain(&["EXISTS", &lane.header]);
    Ok(number(link.call(lane.slot, &[exists]).await?.1.one()?)? == 1)
}

impl fmt::Debug for RedisScanBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // the URL holds the password
        f.debug_struct("RedisScanBuilder")
            .field("prefix", &self.prefix)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
