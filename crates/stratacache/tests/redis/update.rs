//! Counters and locks of many processes.
//!
//! A process is this test program itself, started again with `STRATA_COUNTS` set to the URL of the server.

#![allow(clippy::disallowed_methods)] // tests, with tasks of their own and real time

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use stratacache::{Cache, Namespace, Policy, Redis, TenantId, millis, minutes, seconds};
use stratacache_testkit::servers::RedisServer;

use crate::world::LATEST;

const COUNTS: &str = "STRATA_COUNTS";
/// What a process says of a step that was acknowledged.
const STEP: &str = "step";
/// What is wanted of a process: so many tasks, so many steps of each, and on so many counters.
const WANTED: &str = "STRATA_COUNTS_WANTED";

fn policy() -> Policy {
    Policy::ttl(minutes(30)).jitter(0.0).lease(millis(700)).lease_wait(seconds(300))
}

pub(crate) async fn node(url: &str, seed: u64) -> (Cache, Namespace) {
    let redis = Redis::builder(url).deadline(Duration::from_secs(10)).build().await.unwrap();
    let cache = Cache::builder().seed(seed).default_policy(policy()).tier(redis).build().await.unwrap();
    let acme = cache.tenant(&TenantId::parse("acme").unwrap());
    (cache, acme)
}

/// The key of a counter.
pub(crate) fn counter(n: usize) -> (&'static str, u64) {
    ("n", n as u64)
}

/// Says a line of its own, whatever the test program wrote before.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    write!(out, "\n{line}\n").and_then(|()| out.flush()).unwrap();
}

