//! Runs cases, some at once, and says which failed.

use std::{
    panic,
    sync::{Arc, Once},
    time::Duration,
};

use stratacache_testkit::servers::RedisServer;
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    axes::{self, Case, Newness, Order},
    script,
    stack::{Server, Stack},
};

/// Cases under way at once: they wait for Redis and the disk more than they compute.
const AT_ONCE: usize = 8;
/// A case that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(60);

tokio::task_local! {
    /// The case that runs in a task, for its panic to say.
    static CASE: String;
}

/// Runs the cases of a stack and a consistency that `STRATA_CASE` does not leave out, all of them without it.
pub(crate) fn all(order: Order, newness: Newness) {
    let wanted = std::env::var("STRATA_CASE").unwrap_or_default();
    let mut cases = axes::expand(order, newness);
    cases.retain(|case| wanted.is_empty() || wanted.split_whitespace().any(|part| case.to_string().contains(part)));
    println!("{} cases", cases.len());
    if cases.is_empty() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    name_cases_in_panics();
    let failed = runtime.block_on(run(cases));
    let names = failed.join("\n  ");
    assert!(failed.is_empty(), "{} cases failed; STRATA_CASE runs one alone:\n  {names}", failed.len());
}

fn name_cases_in_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // the tasks of a case have no name, but their panics become its own
            CASE.try_with(|case| eprintln!("case {case}:")).ok();
            usual(info);
        }));
    });
}

/// Returns the names of those that failed.
async fn run(cases: Vec<Case>) -> Vec<String> {
    let needs_redis = cases.iter().any(Case::is_shared);
    let redis = if needs_redis { Some(RedisServer::start().await.unwrap()) } else { None };
    let (redis, places) = (Arc::new(Server(redis)), Arc::new(Semaphore::new(AT_ONCE)));
    let mut tasks = JoinSet::new();
    for (number, case) in cases.into_iter().enumerate() {
        let (redis, places) = (Arc::clone(&redis), Arc::clone(&places));
        tasks.spawn(async move {
            let _place = places.acquire_owned().await.unwrap();
            let name = case.to_string();
            let played = CASE.scope(name.clone(), async move {
                let play = script::play(Stack::new(case, number, redis));
                tokio::time::timeout(LONGEST, play).await.expect("the case hangs");
            });
            // in a task of its own, so that its panic ends nothing else
            (name, tokio::spawn(played).await.is_ok())
        });
    }
    let mut failed: Vec<String> =
        tasks.join_all().await.into_iter().filter(|(_, ok)| !ok).map(|(name, _)| name).collect();
    failed.sort();
    failed
}

/// Tells whether a case that needs no Redis passes, without a rule of coherence if one is given.
#[cfg(feature = "mutants")]
pub(crate) fn passes(case: Case, without: Option<stratacache::Rule>) -> bool {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut stack = Stack::new(case, 0, Arc::new(Server(None)));
    stack.without = without;
    runtime.block_on(async { tokio::spawn(script::play(stack)).await.is_ok() })
}
