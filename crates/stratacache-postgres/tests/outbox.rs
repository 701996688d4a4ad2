//! The outbox on a real Postgres.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test starts its tasks where it likes

use std::time::Duration;

use stratacache_core::{
    ErrorKind, TenantId,
    follow::{Batch, ChangeTarget, InvalidationSource as _, NextChanges, Position, SetAside},
};
use stratacache_postgres::{OutboxSql, PostgresOutbox, SqlPart};
use stratacache_testkit::servers::PostgresServer;

const SOON: NextChanges = NextChanges::new(100, Duration::from_millis(300));
const LATER: NextChanges = NextChanges::new(100, Duration::from_secs(20));

async fn server() -> PostgresServer {
    let server = PostgresServer::start().await.unwrap();
    let sql = OutboxSql::new("strata").unwrap().migration();
    server.sql(sql.clone()).await.unwrap();
    server.sql(sql).await.expect("the migration may be run again");
    server
}

async fn open(server: &PostgresServer, consumer: &str) -> PostgresOutbox {
    let builder = PostgresOutbox::builder(&server.url(), consumer).unwrap();
    builder.poll(Duration::from_millis(50)).open().await.unwrap()
}

/// Waits for a batch with changes: one that begins to deliver says so first.
async fn changes(of: &PostgresOutbox) -> Batch {
    loop {
        let batch = of.next(LATER).await.unwrap();
        if !batch.changes.is_empty() || batch.gap.is_some() {
            return batch;
        }
    }
}

fn tenants(batch: &Batch) -> Vec<String> {
    batch.changes.iter().map(|change| change.tenant.as_deref().unwrap_or("-").to_owned()).collect()
}

fn last(batch: &Batch) -> Position {
    batch.changes.last().unwrap().position
}

async fn write(server: &PostgresServer, tenant: &str) {
    server.sql(format!("SELECT strata.invalidate('{tenant}', '{{\"tag\": 1}}')")).await.unwrap();
}

/// A transaction that stays open until it is told to commit: psql waits for a lock of ours.
struct Open(tokio::task::JoinHandle<()>);

