//! A real outbox, and nodes that share a real Redis: what anybody's statement has changed is served by no node any more.
#![allow(clippy::unwrap_used)]

use std::{convert::Infallible, sync::Arc, time::Duration};

use stratacache::{
    Cache, Consistency, Follower, OutboxSql, Policy, PostgresOutbox, Redis, SqlPart, Tag, TenantId, minutes,
};
use stratacache_testkit::servers::{PostgresServer, RedisServer};

struct World {
    postgres: Arc<PostgresServer>,
    here: Cache,
    there: Cache,
    _follower: Follower,
    _redis: RedisServer,
}

impl World {
    /// Of two nodes the first follows; the second reads.
    async fn new(truncate_tag: Option<&str>) -> Self {
        let (postgres, redis) = (PostgresServer::start().await.unwrap(), RedisServer::start().await.unwrap());
        let sql = OutboxSql::new("strata").unwrap();
        let trigger = sql.trigger("contacts").tenant("company").tag([SqlPart::text("contact"), SqlPart::column("id")]);
        let trigger = truncate_tag.into_iter().fold(trigger, |trigger, tag| trigger.truncate_tag([SqlPart::text(tag)]));
        postgres.sql("CREATE TABLE contacts (id bigint, company text, name text)").await.unwrap();
        postgres.sql(sql.migration()).await.unwrap();
        postgres.sql(trigger.to_sql().unwrap()).await.unwrap();
        let node = async || {
            let redis = Redis::connect(&redis.url()).await.unwrap();
            Cache::builder().default_policy(Policy::ttl(minutes(60))).tier(redis).build().await.unwrap()
        };
        let (here, there) = (node().await, node().await);
        let outbox = PostgresOutbox::builder(&postgres.url(), "web").unwrap().poll(Duration::from_millis(50));
        let follower = here.follow(outbox.open().await.unwrap()).start().unwrap();
        let postgres = Arc::new(postgres);
        Self { postgres, here, there, _follower: follower, _redis: redis }
    }

    async fn sql(&self, sql: &str) -> String {
        self.postgres.sql(sql).await.unwrap()
    }

    /// Waits until everything that was committed up to now is applied: then its rows go.
    async fn applied(&self) {
        while self.sql("SELECT count(*) FROM strata.outbox").await != "0" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Reads how many contacts a company has, on a node.
    async fn count(&self, node: &Cache, company: &str) -> u32 {
        let ns = node.tenant(&TenantId::parse(company).unwrap());
        let (postgres, sql) =
            (self.postgres.clone(), format!("SELECT count(*) FROM contacts WHERE company = '{company}'"));
        let load = async move || Ok::<_, Infallible>(postgres.sql(sql).await.unwrap().parse::<u32>().unwrap());
        let count = ns.get_or_load("count", load).tag(Tag::global("contacts")).consistency(Consistency::Latest);
        *count.await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_truncate_is_committed_no_node_serves_rows_of_any_tenant_and_before_or_without_it_all_do() {
    for truncate_tag in [None, Some("contacts")] {
        let world = World::new(truncate_tag).await;
        world.sql("INSERT INTO contacts VALUES (1, 'acme', 'Ada'), (2, 'bolt', 'Bob')").await;
        world.applied().await;
        // the node that follows has met neither
        for company in ["acme", "bolt"] {
            assert_eq!(world.count(&world.there, company).await, 1);
        }
        world.sql("BEGIN; TRUNCATE contacts; ROLLBACK").await;
        world.applied().await;
        for company in ["acme", "bolt"] {
            let ns = world.there.tenant(&TenantId::parse(company).unwrap());
            let kept = ns.get::<u32>("count").consistency(Consistency::Latest).await;
            assert_eq!(kept.as_deref(), Some(&1), "what was rolled back is no change");
        }
        world.sql("BEGIN; TRUNCATE contacts; COMMIT").await;
        world.applied().await;
        for node in [&world.there, &world.here] {
            for company in ["acme", "bolt"] {
                assert_eq!(world.count(node, company).await, 0, "{truncate_tag:?}");
            }
        }
        assert_eq!(world.sql("SELECT count(*) FROM strata.poison").await, "0");
        world.here.close().await.unwrap();
        world.there.close().await.unwrap();
    }
}
