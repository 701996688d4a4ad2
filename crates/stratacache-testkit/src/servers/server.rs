//! One server.

use std::{
    fmt::Write as _,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use super::{
    Program, RedisBuilder, Reply, ServerError,
    instance::{Address, Instance},
    wait::until,
};
use crate::spawn;

const SYNCED: Duration = Duration::from_secs(30);

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct RedisServer(Arc<Instance>);

impl RedisServer {
    /// Begins the description of a server.
    pub fn builder(program: Program) -> RedisBuilder {
        RedisBuilder::new(program)
    }

    /// Starts a Redis without persistence.
    ///
    /// # Errors
    /// As of [`RedisBuilder::start`].
    ///
    /// # Cancel safety
    /// As of [`RedisBuilder::start`].
    pub async fn start() -> Result<Self, ServerError> {
        Self::builder(Program::Redis).start().await
    }

    pub(super) fn new(instance: Arc<Instance>) -> Self {
        Self(instance)
    }

    pub(super) fn address(&self) -> &Address {
        &self.0.address
    }

    pub(super) fn instance(&self) -> &Arc<Instance> {
        &self.0
    }

    /// Returns the port for clients; it stays the same over restarts.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.address.port
    }

    /// Returns the port that speaks no TLS, by which the others of its cluster name it to who asks there.
    pub(super) fn plain_port(&self) -> u16 {
        self.0.address.plain_port
    }

    /// Returns the address for clients.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port()).into()
    }

    /// Returns the URL for clients: `redis://`, with TLS `rediss://`, with the password if there is one.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.0.address.ca.is_some() { "rediss" } else { "redis" };
        let login = self.0.address.password.as_ref().map(|password| format!(":{}@", percent_encoded(password)));
        format!("{scheme}://{}127.0.0.1:{}/", login.unwrap_or_default(), self.port())
    }

    /// Returns the id of the process; none while it does not run.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.0.pid()
    }

    /// Returns the certificate of the authority that clients must trust, in PEM; none without
    /// [`tls`](RedisBuilder::tls).
    #[must_use]
    pub fn ca_path(&self) -> Option<&Path> {
        self.0.address.ca.as_deref()
    }

    /// Returns the socket of [`unix_socket`](RedisBuilder::unix_socket).
    #[must_use]
    pub fn socket_path(&self) -> Option<&Path> {
        self.0.address.socket.as_deref()
    }

    /// Returns the end of its log, to print when a test fails.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.0.folder.log_tail(0)
    }

    /// Sends one command over a connection of its own, as the default user, and returns the reply.
    ///
    /// # Errors
    /// [`Refused`](ServerError::Refused) when the reply is an error; [`Timeout`](ServerError::Timeout) when there is none
    /// within 10 s, for example because the server is paused; [`Io`](ServerError::Io) when it does not run.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the command may still be carried out.
    pub async fn command<A: AsRef<[u8]>>(&self, args: &[A]) -> Result<Reply, ServerError> {
        let args: Vec<Vec<u8>> = args.iter().map(|arg| arg.as_ref().to_vec()).collect();
        self.blocking(move |instance| instance.call(&args)).await
    }

    /// Ends the process as a crash does, with `SIGKILL`, and waits until it is gone.
    ///
    /// # Errors
    /// When the system refuses.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the process ends all the same.
    pub async fn kill(&self) -> Result<(), ServerError> {
        self.blocking(Instance::kill).await
    }

    /// Ends the process in order, with `SIGTERM`, and waits until it is gone; up to 30 s. With
    /// [`Rdb`](super::Persistence::Rdb) it saves first.
    ///
    /// # Errors
    /// [`Timeout`](ServerError::Timeout) when it does not end.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the process ends all the same.
    pub async fn stop(&self) -> Result<(), ServerError> {
        self.blocking(Instance::stop).await
    }

    /// Starts the process again with the same settings, port and data, after a kill if it runs.
    ///
    /// # Errors
    /// As of [`RedisBuilder::start`].
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the process starts all the same.
    pub async fn restart(&self) -> Result<(), ServerError> {
        self.blocking(Instance::restart).await
    }

    /// Freezes the process: connections stay open and nothing is answered, until [`resume`](Self::resume).
    ///
    /// # Errors
    /// When the system refuses.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the process freezes all the same.
    pub async fn pause(&self) -> Result<(), ServerError> {
        self.blocking(Instance::pause).await
    }

    /// Lets a frozen process go on, with everything that was sent to it meanwhile.
    ///
    /// # Errors
    /// When the system refuses.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the process goes on all the same.
    pub async fn resume(&self) -> Result<(), ServerError> {
        self.blocking(Instance::resume).await
    }

    /// Waits until this replica is connected to its primary and has everything it had when asked; up to 30 s.
    ///
    /// # Errors
    /// [`Timeout`](ServerError::Timeout), with what `INFO replication` says.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, it changes nothing.
    pub async fn until_synced(&self, primary: &Self) -> Result<(), ServerError> {
        let primary = primary.0.clone();
        self.blocking(move |replica| {
            let goal = offset(&primary.call(&["INFO", "replication"])?, "master_repl_offset:");
            until("a replica to catch up", SYNCED, || {
                let info = replica.call(&["INFO", "replication"])?;
                let seen = info.text().unwrap_or_default();
                let caught_up = seen.contains("master_link_status:up") && offset(&info, "slave_repl_offset:") >= goal;
                Ok(if caught_up { Ok(()) } else { Err(seen) })
            })
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Instance) -> Result<T, ServerError> + Send + 'static,
    ) -> Result<T, ServerError> {
        let instance = self.0.clone();
        spawn::blocking(move || work(&instance)).await
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // at once, even if a command is still under way; a failure means that it is gone already
        let _ = self.0.kill();
    }
}

fn offset(info: &Reply, key: &str) -> Option<u64> {
    info.text()?.lines().find_map(|line| line.strip_prefix(key))?.trim().parse().ok()
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            // cannot fail, since it writes to a string
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
