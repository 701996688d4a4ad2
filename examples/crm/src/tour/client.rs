//! A visitor: one connection, one request at a time.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, StatusCode,
    client::conn::http1::{SendRequest, handshake},
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{Instant, timeout},
};

/// Longer than any answer takes; only a server that hangs is cut off.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client with a connection of its own.
pub(super) struct Visitor {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    // drives the connection, until the visitor goes away
    _connection: JoinSet<()>,
}

/// What came back.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) took: Duration,
    body: Bytes,
}

impl Reply {
    /// Returns what a good answer says, or what is wrong with it.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        let shown = || format!("{} {}", self.status, String::from_utf8_lossy(&self.body));
        ensure!(self.status.is_success(), shown());
        serde_json::from_slice(&self.body).with_context(shown)
    }
}

impl Visitor {
    pub(super) async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.context("connecting to the server")?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // when it breaks, the next request says so
            let _ = connection.await;
        });
        Ok(Self { sender, host: address.to_string(), _connection: driver })
    }

    pub(super) async fn get(&mut self, path: &str, token: &str) -> Result<Reply> {
        self.send(Method::GET, path, token, Bytes::new()).await
    }

    pub(super) async fn delete(&mut self, path: &str, token: &str) -> Result<Reply> {
        self.send(Method::DELETE, path, token, Bytes::new()).await
    }

    pub(super) async fn post(&mut self, path: &str, token: &str, body: &impl Serialize) -> Result<Reply> {
        self.send(Method::POST, path, token, serde_json::to_vec(body)?.into()).await
    }

    pub(super) async fn put(&mut self, path: &str, token: &str, body: &impl Serialize) -> Result<Reply> {
        self.send(Method::PUT, path, token, serde_json::to_vec(body)?.into()).await
    }

    async fn send(&mut self, method: Method, path: &str, token: &str, body: Bytes) -> Result<Reply> {
        let request = Request::builder()
            .method(&method)
            .uri(path)
            .header(HOST, &self.host)
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        let began = Instant::now();
        let exchange = async {
            self.sender.ready().await?;
            let response = self.sender.send_request(request).await?;
            let status = response.status();
            let body = response.into_body().collect().await?.to_bytes();
            Ok::<_, hyper::Error>((status, body))
        };
        let (status, body) = timeout(PATIENCE, exchange).await.with_context(|| format!("{method} {path}"))??;
        Ok(Reply { status, took: began.elapsed(), body })
    }
}
