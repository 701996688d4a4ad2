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

use crate::server::CACHE_TOKEN;

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
    /// The token of a write.
    pub(super) cache_token: Option<String>,
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
        self.send(Method::GET, path, token, Bytes::new(), None).await
    }

    pub(super) async fn delete(&mut self, path: &str, token: &str) -> Result<Reply> {
        self.send(Method::DELETE, path, token, Bytes::new(), None).await
    }

    pub(super) async fn post(&mut self, path: &str, token: &str, body: &impl Serialize) -> Result<Reply> {
        self.send(Method::POST, path, token, serde_json::to_vec(body)?.into(), None).await
    }

    pub(super) async fn put(&mut self, path: &str, token: &str, body: &impl Serialize) -> Result<Reply> {
        self.send(Method::PUT, path, token, serde_json::to_vec(body)?.into(), None).await
    }

    /// Sends a request of any kind; a read with the token of a write must show that write.
    pub(super) async fn send(
        &mut self,
        method: Method,
        path: &str,
        token: &str,
        body: Bytes,
        cache_token: Option<&str>,
    ) -> Result<Reply> {
        let mut request = Request::builder()
            .method(&method)
            .uri(path)
            .header(HOST, &self.host)
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .header(CONTENT_TYPE, "application/json");
        if let Some(cache_token) = cache_token {
            request = request.header(CACHE_TOKEN, cache_token);
        }
        let request = request.body(Full::new(body))?;
        let began = Instant::now();
        let exchange = async {
            self.sender.ready().await?;
            let response = self.sender.send_request(request).await?;
            let status = response.status();
            let cache_token = response.headers().get(CACHE_TOKEN).and_then(|token| token.to_str().ok());
            let cache_token = cache_token.map(str::to_owned);
            let body = response.into_body().collect().await?.to_bytes();
            Ok::<_, hyper::Error>((status, cache_token, body))
        };
        let (status, cache_token, body) =
            timeout(PATIENCE, exchange).await.with_context(|| format!("{method} {path}"))??;
        Ok(Reply { status, took: began.elapsed(), cache_token, body })
    }
}
