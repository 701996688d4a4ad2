//! The tour of many nodes: several servers on one Redis and one SQLite file, while one of them is killed and Redis comes
//! back empty.

mod audit;
mod cold;
mod counters;
mod counts;
mod drive;
mod faults;
mod ledger;
mod process;
mod redis;
mod report;
mod rover;
mod stage;
mod table;

use std::{
    path::Path,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

pub(super) use process::{Launch, Node};
pub(super) use redis::OwnRedis;

use super::{everything::Act, fresh::fresh, progress::Progress, readable::Readable};
use crate::{
    db::Db,
    server::{Extras, Keys},
};
use counts::Period;
use faults::Cast;
use report::{Answered, LEAST_PROBES, Report};
use stage::Stage;

/// How much longer a slow machine may take to make enough probes.
const GRACE: Duration = Duration::from_secs(60);

/// Starts the nodes, drives them all, and judges what they answer. Without a URL it starts a Redis of its own.
pub(crate) async fn run(
    folder: &Path,
    planned: Duration,
    nodes: usize,
    url: Option<String>,
    extras: Extras,
) -> Result<Report> {
    let began = Instant::now();
    let given = url.clone();
    let (redis, url) = match url {
        Some(url) => (None, url),
        None => {
            let own = OwnRedis::start().await?;
            let url = own.url();
            (Some(own), url)
        }
    };
    fresh(folder, Some(url.clone()), &extras).await?;
    let db = Db::open(&folder.join("crm.db")).await?;
    let keys = Keys::generate()?;
    let launch = Launch { folder: folder.to_owned(), redis: url, keys: keys.to_text(), extras: extras.clone() };
    let mut cast = Cast { launch, nodes: Vec::new(), redis };
    for _ in 0..nodes {
        cast.nodes.push(cast.launch.node().await?);
    }
    let stage = Arc::new(Stage::new(cast.nodes.iter().map(|node| node.address).collect(), &keys));
    let prepared = began.elapsed();

    let mut progress = Progress::new(planned);
    let mut report = drive_all(&mut cast, &stage, &db, &mut progress).await?;
    report.prepared = prepared;
    for node in cast.nodes {
        node.stop().await?;
    }
    if extras.object.is_some() {
        progress.phase("a restart of everything", 0.0);
        let act = Act { folder, nodes, redis: given, extras: extras.clone(), keys: &keys, witness: &stage.witness };
        let stale = stage.witness.seen().stale;
        report.everything = Some(act.play().await?);
        report.see(&stage.witness, stale);
    }
    report.readable = Readable::look(folder, &extras)?;
    progress.end();
    Ok(report)
}

async fn drive_all(cast: &mut Cast, stage: &Arc<Stage>, db: &Db, progress: &mut Progress) -> Result<Report> {
    progress.phase("1,000 cold reads at once on all nodes", 0.0);
    let cold = cold::read_at_once(stage).await?;
    let lasts = progress.phase("writes on one node, reads on others", 0.85);
    let (began, before) = (Instant::now(), counters::of_all(stage).await?);
    let mut clients = drive::begin(stage);
    let lost = tokio::select! {
        lost = cast.play(stage, lasts) => lost?,
        early = first_end(&mut clients) => return early,
    };
    while !enough(stage) && began.elapsed() < lasts + GRACE {
        sleep(Duration::from_millis(100)).await;
    }
    stage.end();
    while let Some(client) = clients.join_next().await {
        client??;
    }
    let drive = began.elapsed();
    let counted = counters::of_all(stage).await?.plus(&lost).since(&before);
    progress.phase("compared with SQLite", 0.15);
    let (counts, sql_without) = (&stage.counts, stage.counts.sql_without.load(Relaxed));
    let requests_by_node = counts.requests_by_node();
    let at_the_end = audit::compare(stage, db).await?;
    let seen = stage.witness.seen();
    Ok(Report {
        prepared: Duration::ZERO,
        drive,
        requests_by_node,
        writes: counts.writes.load(Relaxed),
        with_token: counts.with_token.read(),
        without_token: counts.without_token.read(),
        at_the_end,
        cold,
        calm: counts.measured(Period::Calm),
        node_dead: counts.measured(Period::NodeDead),
        redis_away: cast.redis.as_ref().map(|_| counts.measured(Period::RedisAway)),
        answered: Answered::new(&counted),
        sql_without,
        sql_queries: counted.sql_queries,
        rows: seen.rows,
        foreign: seen.foreign,
        unexpected: seen.unexpected,
        everything: None,
        readable: Readable::default(),
        stale_around_it: 0,
        examples: stage.witness.examples(),
    })
}

fn enough(stage: &Stage) -> bool {
    let counts = &stage.counts;
    [&counts.with_token, &counts.without_token].iter().all(|judged| judged.read().reads >= LEAST_PROBES)
}

/// Returns when a client ends before its time, which only an error explains.
async fn first_end(clients: &mut JoinSet<Result<()>>) -> Result<Report> {
    let ended = clients.join_next().await.context("there are no clients")?;
    ended??;
    anyhow::bail!("a client ended before its time")
}
