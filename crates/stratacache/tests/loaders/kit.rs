//! A source that knows who asked it when, and that fails on command.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use stratacache::{Cache, Cached, Keyspace, LoadError, LoaderLimits, LoaderStats, Namespace, Policy, seconds};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::support::builder;

pub(crate) const TTL: Policy = Policy::ttl(seconds(60)).jitter(0.0);
pub(crate) const ROWS: Keyspace<u32, u32> = Keyspace::new("rows", TTL).loader("db");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the source is broken")
    }
}

#[derive(Clone, Default)]
pub(crate) struct Source(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    /// Who asked for what, when.
    calls: Vec<(&'static str, u32, Instant)>,
    running: usize,
    most_running: usize,
    broken: bool,
    /// How the next calls end, before `broken` counts.
    script: VecDeque<bool>,
}

/// A call that runs.
struct Running(Source);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().running -= 1;
    }
}

impl Source {
    pub(crate) async fn row(self, who: &'static str, key: u32, takes: Duration) -> Result<u32, Broken> {
        let (fails, _running) = {
            let mut inner = self.0.lock().unwrap();
            inner.calls.push((who, key, Instant::now()));
            inner.running += 1;
            inner.most_running = inner.most_running.max(inner.running);
            let broken = inner.broken;
            (inner.script.pop_front().unwrap_or(broken), Running(self.clone()))
        };
        sleep(takes).await;
        if fails { Err(Broken) } else { Ok(key * 10) }
    }

    pub(crate) fn set_broken(&self, broken: bool) {
        self.0.lock().unwrap().broken = broken;
    }

    /// Says of the next calls which fail.
    pub(crate) fn script(&self, fails: impl IntoIterator<Item = bool>) {
        self.0.lock().unwrap().script.extend(fails);
    }

    pub(crate) fn calls(&self) -> usize {
        self.0.lock().unwrap().calls.len()
    }

    pub(crate) fn calls_of(&self, who: &str) -> usize {
        self.0.lock().unwrap().calls.iter().filter(|(caller, ..)| *caller == who).count()
    }

    pub(crate) fn callers(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().calls.iter().map(|(who, ..)| *who).collect()
    }

    pub(crate) fn running(&self) -> usize {
        self.0.lock().unwrap().running
    }

    pub(crate) fn most_running(&self) -> usize {
        self.0.lock().unwrap().most_running
    }

    /// Returns the most calls that were begun in a second, wherever it begins.
    pub(crate) fn most_in_a_second(&self) -> usize {
        let inner = self.0.lock().unwrap();
        let within = |(first, (_, _, at)): (usize, &(&str, u32, Instant))| {
            inner.calls[first..].iter().take_while(|(_, _, other)| *other - *at < seconds(1)).count()
        };
        inner.calls.iter().enumerate().map(within).max().unwrap_or(0)
    }

    /// Returns the pauses between calls.
    pub(crate) fn pauses(&self) -> Vec<Duration> {
        let inner = self.0.lock().unwrap();
        inner.calls.windows(2).map(|pair| pair[1].2 - pair[0].2).collect()
    }
}

pub(crate) async fn cache_with(limits: LoaderLimits) -> Cache {
    builder().keyspace(&ROWS).loader("db", limits).build().await.unwrap()
}

pub(crate) fn stats(cache: &Cache) -> LoaderStats {
    cache.loader_stats("db").unwrap()
}

pub(crate) type Loaded = Result<Cached<u32>, LoadError<Broken>>;

/// Reads a row through; a load takes no time.
pub(crate) async fn read(ns: &Namespace, source: &Source, key: u32) -> Loaded {
    read_slowly(ns, source, "", key, Duration::ZERO).await
}

pub(crate) async fn read_slowly(
    ns: &Namespace,
    source: &Source,
    who: &'static str,
    key: u32,
    takes: Duration,
) -> Loaded {
    let source = source.clone();
    ns.get_or_load(ROWS.key(&key), move || source.row(who, key, takes)).await
}

/// Starts reads of rows, each in a task of its own.
pub(crate) fn start(
    ns: &Namespace,
    source: &Source,
    who: &'static str,
    keys: impl IntoIterator<Item = u32>,
    takes: Duration,
) -> Vec<JoinHandle<Loaded>> {
    let one = |key| {
        let (ns, source) = (ns.clone(), source.clone());
        tokio::spawn(async move { read_slowly(&ns, &source, who, key, takes).await })
    };
    keys.into_iter().map(one).collect()
}

/// Waits for all, and returns how many have a value.
pub(crate) async fn served(reads: Vec<JoinHandle<Loaded>>) -> usize {
    let mut served = 0;
    for read in reads {
        served += usize::from(read.await.unwrap().is_ok());
    }
    served
}
