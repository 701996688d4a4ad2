//! Connecting.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use stratacache_core::{Error, Result, tier::TierParts};

#[cfg(feature = "mutants")]
use crate::rules::Rule;
use crate::{
    access::{self, Purpose},
    connect::{Connected, Way},
    coordinator::Lanes,
    core::{Bounds, Core, ServerTime},
    health::{Counters, Health},
    names::Names,
    rules::Rules,
    scripts::Scripts,
    startup,
    store::Store,
};

/// A connection to a Redis or Valkey server, or to a cluster, that several nodes share.
///
/// Hand it to `Cache::builder().tier(..)`: it brings the tier and the coordinator. Cheap to clone. The tasks
/// behind the tier and the coordinator end when these are closed or dropped.
#[derive(Clone)]
pub struct Redis {
    core: Arc<Core>,
    server: String,
}

impl Redis {
    /// Connects with the defaults of [`builder`](Self::builder).
    ///
    /// # Errors
    /// As [`RedisBuilder::build`].
    ///
    /// # Cancel safety
    /// As [`RedisBuilder::build`].
    pub async fn connect(url: impl Into<String>) -> Result<Self> {
        Self::builder(url).build().await
    }

    /// Begins a connection that is not like the defaults.
    ///
    /// The URL is one of
    /// * `redis://[user:password@]host[:port][/db]`, with `rediss://` over TLS; `valkey://` and `valkeys://` are the same;
    /// * `redis-cluster://[user:password@]host[:port][,host[:port]..]`, with `rediss-cluster://` over TLS;
    /// * `unix:///path[?db=..&user=..&pass=..]`; `redis+unix://` and `valkey+unix://` are the same.
    ///
    /// A user with the rights in [`REDIS_ACL`](crate::REDIS_ACL) may use database 0 only. Deployments that share a server differ in
    /// [`prefix`](RedisBuilder::prefix).
    pub fn builder(url: impl Into<String>) -> RedisBuilder {
        RedisBuilder {
            url: url.into(),
            prefix: "strata".to_owned(),
            ca_file: None,
            deadline: Duration::from_millis(250),
            window: Duration::from_secs(1),
            connections: 1,
            max_weight: 8 << 20,
            bounds: Bounds {
                marks: 100_000,
                tenant_marks: 10_000,
                stream: 50_000,
                retention: Duration::from_secs(48 * 3600),
            },
            rules: Rules::ALL,
        }
    }

    /// Returns how the connection is, and counters of what happened.
    #[must_use]
    pub fn health(&self) -> Health {
        self.core.counters.health(self.core.link.is_alive())
    }
}

impl From<Redis> for TierParts {
    fn from(redis: Redis) -> Self {
        let (turns, gaps) = (redis.core.link.turns.clone(), redis.core.counters.gaps.clone());
        let store = Self::new(Store::new(Arc::clone(&redis.core)));
        store.with_coordinator(Lanes::new(redis.core)).with_turns(turns).with_gaps(gaps)
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("server", &self.server).finish_non_exhaustive()
    }
}

/// Connects to Redis; made by [`Redis::builder`].
#[derive(Clone)]
#[must_use = "nothing is connected before `build`"]
pub struct RedisBuilder {
    url: String,
    prefix: String,
    ca_file: Option<PathBuf>,
    deadline: Duration,
    window: Duration,
    connections: usize,
    max_weight: u64,
    bounds: Bounds,
    rules: Rules,
}

impl RedisBuilder {
    /// Sets what all keys begin with: 1 to 32 bytes of `A-Z`, `a-z`, `0-9`, `_` and `-`. Default `strata`.
    ///
    /// Nodes with the same prefix are one deployment, and must have the same secret.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Trusts the authorities in a PEM file, instead of those of the system, for `rediss://` and `rediss-cluster://`.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// Sets how long any operation may take, 1 ms to 60 s. Default 250 ms. It is set here and not by `tier_deadline` of the
    /// cache: what hangs is given up together with its connection.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets for how long a server that did not answer is left alone before it is tried again. Default 1 s.
    ///
    /// A server that hangs costs one operation its deadline in each window, and the others nothing. Each server of a cluster
    /// has a breaker of its own; a cache counts and reports the openings of all of them, and adds none of its own.
    pub fn breaker_window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Sets how many connections to each server carry commands, 1 to 16. Default 1, which is enough for most: commands of
    /// many tasks share it without waiting for each other's replies. Two more carry the news from other nodes; on a cluster one.
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// Sets the largest envelope in bytes. Default 8 MiB.
    pub fn max_weight(mut self, bytes: u64) -> Self {
        self.max_weight = bytes;
        self
    }

