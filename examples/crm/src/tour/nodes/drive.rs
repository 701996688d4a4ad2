//! The clients: some write on one node and read on another at once, some read the same things all the while without a
//! token, some look at popular things.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{task::JoinSet, time::sleep};

use super::{rover::Rover, stage::Stage};
use crate::{
    db::{COMPANIES, Draft, Page, Statistics, contacts_of, pages_of},
    server::Dashboard,
    tour::zipf::Zipf,
};

/// Companies where one writes and another one reads the same: those that are looked at least.
const PAIRS: u64 = 24;
/// Few, so that each is read often between two writes.
const PAGES_WRITTEN: u32 = 3;
/// Clients that look at popular things, and how long they look at each.
const VISITORS: u64 = 24;
const LOOK: Duration = Duration::from_millis(4);
const STEEPNESS: f64 = 1.2;

/// What one company's reader reads: what its writer writes.
#[derive(Default)]
struct Spot {
    page: AtomicI64,
    contact: AtomicI64,
}

/// Lets all clients loose; they end when the stage says so.
pub(super) fn begin(stage: &Arc<Stage>) -> JoinSet<Result<()>> {
    let mut clients = JoinSet::new();
    let random = |seed| StdRng::seed_from_u64(seed);
    for company in COMPANIES - PAIRS..COMPANIES {
        let spot = Arc::new(Spot::default());
        let writer =
            Writer { rover: Rover::new(stage), company, random: random(company), spot: Arc::clone(&spot), token: None };
        clients.spawn(writer.live());
        clients.spawn(read_along(Rover::new(stage), company, random(1000 + company), spot));
    }
    for n in 0..VISITORS {
        clients.spawn(visit(Rover::new(stage), random(2000 + n)));
    }
    clients
}

struct Writer {
    rover: Rover,
    company: u64,
    random: StdRng,
    spot: Arc<Spot>,
    /// Of its last write.
    token: Option<String>,
}

impl Writer {
    async fn live(mut self) -> Result<()> {
        while !self.rover.stage.is_over() {
            self.change().await?;
        }
        Ok(())
    }

    /// Changes a contact on one node, and reads it and its page at once on others.
    async fn change(&mut self) -> Result<()> {
        let nodes = self.rover.stage.nodes();
        let number = self.random.random_range(1..=PAGES_WRITTEN);
        let node = self.random.random_range(0..nodes);
        let Some(page) = self.rover.page(node, self.company, number, self.token.as_deref()).await? else {
            return Ok(());
        };
        let contacts = &page.value.contacts;
        ensure!(!contacts.is_empty(), "page {number} of company {} is empty", self.company);
        let old = &contacts[self.random.random_range(0..contacts.len())];
        self.spot.page.store(i64::from(number), Relaxed);
        self.spot.contact.store(old.id, Relaxed);

        let email = format!("{}@mail.example", self.random.random::<u32>());
        let (name, city) = (old.name.clone(), old.city.clone()); // it stays on its page
        let draft = Draft { name, email, city, stage: old.stage.clone() };
        let node = self.random.random_range(0..nodes);
        let Some(wrote) = self.rover.change(node, self.company, old.id, &draft).await? else { return Ok(()) };
        let (id, stage) = (wrote.contact.id, Arc::clone(&self.rover.stage));
        // an application that gives no token is judged as if it had
        self.token = wrote.cache_token.or(self.token.take());
        let mut another = || (wrote.node + self.random.random_range(1..nodes)) % nodes;
        let (for_contact, for_page) = (another(), another());
        // while a node is dead, the same one may answer: that proves less, and is not counted
        if let Some(seen) = self.rover.contact(for_contact, self.company, id, self.token.as_deref()).await?
            && seen.node != wrote.node
        {
            stage.judge_with_token(&[seen.value], id, seen.began, "contact");
        }
        if let Some(seen) = self.rover.page(for_page, self.company, number, self.token.as_deref()).await?
            && seen.node != wrote.node
        {
            stage.judge_with_token(&seen.value.contacts, id, seen.began, "page");
        }
        Ok(())
    }
}

/// Reads what is written, on any node and without a token; so loads are under way when writes invalidate.
async fn read_along(mut rover: Rover, company: u64, mut random: StdRng, spot: Arc<Spot>) -> Result<()> {
    let (stage, nodes) = (Arc::clone(&rover.stage), rover.stage.nodes());
    while !stage.is_over() {
        let number = u32::try_from(spot.page.load(Relaxed))?.max(1);
        if let Some(seen) = rover.page(random.random_range(0..nodes), company, number, None).await? {
            stage.judge_without_token(&seen.value.contacts, seen.began, "page");
        }
        let id = spot.contact.load(Relaxed);
        if id > 0
            && let Some(seen) = rover.contact(random.random_range(0..nodes), company, id, None).await?
        {
            stage.judge_without_token(&[seen.value], seen.began, "contact");
        }
    }
    Ok(())
}

/// Looks at popular things of popular companies.
async fn visit(mut rover: Rover, mut random: StdRng) -> Result<()> {
    let (stage, nodes) = (Arc::clone(&rover.stage), rover.stage.nodes());
    let (companies, popular) = (Zipf::new((COMPANIES - PAIRS) as usize, STEEPNESS), Zipf::new(30, 1.0));
    while !stage.is_over() {
        let company = companies.draw(&mut random) as u64;
        let (nth, node) = (popular.draw(&mut random), random.random_range(0..nodes));
        let name = stage.companies.name(company);
        match random.random_range(0..1000) {
            0..720 => drop(rover.page(node, company, 1 + nth as u32 % pages_of(company), None).await?),
            720..950 => drop(rover.contact(node, company, contacts_of(company).start + nth as i64, None).await?),
            950..980 => rover.foreign(node, company, contacts_of((company + 1) % COMPANIES).start + nth as i64).await?,
            980..990 => {
                if let Some(read) = rover.read::<Statistics>(node, company, "/statistics", None, 1).await? {
                    stage.witness.statistics(name, &read.value);
                }
            }
            _ => {
                let read = rover.read::<Dashboard<Statistics, Page>>(node, company, "/dashboard", None, 2).await?;
                if let Some(read) = read {
                    stage.witness.statistics(name, &read.value.statistics);
                    for contact in &read.value.contacts.contacts {
                        stage.witness.owner(name, &contact.tenant);
                    }
                }
            }
        }
        sleep(LOOK).await;
    }
    Ok(())
}
