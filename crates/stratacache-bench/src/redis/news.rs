//! What a node pays for the invalidations of others.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tokio::task::JoinSet;

use super::stage::{Stage, micros, node, on_two_threads};
use crate::{
    measure::{Effort, Spread, cpu_time, now, progress},
    table::{Table, thousands},
};

/// Invalidations a second.
const RATE: usize = 10_000;
const MARKS: usize = 100_000;

/// Measures the processor time of a node that only listens, and the start of one that comes to many marks.
pub(crate) fn run(effort: Effort) -> Result<Vec<Table>> {
    progress("redis-news: listening");
    let (idle, busy) = on_two_threads(listening(effort))?;
    let mut tail = Table::new(
        "What other nodes' invalidations cost",
        "A node in a process of its own that only listens, while another invalidates 10,000 different tags a second; processor time of \
         the listening process, in percent of one processor, median (spread).",
        &["invalidations a second", "processor"],
    );
    for (rate, Spread { median, min, max }) in [("none", idle), ("10,000", busy)] {
        tail.row(vec![rate.to_owned(), format!("{median:.1} % ({min:.1} to {max:.1})")]);
    }
    progress("redis-news: marks");
    let (empty, full) = on_two_threads(starting(effort))?;
    let mut start = Table::new(
        "A node that comes to many marks",
        "Time to build a cache on a Redis whose lanes hold so many marks of tags of one tenant, connections and all; the same is done after \
         a gap. Wall-clock milliseconds, median (spread).",
        &["marks", "until the node serves"],
    );
    for (marks, Spread { median, min, max }) in [(0, empty), (MARKS, full)] {
        let ms = |micros: f64| micros / 1000.0;
        let cell = format!("{:.1} ({:.1} to {:.1})", ms(median), ms(min), ms(max));
        start.row(vec![thousands(marks as u64), cell]);
    }
    Ok(vec![tail, start])
}

/// The child: says when it listens, then what processor time it has used whenever it is asked.
pub(crate) fn listen(url: &str) -> Result<()> {
    on_two_threads(async {
        let node = node(url, false).await?;
        let mut out = std::io::stdout();
        writeln!(out, "listening")?;
        let lines = tokio::task::spawn_blocking(move || {
            for line in std::io::stdin().lines() {
                line?;
                writeln!(out, "{}", cpu_time().as_nanos())?;
            }
            anyhow::Ok(())
        });
        lines.await??;
        node.cache.close().await?;
        Ok(())
    })
}

struct Listener {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Listener {
    fn start(url: &str) -> Result<Self> {
        let program = std::env::current_exe()?;
        let mut child = Command::new(program)
            .args(["--listen", url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the listening node cannot be started")?;
        let to = child.stdin.take().context("no pipe to the child")?;
        let from = BufReader::new(child.stdout.take().context("no pipe from the child")?);
        let mut listener = Self { child, to, from };
        ensure!(listener.line()? == "listening", "the child said something else");
        Ok(listener)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    fn cpu(&mut self) -> Result<Duration> {
        writeln!(self.to)?;
        Ok(Duration::from_nanos(self.line()?.parse()?))
    }

    fn end(mut self) -> Result<()> {
        drop(self.to);
        self.child.wait()?;
        Ok(())
    }
}

async fn listening(effort: Effort) -> Result<(Spread, Spread)> {
    let stage = Stage::build().await?;
    let speaker = stage.node(false).await?;
    let mut listener = Listener::start(&stage.url())?;
    let (mut idle, mut busy) = (Vec::new(), Vec::new());
    let lasts = Duration::from_secs(if effort.quick { 1 } else { 3 });
    for _ in 0..effort.rounds.min(5) {
        for (samples, speaks) in [(&mut idle, false), (&mut busy, true)] {
            let (start, before) = (now(), listener.cpu()?);
            if speaks {
                speak(&speaker.ns, lasts).await?;
            } else {
                tokio::time::sleep(lasts).await;
            }
            let used = listener.cpu()? - before;
            samples.push(100.0 * used.as_secs_f64() / start.elapsed().as_secs_f64());
        }
    }
    listener.end()?;
    Ok((Spread::of(idle), Spread::of(busy)))
}

/// Invalidates at the rate, in slices of ten milliseconds.
async fn speak(ns: &stratacache::Namespace, lasts: Duration) -> Result<()> {
    const SLICE: Duration = Duration::from_millis(10);
    let mut ticks = tokio::time::interval(SLICE);
    let slices = (lasts.as_millis() / SLICE.as_millis()) as u64;
    for slice in 0..slices {
        ticks.tick().await;
        let mut calls = JoinSet::new();
        for n in 0..RATE as u64 / 100 {
            let ns = ns.clone();
            #[allow(clippy::disallowed_methods)] // a bench has tasks of its own
            calls.spawn(async move { ns.invalidate_tag(("t", slice * RATE as u64 / 100 + n)).await.map(drop) });
        }
        while let Some(call) = calls.join_next().await {
            call??;
        }
    }
    Ok(())
}

async fn starting(effort: Effort) -> Result<(Spread, Spread)> {
    let stage = Stage::build().await?;
    let mut samples = [Vec::new(), Vec::new()];
    for (full, samples) in samples.iter_mut().enumerate() {
        if full == 1 {
            let redis = stratacache::Redis::builder(stage.url()).max_tenant_marks(2 * MARKS as u64).build().await?;
            let cache = stratacache::Cache::builder().tier(redis).build().await?;
            let ns = cache.tenant(&stratacache::TenantId::parse("acme")?);
            for first in (0..MARKS as u64).step_by(1000) {
                ns.invalidate((first..first + 1000).map(|n| stratacache::Target::tag(("t", n))).collect::<Vec<_>>())
                    .await?;
            }
            cache.close().await?;
        }
        for _ in 0..effort.rounds {
            let start = now();
            let node = stage.node(false).await?;
            samples.push(micros(start.elapsed()));
            node.cache.close().await?;
        }
    }
    let [empty, full] = samples.map(Spread::of);
    Ok((empty, full))
}
