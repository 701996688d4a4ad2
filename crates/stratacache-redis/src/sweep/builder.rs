//! What a sweep is told.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use stratacache_core::{Deployment, Error, NamespacePath, Result, TenantId};

use super::{Bench, Sweep, lanes};
use crate::{
    access::{self, Purpose},
    connect::{Connected, Way},
    link::{Command, Failure, bytes, list},
    names::Names,
    rules::Rules,
    scripts::Scripts,
    startup,
};

/// How long a server that did not answer is left alone.
const WINDOW: Duration = Duration::from_secs(1);

/// Prepares a [`Sweep`]; made by [`Sweep::builder`].
#[derive(Clone)]
#[must_use = "nothing is connected before `build`"]
pub struct SweepBuilder {
    url: String,
    prefix: String,
    ca_file: Option<PathBuf>,
    deadline: Duration,
    secret: [u8; 16],
    tenant: Option<TenantId>,
    batch: u32,
    pause: Duration,
    most: u64,
    dry: bool,
}

impl SweepBuilder {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            prefix: "strata".to_owned(),
            ca_file: None,
            deadline: Duration::from_secs(1),
            secret: Deployment::DEFAULT_SECRET,
            tenant: None,
            batch: 500,
            pause: Duration::from_millis(10),
            most: u64::MAX,
            dry: false,
        }
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

    /// Sweeps the entries of one tenant only. Default: all.
    ///
    /// It takes the [`deployment_secret`](Self::deployment_secret) of the nodes, where they have one.
    pub fn tenant(mut self, tenant: &TenantId) -> Self {
        self.tenant = Some(tenant.clone());
        self
    }

    /// Sets the secret that the nodes' caches were given, by which a tenant's entries are told from others. Default: that of
    /// caches which were given none.
    pub fn deployment_secret(mut self, secret: [u8; 16]) -> Self {
        self.secret = secret;
        self
    }

    /// Sets how many keys are looked at and removed at a time, 1 to 10,000. Default 500.
    pub fn batch(mut self, keys: u32) -> Self {
        self.batch = keys;
        self
    }

    /// Sets how long to leave the server to others between two batches. Default 10 ms.
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Ends a run when it has looked at so many keys of the server, about, and says where to go on. Default: no limit.
    ///
    /// Keys of others on the same server count, since walking past them takes its time, too.
    pub fn most(mut self, keys: u64) -> Self {
        self.most = keys;
        self
    }

    /// Removes nothing, and counts what would be removed.
    pub fn dry_run(mut self, dry: bool) -> Self {
        self.dry = dry;
        self
    }

    /// Returns the permissions that the user of the sweep needs, for the [`prefix`](Self::prefix) that was set:
    /// `ACL SETUSER <user> on ><password>` and then this.
    ///
    /// For the default prefix it is [`REDIS_SWEEP_ACL`](crate::REDIS_SWEEP_ACL).
    ///
    /// # Errors
    /// [`InvalidInput`](stratacache_core::ErrorKind::InvalidInput) for a bad prefix.
    pub fn acl(&self) -> Result<String> {
        access::acl(Purpose::Sweep, &self.prefix)
    }

    /// Connects, and tries every permission.
    ///
    /// # Errors
    /// [`InvalidInput`](stratacache_core::ErrorKind::InvalidInput) for a bad URL or value, for a replica, and where no node
    /// of a deployment with this prefix ever connected; `Unavailable` or `Timeout` where no server answers, or a permission
    /// is missing: the message names the line that grants it. It never holds the user or the password.
    ///
    /// # Cancel safety
    /// Dropped half-way, its connections are closed.
    pub async fn build(self) -> Result<Sweep> {
        if !(1..=10_000).contains(&self.batch) {
            return Err(Error::invalid("the `batch` of a sweep is 1 to 10,000 keys"));
        }
        if self.most == 0 {
            return Err(Error::invalid("`most` of a sweep is more than 0 keys"));
        }
        let names = Names::new(&self.prefix)?;
        let way = Way {
            url: &self.url,
            ca_file: self.ca_file.as_deref(),
            connections: 1,
            deadline: self.deadline,
            window: WINDOW,
        };
        let Connected { link, cluster, server } = way.link().await?;
        startup::check(&link, cluster, Purpose::Sweep, &names).await?;
        let bench = Arc::new(Bench { link, names, scripts: Scripts::new(Rules::ALL) });
        let explain = |failure| Purpose::Sweep.explain(failure, &bench.names);
        try_commands(&bench).await.map_err(explain)?;
        let headers = lanes::headers(&bench).await.map_err(explain)?;
        if lanes::Lanes::new(headers).are_missing() {
            return Err(bench.names.never_used());
        }
        let deployment = Deployment::new(self.secret);
        let half = |tenant: &TenantId| deployment.path_scopes(tenant, &NamespacePath::default())[0].low();
        Ok(Sweep {
            bench,
            server,
            tenant: self.tenant.as_ref().map(half),
            batch: self.batch,
            pause: self.pause,
            most: self.most,
            dry: self.dry,
        })
    }
}

/// Runs what needs permissions once, on keys that nobody has.
async fn try_commands(bench: &Bench) -> Result<(), Failure> {
    for (node, slots) in bench.link.masters().await? {
        let key = bench.names.no_entry_in(|slot| slots.has(slot));
        let commands = [
            Command::plain(&["SCAN", "0", "MATCH", &bench.names.entries(), "COUNT", "1"]),
            Command::plain(&["GETRANGE", &key, "0", "0"]),
            // of what only a script does, older servers do not say what is missing
            Command::plain(&["UNLINK", &key]),
            // which is sent only where a script is not known yet
            Command::plain(&["EVAL", "return 0", "0"]),
            bench.remove(&key, &[], false),
        ];
        let values = bench.link.send(&node, &commands, bench.link.until()).await?.values;
        let [scanned, read, gone, evaluated, removed] =
            <[_; 5]>::try_from(values).map_err(|_| Failure::Garbled("replies are missing"))?;
        list(scanned)?;
        bytes(read)?;
        crate::link::number(gone)?;
        crate::link::number(evaluated)?;
        crate::link::number(removed)?;
    }
    let lane = bench.names.lane(stratacache_core::stamp::Lane::GLOBAL);
    let scan = Command::plain(&["HSCAN", &lane.marks[0], "0", "COUNT", "1"]);
    list(bench.link.call(lane.slot, &[scan]).await?.1.one()?)?;
    Ok(())
}

impl fmt::Debug for SweepBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // the URL holds the password
        f.debug_struct("SweepBuilder")
            .field("prefix", &self.prefix)
            .field("deadline", &self.deadline)
            .field("tenant", &self.tenant)
            .field("batch", &self.batch)
            .field("pause", &self.pause)
            .field("most", &self.most)
            .field("dry_run", &self.dry)
            .finish_non_exhaustive()
    }
}