async fn transaction(server: &std::sync::Arc<PostgresServer>, sql: &str) -> Open {
    let sql = format!("BEGIN; {sql}; SELECT pg_advisory_lock_shared(77); COMMIT");
    let of_task = std::sync::Arc::clone(server);
    let before = open_transactions(server).await;
    let task = Open(tokio::spawn(async move {
        of_task.sql(sql).await.unwrap();
    }));
    while open_transactions(server).await == before {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    task
}

async fn open_transactions(server: &PostgresServer) -> String {
    let sql = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = 77";
    server.sql(sql).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_come_in_order_and_once_and_a_new_one_begins_after_what_was_acknowledged() {
    let server = server().await;
    for tenant in ["a", "b", "c"] {
        write(&server, tenant).await;
    }
    let first = open(&server, "web").await;
    let batch = changes(&first).await;
    assert_eq!(tenants(&batch), ["a", "b", "c"]);
    assert!(batch.changes.iter().all(|change| change.targets.as_ref().unwrap() == &[ChangeTarget::tag(1)]));
    assert!(first.next(SOON).await.unwrap().changes.is_empty(), "nothing twice");
    assert_eq!(first.lag().await.unwrap().changes, 3);
    first.acknowledge(batch.changes[0].position).await.unwrap();
    assert_eq!(first.lag().await.unwrap().changes, 2);
    first.close().await.unwrap();
    assert_eq!(first.next(SOON).await.unwrap_err().kind(), ErrorKind::Closed);

    let second = open(&server, "web").await;
    let batch = changes(&second).await;
    assert_eq!(tenants(&batch), ["b", "c"]);
    second.acknowledge(last(&batch)).await.unwrap();
    assert_eq!(server.sql("SELECT count(*) FROM strata.outbox").await.unwrap(), "0", "what is applied is deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_brings_a_change_long_before_the_next_look() {
    let server = server().await;
    let builder = PostgresOutbox::builder(&server.url(), "web").unwrap();
    let outbox = builder.poll(Duration::from_secs(60)).open().await.unwrap();
    assert!(outbox.next(SOON).await.unwrap().changes.is_empty());
    let (batch, ()) = tokio::join!(changes(&outbox), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        write(&server, "a").await;
    });
    assert_eq!(tenants(&batch), ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_began_first_and_commits_last_is_not_skipped() {
    let server = std::sync::Arc::new(server().await);
    let holder = hold_lock(&server).await;
    let slow = transaction(&server, "SELECT strata.invalidate('slow', '{\"tag\": 1}')").await;
    write(&server, "quick").await;
    let outbox = open(&server, "web").await;
    let early = outbox.next(SOON).await.unwrap();
    assert!(early.changes.is_empty(), "nothing may be passed on while something can come before it: {early:?}");
    holder.abort();
    release(&server).await;
    slow.0.await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.extend(tenants(&changes(&outbox).await));
    }
    assert_eq!(seen, ["slow", "quick"]);
}

/// Holds lock 77 in a session of its own.
async fn hold_lock(server: &std::sync::Arc<PostgresServer>) -> tokio::task::JoinHandle<()> {
    let of_task = std::sync::Arc::clone(server);
    let task = tokio::spawn(async move {
        // ended by `release`
        let _ = of_task.sql("SELECT pg_advisory_lock(77); SELECT pg_sleep(30)").await;
    });
    let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid = 77";
    while server.sql(held).await.unwrap() == "0" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    task
}

async fn release(server: &PostgresServer) {
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid = 77";
    server.sql(sql).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_transaction_did_not_commit_is_no_change() {
    let server = server().await;
    server.sql("BEGIN; SELECT strata.invalidate('a', '{\"tag\": 1}'); ROLLBACK").await.unwrap();
    write(&server, "b").await;
    let outbox = open(&server, "web").await;
    assert_eq!(tenants(&changes(&outbox).await), ["b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_a_name_delivers_and_another_takes_over() {
    let server = server().await;
    let (first, second, other) = (open(&server, "web").await, open(&server, "web").await, open(&server, "jobs").await);
    write(&server, "a").await;
    let batch = changes(&first).await;
    assert_eq!(tenants(&batch), ["a"]);
    let standing_by = second.next(SOON).await.unwrap();
    assert!(standing_by.standby && standing_by.changes.is_empty());
    assert_eq!(tenants(&changes(&other).await), ["a"], "another consumer gets all");
    first.acknowledge(last(&batch)).await.unwrap();
    assert_eq!(server.sql("SELECT count(*) FROM strata.outbox").await.unwrap(), "1", "the other has not applied it");
    write(&server, "b").await;
    first.close().await.unwrap();
    assert_eq!(tenants(&changes(&second).await), ["b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_made_again_and_nothing_is_returned_twice() {
    let server = server().await;
    let outbox = open(&server, "web").await;
    write(&server, "a").await;
    assert_eq!(tenants(&changes(&outbox).await), ["a"]);
    server.kill().await.unwrap();
    let mut failed = outbox.next(SOON).await;
    while failed.is_ok() {
        failed = outbox.next(SOON).await;
    }
    assert!(outbox.lag().await.is_err());
    server.restart().await.unwrap();
    write(&server, "b").await;
    let batch = loop {
        match outbox.next(LATER).await {
            Ok(batch) if !batch.changes.is_empty() => break batch,
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    assert_eq!(tenants(&batch), ["b"]);
    outbox.acknowledge(last(&batch)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_is_kept_with_its_reason_and_the_rest_goes_on() {
    let server = server().await;
    server.sql("SELECT strata.invalidate('a', '{\"nonsense\": 1}')").await.unwrap();
    server.sql("SELECT strata.invalidate('b', jsonb_build_object('tag', repeat('x', 300000)))").await.unwrap();
    write(&server, "c").await;
    let outbox = open(&server, "web").await;
    let batch = changes(&outbox).await;
    assert_eq!(batch.changes.len(), 3);
    assert!(batch.changes[..2].iter().all(|change| change.targets.is_err()) && batch.changes[2].targets.is_ok());
    let aside: Vec<SetAside> = batch.changes[..2].iter().map(|c| SetAside::new(c.position, "because \0")).collect();
    outbox.set_aside(aside.clone()).await.unwrap();
    outbox.set_aside(aside).await.unwrap();
    outbox.acknowledge(last(&batch)).await.unwrap();
    let kept = server.sql("SELECT consumer, tenant, reason FROM strata.poison ORDER BY tenant").await.unwrap();
    assert_eq!(kept.lines().map(str::trim_end).collect::<Vec<_>>(), ["web|a|because", "web|b|because"]);
    assert_eq!(server.sql("SELECT count(*) FROM strata.outbox").await.unwrap(), "0");
}

/// Sets aside all that is there; returns how many changes that were.
async fn set_all_aside(outbox: &PostgresOutbox) -> usize {
    let batch = changes(outbox).await;
    let aside = batch.changes.iter().map(|change| SetAside::new(change.position, "because")).collect();
    outbox.set_aside(aside).await.unwrap();
    outbox.acknowledge(last(&batch)).await.unwrap();
    batch.changes.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_more_poison_than_is_kept_the_oldest_goes_and_is_counted() {
    let server = server().await;
    let bounded = |rows| PostgresOutbox::builder(&server.url(), "web").unwrap().max_poison(rows).open();
    assert!(bounded(0).await.unwrap_err().to_string().contains("max_poison"));
    assert!(bounded(100_001).await.unwrap_err().to_string().contains("max_poison"));
    let outbox = bounded(3).await.unwrap();
    // of another consumer, and of an older history: neither is counted or passed for new
    let insert = "INSERT INTO strata.poison (consumer, xid, id, targets, reason, set_aside_at) VALUES";
    server.sql(format!("{insert} ('jobs', '1', 1, '1', 'x', now())")).await.unwrap();
    server.sql(format!("{insert} ('web', '99999999', 1, '1', 'x', now() - interval '1 hour')")).await.unwrap();
    for n in 0..5 {
        server.sql(format!("SELECT strata.invalidate('t{n}', '\"nonsense\"')")).await.unwrap();
    }
    assert_eq!(set_all_aside(&outbox).await, 5);
    let kept = "SELECT string_agg(tenant, ' ' ORDER BY id) FROM strata.poison WHERE consumer = 'web'";
    assert_eq!(server.sql(kept).await.unwrap(), "t2 t3 t4");
    assert_eq!(server.sql("SELECT count(*) FROM strata.poison WHERE consumer = 'jobs'").await.unwrap(), "1");
    let poison = outbox.poison().await.unwrap();
    assert_eq!((poison.kept, poison.dropped), (3, 3));

    // a smaller bound, and more than one statement may drop
    server
        .sql(format!("{insert} ('web', '1', generate_series(10, 5000), '1', 'x', now() - interval '1 hour')"))
        .await
        .unwrap();
    outbox.close().await.unwrap();
    let outbox = bounded(1).await.unwrap();
    server.sql("SELECT strata.invalidate('last', '\"nonsense\"')").await.unwrap();
    set_all_aside(&outbox).await;
    assert_eq!(server.sql(kept).await.unwrap(), "last");
    assert_eq!(outbox.poison().await.unwrap().dropped, 3 + 3 + 4991);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_poison_that_an_operator_holds_hold_up_nothing() {
    let server = std::sync::Arc::new(server().await);
    let outbox = PostgresOutbox::builder(&server.url(), "web").unwrap().max_poison(1).open().await.unwrap();
    write(&server, "a").await;
    set_all_aside(&outbox).await;
    write(&server, "b").await;
    write(&server, "c").await;
    let batch = changes(&outbox).await;
    let holder = hold_lock(&server).await;
    let held = transaction(&server, "SELECT * FROM strata.poison FOR UPDATE").await;
    for change in &batch.changes {
        outbox.set_aside(vec![SetAside::new(change.position, "because")]).await.unwrap();
    }
    outbox.acknowledge(last(&batch)).await.unwrap();
    let kept = "SELECT string_agg(tenant, ' ' ORDER BY tenant) FROM strata.poison";
    assert_eq!(server.sql(kept).await.unwrap(), "a", "what is held stays, and the bound all the same");
    holder.abort();
    release(&server).await;
    held.0.await.unwrap();
    write(&server, "d").await;
    set_all_aside(&outbox).await;
    assert_eq!(server.sql(kept).await.unwrap(), "d");
    assert_eq!(outbox.poison().await.unwrap().dropped, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_its_size_poison_is_cut_and_what_comes_after_it_is_read() {
    let server = server().await;
    let outbox = open(&server, "web").await;
    for (tenant, targets) in [
        ("repeat('t', 3000000)", "'{\"tag\": 1}'"),
        ("'long'", "jsonb_build_object('tag', repeat('x', 20000))"),
        ("'longer'", "jsonb_build_object('tag', repeat('x', 60000000))"),
        // as text it has more bytes than Postgres can put into one value
        ("'longest'", "jsonb_build_object('tag', repeat(E'\\u0001', 200000000))"),
        ("'good'", "'{\"tag\": 1}'"),
    ] {
        server.sql(format!("SELECT strata.invalidate({tenant}, {targets})")).await.unwrap();
    }
    let batch = changes(&outbox).await;
    let readable: Vec<bool> = batch.changes.iter().map(|change| change.targets.is_ok()).collect();
    assert_eq!(readable, [true, true, false, false, true]);
    assert!(batch.changes[0].tenant.as_ref().unwrap().len() < 100, "no tenant is as long, whatever of it is read");
    let aside = batch.changes.iter().map(|change| SetAside::new(change.position, "r".repeat(9000))).collect();
    outbox.set_aside(aside).await.unwrap();
    outbox.acknowledge(last(&batch)).await.unwrap();
    let longest =
        "SELECT max(length(tenant)), max(length(targets::text)) < 17000, max(length(reason)) FROM strata.poison";
    assert_eq!(server.sql(longest).await.unwrap(), "256|t|256");
    assert_eq!(outbox.poison().await.unwrap().kept, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_with_another_history_is_a_gap_and_begins_anew() {
    let server = server().await;
    server.sql("INSERT INTO strata.consumers VALUES ('web', '99999999', 7)").await.unwrap();
    write(&server, "a").await;
    let outbox = open(&server, "web").await;
    let batch = changes(&outbox).await;
    assert!(batch.gap.is_some());
    assert_eq!(tenants(&batch), ["a"]);
    outbox.acknowledge(last(&batch)).await.unwrap();
    assert_eq!(outbox.lag().await.unwrap().changes, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_writes_what_the_row_was_and_what_it_is() {
    let server = server().await;
    server
        .sql("CREATE TABLE contacts (id bigint PRIMARY KEY, company text NOT NULL, mail text, key uuid)")
        .await
        .unwrap();
    let trigger = OutboxSql::new("strata").unwrap().trigger("contacts").tenant("company");
    let trigger = trigger
        .tag([SqlPart::text("contact"), SqlPart::column("id")])
        .key("by-mail", Some(2), [SqlPart::optional_column("mail")])
        .tag([SqlPart::number(-3), SqlPart::uuid_column("key")])
        .namespace([vec![SqlPart::text("company"), SqlPart::column("company")], vec![SqlPart::text("mails")]]);
    let sql = trigger.to_sql().unwrap();
    server.sql(sql.clone()).await.unwrap();
    server.sql(sql).await.expect("it may be run again");
    let id = "6b5d1f0e-0c7e-4c55-8a4e-3a3d1b0f2c11";
    server.sql(format!("INSERT INTO contacts VALUES (9007199254740993, 'acme', 'a@x', '{id}')")).await.unwrap();
    let outbox = open(&server, "web").await;
    let batch = changes(&outbox).await;
    assert_eq!(tenants(&batch), ["acme"]);
    let json = r#"[{"tag": ["contact", 9007199254740993]}, {"key": {"some": "a@x"}, "keyspace": "by-mail", "version": 2},
        {"tag": [-3, {"uuid": "6b5d1f0e-0c7e-4c55-8a4e-3a3d1b0f2c11"}]},
        {"namespace": [["company", "acme"], "mails"]}]"#;
    let expected = stratacache_core::follow::targets_from_json(json).unwrap();
    assert_eq!(batch.changes[0].targets.as_ref().unwrap(), &expected);

    server.sql("UPDATE contacts SET mail = NULL, key = NULL").await.unwrap();
    assert_eq!(tenants(&changes(&outbox).await), ["acme", "acme"], "as it was, and as it is");
    server.sql("UPDATE contacts SET company = 'other'").await.unwrap();
    assert_eq!(tenants(&changes(&outbox).await), ["acme", "other"]);
    server.sql("UPDATE contacts SET id = id").await.unwrap();
    assert_eq!(tenants(&changes(&outbox).await), ["other"], "the same targets are one change");
    server.sql("DELETE FROM contacts").await.unwrap();
    assert_eq!(tenants(&changes(&outbox).await), ["other"]);
    assert!(TenantId::parse("other").is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn truncate_is_one_change_of_all_that_rows_may_have_been_about() {
    let server = server().await;
    let sql = OutboxSql::new("strata").unwrap();
    let id = || [SqlPart::column("id")];
    let triggers = [
        (sql.trigger("of_tenants").tenant("company").tag(id()), r#"{"all_tenants": true}"#),
        (
            sql.trigger("covered").tenant("company").tag(id()).truncate_tag([SqlPart::text("covered")]),
            r#"{"tag": "covered"}"#,
        ),
        (sql.trigger("keys").key("prices", None, id()).everything(), r#"[{"everything": true}, {"everything": true}]"#),
        (sql.trigger("tags").tag(id()), r#"{"all_tenants": true}"#),
        (
            sql.trigger("constants").tag([SqlPart::text("flags")]).key("flags", Some(2), [SqlPart::number(1)]),
            r#"[{"tag": "flags"}, {"key": 1, "keyspace": "flags", "version": 2}]"#,
        ),
    ];
    let outbox = open(&server, "web").await;
    for (trigger, expected) in triggers {
        let sql = trigger.to_sql().unwrap();
        let table = sql.split(" ON \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        server.sql(format!("CREATE TABLE {table} (id bigint PRIMARY KEY, company text)")).await.unwrap();
        server.sql(format!("CREATE TABLE {table}_below (of bigint REFERENCES {table})")).await.unwrap();
        server.sql(sql.clone()).await.unwrap();
        server.sql(sql).await.expect("it may be run again");
        server.sql(format!("INSERT INTO {table} VALUES (1, 'acme'), (2, 'other')")).await.unwrap();
        assert_eq!(changes(&outbox).await.changes.len(), 2);
        server.sql(format!("BEGIN; TRUNCATE {table} CASCADE; ROLLBACK")).await.unwrap();
        server.sql(format!("BEGIN; TRUNCATE {table} CASCADE; COMMIT")).await.unwrap();
        let batch = changes(&outbox).await;
        assert_eq!(tenants(&batch), ["-"], "{table}: one, which is of no tenant");
        let expected = stratacache_core::follow::targets_from_json(expected).unwrap();
        assert_eq!(batch.changes[0].targets.as_ref().unwrap(), &expected, "{table}");
    }
    // by the table that it refers to, too
    server.sql("CREATE TABLE parents (id bigint PRIMARY KEY)").await.unwrap();
    server.sql("ALTER TABLE of_tenants ADD parent bigint REFERENCES parents").await.unwrap();
    server.sql("TRUNCATE parents CASCADE").await.unwrap();
    assert_eq!(changes(&outbox).await.changes[0].targets.as_ref().unwrap(), &[ChangeTarget::all_tenants()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_granted_rights_are_enough_and_the_migration_is_asked_for() {
    let server = PostgresServer::start().await.unwrap();
    let outbox = |user: &str| {
        let url = server.url().replace("postgres@", &format!("{user}@"));
        PostgresOutbox::builder(&url, "web").unwrap().poll(Duration::from_millis(50)).open()
    };
    assert!(outbox("postgres").await.unwrap_err().to_string().contains("migration"));
    let sql = OutboxSql::new("strata").unwrap();
    server.sql("CREATE ROLE app LOGIN; CREATE ROLE cache LOGIN").await.unwrap();
    server.sql(sql.migration()).await.unwrap();
    assert!(outbox("cache").await.unwrap_err().to_string().contains("grant"));
    server.sql(sql.grants("app", "cache").unwrap()).await.unwrap();
    server.sql("SET ROLE app; SELECT strata.invalidate('a', '{\"nonsense\": 1}')").await.unwrap();
    assert!(server.sql("SET ROLE app; DELETE FROM strata.outbox").await.is_err());
    assert!(server.sql("SET ROLE cache; SELECT strata.invalidate('a', '{}')").await.is_err());
    let follower = outbox("cache").await.unwrap();
    let batch = changes(&follower).await;
    follower.set_aside(vec![SetAside::new(last(&batch), "why")]).await.unwrap();
    follower.acknowledge(last(&batch)).await.unwrap();
    assert_eq!(server.sql("SELECT count(*) FROM strata.outbox").await.unwrap(), "0");
}

#[tokio::test]
async fn no_password_is_shown_and_no_plain_connection_is_made_unless_asked_for() {
    let builder = PostgresOutbox::builder("postgres://me:hunter2@127.0.0.1:1/db?sslmode=disable", "web").unwrap();
    assert!(!format!("{builder:?}").contains("hunter2"));
    let error = builder.open().await.unwrap_err();
    assert!(!format!("{error:?} {error}").contains("hunter2"), "{error:?}");
    assert!(error.to_string().contains("(connection refused); check that it runs"), "{error}");
    for bad in ["postgres://me:hunter2@[::1/db", "hunter2", "postgres://", "postgres://me:hunter2@h/db?nonsense=1"] {
        let error = PostgresOutbox::builder(bad, "web").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad}");
        assert!(!format!("{error:?} {error}").contains("hunter2"), "{error:?}");
    }
    assert!(PostgresOutbox::builder("postgres://h/db", "a'b").is_err());
    let server = PostgresServer::start().await.unwrap();
    for url in [server.url().replace("?sslmode=disable", ""), server.url().replace("disable", "prefer")] {
        let refused = PostgresOutbox::builder(&url, "web").unwrap().open().await;
        let refused = refused.expect_err("a server without TLS is not spoken to in plain text").to_string();
        assert!(refused.contains("sslmode=disable"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_connections_check_who_the_server_is() {
    let server = PostgresServer::start_tls().await.unwrap();
    server.sql(OutboxSql::new("strata").unwrap().migration()).await.unwrap();
    write(&server, "a").await;
    let url = server.url().replace("?sslmode=disable", "");
    let outbox = |url: &str| PostgresOutbox::builder(url, "web").unwrap().poll(Duration::from_millis(50));
    let trusting = outbox(&url).ca_file(server.ca_path().unwrap()).open().await.unwrap();
    assert_eq!(tenants(&changes(&trusting).await), ["a"]);
    let encrypted = "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.application_name = 'strata web' AND s.ssl";
    assert_eq!(server.sql(encrypted).await.unwrap(), "2", "the one that reads and the one that listens");
    assert!(outbox(&url).open().await.is_err(), "an authority that nobody trusts");
    let elsewhere = outbox(&url.replace("127.0.0.1", "localhost.localdomain")).ca_file(server.ca_path().unwrap());
    assert!(elsewhere.open().await.is_err());
    assert!(outbox(&url).ca_file("/nonexistent").open().await.unwrap_err().to_string().contains("ca_file"));
}

/// Writers that commit and roll back beside each other, and a follower that is given up and opened again and again.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_commits_beside_whatever_else_is_seen_and_in_the_order_of_each_writer() {
    const WRITERS: u64 = 6;
    const ROUNDS: u64 = 60;
    let server = server().await;
    let url = server.url();
    let writers: Vec<_> = (0..WRITERS).map(|writer| tokio::spawn(writes(url.clone(), writer, ROUNDS))).collect();
    let mut seen = vec![Vec::new(); WRITERS as usize];
    let mut lives = 0;
    let mut done = false;
    while !done {
        let ended = writers.iter().all(tokio::task::JoinHandle::is_finished);
        let outbox = open(&server, "web").await;
        lives += 1;
        let (mut highest, mut reads) = (Position::START, 0);
        while !done && (ended || reads < 8) {
            let batch = outbox.next(NextChanges::new(7, Duration::from_millis(100))).await.unwrap();
            reads += 1;
            for change in &batch.changes {
                assert!(change.position > highest, "nothing twice, and in order");
                highest = change.position;
                let (writer, n) = change.tenant.as_deref().unwrap().split_once('-').unwrap();
                seen[writer.parse::<usize>().unwrap()].push(n.parse::<u64>().unwrap());
            }
            // the first answer may only say that it delivers now; given up, the next one sees the second half again
            done = ended && batch.changes.is_empty() && !batch.standby && reads > 1;
            if let Some(middle) = batch.changes.get(batch.changes.len() / 2) {
                outbox.acknowledge(middle.position).await.unwrap();
            }
        }
    }
    for (writer, seen) in writers.into_iter().zip(&mut seen) {
        let committed = writer.await.unwrap();
        let mut first_seen = Vec::new();
        for n in seen {
            if !first_seen.contains(n) {
                first_seen.push(*n);
            }
        }
        assert!(lives > 1);
        assert_eq!(first_seen, committed);
    }
}

/// Returns what was committed, in order.
async fn writes(url: String, writer: u64, rounds: u64) -> Vec<u64> {
    let (mut client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let mut committed = Vec::new();
    for n in 0..rounds {
        // as different as a seed makes them
        let dice = (writer * 7919 + n * 104_729) % 97;
        let transaction = client.transaction().await.unwrap();
        let tenant = format!("{writer}-{n}");
        let sql = "SELECT strata.invalidate($1, '{\"tag\": 1}')";
        transaction.execute(sql, &[&tenant]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(dice % 13)).await;
        if dice.is_multiple_of(5) {
            transaction.rollback().await.unwrap();
        } else {
            transaction.commit().await.unwrap();
            committed.push(n);
        }
    }
    committed
}
