//! What an outbox does, step by step.

use outbox::{CONTACTS, Database, Failure, migration, read};
use stratacache::{Cache, Follower, Namespace, PostgresOutbox, TenantId, follow::Position, millis};

pub(crate) async fn run(url: &str) -> Result<(), Failure> {
    let mut checks = Checks::default();
    let database = Database::connect(url).await?;
    database.run(&migration()?).await?;
    database
        .run("INSERT INTO contacts SELECT c, n, 1 FROM unnest('{acme,other}'::text[]) c, generate_series(1, 9) n")
        .await?;

    let cache = Cache::builder().build().await?;
    let follower = follow(&cache, url).await?;
    caught_up(&database).await?;
    let (acme, other) = (tenant(&cache, "acme")?, tenant(&cache, "other")?);
    warm(&[&acme, &other], &database).await?;

    // anybody's statement: psql, another service, a migration
    database.run("UPDATE contacts SET edition = 2 WHERE company = 'acme' AND id = 7").await?;
    caught_up(&database).await?;
    let loads = || cache.keyspace_stats("contacts").loads;
    let before = loads();
    checks.that("a row that somebody changes is read anew", *read(&acme, &database, 7).await? == 2);
    read(&acme, &database, 8).await?;
    read(&other, &database, 7).await?;
    checks.that("its neighbours and the same row of another tenant stay", loads() == before + 1);

    let applied = follower.progress().applied;
    database.run("BEGIN; UPDATE contacts SET edition = 3; ROLLBACK").await?;
    caught_up(&database).await?;
    checks.that("a transaction that is rolled back changes nothing", follower.progress().applied == applied);

    database.run("SELECT strata.invalidate('acme', '{\"tag\": \"all-contacts\"}')").await?;
    caught_up(&database).await?;
    let before = loads();
    warm(&[&acme, &other], &database).await?;
    checks.that("a statement may name a tag: all contacts of one tenant", loads() == before + 9);

    database.run("SELECT strata.invalidate('acme', '{\"tga\": \"all-contacts\"}')").await?;
    database.run("UPDATE contacts SET edition = 4 WHERE company = 'acme' AND id = 1").await?;
    caught_up(&database).await?;
    checks.that("what nobody understands is set aside", database.count("strata.poison").await? == 1);
    checks.that("and counted", follower.progress().set_aside == 1);
    checks.that("and the rest goes on", *read(&acme, &database, 1).await? == 4);

    follower.stop().await;
    database.run("UPDATE contacts SET edition = 5 WHERE company = 'acme' AND id = 1").await?;
    checks.that("while nobody follows, the old value is served", *read(&acme, &database, 1).await? == 4);
    let follower = follow(&cache, url).await?;
    caught_up(&database).await?;
    checks.that("whoever follows next begins where the last one stopped", *read(&acme, &database, 1).await? == 5);
    checks.that("with what was not applied, and nothing else", follower.progress().applied == 1);
    follower.until(|progress| progress.lag.is_some_and(|lag| lag.changes == 0)).await;
    checks.that("the lag is none", follower.progress().acknowledged > Some(Position::START));

    cache.close().await?;
    checks.that("closing the cache ends it", follower.progress().ended);
    checks.outcome()
}

async fn follow(cache: &Cache, url: &str) -> Result<Follower, Failure> {
    let outbox = PostgresOutbox::builder(url, "web")?.poll(millis(50)).open().await?;
    Ok(cache.follow(outbox).keyspace(&CONTACTS).lag_every(millis(100)).start()?)
}

fn tenant(cache: &Cache, id: &str) -> Result<Namespace, Failure> {
    Ok(cache.tenant(&TenantId::parse(id)?))
}

async fn warm(tenants: &[&Namespace], database: &Database) -> Result<(), Failure> {
    for tenant in tenants {
        for id in 1..=9 {
            read(tenant, database, id).await?;
        }
    }
    Ok(())
}

/// Waits until nothing is in the outbox: rows go when they were applied.
async fn caught_up(database: &Database) -> Result<(), Failure> {
    while database.count("strata.outbox").await? > 0 {
        tokio::time::sleep(millis(10)).await;
    }
    Ok(())
}

#[derive(Default)]
struct Checks {
    failed: u32,
}

impl Checks {
    fn that(&mut self, what: &str, holds: bool) {
        println!("{} {what}", if holds { "ok  " } else { "FAIL" });
        self.failed += u32::from(!holds);
    }

    fn outcome(self) -> Result<(), Failure> {
        if self.failed == 0 { Ok(()) } else { Err(format!("{} checks failed", self.failed).into()) }
    }
}
