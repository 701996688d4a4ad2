//! Alone in its process, so that threads and file handles can be counted.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // a helper that fails ends the test; seeds are printed

mod common;

use common::{content, name, open, small};
use stratacache_core::tier::{GetMany, Tier as _};

fn count(what: &str) -> usize {
    std::fs::read_dir(format!("/proc/self/{what}")).unwrap().count()
}

/// A runtime of one thread whose blocking threads end with it.
fn run(job: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(job);
}

#[test]
#[cfg(target_os = "linux")]
fn close_waits_for_what_is_under_way_and_leaves_no_thread_and_no_file_handle() {
    let dir = tempfile::tempdir().unwrap();
    run(async {}); // whatever a runtime makes once
    let before = (count("fd"), count("task"));
    run(async {
        let handles = count("fd");
        let disk = open(small(dir.path())).await;
        for n in 0..500 {
            disk.put(n, content(n, 1, 1000)).await;
        }
        assert!(count("fd") > handles + 10, "segments are open");
        // begun, and dropped while their jobs run
        for _ in 0..40 {
            let names = (0..500).map(name).collect();
            let mut read = Box::pin(disk.tier.get_many(GetMany::new(names)));
            std::future::poll_fn(|cx| {
                let _ = read.as_mut().poll(cx);
                std::task::Poll::Ready(())
            })
            .await;
        }
        disk.tier.close().await.unwrap();
        assert_eq!(count("fd"), handles, "while the handles of tier and journal are still there");
    });
    assert_eq!((count("fd"), count("task")), before);
    run(async { open(small(dir.path())).await.close().await });
    assert_eq!((count("fd"), count("task")), before);
}
