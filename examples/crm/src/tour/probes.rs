//! Write, wait for the answer, read at once: the write must be there. Others read the same things all the while, so that
//! loads are under way when the write invalidates what they load.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use hyper::StatusCode;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{task::JoinSet, time::Instant};

use super::{Scene, client::Visitor};
use crate::db::{COMPANIES, Contact, Draft, Page, Statistics, pages_of};

/// Pairs of a client that writes and one that reads the same company: the last ones, which the traffic knows least, so
/// that the popular ones stay warm for the restart.
const PAIRS: u64 = 32;
/// Writes of each, however slow the machine.
const AT_LEAST: u32 = 40;
/// One write of so many is a contact that comes and goes.
const COME_AND_GO: u32 = 20;
/// One company of so many looks whether the statistics count it.
const COUNTING: u64 = 8;

/// What was done.
#[derive(Default)]
pub(super) struct Probed {
    pub(super) writes: AtomicU64,
    pub(super) reads: AtomicU64,
}

/// What one company's reader reads: what its writer writes.
#[derive(Default)]
struct Spot {
    page: AtomicI64,
    contact: AtomicI64,
    done: AtomicBool,
}

/// Probes for some time, longer on a slow machine.
pub(super) async fn probe(scene: &Arc<Scene>, lasts: Duration) -> Result<Probed> {
    let probed = Arc::new(Probed::default());
    let until = Instant::now() + lasts;
    let mut tasks = JoinSet::new();
    for company in COMPANIES - PAIRS..COMPANIES {
        let spot = Arc::new(Spot::default());
        let writer = Writer {
            scene: Arc::clone(scene),
            visitor: Visitor::connect(scene.address).await?,
            company,
            random: StdRng::seed_from_u64(company),
            probed: Arc::clone(&probed),
            spot: Arc::clone(&spot),
        };
        tasks.spawn(writer.live(until));
        tasks.spawn(read_along(Arc::clone(scene), Visitor::connect(scene.address).await?, company, spot));
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    drop(tasks);
    Ok(Arc::into_inner(probed).unwrap_or_default())
}

struct Writer {
    scene: Arc<Scene>,
    visitor: Visitor,
    company: u64,
    random: StdRng,
    probed: Arc<Probed>,
    spot: Arc<Spot>,
}

impl Writer {
    async fn live(mut self, until: Instant) -> Result<()> {
        let mut writes = 0;
        let mut outcome = Ok(());
        while outcome.is_ok() && (writes < AT_LEAST || Instant::now() < until) {
            writes += 1;
            outcome = if writes % COME_AND_GO == 0 { self.come_and_go().await } else { self.change().await };
        }
        self.spot.done.store(true, Relaxed);
        outcome
    }

    /// Changes a contact, and reads it and its page at once.
    async fn change(&mut self) -> Result<()> {
        let number = self.random.random_range(1..=pages_of(self.company));
        let Some(page) = self.page(number).await? else { return Ok(()) };
        ensure!(!page.contacts.is_empty(), "page {number} of company {} is empty", self.company);
        let old = &page.contacts[self.random.random_range(0..page.contacts.len())];
        self.spot.page.store(i64::from(number), Relaxed);
        self.spot.contact.store(old.id, Relaxed);

        let email = format!("{}@mail.example", self.random.random::<u32>());
        let (name, city) = (old.name.clone(), old.city.clone()); // it stays on its page
        let draft = Draft { name, email, city, stage: old.stage.clone() };
        let path = format!("/contacts/{}", old.id);
        let reply = self.visitor.put(&path, self.scene.token(self.company), &draft).await?;
        let Some(new) = self.scene.expect::<Contact>(&reply) else { return Ok(()) };
        self.wrote(new.id, Some(new.version));

        if let Some(seen) = self.contact(new.id).await? {
            self.judge(seen.version == new.version && seen.email == new.email, || {
                format!("contact {} read at once after its write of version {}", new.id, new.version)
            });
        }
        if let Some(seen) = self.page(number).await? {
            let row = seen.contacts.iter().find(|contact| contact.id == new.id);
            self.judge(row.is_some_and(|row| row.version == new.version), || {
                format!("page {number} read at once after a write of version {} of {}", new.version, new.id)
            });
        }
        Ok(())
    }

    /// Adds a contact and removes it; the statistics count it and do not.
    async fn come_and_go(&mut self) -> Result<()> {
        let token = self.scene.token(self.company).to_owned();
        let counts = self.company.is_multiple_of(COUNTING);
        let before = if counts { self.count().await? } else { None };
        let text = |text: &str| text.to_owned();
        let draft =
            Draft { name: text("Zoe Zuse"), email: text("z@mail.example"), city: text("Bonn"), stage: text("lead") };
        let reply = self.visitor.post("/contacts", &token, &draft).await?;
        let Some(new) = self.scene.expect::<Contact>(&reply) else { return Ok(()) };
        self.wrote(new.id, Some(new.version));
        if let Some(before) = before {
            let with = self.count().await?;
            self.judge(with == Some(before + 1), || format!("statistics read at once after contact {} came", new.id));
        }
        let seen = self.contact(new.id).await?;
        self.judge(seen.is_some(), || format!("contact {} read at once after it came", new.id));

        let path = format!("/contacts/{}", new.id);
        let reply = self.visitor.delete(&path, &token).await?;
        ensure!(reply.status == StatusCode::NO_CONTENT, "deleting contact {}: {}", new.id, reply.status);
        self.wrote(new.id, None);
        let reply = self.visitor.get(&path, &token).await?;
        self.judge(reply.status == StatusCode::NOT_FOUND, || format!("contact {} read at once after it went", new.id));
        if before.is_some() {
            let without = self.count().await?;
            self.judge(without == before, || format!("statistics read at once after contact {} went", new.id));
        }
        Ok(())
    }

    fn wrote(&self, id: i64, version: Option<i64>) {
        self.scene.witness.acknowledged(id, version);
        self.probed.writes.fetch_add(1, Relaxed);
    }

    fn judge(&self, fine: bool, what: impl FnOnce() -> String) {
        self.probed.reads.fetch_add(1, Relaxed);
        if !fine {
            self.scene.witness.stale(|| format!("{} did not show it", what()));
        }
    }

    async fn contact(&mut self, id: i64) -> Result<Option<Contact>> {
        self.scene.contact(&mut self.visitor, self.company, id).await
    }

    async fn page(&mut self, number: u32) -> Result<Option<Page>> {
        self.scene.page(&mut self.visitor, self.company, number).await
    }

    /// Returns how many contacts the statistics count; only a few companies ask, since each time costs the slow query.
    async fn count(&mut self) -> Result<Option<i64>> {
        let reply = self.visitor.get("/statistics", self.scene.token(self.company)).await?;
        let statistics = self.scene.expect::<Statistics>(&reply);
        if let Some(statistics) = &statistics {
            self.scene.witness.statistics(self.scene.name(self.company), statistics);
        }
        Ok(statistics.map(|statistics| statistics.stages.iter().map(|stage| stage.contacts).sum()))
    }
}

async fn read_along(scene: Arc<Scene>, mut visitor: Visitor, company: u64, spot: Arc<Spot>) -> Result<()> {
    while !spot.done.load(Relaxed) {
        let number = u32::try_from(spot.page.load(Relaxed))?.max(1);
        scene.page(&mut visitor, company, number).await?;
        let id = spot.contact.load(Relaxed);
        if id > 0 {
            scene.contact(&mut visitor, company, id).await?;
        }
    }
    Ok(())
}
