//! A follower of a stream, as a user that may do nothing else.

use std::time::Duration;

use stratacache_core::{
    follow::{Batch, InvalidationSource, NextChanges, SetAside},
    millis,
};
use stratacache_redis::{RedisStream, RedisStreamBuilder};
use stratacache_testkit::servers::{Program, RedisServer};

use crate::{Place, done, each_is_named};

const LATER: NextChanges = NextChanges::new(100, Duration::from_secs(20));
const SOON: NextChanges = NextChanges::new(100, Duration::from_millis(200));

impl Place {
    fn stream(&self, user: &str, key: &str) -> RedisStreamBuilder {
        RedisStream::builder(self.url(user), key, "web").deadline(Duration::from_secs(5)).poll(millis(10))
    }

    /// Who has the stream.
    async fn owner(&self, key: &str) -> &RedisServer {
        match self {
            Self::Server(server) => server,
            Self::Cluster(cluster) => {
                let slot = cluster.slot_of(key).await.unwrap();
                cluster.node(cluster.owner_of(slot).await.unwrap())
            }
        }
    }

    async fn add(&self, key: &str, tenant: &str) {
        let words = ["XADD", key, "*", "tenant", tenant, "targets", r#"{"tag": 1}"#];
        self.owner(key).await.command(&words).await.unwrap();
    }
}

async fn changes(of: &RedisStream) -> Batch {
    loop {
        let batch = of.next(LATER).await.unwrap();
        if !batch.changes.is_empty() || batch.gap.is_some() {
            return batch;
        }
    }
}

fn tenants(batch: &Batch) -> Vec<&str> {
    batch.changes.iter().map(|change| change.tenant.as_deref().unwrap_or("-")).collect()
}

/// All that a follower does: it delivers, stands by, acknowledges, sets aside, asks for the lag, takes over, notices a gap.
async fn follows_under_its_line(place: &Place, key: &str) {
    let line = place.stream("follower", key).acl().unwrap();
    place.grant("follower", &line).await;
    let open = async || place.stream("follower", key).open().await.unwrap();
    let (first, second) = (open().await, open().await);
    assert_eq!(first.lag().await.unwrap().changes, 0, "there is no stream yet");
    for tenant in ["a", "b"] {
        place.add(key, tenant).await;
    }
    let batch = changes(&first).await;
    assert_eq!(tenants(&batch), ["a", "b"]);
    assert!(second.next(SOON).await.unwrap().standby);
    let aside = SetAside::new(batch.changes[0].position, "because");
    first.set_aside(vec![aside.clone()]).await.unwrap();
    first.set_aside(vec![aside]).await.unwrap();
    first.acknowledge(batch.changes[1].position).await.unwrap();
    assert_eq!(first.lag().await.unwrap().changes, 0);
    first.close().await.unwrap();
    place.add(key, "c").await;
    assert_eq!(tenants(&changes(&second).await), ["c"]);
    let owner = place.owner(key).await;
    for trimmed in ["d", "e"] {
        place.add(key, trimmed).await;
    }
    owner.command(&["XTRIM", key, "MAXLEN", "1"]).await.unwrap();
    assert!(changes(&second).await.gap.is_some());
    let kept = owner.command(&["XLEN", &format!("{{{key}}}:strata:web:poison")]).await.unwrap();
    assert_eq!(format!("{kept:?}"), "Integer(1)");
    place
        .refuses(
            "follower",
            &[
                &["PING"],
                &["INFO"],
                &["KEYS", "*"],
                &["SCAN", "0"],
                &["FLUSHALL"],
                &["CONFIG", "GET", "*"],
                &["XTRIM", key, "MAXLEN", "0"],
                &["XINFO", "GROUPS", key],
                &["CLUSTER", "NODES"],
                &["GET", "strata:{0f}:e"],
                &["HMGET", "strata:{c3}:h", "inc"],
                &["SET", &format!("{{{key}}}:strata:other:lock"), "1"],
                &["HSET", &format!("{{{key}}}:strata:other"), "position", "1-0"],
                &["XADD", &format!("{key}2"), "*", "f", "v"],
                &["EVAL", "return redis.call('DEL', KEYS[1])", "1", "strata:{0f}:e"],
                &["SUBSCRIBE", "strata:fills"],
            ],
        )
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_runs_under_the_least_privilege_on_redis() {
    follows_under_its_line(&Place::server(Program::Redis).await, "changes").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_runs_under_the_least_privilege_on_valkey() {
    follows_under_its_line(&Place::server(Program::Valkey).await, "changes").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_follower_runs_under_the_least_privilege_on_a_cluster_while_the_slot_moves() {
    let place = Place::cluster().await;
    follows_under_its_line(&place, "changes").await;
    let Place::Cluster(cluster) = &place else { panic!("no cluster") };
    let stream = place.stream("follower", "changes").open().await.unwrap();
    let slot = cluster.slot_of("changes").await.unwrap();
    let from = cluster.owner_of(slot).await.unwrap();
    let migration = cluster.begin_migration(slot, from, (from + 1) % 3).await.unwrap();
    while migration.move_keys(100).await.unwrap() > 0 {}
    // who asks now is sent to the other server with ASK
    assert!(stream.lag().await.unwrap().changes > 0);
    migration.finish().await.unwrap();
    assert!(done(|| async { stream.lag().await.ok() }).await.changes > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_any_letters_has_a_line_that_is_enough_and_fits_no_other() {
    let place = Place::server(Program::Redis).await;
    for key in ["a*", "a b", "it's", "[x]", "a\\b", "\u{e9}\u{2003}\"", "a}b", "{a}b"] {
        let stream = place.stream("u", key);
        place.grant("u", &stream.acl().unwrap()).await;
        let stream = stream.open().await.unwrap_or_else(|error| panic!("{key}: {error}"));
        place.add(key, "a").await;
        assert_eq!(changes(&stream).await.changes.len(), 1, "{key}");
        assert!(place.stream("u", "axx").open().await.is_err(), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_command_of_a_follower_that_is_missing_is_noticed_at_start_and_named() {
    for place in [Place::server(Program::Redis).await, Place::server(Program::Valkey).await, Place::cluster().await] {
        let line = place.stream("u", "changes").acl().unwrap();
        each_is_named(&place, &line, async |_| place.stream("u", "changes").open().await.map(drop)).await;
        for key in ["~changes ", "~{changes}:strata:web ", "~{changes}:strata:web:* "] {
            place.grant("u", &line.replace(key, "")).await;
            let error = place.stream("u", "changes").open().await.unwrap_err().to_string();
            assert!(error.contains("has no access to a key of the stream; grant it with: "), "{key} {error}");
            assert!(error.ends_with(&line), "{key} {error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_away_later_is_an_error_that_says_what_to_grant_and_nothing_is_lost() {
    for program in [Program::Redis, Program::Valkey] {
        let place = Place::server(program).await;
        let line = place.stream("u", "changes").acl().unwrap();
        place.grant("u", &line).await;
        let stream = place.stream("u", "changes").open().await.unwrap();
        place.add("changes", "a").await;
        let batch = changes(&stream).await;
        let aside = || stream.set_aside(vec![SetAside::new(batch.changes[0].position, "because")]);
        place.grant("u", &line.replace(" +xadd", "")).await;
        let error = aside().await.unwrap_err().to_string();
        assert!(error.contains("may not run") && error.ends_with(&line), "{error}");
        place.grant("u", &line.replace(" +hset", "")).await;
        let error = stream.acknowledge(batch.changes[0].position).await.unwrap_err().to_string();
        assert!(error.contains("may not run") && error.ends_with(&line), "{error}");
        place.grant("u", &line).await;
        aside().await.unwrap();
        stream.acknowledge(batch.changes[0].position).await.unwrap();
        let kept = place.owner("changes").await.command(&["XLEN", "{changes}:strata:web:poison"]).await.unwrap();
        assert_eq!(format!("{kept:?}"), "Integer(1)", "what nobody can apply was not lost");
        assert_eq!(stream.lag().await.unwrap().changes, 0);
    }
}
