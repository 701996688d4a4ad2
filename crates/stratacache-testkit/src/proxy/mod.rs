//! A proxy on the loopback that understands the protocol of Redis, breaks connections on command, and counts.
//!
//! It stands between a client and a server and knows where each command and each reply ends, so that faults can be chosen
//! by command: the reply to the second `SET` gets lost, replies to `XREAD` are late and no others. And it counts what a
//! client costs: [`Controls::round_trips`].
//!
//! Needs the feature `proxy`.
//!
//! ```
//! # async fn example(server: std::net::SocketAddr) -> std::io::Result<()> {
//! use stratacache_testkit::proxy::{Command, FaultProxy, Times};
//!
//! let proxy = FaultProxy::start(server, 42).await?;
//! println!("the client connects to {}", proxy.url());
//! proxy.drop_reply(Command::named("SET"), Times::Next(1)); // done, but the client does not hear of it
//! proxy.hang(true); // nothing goes through any more
//! proxy.heal();
//! proxy.cut().await; // whoever is connected has to connect again
//! proxy.exclude(Command::named("XREAD")); // in the background
//! proxy.reset_counts();
//! // the client reads a value
//! assert_eq!((proxy.round_trips(), proxy.count("GET")), (0, 0));
//! # Ok(())
//! # }
//! ```
//!
//! # What it understands
//!
//! RESP2 and RESP3, pipelines, pushes, inline commands without quotes, `CLIENT REPLY`, and subscriptions. Faults of replies
//! do not meet what has none: commands without a reply, and subscriptions, whose confirmations count as pushes; messages have
//! faults of their own ([`Controls::drop_messages`]). Everything is passed on byte for byte, a command or a reply at a time. After `MONITOR`, `SYNC` or `PSYNC`, and when either side sends what is not this protocol (TLS, for
//! example), the connection is passed on as plain bytes: still cut, refused, hung, delayed, throttled and split, but without
//! faults and counts by command. [`Controls::unparsed`] counts the latter.
//!
//! # What repeats
//!
//! Chances and delays are drawn from the seed in the order in which commands are forwarded: with one connection, or several
//! of which one is used at a time, the same seed gives the same faults.
//!
//! Delays and throttling go by tokio's time. Paused time jumps to the next timer whenever every task waits, also while bytes
//! are on their way between sockets: a timeout of the client may pass before a reply that is not late at all. Tests with
//! timeouts run in real time.

mod command;
mod connection;
mod controls;
mod counts;
mod fault;
mod link;
mod parse;
mod shared;
mod trips;

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    ops::Deref,
    sync::Arc,
    time::Duration,
};

use tokio::net::TcpListener;

use self::shared::Shared;
pub use self::{command::Command, controls::Controls, fault::Times};
use crate::spawn::Tasks;

const AFTER_FAILED_ACCEPT: Duration = Duration::from_millis(10);

/// A proxy before one server; it ends with everything that goes through it when it is dropped.
///
/// It is steered by the methods of [`Controls`], which can be cloned out of it: [`controls`](Self::controls).
pub struct FaultProxy {
    addr: SocketAddr,
    controls: Controls,
    _tasks: Tasks,
}

impl FaultProxy {
    /// Listens on a free port of 127.0.0.1 and passes everything on to a server, which need not run yet.
    ///
    /// # Errors
    /// When no port can be had.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, it leaves nothing behind.
    pub async fn start(upstream: SocketAddr, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared::new(upstream, seed));
        let mut tasks = Tasks::default();
        tasks.start(accept(listener, shared.clone()));
        Ok(Self { addr, controls: Controls::new(shared), _tasks: tasks })
    }

    /// Returns where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns where it listens, as `redis://127.0.0.1:port/`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}/", self.addr)
    }

    /// Returns a handle to steer it by.
    #[must_use]
    pub fn controls(&self) -> Controls {
        self.controls.clone()
    }
}

impl Deref for FaultProxy {
    type Target = Controls;

    fn deref(&self) -> &Controls {
        &self.controls
    }
}

impl fmt::Debug for FaultProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultProxy").field("addr", &self.addr).field("controls", &self.controls).finish()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = Tasks::default(); // they end with this
    loop {
        match listener.accept().await {
            Ok((client, _)) if shared.is_refusing() => drop(client),
            Ok((client, _)) => connections.start(connection::serve(client, shared.clone())),
            // too many open files, for example: others may be closed meanwhile
            Err(_) => tokio::time::sleep(AFTER_FAILED_ACCEPT).await,
        }
    }
}
