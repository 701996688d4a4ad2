//! The fault proxy does before a real server what it says.
#![cfg(unix)]

mod client;
mod counts;
mod faults;
mod protocol;

use std::error::Error;

use stratacache_testkit::{proxy::FaultProxy, servers::RedisServer};

type Outcome = Result<(), Box<dyn Error>>;

const SEED: u64 = 7;

/// A server and a proxy before it.
async fn pair() -> Result<(RedisServer, FaultProxy), Box<dyn Error>> {
    let server = RedisServer::start().await?;
    let proxy = FaultProxy::start(server.addr(), SEED).await?;
    Ok((server, proxy))
}
