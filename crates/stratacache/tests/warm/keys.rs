//! Sources of keys: few are held, and a source that fails or panics ends the warm-up in order.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use futures_util::{StreamExt as _, stream};
use stratacache::{KeyPart, Keyspace, PartEncoder, WarmEnd, millis, seconds};
use tokio::time::sleep;

use crate::{
    kit::{ROWS, Source, TTL, held},
    support::{builder, cache, tenant},
};

#[derive(Default)]
struct Alive {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// A key that knows how many of its kind there are.
struct Counted(u32, Arc<Alive>);

impl Counted {
    fn new(key: u32, alive: &Arc<Alive>) -> Self {
        let now = alive.now.fetch_add(1, SeqCst) + 1;
        alive.most.fetch_max(now, SeqCst);
        Self(key, Arc::clone(alive))
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        Self::new(self.0, &self.1)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.now.fetch_sub(1, SeqCst);
    }
}

impl KeyPart for Counted {
    fn encode(&self, parts: &mut PartEncoder) {
        self.0.encode(parts);
    }
}

const COUNTED: Keyspace<Counted, u64> = Keyspace::new("counted", TTL);

#[tokio::test(start_paused = true)]
async fn of_a_hundred_thousand_keys_few_are_held_at_once() {
    for as_stream in [false, true] {
        let cache = builder().memory(64 << 20).build().await.unwrap();
        let acme = tenant(&cache, "acme");
        let alive = Arc::new(Alive::default());
        let made = Arc::clone(&alive);
        let keys = (0..100_000).map(move |key| Counted::new(key, &made));
        let load = async |key: Counted| {
            tokio::task::yield_now().await;
            Ok::<_, &str>(u64::from(key.0))
        };
        let warm = match as_stream {
            true => acme.warm_stream(&COUNTED, stream::iter(keys)),
            false => acme.warm(&COUNTED, keys),
        };
        let report = warm.load(load).concurrency(16).await.unwrap();
        assert_eq!((report.progress.loaded, report.progress.total), (100_000, Some(100_000)));
        let most = alive.most.load(SeqCst);
        // each key under way is held by the warm-up and by its loader
        assert!(most <= 2 * 16 + 2, "{most} keys");
        assert_eq!(alive.now.load(SeqCst), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn batches_hold_no_more_keys_than_concurrency_times_their_size() {
    let cache = builder().memory(64 << 20).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let source = Source::default();
    let taken = Arc::new(AtomicUsize::new(0));
    let (ahead, counter, rows) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&taken), source.clone());
    let keys = (0..100_000).inspect(move |_| {
        counter.fetch_add(1, SeqCst);
    });
    let (most, done) = (Arc::clone(&ahead), Arc::new(AtomicUsize::new(0)));
    let load = async move |keys: Vec<u32>| {
        most.fetch_max(taken.load(SeqCst) - done.load(SeqCst), SeqCst);
        let count = keys.len();
        let rows = rows.rows(keys, millis(1)).await;
        done.fetch_add(count, SeqCst);
        rows
    };
    let report = acme.warm(&ROWS, keys).load_many(load).batch(500).concurrency(4).await.unwrap();
    assert_eq!((report.progress.loaded, source.calls(), source.most_running()), (100_000, 200, 4));
    let ahead = ahead.load(SeqCst);
    assert!(ahead <= 5 * 500, "{ahead} keys were taken and not loaded");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_with_an_error_warms_what_came_before_it() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let keys = stream::iter((0..25).map(Ok).chain([Err("the connection is gone")]).chain((25..50).map(Ok)));
    let rows = Source::default();
    let report =
        acme.try_warm_stream(&ROWS, keys).load_many(async move |keys| rows.rows(keys, millis(1)).await).await.unwrap();
    let WarmEnd::SourceFailed(error) = &report.ended else { panic!("{report:?}") };
    assert_eq!(error.to_string(), "the connection is gone");
    assert_eq!((report.progress.loaded, report.resume_at, held(&acme, 0..50).await), (25, 25, 25));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_panics_ends_the_warm_up_with_its_message() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let keys = (0..30).inspect(|key| assert!(*key != 21, "no key 21"));
    let row = Source::default();
    let report = acme.warm(&ROWS, keys).load(async move |key| row.row(key, millis(1)).await).await.unwrap();
    let WarmEnd::SourceFailed(error) = &report.ended else { panic!("{report:?}") };
    assert!(error.to_string().contains("no key 21"), "{error}");
    assert_eq!((report.progress.loaded, report.resume_at), (21, 21));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_pauses_does_not_keep_a_batch_waiting() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let keys = stream::iter(0..3).chain(stream::iter(3..6).then(async |key| {
        sleep(seconds(10)).await;
        key
    }));
    let rows = Source::default();
    let handle = acme
        .warm_stream(&ROWS, Box::pin(keys))
        .load_many(async move |keys| rows.rows(keys, millis(1)).await)
        .total(6)
        .start()
        .unwrap();
    sleep(seconds(1)).await;
    assert_eq!((handle.progress().loaded, handle.progress().total), (3, Some(6)));
    assert!(handle.finish().await.is_success());
    assert_eq!(held(&acme, 0..6).await, 6);
}

#[tokio::test(start_paused = true)]
async fn keys_that_come_again_are_loaded_once() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let source = Source::default();
    let (row, rows) = (source.clone(), source.clone());
    let keys = || (0..40_u32).map(|n| n % 10);
    let many = acme.warm(&ROWS, keys()).load_many(async move |keys| rows.rows(keys, millis(1)).await).batch(25);
    let report = many.concurrency(1).await.unwrap();
    assert_eq!((report.progress.loaded, report.progress.there, source.loaded()), (10, 30, (10, 1)));
    acme.clear().await.unwrap();
    let report = acme.warm(&ROWS, keys()).load(async move |key| row.row(key, millis(1)).await).await.unwrap();
    assert_eq!((report.progress.done(), source.loaded()), (40, (10, 2)));
}
