//! A proxy on the loopback that understands HTTP and breaks answers on command.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    ops::Deref,
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    time::sleep,
};

use super::{controls::HttpControls, fault::HttpFault, message::Message};
use crate::spawn::Tasks;

/// A part of a slow answer comes every so often.
const TICK: Duration = Duration::from_millis(20);
/// A part of a flood.
const WAVE: usize = 64 << 10;

/// A proxy before one server; it ends with everything that goes through it when it is dropped.
///
/// It is steered by the methods of [`HttpControls`], which can be cloned out of it: [`controls`](Self::controls). Each
/// request goes to the server over a connection of its own, and each answer ends the connection of the client.
pub struct HttpProxy {
    addr: SocketAddr,
    controls: HttpControls,
    _tasks: Tasks,
}

impl HttpProxy {
    /// Listens on a free port of 127.0.0.1 and passes everything on to a server.
    ///
    /// # Errors
    /// When no port can be had.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, it leaves nothing behind.
    pub async fn start(upstream: SocketAddr, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let controls = HttpControls::new(seed);
        let mut tasks = Tasks::default();
        tasks.start(accept(listener, upstream, controls.clone()));
        Ok(Self { addr, controls, _tasks: tasks })
    }

    /// Returns where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns the endpoint for clients.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Returns a handle to steer it by.
    #[must_use]
    pub fn controls(&self) -> HttpControls {
        self.controls.clone()
    }
}

impl Deref for HttpProxy {
    type Target = HttpControls;

    fn deref(&self) -> &HttpControls {
        &self.controls
    }
}

impl fmt::Debug for HttpProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpProxy").field("addr", &self.addr).finish_non_exhaustive()
    }
}

async fn accept(listener: TcpListener, upstream: SocketAddr, controls: HttpControls) {
    let mut connections = Tasks::default(); // they end with this
    while let Ok((client, _)) = listener.accept().await {
        connections.start(serve(client, upstream, controls.clone()));
    }
}

async fn serve(client: TcpStream, upstream: SocketAddr, controls: HttpControls) {
    let mut cuts = controls.cuts();
    tokio::select! {
        // what breaks is cut, and that is all that a client sees of it
        _ = pass(client, upstream, &controls) => {}
        _ = cuts.changed() => {}
    }
}

async fn ask(upstream: SocketAddr, mut request: Message) -> io::Result<Message> {
    let mut server = TcpStream::connect(upstream).await?;
    request.set("connection", "close");
    server.write_all(&request.bytes()).await?;
    Message::response(&mut server).await
}

/// Passes one request on and its answer back.
async fn pass(mut client: TcpStream, upstream: SocketAddr, controls: &HttpControls) -> io::Result<()> {
    let Some(mut request) = Message::request(&mut client).await? else { return Ok(()) };
    let (method, path) = request.asks();
    let (method, path) = (method.to_owned(), path.to_owned());
    let fault = controls.draw(&method, &path);
    if let Some(HttpFault::WithoutHeader(name)) = &fault {
        request.remove(name);
    }
    let mut response = match &fault {
        Some(HttpFault::Answer { status, body }) => Message::answer(*status, body),
        Some(HttpFault::Hang) => return std::future::pending().await,
        Some(HttpFault::Cut) => return Ok(()),
        Some(HttpFault::Replay) => match controls.remembered(&path) {
            Some(old) => old,
            None => ask(upstream, request).await?,
        },
        _ => ask(upstream, request).await?,
    };
    controls.note(&method, &path, &response);
    response.set("connection", "close");
    match fault {
        Some(HttpFault::LoseReply) => return Ok(()),
        Some(HttpFault::HangReply) => return std::future::pending().await,
        Some(HttpFault::Truncate(bytes)) => response.body.truncate(bytes),
        Some(HttpFault::ClaimLength(bytes)) => {
            response.set("content-length", &bytes.to_string());
            client.write_all(&response.bytes()).await?;
            return std::future::pending().await;
        }
        Some(HttpFault::ShortenTo(bytes)) => response.set("content-length", &bytes.to_string()),
        Some(HttpFault::Flood(bytes)) => {
            response.set("content-length", &bytes.to_string());
            client.write_all(response.head.as_bytes()).await?;
            return flood(&mut client, bytes).await;
        }
        Some(HttpFault::Slow(rate)) => {
            client.write_all(response.head.as_bytes()).await?;
            let part = (rate as usize * TICK.as_millis() as usize / 1000).max(1);
            for part in response.body.chunks(part) {
                client.write_all(part).await?;
                sleep(TICK).await;
            }
            return Ok(());
        }
        Some(HttpFault::Delay(time)) => sleep(time).await,
        _ => {}
    }
    client.write_all(&response.bytes()).await?;
    client.shutdown().await
}

async fn flood(client: &mut TcpStream, bytes: u64) -> io::Result<()> {
    let wave = vec![b'x'; WAVE];
    let mut left = bytes;
    while left > 0 {
        let part = usize::try_from(left).unwrap_or(usize::MAX).min(WAVE);
        client.write_all(&wave[..part]).await?;
        left -= part as u64;
    }
    client.shutdown().await
}
