//! Counters and locks:
//!
//! ```text
//! cargo run -p locks                            # in one process
//! cargo run -p locks -- redis://127.0.0.1:6379  # two nodes that share a Redis
//! ```
//!
//! Every line it prints is checked; it exits 0 only if all of them hold. `docs/guide/counters-and-locks.md` says more.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)] // a program for people

use std::{error::Error, process::ExitCode};

use stratacache::{Cache, ErrorKind, Namespace, Redis, TenantId, millis, minutes};

type Outcome = Result<(), Box<dyn Error>>;

/// Prints what was seen, and whether it is what was promised.
fn check(holds: bool, what: &str) -> Outcome {
    println!("{} {what}", if holds { "ok  " } else { "FAIL" });
    if holds { Ok(()) } else { Err(what.into()) }
}

/// What a lock is for. It refuses whoever is late.
#[derive(Default)]
struct Report {
    text: String,
    token: u64,
}

impl Report {
    /// As `UPDATE reports SET .. WHERE token <= $1` would.
    fn write(&mut self, text: &str, token: u64) -> bool {
        let may = self.token <= token;
        if may {
            (self.text, self.token) = (text.to_owned(), token);
        }
        may
    }
}

/// Two nodes; without a Redis one node is both.
async fn nodes() -> Result<[Cache; 2], Box<dyn Error>> {
    let Some(url) = std::env::args().nth(1) else {
        let cache = Cache::builder().build().await?;
        return Ok([cache.clone(), cache]);
    };
    let first = Cache::builder().tier(Redis::connect(url.clone()).await?).build().await?;
    let second = Cache::builder().tier(Redis::connect(url).await?).build().await?;
    Ok([first, second])
}

async fn counts([here, there]: &[Namespace; 2]) -> Outcome {
    let steps: Vec<_> = (0..200)
        .map(|n| {
            let ns = if n % 2 == 0 { here.clone() } else { there.clone() };
            tokio::spawn(async move { ns.increment(("requests", "12:07"), 1_u64).ttl(minutes(2)).await })
        })
        .collect();
    let mut counts = Vec::new();
    for step in steps {
        counts.push(step.await??);
    }
    let within = counts.iter().filter(|count| **count <= 100).count();
    check(within == 100, "of 200 requests at once 100 are within the limit")?;
    let left = here.increment("left", 1_u32).await?;
    check(left == 1 && there.decrement("left", 1_u32).await? == 0, "a counter goes up and down")?;
    let error = here.decrement("left", 1_u32).await.err();
    check(error.is_some_and(|error| error.kind() == ErrorKind::OutOfRange), "and not below nothing")
}

async fn values([here, there]: &[Namespace; 2]) -> Outcome {
    for (n, ns) in [here, there, here, there].into_iter().enumerate() {
        let last = move |last: Option<&Vec<usize>>| {
            Some(std::iter::once(n).chain(last.into_iter().flatten().copied()).take(3).collect())
        };
        ns.update::<Vec<usize>>("last three", last).await?;
    }
    let last = here.update::<Vec<usize>>("last three", |_| None).await?;
    check(last.is_some_and(|last| *last == [3, 2, 1]), "the last three of four are there")?;
    let sent = [here.insert_if_absent("mail", 7_u32).await?, there.insert_if_absent("mail", 7_u32).await?];
    check(sent == [true, false], "a mail is sent once")?;
    here.insert("nonce", 17_u32).await?;
    let (first, second) = tokio::join!(here.take::<u32>("nonce"), there.take::<u32>("nonce"));
    check(first?.is_some() != second?.is_some(), "a nonce is taken once")
}

async fn locks([here, there]: &[Namespace; 2]) -> Outcome {
    let mut report = Report::default();
    let first = here.lock("report", millis(300)).await?;
    check(there.try_lock("report", millis(300)).await?.is_none(), "a lock is held by one")?;
    // the first stands still for longer than its ttl
    tokio::time::sleep(millis(500)).await;
    let second = there.lock("report", minutes(1)).await?;
    let written = report.write("by the second", second.fencing_token());
    let late = report.write("by the first", first.fencing_token());
    check(written && !late && report.text == "by the second", "who is late is refused by its token")?;
    check(!first.renew().await? && second.renew().await?, "and cannot renew what is another's")?;
    second.release().await?;
    Ok(())
}

async fn run() -> Outcome {
    let caches = nodes().await?;
    let acme = TenantId::parse(format!("locks-{}", std::process::id()))?;
    let nodes = [caches[0].tenant(&acme), caches[1].tenant(&acme)];
    counts(&nodes).await?;
    values(&nodes).await?;
    locks(&nodes).await?;
    for cache in caches {
        cache.close().await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
