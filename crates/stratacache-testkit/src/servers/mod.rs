//! Real servers for tests: Redis and Valkey, alone, as replicas and as clusters; Postgres.
//!
//! Each listens on 127.0.0.1 on a free port, lives in a temporary folder of its own and is killed, by its own process id,
//! when it is dropped. Nothing is left behind; nothing else on the machine is touched. The programs `redis-server` and
//! `valkey-server` are looked for in `PATH`, those of Postgres also where Debian puts them; where one is missing, the error says what to install.
//!
//! Needs the feature `servers`, on Unix.
//!
//! ```
//! # async fn example() -> Result<(), stratacache_testkit::servers::ServerError> {
//! use stratacache_testkit::servers::{Persistence, Program, RedisServer};
//!
//! let server = RedisServer::builder(Program::Redis).persistence(Persistence::Aof).start().await?;
//! println!("clients connect to {}", server.url());
//! server.command(&["SET", "greeting", "hello"]).await?;
//! server.kill().await?; // a crash
//! server.restart().await?;
//! assert_eq!(server.command(&["GET", "greeting"]).await?.text().as_deref(), Some("hello"));
//! # Ok(())
//! # }
//! ```
//!
//! Everything here waits in real time, also under paused time of tokio, which stands still meanwhile. The servers belong
//! to the process group of the test: whoever ends the whole group of a test that hangs ends them, too.

mod builder;
mod cluster;
mod error;
mod folder;
mod instance;
mod ports;
mod postgres;
mod resp;
mod server;
mod tls;
mod wait;

pub use builder::{Persistence, Program, RedisBuilder};
pub use cluster::{Failover, Migration, RedisCluster, RedisClusterBuilder};
pub use error::ServerError;
pub use ports::keep_to_share_of_ports;
pub use postgres::PostgresServer;
pub use resp::Reply;
pub use server::RedisServer;
#[cfg(feature = "s3")]
pub(crate) use {ports::free as free_port, wait::until};
