//! What a user says, checked.

use std::{fmt, path::PathBuf, str::FromStr as _, sync::Arc, time::Duration};

use stratacache_core::{Error, Result};
use tokio_postgres::config::{Config, Host, SslMode};

use crate::{OutboxPoison, connect::Connector, source::Outbox, sql::Names, tls::Tls};

/// An outbox in Postgres, as a source of changes. Cheap to clone.
///
/// It holds two connections of its own: one that reads, and one that listens. Both must reach the server itself: a pooler that hands
/// out connections by transaction loses notifications and locks.
///
/// Of all that are open with the same consumer's name, one delivers, by an advisory lock of its connection; the others ask about once in
/// a second whether it is free. Changes are read in the order in which their transactions began to write, as soon as no older transaction of the server that
/// writes is still open: one that stays open holds them all back, and the lag shows it.
#[derive(Clone)]
pub struct PostgresOutbox(pub(crate) Arc<Outbox>);

impl PostgresOutbox {
    /// Begins to describe an outbox: a URL (`postgres://user:password@host:port/database`) and the name of the consumer, 1 to 48 of
    /// `a-z`, `0-9` and `_`. Each consumer gets every change: one name is right for all nodes of a deployment.
    ///
    /// The connection is encrypted, and the server's certificate and name are checked, unless the URL says `sslmode=disable`; `prefer`
    /// means `require` here. A unix socket (`?host=/run/postgresql`) is not encrypted.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](stratacache_core::ErrorKind::InvalidInput) for what is no such URL or name. The text never shows the URL.
    pub fn builder(url: &str, consumer: &str) -> Result<PostgresOutboxBuilder> {
        let config = Config::from_str(url).map_err(|_| {
            // its own text would quote the URL
            Error::invalid(
                "the URL of Postgres is not valid; it is postgres://user:password@host:port/database, then ?sslmode=disable where \
                 the server speaks no TLS",
            )
        })?;
        if config.get_hosts().is_empty() {
            return Err(Error::invalid(
                "the URL of Postgres names no host; it is postgres://user:password@host:port/database",
            ));
        }
        crate::sql::checked("name of the consumer", consumer)?;
        Ok(PostgresOutboxBuilder {
            config,
            consumer: consumer.to_owned(),
            schema: "strata".to_owned(),
            ca_file: None,
            deadline: Duration::from_secs(5),
            poll: Duration::from_millis(500),
            max_poison: 10_000,
        })
    }

    /// Counts what is set aside for the consumer, and what of it was dropped for newer changes, whichever node did so.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](stratacache_core::ErrorKind::Unavailable) or a time-out when the database cannot be asked now.
    pub async fn poison(&self) -> Result<OutboxPoison> {
        self.0.poison().await
    }
}

impl fmt::Debug for PostgresOutbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresOutbox").field(&self.0.name).finish()
    }
}

/// Describes an outbox. Made by [`PostgresOutbox::builder`].
#[derive(Clone)]
#[must_use = "nothing is opened until open() is awaited"]
pub struct PostgresOutboxBuilder {
    config: Config,
    consumer: String,
    schema: String,
    ca_file: Option<PathBuf>,
    deadline: Duration,
    poll: Duration,
    max_poison: u32,
}

impl PostgresOutboxBuilder {
    /// Sets the schema of the outbox, as in [`OutboxSql::new`](crate::OutboxSql::new). Default `strata`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](stratacache_core::ErrorKind::InvalidInput) for what is no plain identifier.
    pub fn schema(mut self, schema: &str) -> Result<Self> {
        Names::new(schema)?;
        schema.clone_into(&mut self.schema);
        Ok(self)
    }

    /// Trusts the certificate authorities of a file in PEM, in place of the system's.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// Sets how long one statement, or connecting, may take: 100 ms to 60 s. Default 5 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets how often the outbox is looked into without a notification: 10 ms to 60 s. Default 500 ms.
    ///
    /// It bounds how long a change may wait that came without a notification: where the listening connection is down, or an older
    /// transaction has held it back.
    pub fn poll(mut self, interval: Duration) -> Self {
        self.poll = interval;
        self
    }

    /// Sets how many changes that nobody can apply are kept in the table `poison` for this consumer: 1 to 100,000 rows. Default 10,000.
    ///
    /// Beyond that the oldest are dropped and counted ([`PostgresOutbox::poison`]). A row keeps at most the first 16,384 characters of its
    /// targets, so that 10,000 of them are at most about 160 MB. Nodes of one consumer should say the same.
    pub fn max_poison(mut self, rows: u32) -> Self {
        self.max_poison = rows;
        self
    }

    /// Connects, and checks that the migration was run.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](stratacache_core::ErrorKind::InvalidInput) that names a knob;
    /// [`ErrorKind::Unavailable`](stratacache_core::ErrorKind::Unavailable) or a time-out when the database cannot be used as it is. After
    /// that, lost connections are made again by themselves.
    ///
    /// # Cancel safety
    /// Dropped half-way, its connections are closed.
    pub async fn open(self) -> Result<PostgresOutbox> {
        for (knob, value, least) in [("deadline", self.deadline, 100), ("poll", self.poll, 10)] {
            if !(Duration::from_millis(least)..=Duration::from_secs(60)).contains(&value) {
                return Err(Error::invalid(format!("{knob} of an outbox is {least} ms to 60 s, not {value:?}")));
            }
        }
        if !(1..=100_000).contains(&self.max_poison) {
            return Err(Error::invalid(format!(
                "max_poison of an outbox is 1 to 100,000 rows, not {}",
                self.max_poison
            )));
        }
        let mut config = self.config;
        let plain = config.get_ssl_mode() == SslMode::Disable || all_are_sockets(&config);
        config.ssl_mode(if plain { SslMode::Disable } else { SslMode::Require });
        config.connect_timeout(self.deadline).keepalives_idle(Duration::from_secs(10));
        if config.get_application_name().is_none() {
            config.application_name(format!("strata {}", self.consumer));
        }
        let tls = if plain { None } else { Some(Tls::new(self.ca_file.as_deref())?) };
        let connector = Connector { config, tls, deadline: self.deadline };
        let names = Names::new(&self.schema)?;
        let outbox = Outbox::new(connector, names, &self.schema, self.consumer, self.poll, self.max_poison);
        outbox.check().await?;
        Ok(PostgresOutbox(Arc::new(outbox)))
    }
}

fn all_are_sockets(config: &Config) -> bool {
    config.get_hosts().iter().all(|host| !matches!(host, Host::Tcp(_)))
}

impl fmt::Debug for PostgresOutboxBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOutboxBuilder")
            .field("consumer", &self.consumer)
            .field("schema", &self.schema)
            .field("deadline", &self.deadline)
            .field("poll", &self.poll)
            .field("max_poison", &self.max_poison)
            .finish_non_exhaustive()
    }
}
