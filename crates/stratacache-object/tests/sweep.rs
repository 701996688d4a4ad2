//! A sweep removes what has ended, a bounded part at a time, and nothing else.
#![allow(clippy::unwrap_used)] // everything here is a test

mod common;

use std::{fs, path::Path, time::Duration};

use bytes::Bytes;
use common::{BUCKET, FAR, called, name, on};
use stratacache_core::{
    EntryName,
    clock::{Clock as _, Millis},
    tier::{PutItem, PutMany, Tier, TierParts},
};
use stratacache_object::{Object, ObjectBuilder, Sweep, SweepCursor};
use stratacache_testkit::{
    clock::ManualClock,
    s3::{HttpFault, HttpProxy, Requests, S3Server, Times},
};

fn now(clock: &ManualClock) -> Millis {
    clock.wall().as_millis() as Millis
}

async fn fill(builder: ObjectBuilder, entries: &[(EntryName, Millis)]) {
    let tier = TierParts::from(builder.open().await.unwrap()).tier;
    let item = |(name, ends): &(EntryName, Millis)| PutItem::new(*name, Bytes::from_static(b"value"), *ends, None);
    tier.put_many(PutMany::new(entries.iter().map(item).collect())).await.unwrap();
}

fn names_in(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|each| each.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn only_what_has_ended_goes_and_a_dry_run_removes_nothing() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), ManualClock::new());
    let store = dir.path().join("store");
    let builder = || Object::directory(&store).clock(clock.clone());
    let soon = now(&clock) + 10_000;
    fill(builder(), &[(name(1), soon), (name(2), FAR), (name(3), soon), (name(4), soon + 70_000)]).await;
    fs::write(store.join(called(name(5))), "not an object").unwrap();
    fs::write(store.join("somebody-elses"), "file").unwrap();
    fs::create_dir(store.join(called(name(6)))).unwrap();
    let before = names_in(&store);
    clock.advance(Duration::from_secs(10 + 60));
    let sweep = builder().sweep().await.unwrap().dry_run(true);
    let report = sweep.run().await.unwrap();
    assert_eq!((report.scanned, report.ended, report.not_ours, report.removed), (5, 2, 1, 0), "{report}");
    assert_eq!(names_in(&store), before);
    let report = sweep.dry_run(false).run().await.unwrap();
    assert_eq!((report.scanned, report.ended, report.not_ours, report.removed), (5, 2, 1, 3), "{report}");
    assert!(report.is_finished());
    let gone = [1, 3, 5].map(|n| called(name(n)));
    let kept: Vec<String> = before.into_iter().filter(|name| !gone.contains(name)).collect();
    assert_eq!(names_in(&store), kept);
}

async fn in_parts(sweep: &Sweep) -> (u64, u64) {
    let (mut runs, mut removed) = (1, 0);
    let mut report = sweep.run().await.unwrap();
    loop {
        removed += report.removed;
        assert!(report.scanned <= 4, "{report}");
        let Some(cursor) = report.cursor.take() else { return (runs, removed) };
        // as text it can be kept
        let cursor: SweepCursor = cursor.to_string().parse().unwrap();
        report = sweep.resume(cursor).await.unwrap();
        runs += 1;
    }
}

#[tokio::test]
async fn a_sweep_goes_on_where_it_ended_and_sees_every_object_once() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), ManualClock::new());
    let server = S3Server::start(&[BUCKET]).await.unwrap();
    let stores: [Box<dyn Fn() -> ObjectBuilder>; 2] = [
        Box::new(|| Object::directory(dir.path().join("store")).clock(clock.clone())),
        Box::new(|| on(&server.url(), "cache").clock(clock.clone()).deadline(Duration::from_secs(60))),
    ];
    for builder in stores {
        let ends = now(&clock) + 1;
        let entries: Vec<_> = (0..30).map(|n| (name(n), if n % 3 == 0 { FAR } else { ends })).collect();
        fill(builder(), &entries).await;
        clock.advance(Duration::from_secs(61));
        let sweep = builder().sweep().await.unwrap().batch(4).most(4);
        assert_eq!(in_parts(&sweep).await, (8, 20));
        assert_eq!(in_parts(&sweep).await, (3, 0), "ten are left");
    }
    assert_eq!(server.keys(BUCKET).unwrap().len(), 10);
}

#[tokio::test]
async fn a_sweep_that_is_broken_off_says_where_to_go_on() {
    let clock = ManualClock::new();
    let server = S3Server::start(&[BUCKET]).await.unwrap();
    let proxy = HttpProxy::start(server.addr(), 42).await.unwrap();
    let builder = || on(&proxy.url(), "cache").clock(clock.clone()).retries(0).deadline(Duration::from_secs(60));
    let ends = now(&clock) + 1;
    fill(builder(), &(0..10).map(|n| (name(n), ends)).collect::<Vec<_>>()).await;
    clock.advance(Duration::from_secs(61));
    let path = called(name(6));
    proxy.fail(Requests::of("DELETE").path(path.clone()), HttpFault::status(500, "InternalError"), Times::Next(1));
    let sweep = builder().sweep().await.unwrap();
    let stopped = sweep.run().await.unwrap_err();
    assert_eq!(stopped.report().removed, 6, "{stopped}");
    let cursor = stopped.report().cursor.clone().unwrap();
    assert_eq!(cursor.to_string(), called(name(5)));
    sweep.resume(cursor).await.unwrap();
    assert_eq!(server.keys(BUCKET).unwrap(), [""; 0]);
}
