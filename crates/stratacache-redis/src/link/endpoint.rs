//! Opening connections to one server.

use std::{fmt, sync::Arc};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ProtocolVersion, RedisResult, TlsCertificates,
    aio::{AsyncPushSender, MultiplexedConnection},
};

/// One server: where it is and how to log in. `Debug` and `Display` show only where it is.
#[derive(Clone)]
pub(crate) struct Endpoint {
    info: ConnectionInfo,
    /// PEM of the authority to trust instead of the system's.
    ca: Option<Arc<[u8]>>,
}

impl Endpoint {
    pub(crate) fn new(info: ConnectionInfo, ca: Option<Arc<[u8]>>) -> Self {
        Self { info, ca }
    }

    /// Returns another server of the same cluster.
    pub(crate) fn at(&self, host: &str, port: u16) -> Self {
        let host = if host.is_empty() { self.host() } else { host }.to_owned();
        let addr = match self.info.addr() {
            ConnectionAddr::TcpTls { insecure, .. } => {
                ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: None }
            }
            _ => ConnectionAddr::Tcp(host, port),
        };
        Self { info: self.info.clone().set_addr(addr), ca: self.ca.clone() }
    }

    /// Tells whether another one is the same server.
    pub(crate) fn is_at(&self, other: &Self) -> bool {
        self.info.addr() == other.info.addr()
    }

    fn host(&self) -> &str {
        match self.info.addr() {
            ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host,
            _ => "",
        }
    }

    /// Opens a connection for commands and replies.
    pub(crate) async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        self.open(ProtocolVersion::RESP2, config()).await
    }

    /// Opens a connection that also receives messages.
    pub(crate) async fn listen(&self, sender: impl AsyncPushSender) -> RedisResult<MultiplexedConnection> {
        self.open(ProtocolVersion::RESP3, config().set_push_sender(sender)).await
    }

    async fn open(
        &self,
        protocol: ProtocolVersion,
        config: AsyncConnectionConfig,
    ) -> RedisResult<MultiplexedConnection> {
        let settings = self.info.redis_settings().clone().set_protocol(protocol);
        let info = self.info.clone().set_redis_settings(settings);
        let client = match info.addr() {
            ConnectionAddr::TcpTls { .. } => {
                choose_cryptography();
                let root_cert = self.ca.as_ref().map(|pem| pem.to_vec());
                Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })?
            }
            _ => Client::open(info)?,
        };
        client.get_multiplexed_async_connection_with_config(&config).await
    }
}

/// Our own deadlines are around every call, so the client's are off.
fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None).set_pipeline_buffer_size(1024)
}

/// rustls panics where a process has two providers and none is chosen.
fn choose_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // an error says that somebody else has chosen in the meantime, which is as good
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.info.addr().fmt(f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}
