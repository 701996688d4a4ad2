//! The processes that may be killed at any time.

use std::future::pending;

use outbox::{CONTACTS, Database, Failure};
use stratacache::{Cache, PostgresOutbox, Redis, millis};

/// An application that changes a row, and is to invalidate after the commit. It never comes to that.
pub(crate) async fn app(postgres: &str, company: &str, id: &str) -> Result<(), Failure> {
    let database = Database::connect(postgres).await?;
    println!("ready");
    let edition = database.next_edition(company, id.parse()?).await?;
    println!("committed {edition}");
    // here it would invalidate, and here it is killed
    pending().await
}

/// A node that follows the outbox.
pub(crate) async fn listener(postgres: &str, redis: &str) -> Result<(), Failure> {
    let cache = Cache::builder().tier(Redis::connect(redis).await?).build().await?;
    let outbox = PostgresOutbox::builder(postgres, "web")?.poll(millis(100)).open().await?;
    let follower = cache.follow(outbox).keyspace(&CONTACTS).start()?;
    follower.until(|progress| progress.delivering).await;
    println!("back");
    follower.until(|_| false).await;
    Ok(())
}
