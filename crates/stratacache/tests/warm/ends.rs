//! Stopping, resuming, dropping, closing.

use futures_util::stream;
use stratacache::{WarmEnd, millis, seconds};
use tokio::time::sleep;

use crate::{
    kit::{ROWS, Source, held},
    support::{cache, tenant},
};

#[tokio::test(start_paused = true)]
async fn stopped_and_resumed_again_and_again_each_key_is_loaded_once() {
    for (many, rate) in [(false, None), (true, None), (false, Some(40)), (true, Some(40))] {
        let cache = cache().await;
        let acme = tenant(&cache, "acme");
        let source = Source::default();
        let (mut resume_at, mut runs) = (0, 0);
        loop {
            let (row, rows) = (source.clone(), source.clone());
            let warm = acme.warm(&ROWS, 0..137).resume_at(resume_at).batch(10).concurrency(3);
            let warm = rate.into_iter().fold(warm, |warm, rate| warm.rate(rate));
            let handle = match many {
                true => warm.load_many(async move |keys| rows.rows(keys, millis(20)).await).start().unwrap(),
                false => warm.load(async move |key| row.row(key, millis(20)).await).start().unwrap(),
            };
            sleep(millis(70)).await;
            handle.stop();
            let report = handle.finish().await;
            assert_eq!(report.progress.skipped, resume_at);
            assert_eq!(report.progress.position(), report.resume_at, "what is under way is done");
            assert_eq!(held(&acme, 0..137).await as u64, report.resume_at);
            resume_at = report.resume_at;
            runs += 1;
            if matches!(report.ended, WarmEnd::Complete) {
                break;
            }
            assert!(matches!(report.ended, WarmEnd::Stopped));
        }
        assert!(runs > 1, "many: {many}");
        assert_eq!((resume_at, source.loaded()), (137, (137, 1)), "many: {many}, rate: {rate:?}, {runs} runs");
    }
}

#[tokio::test(start_paused = true)]
async fn to_resume_behind_the_end_is_to_have_nothing_to_do() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let row = Source::default();
    let report =
        acme.warm(&ROWS, 0..10).resume_at(20).load(async move |key| row.row(key, millis(1)).await).await.unwrap();
    assert!(report.is_success());
    assert_eq!((report.progress.done(), report.resume_at), (0, 10));
}

#[tokio::test(start_paused = true)]
async fn a_warm_up_that_is_dropped_begins_no_further_key_and_keeps_what_is_under_way() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let source = Source::default();
    for as_future in [false, true] {
        let row = source.clone();
        let first = if as_future { 1_000 } else { 0 };
        let warm = acme.warm(&ROWS, first..first + 100).load(async move |key| row.row(key, millis(20)).await);
        let warm = warm.concurrency(4);
        if as_future {
            assert!(tokio::time::timeout(millis(30), warm.into_future()).await.is_err());
        } else {
            let handle = warm.start().unwrap();
            sleep(millis(30)).await;
            drop(handle);
        }
        sleep(seconds(5)).await;
        assert_eq!(held(&acme, first..first + 100).await, 8, "two rounds of four");
    }
    assert_eq!(source.loaded(), (16, 1));
    assert_eq!(cache.active_tasks(), 1, "its task is gone");
}

#[tokio::test(start_paused = true)]
async fn a_detached_warm_up_goes_on_to_its_end() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let row = Source::default();
    acme.warm(&ROWS, 0..100).load(async move |key| row.row(key, millis(20)).await).start().unwrap().detach();
    sleep(seconds(5)).await;
    assert_eq!(held(&acme, 0..100).await, 100);
}

#[tokio::test(start_paused = true)]
async fn closing_the_cache_ends_a_warm_up_which_says_where_to_go_on() {
    for many in [false, true] {
        let cache = cache().await;
        let acme = tenant(&cache, "acme");
        let (row, rows) = (Source::default(), Source::default());
        let warm = acme.warm(&ROWS, 0..1_000).batch(10).concurrency(3);
        let handle = match many {
            true => warm.load_many(async move |keys| rows.rows(keys, millis(20)).await).start().unwrap(),
            false => warm.load(async move |key| row.row(key, millis(20)).await).start().unwrap(),
        };
        sleep(millis(50)).await; // two rounds are done, the third is under way
        cache.close().await.unwrap();
        let report = handle.finish().await;
        assert!(matches!(report.ended, WarmEnd::Closed), "{report:?}");
        let done = if many { 60 } else { 6 };
        assert_eq!((report.progress.loaded, report.progress.failed, report.resume_at), (done, 0, done));
        assert_eq!(cache.active_tasks(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_to_warm_is_done_at_once() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let load = async |key: u32| Ok::<_, &str>(u64::from(key));
    let report = acme.warm(&ROWS, []).load(load).rate(1).await.unwrap();
    assert!(report.is_success() && report.progress.total == Some(0));
    let report = acme.warm_stream(&ROWS, stream::iter(Vec::new())).load(load).await.unwrap();
    assert!(report.is_success() && report.progress.done() == 0);
}

#[tokio::test(start_paused = true)]
async fn progress_is_seen_as_it_comes_and_adds_up() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    acme.insert(ROWS.key(&5), 1).await.unwrap();
    let load = async |key: u32| {
        sleep(millis(10)).await;
        if key == 7 { Err("no") } else { Ok(u64::from(key)) }
    };
    let mut handle = acme.warm(&ROWS, 0..50).load(load).concurrency(2).start().unwrap();
    let mut seen = vec![handle.progress()];
    while let Some(progress) = handle.changed().await {
        seen.push(progress);
    }
    assert!(handle.is_finished() && handle.changed().await.is_none());
    assert!(seen.is_sorted_by_key(|progress| progress.done()) && seen.len() > 20, "{seen:?}");
    assert!(seen.iter().all(|progress| progress.total == Some(50)));
    let last = handle.finish().await.progress;
    assert_eq!((last.there, last.loaded, last.failed, last.done()), (1, 48, 1, 50));
    assert_eq!(last.to_string(), "50 of 50 keys: 1 there already, 48 loaded, 1 failed");
}
