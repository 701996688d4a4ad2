//! The traffic: many clients, few popular companies, pages and contacts, some writes.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use hdrhistogram::Histogram;
use hyper::StatusCode;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{task::JoinSet, time::Instant};

use super::{Scene, client::Visitor, zipf::Zipf};
use crate::{
    db::{COMPANIES, Contact, Draft, Page, Statistics, contacts_of, pages_of},
    server::Dashboard,
};

/// How many clients there are at once.
pub(super) const CLIENTS: u64 = 64;
/// The contacts that a company's people look at these days. No company has fewer contacts or pages.
const POPULAR_CONTACTS: usize = 30;
const POPULAR_PAGES: usize = 12;

/// How long to go on, and how.
#[derive(Clone, Copy)]
pub(super) struct Plan<'a> {
    pub(super) lasts: Duration,
    pub(super) writes: bool,
    pub(super) seed: u64,
    /// Ends each client after as many requests as it had made before with the same seed.
    pub(super) again: Option<&'a [u64]>,
}

/// What was measured.
pub(super) struct Measured {
    pub(super) requests: u64,
    pub(super) elapsed: Duration,
    pub(super) latency: Histogram<u64>,
    /// The requests of each client.
    pub(super) by_client: Vec<u64>,
}

impl Measured {
    pub(super) fn per_second(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }

    /// Returns the time within which this fraction of the requests was answered.
    pub(super) fn within(&self, fraction: f64) -> Duration {
        Duration::from_micros(self.latency.value_at_quantile(fraction))
    }
}

/// Lets the clients loose on a server.
pub(super) async fn drive(scene: &Arc<Scene>, plan: Plan<'_>) -> Result<Measured> {
    let popularity = Arc::new(Popularity {
        companies: Zipf::new(COMPANIES as usize, 1.2),
        pages: Zipf::new(POPULAR_PAGES, 1.0),
        contacts: Zipf::new(POPULAR_CONTACTS, 1.0),
    });
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for n in 0..CLIENTS {
        let client = Client {
            scene: Arc::clone(scene),
            popularity: Arc::clone(&popularity),
            visitor: Visitor::connect(scene.address).await?,
            random: StdRng::seed_from_u64(plan.seed * 1000 + n),
        };
        let most = plan.again.map_or(u64::MAX, |made| made[n as usize]);
        clients.spawn(async move { (n, client.live(began + plan.lasts, most, plan.writes).await) });
    }
    let mut latency = Histogram::new(3)?;
    let mut by_client = vec![0; CLIENTS as usize];
    while let Some(client) = clients.join_next().await {
        let (n, measured) = client?;
        let measured = measured?;
        by_client[n as usize] = measured.len();
        latency.add(measured)?;
    }
    Ok(Measured { requests: latency.len(), elapsed: began.elapsed(), latency, by_client })
}

struct Popularity {
    companies: Zipf,
    pages: Zipf,
    contacts: Zipf,
}

struct Client {
    scene: Arc<Scene>,
    popularity: Arc<Popularity>,
    visitor: Visitor,
    random: StdRng,
}

impl Client {
    async fn live(mut self, until: Instant, most: u64, writes: bool) -> Result<Histogram<u64>> {
        let mut latency = Histogram::new(3)?;
        while latency.len() < most && Instant::now() < until {
            let took = self.step(writes).await?;
            latency.record(u64::try_from(took.as_micros())?)?;
        }
        Ok(latency)
    }

    async fn step(&mut self, writes: bool) -> Result<Duration> {
        // all is drawn in any case, so that a seed means the same requests with writes and without
        let company = self.popularity.companies.draw(&mut self.random) as u64;
        let nth = self.popularity.contacts.draw(&mut self.random) as i64;
        let page = self.popularity.pages.draw(&mut self.random) as u32;
        match self.random.random_range(0..1000) {
            0..680 => self.page(company, page).await,
            680..930 => self.contact(company, contacts_of(company).start + nth).await,
            930..950 => self.foreign(company, nth).await,
            950..970 => self.statistics(company).await,
            970..990 => self.dashboard(company).await,
            990..993 if writes => self.update(company, contacts_of(company).start + nth).await,
            _ => self.page(company, page).await,
        }
    }

    async fn page(&mut self, company: u64, nth: u32) -> Result<Duration> {
        let number = 1 + nth % pages_of(company);
        let (scene, began) = (&self.scene, self.scene.witness.now());
        let reply = self.visitor.get(&format!("/contacts?page={number}"), scene.token(company)).await?;
        if let Some(page) = scene.expect::<Page>(&reply) {
            scene.witness.contacts(scene.name(company), &page.contacts, began);
        }
        Ok(reply.took)
    }

    async fn contact(&mut self, company: u64, id: i64) -> Result<Duration> {
        let (scene, began) = (&self.scene, self.scene.witness.now());
        let reply = self.visitor.get(&format!("/contacts/{id}"), scene.token(company)).await?;
        if let Some(contact) = scene.expect::<Contact>(&reply) {
            scene.witness.contacts(scene.name(company), &[contact], began);
        }
        Ok(reply.took)
    }

    /// Asks for a contact of the next company, which must not be given.
    async fn foreign(&mut self, company: u64, nth: i64) -> Result<Duration> {
        let id = contacts_of((company + 1) % COMPANIES).start + nth;
        let scene = &self.scene;
        let reply = self.visitor.get(&format!("/contacts/{id}"), scene.token(company)).await?;
        scene.witness.refused(scene.name(company), reply.status == StatusCode::NOT_FOUND);
        Ok(reply.took)
    }

    async fn statistics(&mut self, company: u64) -> Result<Duration> {
        let scene = &self.scene;
        let reply = self.visitor.get("/statistics", scene.token(company)).await?;
        if let Some(statistics) = scene.expect::<Statistics>(&reply) {
            scene.witness.statistics(scene.name(company), &statistics);
        }
        Ok(reply.took)
    }

    async fn dashboard(&mut self, company: u64) -> Result<Duration> {
        let (scene, began) = (&self.scene, self.scene.witness.now());
        let reply = self.visitor.get("/dashboard", scene.token(company)).await?;
        if let Some(dashboard) = scene.expect::<Dashboard<Statistics, Page>>(&reply) {
            scene.witness.statistics(scene.name(company), &dashboard.statistics);
            scene.witness.contacts(scene.name(company), &dashboard.contacts.contacts, began);
        }
        Ok(reply.took)
    }

    async fn update(&mut self, company: u64, id: i64) -> Result<Duration> {
        let draft = Draft {
            name: "Updated Contact".to_owned(),
            email: format!("contact-{id}@mail.example"),
            city: "Turin".to_owned(),
            stage: "customer".to_owned(),
        };
        let scene = &self.scene;
        let reply = self.visitor.put(&format!("/contacts/{id}"), scene.token(company), &draft).await?;
        if let Some(written) = scene.expect::<Contact>(&reply) {
            scene.witness.acknowledged(id, Some(written.version));
        }
        Ok(reply.took)
    }
}