/// A process that counts. It is no test of its own: without the variable it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_that_counts() {
    let Ok(url) = std::env::var(COUNTS) else { return };
    let wanted = std::env::var(WANTED).unwrap();
    let wanted: Vec<usize> = wanted.split('x').map(|number| number.parse().unwrap()).collect();
    let [tasks, steps, counters] = wanted[..] else { panic!("{wanted:?}") };
    let (cache, acme) = node(&url, u64::from(std::process::id())).await;
    let tasks: Vec<_> = (0..tasks)
        .map(|task| {
            let (acme, key) = (acme.clone(), counter(task % counters));
            tokio::spawn(async move {
                for _ in 0..steps {
                    let count = acme.increment(key, 1_u64).await.unwrap();
                    if steps == usize::MAX {
                        say(&format!("{STEP} {count}"));
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    cache.close().await.unwrap();
}

/// A process, killed at the latest when this is dropped.
pub(crate) struct Counter(Child);

impl Counter {
    pub(crate) fn start(url: &str, wanted: &str) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["update::the_process_that_counts", "--exact", "--nocapture", "--test-threads=1"])
            .env(COUNTS, url)
            .env(WANTED, wanted)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// Waits until it has done what was wanted.
    pub(crate) fn finish(&mut self) {
        // what it says besides is read, or it would wait
        let said = BufReader::new(self.0.stdout.take().unwrap()).lines().map_while(Result::ok).count();
        assert!(self.0.wait().unwrap().success(), "{said} lines");
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn eight_processes_with_ten_thousand_increments_each_count_exactly() {
    let server = RedisServer::start().await.unwrap();
    let began = Instant::now();
    let mut processes: Vec<Counter> = (0..8).map(|_| Counter::start(&server.url(), "200x50x1")).collect();
    tokio::task::spawn_blocking(move || processes.iter_mut().for_each(Counter::finish)).await.unwrap();
    println!("80,000 increments in {:?}", began.elapsed());
    let (cache, acme) = node(&server.url(), 1).await;
    assert_eq!(acme.get::<u64>(counter(0)).consistency(LATEST).await.as_deref(), Some(&80_000));
    assert_eq!(acme.increment(counter(0), 1_u64).await.unwrap(), 80_001);
    cache.close().await.unwrap();
}

#[tokio::test]
async fn a_counting_process_that_is_killed_loses_nothing_that_was_acknowledged() {
    let server = RedisServer::start().await.unwrap();
    let (cache, acme) = node(&server.url(), 1).await;
    for round in 0..20_u64 {
        let process = Counter::start(&server.url(), &format!("3x{}x1", usize::MAX));
        let last = tokio::task::spawn_blocking(move || {
            let mut process = process;
            let lines = BufReader::new(process.0.stdout.take().unwrap()).lines().map_while(Result::ok);
            let mut steps = lines.filter_map(|line| line.strip_prefix(STEP)?.trim().parse::<u64>().ok());
            for _ in 0..10 + round {
                steps.next().unwrap();
            }
            process.0.kill().unwrap();
            // the last that it said before
            steps.max().unwrap_or_default()
        });
        let last = last.await.unwrap();
        let next = acme.increment(counter(0), 1_u64).await.unwrap();
        assert!(next > last, "{last} was acknowledged, and the next is {next}");
    }
    cache.close().await.unwrap();
}

#[tokio::test]
async fn an_update_under_64_writers_on_four_nodes_loses_nothing() {
    let server = RedisServer::start().await.unwrap();
    let mut nodes = Vec::new();
    for seed in 1..=4 {
        nodes.push(node(&server.url(), seed).await);
    }
    let writers: Vec<_> = (0..64_usize)
        .map(|writer| {
            let acme = nodes[writer % 4].1.clone();
            tokio::spawn(async move {
                for n in 0..10 {
                    let add = move |all: Option<&Vec<usize>>| {
                        Some(all.into_iter().flatten().copied().chain([writer * 100 + n]).collect())
                    };
                    acme.update::<Vec<usize>>("all", add).await.unwrap().unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    for (_, acme) in &nodes {
        let all = acme.get::<Vec<usize>>("all").consistency(LATEST).await.unwrap();
        let mut sorted = all.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!((all.len(), sorted.len()), (640, 640));
    }
    for (cache, _) in nodes {
        cache.close().await.unwrap();
    }
}

/// What a lock is for: it refuses a token that is smaller than one it has seen.
#[derive(Default)]
struct Resource {
    largest: u64,
    holder: &'static str,
}

impl Resource {
    fn write(&mut self, token: u64, who: &'static str) -> bool {
        let may = token >= self.largest;
        if may {
            (self.largest, self.holder) = (token, who);
        }
        may
    }
}

#[tokio::test]
async fn two_holders_of_a_lock_never_overlap_by_their_tokens_though_a_ttl_ran_out() {
    let server = RedisServer::start().await.unwrap();
    let (here, acme) = node(&server.url(), 1).await;
    let (there, other) = node(&server.url(), 2).await;
    let mut resource = Resource::default();
    for round in 0..5 {
        let first = acme.lock("k", millis(200)).await.unwrap();
        assert!(resource.write(first.fencing_token(), "first"));
        assert!(other.try_lock("k", millis(200)).await.unwrap().is_none() || first.remaining().is_zero());
        // it does not come back in time
        let second = other.lock("k", seconds(30)).wait(seconds(10)).await.unwrap();
        assert!(resource.write(second.fencing_token(), "second"));
        assert!(!resource.write(first.fencing_token(), "first"), "round {round}");
        assert!(!first.renew().await.unwrap());
        first.release().await.unwrap();
        assert!(second.renew().await.unwrap(), "only its owner releases it");
        assert_eq!(resource.holder, "second");
        if round == 3 {
            // the lock and its last token are lost
            server.command(&["FLUSHALL"]).await.unwrap();
        }
        second.release().await.unwrap();
    }
    here.close().await.unwrap();
    there.close().await.unwrap();
}

#[tokio::test]
async fn eight_tasks_on_four_nodes_hold_a_lock_one_at_a_time() {
    let server = RedisServer::start().await.unwrap();
    let mut nodes = Vec::new();
    for seed in 1..=4 {
        nodes.push(node(&server.url(), seed).await);
    }
    let inside = std::sync::Arc::new(std::sync::Mutex::new((false, 0_u64)));
    let tasks: Vec<_> = (0..8_usize)
        .map(|task| {
            let (acme, inside) = (nodes[task % 4].1.clone(), inside.clone());
            tokio::spawn(async move {
                for _ in 0..5 {
                    let lock = acme.lock("k", seconds(60)).wait(seconds(120)).await.unwrap();
                    {
                        let mut inside = inside.lock().unwrap();
                        assert!(!inside.0, "alone");
                        assert!(inside.1 < lock.fencing_token(), "tokens grow");
                        *inside = (true, lock.fencing_token());
                    }
                    tokio::time::sleep(millis(1)).await;
                    inside.lock().unwrap().0 = false;
                    lock.release().await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    for (cache, _) in nodes {
        cache.close().await.unwrap();
    }
}
