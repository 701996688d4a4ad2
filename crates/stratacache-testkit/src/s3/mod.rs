//! Object stores for tests: one in this process that speaks the language of S3, moto beside it, and a proxy that breaks
//! answers on command.
//!
//! Needs the feature `s3`, on Unix.
//!
//! ```
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use stratacache_testkit::s3::{HttpFault, HttpProxy, Requests, S3Server, Times};
//!
//! let server = S3Server::start(&["bucket"]).await?;
//! let proxy = HttpProxy::start(server.addr(), 42).await?;
//! println!("clients use {} with {} and {}", proxy.url(), S3Server::ACCESS_KEY, S3Server::SECRET_KEY);
//! proxy.fail(Requests::of("PUT"), HttpFault::status(503, "SlowDown"), Times::Next(2));
//! // two writes are refused, the third goes through
//! proxy.heal();
//! # Ok(())
//! # }
//! ```

mod controls;
mod fault;
mod message;
mod moto;
mod proxy;
mod server;

pub use self::{
    controls::HttpControls,
    fault::{HttpFault, Requests},
    moto::Moto,
    proxy::HttpProxy,
    server::S3Server,
};
pub use crate::proxy::Times;