    /// Sets how many marks a lane keeps in each of its two generations. Default 100,000, of about 100 bytes each.
    ///
    /// A lane with more drops its older generation: entries loaded before that generation closed are loaded again. How many
    /// marks each node keeps in its memory is another setting, `max_marks` of the cache builder.
    pub fn max_marks(mut self, marks: u64) -> Self {
        self.bounds.marks = marks;
        self
    }

    /// Sets how many marks of tags one tenant may have in a generation. Default 10,000.
    ///
    /// Further tags that it invalidates invalidate all of this tenant, and nothing of others.
    pub fn max_tenant_marks(mut self, marks: u64) -> Self {
        self.bounds.tenant_marks = marks;
        self
    }

    /// Sets how many invalidations a lane keeps for nodes that are behind, about. Default 50,000; fewer where
    /// they are large, so that the stream of a lane stays below 16 MiB or so.
    ///
    /// A node that is further behind fetches the marks as a whole.
    pub fn stream_length(mut self, messages: u64) -> Self {
        self.bounds.stream = messages;
        self
    }

    /// Sets how long, at least, a mark is kept, unless [`max_marks`](Self::max_marks) ends it sooner. Default 48 h, which
    /// is the longest that an entry lives by the default ceilings of a cache, `max_ttl` and `max_stale` together.
    ///
    /// Entries that are older than what marks tell are loaded again.
    pub fn marks_kept(mut self, time: Duration) -> Self {
        self.bounds.retention = time;
        self
    }

    /// Switches a rule of the protocol off, to see that a test notices.
    #[cfg(feature = "mutants")]
    pub fn without_rule(mut self, rule: Rule) -> Self {
        self.rules = self.rules.without(rule);
        self
    }

    /// Returns the permissions that the user in the URL needs, for the [`prefix`](Self::prefix) that was set:
    /// `ACL SETUSER <user> on ><password>` and then this.
    ///
    /// For the default prefix it is [`REDIS_ACL`](crate::REDIS_ACL).
    ///
    /// ```
    /// let line = stratacache_redis::Redis::builder("redis://localhost").prefix("shop").acl()?;
    /// assert!(line.contains("~shop:* resetchannels &shop:*"));
    /// # Ok::<(), stratacache_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidInput`](stratacache_core::ErrorKind::InvalidInput) for a bad prefix.
    pub fn acl(&self) -> Result<String> {
        access::acl(Purpose::Serve, &self.prefix)
    }

    /// Connects, and checks that the server keeps what the guarantee rests on.
    ///
    /// # Errors
    /// [`InvalidInput`](stratacache_core::ErrorKind::InvalidInput) for a bad URL or value, and for a server that is too old, a replica, or has a `maxmemory`
    /// without a `volatile-*` policy; `Unavailable` or `Timeout` where no server answers, or a
    /// permission is missing. The message says what to do, and never holds the user or the password.
    ///
    /// # Cancel safety
    /// Dropped half-way, its connections are closed.
    pub async fn build(self) -> Result<Redis> {
        self.check()?;
        let names = Names::new(&self.prefix)?;
        let way = Way {
            url: &self.url,
            ca_file: self.ca_file.as_deref(),
            connections: self.connections,
            deadline: self.deadline,
            window: self.window,
        };
        let Connected { link, cluster, server } = way.link().await?;
        let core = Arc::new(Core {
            link,
            names,
            scripts: Scripts::new(self.rules),
            rules: self.rules,
            bounds: self.bounds,
            max_weight: self.max_weight,
            counters: Counters::default(),
            time: ServerTime::default(),
        });
        startup::check(&core.link, cluster, Purpose::Serve, &core.names).await?;
        let explain = |failure| Purpose::Serve.explain(failure, &core.names);
        access::try_commands(&core.link, &core.names).await.map_err(explain)?;
        // afterwards the scripts are known to work, and so is the time of the server
        Lanes::new(Arc::clone(&core)).try_scripts().await.map_err(explain)?;
        Ok(Redis { core, server })
    }

    fn check(&self) -> Result<()> {
        let bad = |what: &str| Err(Error::invalid(what));
        if self.window.is_zero() {
            return bad("the `breaker_window` of redis is more than 0");
        }
        if !(1..=16).contains(&self.connections) {
            return bad("the `connections` of redis are 1 to 16");
        }
        if self.max_weight > 500 << 20 {
            return bad("the `max_weight` of redis is at most 500 MiB");
        }
        if self.bounds.marks == 0 || self.bounds.tenant_marks == 0 || self.bounds.stream == 0 {
            return bad("`max_marks`, `max_tenant_marks` and `stream_length` of redis are more than 0");
        }
        if self.bounds.retention.is_zero() {
            return bad("`marks_kept` of redis is more than 0");
        }
        Ok(())
    }
}

impl fmt::Debug for RedisBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // the URL holds the password
        f.debug_struct("RedisBuilder")
            .field("prefix", &self.prefix)
            .field("deadline", &self.deadline)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}
