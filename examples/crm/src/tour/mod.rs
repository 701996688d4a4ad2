//! The tour: drives the application over HTTP and judges what it answers.

mod client;
mod cold;
mod everything;
mod fresh;
pub(crate) mod nodes;
mod precise;
mod probes;
mod progress;
mod readable;
mod report;
mod restart;
mod scene;
mod table;
mod traffic;
mod witness;
mod zipf;

use std::{
    path::Path,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use anyhow::Result;
use axum::Router;
use tokio::time::Instant;

pub(crate) use report::Report;

use crate::{
    db::Db,
    server::{App, Below, Extras, Keys, Running, routes, routes_without_cache},
};
use everything::Act;
use fresh::fresh;
use progress::Progress;
use readable::Readable;
use report::{Phase, Restart, Tiers};
use scene::Scene;
use traffic::{Plan, drive};
use witness::Witness;

/// Less than the companies need, so that the tier below has work.
const MEMORY: u64 = 16 << 20;
/// The restart is followed by what was asked when the cache was warm.
const WARM_SEED: u64 = 2;

/// Goes through all phases, with a Redis below memory if its URL is given, else with a disk.
/// Below that are objects, if wanted; then everything is restarted at the end.
pub(crate) async fn run(folder: &Path, planned: Duration, redis: Option<String>, extras: Extras) -> Result<Report> {
    let began = Instant::now();
    let db = Db::open(&folder.join("crm.db")).await?;
    let below = fresh(folder, redis.clone(), &extras).await?;
    let tour = Tour { db, keys: Arc::new(Keys::generate()?), witness: Arc::default(), below };
    let prepared = began.elapsed();
    let mut progress = Progress::new(planned);
    let mut report = tour.phases(&mut progress).await?;
    if extras.object.is_some() {
        progress.phase("a restart of everything", 0.0);
        let Tour { keys, witness, .. } = &tour;
        let act = Act { folder, nodes: 1, redis, extras: extras.clone(), keys: keys.as_ref(), witness };
        report.everything = Some(act.play().await?);
        (report.seen, report.examples) = (witness.seen(), witness.examples());
    }
    report.readable = Readable::look(folder, &extras)?;
    progress.end();
    report.prepared = prepared;
    Ok(report)
}

struct Tour {
    db: Db,
    keys: Arc<Keys>,
    witness: Arc<Witness>,
    below: Below,
}

impl Tour {
    async fn app(&self) -> Result<App> {
        Ok(App::new(self.db.clone(), Arc::clone(&self.keys), MEMORY, &self.below).await?)
    }

    async fn open(&self, routes: Router, witness: &Arc<Witness>) -> Result<(Running, Arc<Scene>)> {
        let server = Running::start(routes, 0).await?;
        let scene = Scene::new(server.address, &self.keys, witness);
        Ok((server, scene))
    }

    /// Lets the clients loose, and counts what reached SQLite.
    async fn measure(&self, app: &App, scene: &Arc<Scene>, plan: Plan<'_>) -> Result<(Phase, Vec<u64>)> {
        let (before, queries) = (app.cache.stats(), self.db.queries());
        let measured = drive(scene, plan).await?;
        let tiers = Tiers::between(&before, &app.cache.stats());
        Ok((Phase::new(&measured, self.db.queries() - queries, tiers), measured.by_client))
    }

    async fn phases(&self, progress: &mut Progress) -> Result<Report> {
        let app = self.app().await?;

        let lasts = progress.phase("without the cache", 0.2);
        // what is read past the cache proves nothing about it
        let (server, scene) = self.open(routes_without_cache(app.clone()), &Arc::default()).await?;
        let (without, _) = self.measure(&app, &scene, Plan { lasts, writes: true, seed: 1, again: None }).await?;
        server.stop().await?;

        progress.phase("1,000 cold reads at once", 0.0);
        let (server, scene) = self.open(routes(app.clone()), &self.witness).await?;
        let (slow, joined) = (self.db.slow_queries(), app.cache.stats().flights_joined);
        cold::read_at_once(&scene).await?;
        let cold_loads = self.db.slow_queries() - slow;
        let cold_joined = app.cache.stats().flights_joined - joined;

        let lasts = progress.phase("with the cache, cold", 0.2);
        let (cold, _) = self.measure(&app, &scene, Plan { lasts, writes: true, seed: 1, again: None }).await?;
        let lasts = progress.phase("with the cache, warm", 0.25);
        let plan = Plan { lasts, writes: true, seed: WARM_SEED, again: None };
        let (warm, made) = self.measure(&app, &scene, plan).await?;

        let lasts = progress.phase("writes, each read at once", 0.25);
        let probed = probes::probe(&scene, lasts).await?;

        progress.phase("one save", 0.0);
        let one_save = precise::save_one(&scene, &self.db).await?;

        let lasts = progress.phase("restart", 0.1);
        let changed = restart::write_last(&scene).await?;
        server.stop().await?;
        app.close().await?;
        drop(app);
        let restart = self.restarted(&changed, lasts, &made).await?;

        Ok(Report {
            prepared: Duration::ZERO,
            below: self.below.to_string(),
            without,
            cold,
            warm,
            cold_readers: cold::READERS as u64,
            cold_loads,
            cold_joined,
            writes: probed.writes.load(Relaxed),
            read_at_once: probed.reads.load(Relaxed),
            one_save,
            restart,
            everything: None,
            readable: Readable::default(),
            seen: self.witness.seen(),
            examples: self.witness.examples(),
        })
    }

    /// Opens the application again, on the same folder.
    async fn restarted(&self, changed: &[(u64, i64)], lasts: Duration, made: &[u64]) -> Result<Restart> {
        let began = Instant::now();
        let app = self.app().await?;
        let opened = began.elapsed();
        let (server, scene) = self.open(routes(app.clone()), &self.witness).await?;
        let changed = restart::read_first(&scene, changed).await?;
        let plan = Plan { lasts, writes: false, seed: WARM_SEED, again: Some(made) };
        let (first, _) = self.measure(&app, &scene, plan).await?;
        let restart = Restart { opened, changed, first };
        server.stop().await?;
        app.close().await?;
        Ok(restart)
    }
}
