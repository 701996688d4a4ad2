//! What a user says, checked.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use stratacache_core::{Error, Result};

use super::{access, keys::Keys, source::Stream};
use crate::connect::{Connected, Way};

/// How long a server that did not answer is left alone.
const WINDOW: Duration = Duration::from_millis(500);

/// A stream of Redis, as a source of changes. Cheap to clone.
///
/// An entry has the field `targets`, JSON as [`ChangeTarget`](stratacache_core::follow::ChangeTarget) describes it, and `tenant`; without it, it
/// is about data of no tenant:
///
/// ```text
/// XADD changes MAXLEN ~ 1000000 * tenant acme targets '{"tag": ["contacts", 42]}'
/// ```
///
/// It has a connection of its own. Of all that are open with the same consumer's name one delivers, by a lock that lives 10 s, and what each
/// consumer has applied is noted in a hash beside the stream. Entries that were trimmed before this consumer read them, and a stream that was
/// deleted, are a gap: all tenants are cleared, on every node. `MAXLEN` has to keep what is added in the longest time that
/// nobody follows. What nobody can apply goes to a stream beside it (`..:poison`), which keeps about 10,000.
#[derive(Clone)]
pub struct RedisStream(pub(super) Arc<Stream>);

impl RedisStream {
    /// Begins to describe a stream: a URL as [`Redis::builder`](crate::Redis::builder) takes it, the key of the stream, and the name of the
    /// consumer, 1 to 64 of `[A-Za-z0-9_-]`. Each consumer gets every change: one name is right for all nodes of a deployment.
    pub fn builder(
        url: impl Into<String>,
        stream: impl Into<String>,
        consumer: impl Into<String>,
    ) -> RedisStreamBuilder {
        RedisStreamBuilder {
            url: url.into(),
            stream: stream.into(),
            consumer: consumer.into(),
            ca_file: None,
            deadline: Duration::from_secs(1),
            poll: Duration::from_millis(100),
        }
    }
}

impl fmt::Debug for RedisStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisStream").field(&self.0.name).finish()
    }
}

/// Describes a stream. Made by [`RedisStream::builder`].
#[derive(Clone)]
#[must_use = "nothing is opened until open() is awaited"]
pub struct RedisStreamBuilder {
    url: String,
    stream: String,
    consumer: String,
    ca_file: Option<PathBuf>,
    deadline: Duration,
    poll: Duration,
}

impl RedisStreamBuilder {
    /// Trusts the authorities in a PEM file, instead of those of the system.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// Sets how long any command may take, 1 ms to 5 s. Default 1 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets how often to look for new entries, 1 ms to 3 s. Default 100 ms.
    pub fn poll(mut self, interval: Duration) -> Self {
        self.poll = interval;
        self
    }

    /// Returns the permissions that the user of this consumer needs: `ACL SETUSER <user> on ><password>` and then this.
    ///
    /// It may do what a follower does to the stream, to what the consumer has noted and to its poison, and nothing else: not even
    /// see what the cache keeps on the same server, whose user is another one. Whoever adds entries needs `~changes +xadd`.
    ///
    /// ```
    /// let line = stratacache_redis::RedisStream::builder("redis://localhost", "changes", "web").acl()?;
    /// assert!(line.starts_with("resetkeys ~changes ~{changes}:strata:web "));
    /// # Ok::<(), stratacache_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](stratacache_core::ErrorKind::InvalidInput) for a bad key of the stream or name of the consumer.
    pub fn acl(&self) -> Result<String> {
        Ok(access::acl(&self.keys()?))
    }

    fn keys(&self) -> Result<Keys> {
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if self.consumer.is_empty() || self.consumer.len() > 64 || !self.consumer.chars().all(named) {
            return Err(Error::invalid("the name of the consumer is 1 to 64 of A-Z a-z 0-9 _ -"));
        }
        if self.stream.is_empty() || self.stream.len() > 512 {
            return Err(Error::invalid("the key of a stream is 1 to 512 bytes"));
        }
        Ok(Keys::new(&self.stream, &self.consumer))
    }

    /// Connects, tries every permission, and asks how far the consumer is.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](stratacache_core::ErrorKind::InvalidInput) that names a knob; `Unavailable` or `Timeout` when the
    /// server cannot be used as it is, or a permission is missing: the message names it and the line that grants it. After that,
    /// lost connections are made again by themselves.
    ///
    /// # Cancel safety
    /// Dropped half-way, its connection is closed.
    pub async fn open(self) -> Result<RedisStream> {
        let keys = self.keys()?;
        for (knob, value, most) in [("deadline", self.deadline, 5), ("poll", self.poll, 3)] {
            if !(Duration::from_millis(1)..=Duration::from_secs(most)).contains(&value) {
                return Err(Error::invalid(format!("{knob} of a stream is 1 ms to {most} s, not {value:?}")));
            }
        }
        let ca_file = self.ca_file.as_deref();
        let way = Way { url: &self.url, ca_file, connections: 1, deadline: self.deadline, window: WINDOW };
        let Connected { link, cluster, .. } = way.link().await?;
        if cluster && !keys.are_together() {
            return Err(Error::invalid(
                "the key of a stream in a cluster has no braces, or a pair of them around a part, which is what its slot is made of",
            ));
        }
        let stream = Stream::new(link, keys, self.poll)?;
        stream.check(cluster).await?;
        Ok(RedisStream(Arc::new(stream)))
    }
}

impl fmt::Debug for RedisStreamBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // the URL holds the password
        f.debug_struct("RedisStreamBuilder")
            .field("stream", &self.stream)
            .field("consumer", &self.consumer)
            .field("deadline", &self.deadline)
            .field("poll", &self.poll)
            .finish_non_exhaustive()
    }
}
