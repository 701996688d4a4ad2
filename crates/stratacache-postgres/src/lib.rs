//! Invalidations from Postgres: an outbox that is written in the transaction of the data, and followed by LISTEN/NOTIFY.
//!
//! Applications use it through `stratacache`, with the feature `postgres`; the page on events in the guide says when.
//!
//! [`OutboxSql`] is the migration, the grants and the triggers, as text. [`PostgresOutbox`] follows the outbox:
//!
//! ```no_run
//! # async fn example() -> stratacache_core::Result<()> {
//! use stratacache_postgres::PostgresOutbox;
//!
//! let outbox = PostgresOutbox::builder("postgres://cache@db.internal/app", "web")?.schema("strata")?.open().await?;
//! // cache.follow(outbox).start()?
//! # Ok(()) }
//! ```
//!
//! No type of the client library is part of the public API.

mod builder;
mod connect;
mod failure;
mod poison;
mod session;
mod source;
mod spawn;
mod sql;
mod tls;

pub use builder::{PostgresOutbox, PostgresOutboxBuilder};
pub use poison::OutboxPoison;
pub use sql::{OutboxSql, RowTrigger, SqlPart};
