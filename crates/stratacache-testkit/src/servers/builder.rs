//! What a server is to be like.

use std::sync::Arc;

use super::{
    RedisServer, ServerError,
    folder::{Folder, quoted},
    instance::{Address, Instance},
    ports, tls,
};
use crate::spawn;

const ATTEMPTS: usize = 20;

/// The program of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Program {
    /// `redis-server`.
    Redis,
    /// `valkey-server`.
    Valkey,
}

impl Program {
    /// Returns its name in `PATH`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis-server",
            Self::Valkey => "valkey-server",
        }
    }

    pub(super) const fn install(self) -> &'static str {
        match self {
            Self::Redis => "install the package `redis-server`",
            Self::Valkey => "install the package `valkey-server` (for Debian 12 it is in bookworm-backports)",
        }
    }
}

/// What is left of the data after [`kill`](RedisServer::kill) and after [`stop`](RedisServer::stop).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Persistence {
    /// Nothing, in both cases.
    #[default]
    None,
    /// After a stop everything, after a kill what the last `SAVE` wrote: snapshots, as of `save 3600 1`.
    Rdb,
    /// Every write that was answered, in both cases: an append-only file, synced at each write.
    Aof,
}

/// Where the certificate of a server comes from.
#[derive(Debug, Clone)]
enum Tls {
    Off,
    Own,
    Given(tls::Files),
}

/// Describes a server and starts it; made by [`RedisServer::builder`].
#[derive(Debug, Clone)]
#[must_use = "a server runs when it is started"]
pub struct RedisBuilder {
    program: Program,
    persistence: Persistence,
    tls: Tls,
    unix_socket: bool,
    password: Option<String>,
    settings: Vec<(String, String)>,
    pub(super) cluster: bool,
}

impl RedisBuilder {
    pub(super) fn new(program: Program) -> Self {
        Self {
            program,
            persistence: Persistence::None,
            tls: Tls::Off,
            unix_socket: false,
            password: None,
            settings: Vec::new(),
            cluster: false,
        }
    }

    /// Sets what survives. Default: nothing.
    pub fn persistence(mut self, persistence: Persistence) -> Self {
        self.persistence = persistence;
        self
    }

    /// Makes it a replica. It is ready when it answers; when it has caught up, see
    /// [`until_synced`](RedisServer::until_synced).
    pub fn replica_of(mut self, primary: &RedisServer) -> Self {
        let address = primary.address();
        if let Some(password) = &address.password {
            self = self.config("masterauth", quoted(password));
        }
        self.config("replicaof", format!("127.0.0.1 {}", address.plain_port))
    }

    /// Lets clients connect with TLS only, to [`port`](RedisServer::port); the authority that signed the certificate of
    /// the server, which names 127.0.0.1 and localhost, is [`ca_path`](RedisServer::ca_path). Clients need no certificate.
    pub fn tls(mut self) -> Self {
        self.tls = Tls::Own;
        self
    }

    /// As [`tls`](Self::tls), with a certificate that there is already: nodes of a cluster trust one authority.
    pub(super) fn tls_of(mut self, files: tls::Files) -> Self {
        self.tls = Tls::Given(files);
        self
    }

    /// Makes it listen on a socket in its folder, too: [`socket_path`](RedisServer::socket_path).
    pub fn unix_socket(mut self) -> Self {
        self.unix_socket = true;
        self
    }

    /// Sets the password of the default user.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Adds a user with rules such as `on >secret ~app:* +@read`. The default user must keep its rights: this module
    /// speaks to the server as that user.
    pub fn acl_user(self, name: &str, rules: &str) -> Self {
        self.config("user", format!("{name} {rules}"))
    }

    /// Bounds the memory and says what is evicted, for example `allkeys-lru`.
    pub fn maxmemory(self, bytes: u64, policy: &str) -> Self {
        self.config("maxmemory", bytes.to_string()).config("maxmemory-policy", policy)
    }

    /// Adds a line to the configuration file: a key and everything after it, quoted as in such a file.
    pub fn config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((key.into(), value.into()));
        self
    }

    /// Starts the server and waits until it answers; up to 30 s.
    ///
    /// # Errors
    /// [`NotInstalled`](ServerError::NotInstalled); [`NotStarted`](ServerError::NotStarted) with the end of its log, for
    /// example after a [`config`](Self::config) it does not know; and when the system refuses something.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the server is killed as soon as it has started.
    pub async fn start(self) -> Result<RedisServer, ServerError> {
        spawn::blocking(move || self.start_blocking()).await.map(RedisServer::new)
    }

    pub(super) fn start_blocking(&self) -> Result<Arc<Instance>, ServerError> {
        let folder = Folder::new()?;
        let tls = match &self.tls {
            Tls::Off => None,
            Tls::Own => Some(tls::make(folder.path())?),
            Tls::Given(files) => Some(files.clone()),
        };
        let mut instance = Instance::new(self.program, folder, Address::default());
        let mut attempt = 1;
        loop {
            let mut address = Address { password: self.password.clone(), ..self.ports()? };
            let mut settings = self.lines(&address);
            if let Some(files) = &tls {
                let paths = [("ca-cert", &files.authority), ("cert", &files.certificate), ("key", &files.key)];
                settings.push(("tls-port".into(), address.port.to_string()));
                settings.push(("tls-auth-clients".into(), "no".into()));
                for (what, path) in paths {
                    settings.push((format!("tls-{what}-file"), quoted(&path.display().to_string())));
                }
                address.ca = Some(files.authority.clone());
            }
            if self.unix_socket {
                let path = instance.folder.path().join("socket");
                settings.push(("unixsocket".into(), quoted(&path.display().to_string())));
                address.socket = Some(path);
            }
            instance.folder.configure(&settings)?;
            instance.address = address;
            match instance.run() {
                Ok(()) => return Ok(Arc::new(instance)),
                // somebody else was faster
                Err(error) if error.is_port_taken() && attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    fn ports(&self) -> Result<Address, ServerError> {
        let (find, what): (fn() -> _, _) =
            if self.cluster { (ports::free_with_bus, "a port and its bus") } else { (ports::free, "a port") };
        let free = || {
            let none = std::io::Error::from(std::io::ErrorKind::AddrInUse);
            find().ok_or(none).map_err(ServerError::io(format!("finding {what} that is free")))
        };
        let plain_port = free()?;
        Ok(Address {
            plain_port,
            port: if matches!(self.tls, Tls::Off) { plain_port } else { free()? },
            ..Address::default()
        })
    }

    fn lines(&self, address: &Address) -> Vec<(String, String)> {
        let (save, append) = match self.persistence {
            Persistence::None => ("\"\"", "no"),
            Persistence::Rdb => ("3600 1", "no"),
            Persistence::Aof => ("\"\"", "yes"),
        };
        let mut lines: Vec<(String, String)> = [
            ("bind", "127.0.0.1"),
            ("daemonize", "no"),
            ("save", save),
            ("appendonly", append),
            ("appendfsync", "always"),
            // replicas of a test need not wait for further replicas
            ("repl-diskless-sync-delay", "0"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        lines.push(("port".into(), address.plain_port.to_string()));
        if let Some(password) = &self.password {
            lines.push(("requirepass".into(), quoted(password)));
        }
        lines.extend(self.settings.iter().cloned());
        lines
    }
}
